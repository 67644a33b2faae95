"""Show the settings in force and where each came from, or the address of the bus."""

import argparse

HELP = "show settings and where each came from"


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser(
        "show", parents=[common], help="every setting with its source; secrets are never shown"
    )
    show.add_argument("--json", action="store_true", help="answer in JSON")
    actions.add_parser(
        "url", help="NATS_URL of the running embedded bus, with its password: keep it to yourself"
    )
    actions.add_parser(
        "default", parents=[common], help="the default settings file, with comments, to start yours from"
    )


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from orchestrator.shell import UserError, load_settings

    if args.action == "default":
        import config

        print((Path(config.__file__).parent / "labverse.yaml").read_text(encoding="utf-8"), end="")
        return 0
    loaded = load_settings(args)
    if args.action == "show":
        from config.show import show

        print(show(loaded, as_json=args.json))
        return 0
    if loaded.settings.bus.url:
        raise UserError("bus.url is set: connect to it with your own credentials")
    from bus.embedded import read_address

    address = read_address(Path(loaded.settings.bus.data_dir))
    if address is None:
        raise UserError(f"no bus runs on {loaded.settings.bus.data_dir}: start one with `labverse up`")
    print(address.url_with_credentials)
    return 0
