"""What every command shares: settings, logging, signals, and errors in one line."""

import argparse
import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bus import Bus, BusError, open_bus
from bus.cancelling import end
from bus.redact import error_text, redact
from config.load import ConfigError, Loaded, load
from orchestrator.event_loop import KeylessLoop
from orchestrator.options import bus_options
from orchestrator.telemetry import start_telemetry
from orchestrator.version import VERSION
from schemas.ids import new_id

log = logging.getLogger("labverse")

EXIT_OK: Final = 0
EXIT_FINDINGS: Final = 1
EXIT_FAILED: Final = 2
EXIT_INTERRUPTED: Final = 130

TELEMETRY_FLUSH_S: Final = 3.0
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class UserError(Exception):
    """Raised for a mistake of the user: one line that says what is wrong, where, and what to do."""


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def run_command(args: argparse.Namespace) -> int:
    """Run the command and turn what goes wrong into one line and an exit code."""
    _mend_streams()
    try:
        _log_to_stderr(args.verbose)
        result = args.run(args)
        if not asyncio.iscoroutine(result):
            return int(result)
        with asyncio.Runner(loop_factory=KeylessLoop) as runner:
            return int(runner.run(result))
    except (UserError, ConfigError, BusError) as error:
        print(f"labverse: {redact(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("labverse: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FileNotFoundError as error:
        gone = error.filename or "the current folder"
        print(f"labverse: {gone} doesn't exist (any more): go to a folder that does", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output (`| head`) has left; nothing more to say, and no trace of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # a bug of ours: said in one line too, with its trace for who asks
        log.debug("unexpected", exc_info=error)
        print(f"labverse: unexpected {error_text(error)}; -vv shows where: please report it", file=sys.stderr)
        return EXIT_FAILED


def _mend_streams() -> None:
    """Output that is closed goes nowhere; a locale that can't show a character gets a substitute."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we live
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _log_to_stderr(verbose: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting("%(levelname).1s %(name)s: %(message)s"))
    level = (logging.ERROR, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    wanted = os.environ.get("LABVERSE_LOG", "").upper()
    if wanted and not verbose:
        if wanted not in LOG_LEVELS:
            raise UserError(f"LABVERSE_LOG is {wanted[:40]!r}: use one of {', '.join(LOG_LEVELS).lower()}")
        level = logging.getLevelNamesMapping()[wanted]
    logging.getLogger("labverse").setLevel(level)
    logging.getLogger().addHandler(handler)


def load_settings(args: argparse.Namespace, **flags: object) -> Loaded:
    """Settings from file, environment and flags (dotted keys, `__` for the dot; None means not given).

    Raises:
        ConfigError: something in them is wrong.
    """
    given = {key.replace("__", "."): value for key, value in flags.items() if value is not None}
    if args.data_dir is not None:
        given["bus.data_dir"] = args.data_dir
    return load(file=Path(args.config) if args.config else None, env=os.environ, flags=given)


@asynccontextmanager
async def bus_for(loaded: Loaded, *, role: str, source: str = "labverse") -> AsyncGenerator[Bus]:
    """The bus that the settings ask for, with traces if they are on.

    Raises:
        BusError: there is no bus to be had.
    """
    telemetry = start_telemetry(
        loaded.settings.telemetry, service_version=VERSION, instance_id=f"{role}-{new_id()}"
    )
    options = bus_options(loaded.settings, role=role, source=source, version=VERSION)
    try:
        tracer, meter = (telemetry.tracer, lambda: telemetry.meter) if telemetry else (None, None)
        async with open_bus(options, tracer, meter) as bus:
            yield bus
    finally:
        if telemetry is not None:
            await asyncio.to_thread(telemetry.shutdown, TELEMETRY_FLUSH_S)


@asynccontextmanager
async def stop_signals() -> AsyncGenerator[asyncio.Event]:
    """An event that SIGTERM and Ctrl-C set, so that a command can leave in good order; a second Ctrl-C kills."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`; asyncio.CancelledError inside it and KeyboardInterrupt here when `stop` comes first."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise KeyboardInterrupt
        return task.result()
    finally:
        await end((task, stopped))
