"""Asking whoever answers: routers that run, else one of this command's own; and again when they are gone.

A router that is killed can't say so. Whoever asked it looks every `LOOK_S` whether its process still is there, and
asks again when it isn't, with what the first request may have cost taken off the call's limit, and said.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bus import Bus, BusError
from bus.complete import ask, ask_in_pieces
from bus.presence import ProcessRecord
from schemas.ids import new_id
from schemas.llm import CompletionPiece, CompletionReply, CompletionRequest, Refusal, RefusalKind

LOOK_S: Final = 1.0
MISSED_LOOKS_MAX: Final = 2
"""In a row; then nobody is there any more."""
ROUNDS_MAX: Final = 3
"""Routers on the bus are asked so often; then the command's own router is."""
ROUTER: Final = "router"
SHOWN_MAX: Final = 3

OwnRouter = Callable[[CompletionRequest], AsyncGenerator[CompletionPiece]]


@dataclass(eq=False, slots=True, kw_only=True)
class Asking:
    """One question.

    Args:
        own: asks a router of this process.
        only_own: no router on the bus is asked.

    Attributes:
        by: who answered, in words; empty for this process's own router.
        notes: what went wrong on the way, a line each.
    """

    bus: Bus
    request: CompletionRequest
    deadline_s: float
    own: OwnRouter
    task_id: str = ""
    is_stream: bool = False
    only_own: bool = False

    by: str = ""
    notes: list[str] = field(default_factory=list)

    async def pieces(self) -> AsyncGenerator[CompletionPiece]:
        """The answer; the last piece holds the reply. Closing it early stops the model."""
        for _ in range(0 if self.only_own else ROUNDS_MAX):
            self.request = msgspec.structs.replace(self.request, call_id=new_id())
            asked = await _routers(self.bus)
            has_text = False
            async with aclosing(self._asked(asked)) as pieces:
                async for piece in pieces:
                    if _nobody_serves(piece):
                        break
                    has_text = has_text or bool(piece.text)
                    if piece.reply is not None:
                        self.by = described(asked or await _routers(self.bus))
                    yield piece
                    if piece.reply is not None:
                        return
                else:
                    gone = await self._gone(asked)
                    if has_text:
                        yield _cut(self.request, gone)
                        return
                    continue
            break
        async with aclosing(self.own(self.request)) as own_pieces:
            async for piece in own_pieces:
                yield piece

    async def _asked(self, asked: list[ProcessRecord]) -> AsyncGenerator[CompletionPiece]:
        """What the routers on the bus say; ends without a reply when all of `asked` are gone."""
        gone = asyncio.create_task(_until_gone(self.bus, asked))
        try:
            async with aclosing(self._by_bus()) as pieces:
                while True:
                    following = asyncio.ensure_future(anext(pieces, None))
                    try:
                        await asyncio.wait((following, gone), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        if not following.done():
                            following.cancel()
                            await asyncio.wait((following,))
                    if following.cancelled() or (piece := following.result()) is None:
                        return
                    yield piece
        finally:
            gone.cancel()

    async def _by_bus(self) -> AsyncGenerator[CompletionPiece]:
        if not self.is_stream:
            reply = await ask(self.bus, self.request, deadline_s=self.deadline_s, task_id=self.task_id)
            yield CompletionPiece(reply=reply)
            return
        asked = ask_in_pieces(self.bus, self.request, deadline_s=self.deadline_s, task_id=self.task_id)
        async with aclosing(asked) as pieces:
            async for piece in pieces:
                yield piece

    async def _gone(self, asked: list[ProcessRecord]) -> str:
        """Note that they are, with what that may have cost, which the call's limit pays; the note."""
        note = f"{described(asked)} ended before the answer was there"
        try:
            held_nusd = await _taken_nusd(self.bus, self.request.call_id)
        except BusError as error:
            held_nusd = self.request.max_cost_nusd or 0
            note += f"; whether its request is billed can't be told ({error})"
        if held_nusd:
            from agents.cost_guard.report import dollars

            note += f"; its request may have been sent, and is billed up to {dollars(held_nusd)} then"
        if self.request.max_cost_nusd is not None:
            left_nusd = max(0, self.request.max_cost_nusd - held_nusd)
            self.request = msgspec.structs.replace(self.request, max_cost_nusd=left_nusd)
        self.notes.append(note)
        return note


def described(routers: list[ProcessRecord]) -> str:
    """the router of `labverse up` (pid 12), or how many there are; empty for none."""
    shown = [_process(one) for one in routers[:SHOWN_MAX]]
    match len(routers):
        case 0:
            return ""
        case 1:
            return f"the router of {shown[0]}"
        case number:
            return f"one of {number} routers: {', '.join(shown)}{' …' if number > len(shown) else ''}"


def _process(process: ProcessRecord) -> str:
    command = "agent router" if process.role == "agent" else process.role
    where = "" if process.host == socket.gethostname() else f" on {process.host}"
    return f"`labverse {command}` (pid {process.pid}{where})"


async def _routers(bus: Bus) -> list[ProcessRecord]:
    """The processes that answer model calls; empty too when nobody can tell."""
    try:
        processes = await bus.presence.processes()
    except BusError:
        return []
    return [one for one in processes if any(agent.durable == ROUTER for agent in one.agents)]


async def _until_gone(bus: Bus, asked: list[ProcessRecord]) -> None:
    """Return when none of `asked` is there any more; never when nobody knows who was asked."""
    missed = 0
    while not asked or missed < MISSED_LOOKS_MAX:
        await asyncio.sleep(LOOK_S)
        try:
            here = {one.process_id for one in await bus.presence.processes()}
        except BusError:
            continue  # the bus is away; who is there can't be told
        # On a bus of this machine's own, processes can be looked up without waiting for their silence.
        is_local = bus.address is not None
        there = (one.process_id in here and (not is_local or _lives(one.pid)) for one in asked)
        missed = 0 if any(there) else missed + 1


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's: it lives
    return True


async def _taken_nusd(bus: Bus, completion_id: str) -> int:
    """What the books hold, or have charged, for the requests of one completion, in nano-USD.

    Money is held in the books before a request goes out: where nothing is, nothing was sent that costs money.

    Raises:
        BusError: the books can't be read.
    """
    from agents.cost_guard.books import books
    from agents.cost_guard.ledger import Ledger, Limits, Settled

    snapshot, stored = await books(bus).open()
    ledger = Ledger(Limits(month_nusd=0), snapshot.state if snapshot else None)
    spent_nusd = 0
    for _, batch in stored:
        ledger.replay(batch.entries)
        settled = (entry.record for entry in batch.entries if isinstance(entry, Settled))
        spent_nusd += sum(record.cost_nusd for record in settled if record.completion_id == completion_id)
    prefix = f"{completion_id}-"
    held = (*ledger.state.open.values(), *ledger.state.charged.values())
    return spent_nusd + sum(one.amount_nusd for one in held if one.call_id.startswith(prefix))


def _nobody_serves(piece: CompletionPiece) -> bool:
    """Whether the request reached no router: what a router says of it has the call's id."""
    refusal = piece.reply.refusal if piece.reply else None
    return refusal is not None and refusal.kind is RefusalKind.NO_MODEL and not refusal.call_id


def _cut(request: CompletionRequest, note: str) -> CompletionPiece:
    refusal = Refusal(
        kind=RefusalKind.STREAM_CUT, message=f"{note}: what came of it is above", call_id=request.call_id
    )
    return CompletionPiece(reply=CompletionReply(refusal=refusal))
