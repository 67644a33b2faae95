"""Saying yes or no from the command line: find the approval, show it, ask, send the word."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from agents.approver.records import approvals_bucket
from bus import Bus, DeadlineError, NoResponderError, RemoteError
from bus.services import APPROVAL_DECIDE
from orchestrator.clean import clean
from orchestrator.follow import follow
from orchestrator.identity import cli_identity
from orchestrator.shell import EXIT_OK, UserError, bus_for, load_settings
from schemas.approval import NOTE_CHARS_MAX, Approval, DecideOutcome, DecideReply, DecideRequest
from schemas.ids import new_id

if TYPE_CHECKING:
    from config.load import Loaded

EXIT_NOT_COUNTED: Final = 1
ANSWER_S: Final = 5.0
TRIES: Final = 3
"""Of the same word, which counts once however often it is sent."""
SHOWN_MAX: Final = 5
DEALS: Final = "deal"
ACTED_S: Final = 10.0

Action = Literal["approve", "veto", "delegate"]


async def say(args: argparse.Namespace, action: Action, *, to: str = "", asks: bool = True) -> int:
    """The whole of `labverse approve` and its like; returns the exit code.

    Raises:
        UserError: there is no such approval, nobody can be asked, or no approver is on the bus.
    """
    note = getattr(args, "note", "")
    if len(note) > NOTE_CHARS_MAX:
        raise UserError(f"--note has {len(note)} characters: at most {NOTE_CHARS_MAX}")
    if asks and not args.yes and (args.json or not (sys.stdin.isatty() and sys.stderr.isatty())):
        raise UserError("nobody can be asked here: add --yes if you have seen what it is about")
    loaded: Loaded = load_settings(args)
    async with bus_for(loaded, role="cli", source=f"labverse/{action}") as bus:
        approval = await find_approval(bus, args.id)
        if not args.json:
            _show(approval)
        if asks and not args.yes and approval.is_open and not await _agrees(action, to):
            print("nothing was said", file=sys.stderr)
            return EXIT_NOT_COUNTED
        async with _approver(bus, loaded, approval):
            reply = await send(bus, approval, action, note=note, to=to)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(reply)).decode())
    else:
        print(_answer(reply, action))
    return EXIT_OK if counted(reply) or said_before(reply, action) else EXIT_NOT_COUNTED


@asynccontextmanager
async def _approver(bus: Bus, loaded: "Loaded", approval: Approval) -> AsyncGenerator[None]:
    """On an embedded bus on which nobody works, this command takes its own word, and has acted upon it when it
    leaves; elsewhere whoever runs there does."""
    if bus.address is None or await _is_served(bus):
        yield
        return
    from orchestrator.negotiating import served

    async with served(bus, loaded.settings):
        yield
        await _acted_upon(bus, approval)


async def _is_served(bus: Bus) -> bool:
    processes = await bus.presence.processes()
    return any(agent.durable == "approver" for process in processes for agent in process.agents)


async def _acted_upon(bus: Bus, approval: Approval) -> None:
    """Wait until whoever asked has done what was decided, if that is anybody here."""
    stored = await approvals_bucket(bus).get(approval.approval_id)
    if approval.request.kind != DEALS or stored is None or stored[0].is_open:
        return
    try:
        async with asyncio.timeout(ACTED_S):
            async with aclosing(follow(bus, approval.task_id)) as events:
                async for _ in events:
                    pass
    except TimeoutError:
        print("what was decided has not been acted upon yet: `labverse up` goes on", file=sys.stderr)


async def find_approval(bus: Bus, text: str) -> Approval:
    """The approval that `text` names: by its id, or by a beginning or end (or `beginning…end`) that is unique.

    Raises:
        UserError: it names none, or several.
    """
    bucket = approvals_bucket(bus)
    await bucket.ensure()
    approvals = await bucket.values()
    if text in approvals:
        return approvals[text]
    begins, dots, ends = text.partition("…")
    if dots:
        found = [key for key in approvals if key.startswith(begins) and key.endswith(ends)]
    else:
        found = [key for key in approvals if key.startswith(text) or key.endswith(text)]
    if not text.strip("…") or not found:
        raise UserError(f"no approval {clean(text)[:80]}: `labverse approvals list --all` shows them")
    if len(found) > 1:
        shown = ", ".join(found[:SHOWN_MAX]) + (" …" if len(found) > SHOWN_MAX else "")
        raise UserError(f"{clean(text)[:80]} fits {len(found)} approvals ({shown}): say more of the id")
    return approvals[found[0]]


async def send(bus: Bus, approval: Approval, action: str, *, note: str = "", to: str = "") -> DecideReply:
    """Say a word on what was shown, in the name of the user of this process; sent again until it is answered.

    Raises:
        UserError: no approver is on the bus, or none answers.
    """
    try:
        request = msgspec.convert(
            {
                "approval_id": approval.approval_id,
                "digest": approval.request.digest,
                "identity": cli_identity(),
                "action": action,
                "vote_id": f"cli-{new_id()}",
                "via": "cli",
                "to": to,
                "note": note,
            },
            DecideRequest,
        )
    except msgspec.ValidationError as error:
        raise UserError(f"this can't be said: {error}") from None
    failure = ""
    for _ in range(TRIES):
        try:
            return await bus.call(APPROVAL_DECIDE, request, timeout_s=ANSWER_S, task_id=approval.task_id)
        except NoResponderError:
            raise UserError("no approver is on the bus: start one with `labverse up`") from None
        except (DeadlineError, RemoteError) as error:
            failure = str(error)
    raise UserError(f"no approver answers ({clean(failure)}): `labverse status` shows what runs; try again")


def counted(reply: DecideReply) -> bool:
    """Whether the word counts, now or since it was said before."""
    return reply.outcome in (DecideOutcome.COUNTED, DecideOutcome.REPEATED)


def said_before(reply: DecideReply, action: str) -> bool:
    """Whether it was too late because the user of this process had said just that before."""
    votes = reply.approval.votes if reply.outcome is DecideOutcome.TOO_LATE and reply.approval else ()
    return any(vote.identity == cli_identity() and vote.ballot == action for vote in votes)


def _show(approval: Approval) -> None:
    from orchestrator.approvals_view import print_approval, terminal

    print_approval(terminal(stderr=True), approval, now_s=time.time())


async def _agrees(action: Action, to: str) -> bool:
    """Whether the person at the terminal says yes; a closed input is a no."""
    what = f"hand your right on to {clean(to)}" if action == "delegate" else action
    print(f"{what}? [y/N] ", end="", file=sys.stderr, flush=True)
    line = ""
    try:
        line = await _typed_line()
    finally:
        if not line:  # closed, or interrupted: what comes next begins a line
            print(file=sys.stderr)
    return line.strip().lower() in ("y", "yes")


async def _typed_line() -> str:
    """A line from the terminal, awaited without a thread: one would hold up Ctrl-C until a line comes."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def on_input() -> None:
        typed = sys.stdin.readline()
        if not line.done():
            line.set_result(typed)

    loop.add_reader(sys.stdin.fileno(), on_input)
    try:
        return await line
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _answer(reply: DecideReply, action: str) -> str:
    message = clean(reply.message)
    if reply.outcome is DecideOutcome.TOO_LATE and not said_before(reply, action):
        return f"too late, nothing was changed: {message}"
    if reply.outcome is DecideOutcome.NOT_ALLOWED:
        return f"{message} (you are {clean(cli_identity())})"
    return message
