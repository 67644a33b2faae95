"""Runner: begins a programme's negotiation once for each cycle, on whichever node leads.

Listens  nothing; looks at the clock
Emits    negotiation.requested once for each cycle
Effects  the cycle is written down before its negotiation begins, and its ending afterwards
State    the programme in the bucket `PROGRAMMES`, written by compare-and-swap; a lease in KV
Without an LLM  the same

Any number of nodes may run the same programme; one leads. A leader who was frozen finds its place taken in the
programme's record, and whatever it still had in hand is harmless: a cycle's task id is taken once, and a cycle that
was found without a negotiation after its time is called off before it is passed over.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from agents.negotiator import switch
from agents.negotiator.cycles.endings import Ending, stored_ending, wait_for_ending
from agents.negotiator.cycles.programme import (
    BUCKET,
    PROGRAMMES_MAX,
    Begin,
    Patience,
    Paused,
    ProgrammeError,
    Skip,
    Wait,
    after,
    check_interval,
    check_name,
    cycle_number,
    next_step,
    programmes,
    recorded,
    running,
    skipped,
)
from bus import Bus, ConflictError, DuplicateTaskError, FencedError
from bus.cancelling import end
from bus.envelope import parse_time
from bus.lease import Tenure
from schemas.negotiation import CycleRecord, Programme

log = logging.getLogger("labverse.cycles")

POLL_S: Final = 1.0
"""How soon a resumed or otherwise changed programme is noticed."""
RETRY_S: Final = 1.0
"""Pause before a kill switch that could not be read is read again."""
CONFLICTS_MAX: Final = 20
FOLLOW_S_MAX: Final = 7 * 86_400.0
"""A negotiation without an ending after so long has failed: its events are about to be forgotten."""
SUBMIT_WITHIN_S: Final = 10.0


class Tell(Protocol):
    """Hears of every cycle that begins, is skipped or ends, with the programme as it stands then."""

    def __call__(self, record: CycleRecord, programme: Programme) -> None: ...


def tell_nobody(record: CycleRecord, programme: Programme) -> None:
    """For who doesn't want to hear."""


def this_node() -> str:
    """This process among all that may run a programme."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(eq=False, slots=True, kw_only=True)
class Runner:
    """Runs one programme, together with all other runners of the same name.

    Args:
        programme: name, request and interval; the rest is kept in the bucket.
        node: decides by how much this one begins later than the start of a cycle.
        clock: seconds since 1970.
    """

    bus: Bus
    programme: Programme
    tell: Tell = tell_nobody
    patience: Patience = field(default_factory=Patience)
    node: str = field(default_factory=this_node)
    clock: Callable[[], float] = time.time
    is_leading: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> None:
        """Lead or stand by until `stop` is set. A negotiation that runs then goes on without us.

        Raises:
            ProgrammeError: the name or interval can't be, or another programme has the name.
            BusError: the bus can't be used.
        """
        check_name(self.programme.name)
        check_interval(self.programme.interval_s)
        bucket = programmes(self.bus)
        await bucket.ensure()
        await switch.ensure(self.bus)
        if known := await bucket.get(self.programme.name):
            check_same(known[0], self.programme)
        lease = self.bus.lease(lease_name(self.programme.name))
        leading = asyncio.create_task(lease.run(self._lead), name=f"cycles of {self.programme.name}")
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((leading, stopped), return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                leading.result()
        finally:
            await end((leading, stopped))

    async def _lead(self, tenure: Tenure) -> None:
        term = _Term(self, tenure)
        try:
            await term.join()
            self.is_leading.set()
            await term.work()
        finally:
            self.is_leading.clear()
            await term.leave()


class _Term:
    """One time of leadership."""

    def __init__(self, runner: Runner, tenure: Tenure) -> None:
        self._runner = runner
        self._bus = runner.bus
        self._name = runner.programme.name
        self._bucket = programmes(runner.bus)
        self._leader = f"{tenure.record.host}:{tenure.record.pid}/{tenure.fencing_token}"
        self._following: asyncio.Task[Ending] | None = None
        self._said: tuple[int, str] = (-1, "")

    async def join(self) -> None:
        """Take the programme's record over: from here on a former leader can't write it."""
        asked = self._runner.programme
        for _ in range(CONFLICTS_MAX):
            found = await self._bucket.get(self._name)
            known, revision = found or (await self._new(), 0)
            check_same(known, asked)
            mine = msgspec.structs.replace(known, request=asked.request, leader=self._leader)
            try:
                await self._bucket.update(self._name, mine, revision)
                return
            except ConflictError:
                continue
        raise ConflictError(f"programme {self._name} was changed {CONFLICTS_MAX} times while taking it over")

    async def _new(self) -> Programme:
        known = await self._bucket.values()
        idle = [name for name, programme in known.items() if not programme.paused_why]
        for name in idle[: max(0, len(known) - PROGRAMMES_MAX + 1)]:
            await self._bucket.purge(name)
        asked = self._runner.programme
        return Programme(name=asked.name, request=asked.request, interval_s=asked.interval_s)

    async def leave(self) -> None:
        """Follow nothing any more."""
        if self._following is not None:
            await end((self._following,))
            self._following = None

    async def work(self) -> None:
        """Until leadership ends.

        Raises:
            FencedError: another node has taken the programme over.
            BusError: the bus doesn't do what it should; whoever leads next goes on.
        """
        while True:
            found = await self._bucket.get(self._name)
            raise_if_cancelled()
            if found is None or found[0].leader != self._leader:
                raise FencedError(
                    f"programme {self._name} is led by {found[0].leader if found else 'nobody'}"
                )
            try:
                wait_s = await self._step(*found)
            except ConflictError:
                continue  # somebody resumed it, or took it over: look again
            await self._rest(wait_s)

    async def _rest(self, wait_s: float) -> None:
        wait_s = min(POLL_S, wait_s)
        if wait_s <= 0:
            return
        if self._following is None:
            await asyncio.sleep(wait_s)
        else:
            await asyncio.wait((self._following,), timeout=wait_s)  # its end is looked at without delay

    async def _step(self, programme: Programme, revision: int) -> float:
        """Do what is due; returns how long there is nothing to do, in seconds."""
        if record := running(programme):
            ending = await self._ending_of(record)
            if ending is not None:
                return await self._end(programme, revision, record, ending)
        now_s = self._runner.clock()
        match next_step(programme, now_s, self._runner.node):
            case Wait(until_s, why):
                self._say(-1, why)
                return until_s - now_s
            case Paused(why):
                self._say(-1, f"it pauses: {why}")
                return POLL_S
            case Skip(record, missed):
                return await self._record(programme, revision, record, missed)
            case Begin(record, missed):
                return await self._begin(programme, revision, record, missed)

    async def _begin(self, programme: Programme, revision: int, record: CycleRecord, missed: int) -> float:
        state = await switch.read(self._bus)
        if isinstance(state, str):
            # Nothing is written down: the cycle happens after all when the switch can be read in its time.
            why = f"the kill switch can't be read: {state}"
            if self._say(record.number, why):
                self._runner.tell(skipped(record, why), programme)
            return RETRY_S
        if state.is_stopped:
            record = skipped(record, switch.stopped_words(state))
        return await self._record(programme, revision, record, missed)

    async def _record(self, programme: Programme, revision: int, record: CycleRecord, missed: int) -> float:
        """Write a cycle down, before anything is done for it."""
        changed = recorded(programme, record, missed)
        await self._bucket.update(self._name, changed, revision)
        self._runner.tell(record, changed)
        return 0.0

    async def _end(self, programme: Programme, revision: int, record: CycleRecord, ending: Ending) -> float:
        """Write down how a cycle's negotiation ended."""
        changed = after(programme, record.number, ending, self._runner.patience)
        await self._bucket.update(self._name, changed, revision)
        self._following = None
        ended = next(one for one in changed.recent if one.number == record.number)
        self._runner.tell(ended, changed)
        return 0.0

    async def _ending_of(self, record: CycleRecord) -> Ending | None:
        """How the cycle's negotiation ended, if it has by now; it is begun if that wasn't done.

        Raises:
            BusError: it can't be begun or followed.
        """
        if self._following is not None and self._following.get_name() == record.task_id:
            return self._following.result() if self._following.done() else None
        await self.leave()
        # Looked at before anything else is decided: after a takeover it may be over long since.
        has_begun, ending = await stored_ending(self._bus, record.task_id)
        if ending is None and not has_begun:
            ending = await self._begin_negotiation(record)
        if ending is None:
            self._following = asyncio.create_task(self._follow(record), name=record.task_id)
        return ending

    async def _begin_negotiation(self, record: CycleRecord) -> Ending | None:
        if cycle_number(self._runner.clock(), self._runner.programme.interval_s) > record.number:
            return await self._call_off(record, "its leader left before it began, and its time is over")
        is_running, why = await switch.is_running(self._bus)
        if not is_running:
            return await self._call_off(record, why)
        await self._submit(record)
        return None

    async def _follow(self, record: CycleRecord) -> Ending:
        try:
            left_s = parse_time(record.at) + FOLLOW_S_MAX - self._runner.clock()
            async with asyncio.timeout(max(POLL_S, left_s)):
                return await wait_for_ending(self._bus, record.task_id)
        except TimeoutError:
            return Ending(state="failed", why=f"no ending within {FOLLOW_S_MAX / 86_400:g} days")

    async def _submit(self, record: CycleRecord) -> None:
        raise_if_cancelled()
        programme = self._runner.programme
        cycle = f"{programme.name} {record.number}"
        request = msgspec.structs.replace(programme.request, cycle=cycle)
        try:
            await self._bus.submit(request, task_id=record.task_id, timeout_s=SUBMIT_WITHIN_S)
        except DuplicateTaskError:
            log.info("%s was begun by somebody else", record.task_id)

    async def _call_off(self, record: CycleRecord, why: str) -> Ending:
        # A leader who was frozen on the way may still publish the request: nobody will work on it then.
        await self._bus.cancel(record.task_id, by="the programme", reason=why)
        _, ending = await stored_ending(self._bus, record.task_id)
        if ending is not None and ending.state != "cancelled":
            return ending
        return Ending(state="skipped", why=why)

    def _say(self, number: int, why: str) -> bool:
        """Log a reason, once as long as it stays the same; whether it is news."""
        if not why or self._said == (number, why):
            return False
        self._said = (number, why)
        log.warning("%s: %s", self._name, why)
        return True


def raise_if_cancelled() -> None:
    """nats-py can swallow a cancellation in the middle of a request; who was cancelled must not go on."""
    if (task := asyncio.current_task()) is not None and task.cancelling():
        raise asyncio.CancelledError


def lease_name(name: str) -> str:
    """Core: under which name the nodes of a programme decide who leads."""
    return f"programme-{name}"


def check_same(known: Programme, asked: Programme) -> None:
    """Core: refuse to change the interval of a known programme: its cycles' numbers would mean other times.

    Raises:
        ProgrammeError: the intervals differ.
    """
    if known.interval_s != asked.interval_s:
        raise ProgrammeError(
            f"programme {known.name} has a cycle every {known.interval_s:g} s in the bucket {BUCKET}: "
            f"choose another name for one every {asked.interval_s:g} s"
        )
