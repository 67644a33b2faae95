"""Dead letters: events that were given up. Look at them, mend what was wrong, replay them."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bus import Bus

HELP = "list, show and replay events that were given up"


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[common], help="all dead letters, oldest first")
    show = actions.add_parser("show", parents=[common], help="one of them with payload, headers and history")
    replay = actions.add_parser(
        "replay", parents=[common], help="give events to the agents that failed on them, once more"
    )
    show.add_argument("id", type=int)
    replay.add_argument("id", type=int, nargs="*")
    replay.add_argument("--all", action="store_true", help="replay every dead letter")
    for action in (listing, show, replay):
        action.add_argument("--json", action="store_true", help="answer in JSON")


async def run(args: argparse.Namespace) -> int:
    from orchestrator.shell import UserError, bus_for, load_settings

    if args.action == "replay" and bool(args.id) == args.all:
        raise UserError("say which dead letters to replay: their ids, or --all")
    async with bus_for(load_settings(args), role="cli", source="labverse/dead") as bus:
        if args.action == "list":
            await _list(bus, as_json=args.json)
        elif args.action == "show":
            await _show(bus, args.id, as_json=args.json)
        else:
            await _replay(bus, args.id, as_json=args.json)
    return 0


async def _list(bus: "Bus", *, as_json: bool) -> None:
    import msgspec

    from orchestrator.clean import clean

    letters = await bus.letters.list()
    if as_json:
        rows = [
            {"id": one.id, "time": one.time, "agent": one.durable, "tag": one.tag, "task_id": one.task_id}
            | {"reason": one.reason, "error": one.error, "attempts": one.attempts}
            for one in letters
        ]
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    if not letters:
        print("no dead letters")
    for one in letters:
        error = f": {one.error}" if one.error not in ("", "-") else ""
        what = clean(f"{one.tag or one.subject or one.stream} {one.task_id}")
        print(f"{one.id:>5}  {one.time[:19]}  {one.durable:<16} {what}  {clean(one.reason + error)[:160]}")


async def _show(bus: "Bus", letter_id: int, *, as_json: bool) -> None:
    import msgspec

    from bus.redact import redact
    from orchestrator.clean import clean

    letter = await bus.letters.get(letter_id)
    letter = msgspec.structs.replace(
        letter,
        payload=redact(letter.payload),
        headers={name: redact(value) for name, value in letter.headers.items()},
    )
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(letter)).decode())
        return
    rows = {
        "agent": letter.durable,
        "time": letter.time,
        "subject": letter.subject,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": str(letter.attempts),
        "stored at": f"{letter.stream} {letter.seq}",
    }
    for name, value in rows.items():
        print(f"{name + ':':<11}{clean(value)}")
    for line in letter.history:
        print(f"{'earlier:':<11}{clean(line)}")
    for name, value in sorted(letter.headers.items()):
        print(f"{'header:':<11}{clean(name)}: {clean(value)}")
    print(f"{'payload:':<11}{clean(letter.payload)}")
    print(f"replay it with: labverse dead replay {letter.id}")


async def _replay(bus: "Bus", ids: list[int], *, as_json: bool) -> None:
    import msgspec

    chosen = ids or [letter.id for letter in await bus.letters.list()]
    done = [{"id": letter_id, "subject": await bus.letters.replay(letter_id)} for letter_id in chosen]
    if as_json:
        print(msgspec.json.encode(done).decode())
        return
    for one in done:
        print(f"{one['id']}: replayed {one['subject']}")
    if not done:
        print("no dead letters")
