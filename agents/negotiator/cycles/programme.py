"""When a programme's next cycle is due, what a cycle's ending means to it, and when it pauses: the pure core.

A cycle's number is the whole part of the time since 1970 divided by the interval, so that all nodes agree on it. Of
cycles that were missed only the latest is made up for; while one isn't over, the next ones are skipped.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

import msgspec

from agents.negotiator.cycles.endings import Ending
from bus import Bus, BusError
from bus.envelope import time_text
from bus.kv import Bucket
from schemas.negotiation import CycleRecord, NegotiationRequested, Programme

BUCKET: Final = "PROGRAMMES"
PROGRAMMES_MAX: Final = 1_000
"""Programmes known at once; of more, those that were changed longest ago and don't pause are forgotten."""
INTERVAL_S_MIN: Final = 1.0
INTERVAL_S_MAX: Final = 31 * 86_400.0
JITTER_SHARE: Final = 0.1
"""Of the interval, by which nodes begin later than its start at most."""
RECENT_MAX: Final = 50
"""Cycles of which a programme's record tells."""
WHY_CHARS_MAX: Final = 300
NAME_CHARS_MAX: Final = 40
_NAME = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{NAME_CHARS_MAX - 1}}}")


class ProgrammeError(BusError):
    """Raised when a programme can't be run as it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many failures, vetoes or identical deals in a row make a programme pause."""

    failures: int = 3
    vetoes: int = 3
    identical: int = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until_s` (seconds since 1970); `why`, if that needs a word."""

    until_s: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """This cycle is passed over; `missed` before it were passed over because nobody ran."""

    record: CycleRecord
    missed: int


@dataclass(frozen=True, slots=True)
class Begin:
    """This cycle is due; `missed` as of `Skip`."""

    record: CycleRecord
    missed: int


@dataclass(frozen=True, slots=True)
class Paused:
    why: str


Step = Wait | Skip | Begin | Paused


def programmes(bus: Bus) -> Bucket[Programme]:
    """The bucket of all programmes, by name; `ensure` it before first use."""
    return bus.bucket(BUCKET, Programme)


def programme_name(request: NegotiationRequested, interval_s: float) -> str:
    """Core: a name that follows from what is to be done: nodes started alike run one programme together."""
    words = re.sub(r"[^a-z0-9]+", "-", request.goal.lower()).strip("-")[: NAME_CHARS_MAX - 9].strip("-")
    digest = hashlib.sha256(msgspec.json.encode((request, interval_s))).hexdigest()[:8]
    return f"{words}-{digest}" if words else digest


def check_name(name: str) -> str:
    """Core: the name, if a programme may be called so.

    Raises:
        ProgrammeError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise ProgrammeError(
            f"a programme can't be called {name[:60]!r}: use 1 to {NAME_CHARS_MAX} characters of a-z 0-9 - "
            "that don't begin with -"
        )
    return name


def check_interval(interval_s: float) -> float:
    """Core: the interval, if cycles may follow one another so.

    Raises:
        ProgrammeError: it is shorter than a second, longer than 31 days, or no number.
    """
    if not INTERVAL_S_MIN <= interval_s <= INTERVAL_S_MAX:
        raise ProgrammeError(
            f"a cycle can't take {interval_s:g} s: choose {INTERVAL_S_MIN:g} to {INTERVAL_S_MAX:,.0f} s (31 days)"
        )
    return interval_s


def cycle_number(now_s: float, interval_s: float) -> int:
    """Core: which cycle a point in time is in."""
    return int(now_s // interval_s)


def cycle_task_id(name: str, number: int) -> str:
    """Core: the id of a cycle's negotiation; that a task id is taken once is what makes a cycle happen once."""
    return f"cycle-{name}-{number}"


def jitter_s(node: str, name: str, number: int, interval_s: float) -> float:
    """Core: how long after the start of a cycle this node begins with it: 0 to 10 % of the interval, always the same
    for node and cycle."""
    digest = hashlib.blake2b(f"{node}\n{name}\n{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * JITTER_SHARE * interval_s


def running(programme: Programme) -> CycleRecord | None:
    """Core: the cycle whose negotiation isn't over, as far as the record knows."""
    return next((cycle for cycle in programme.recent if cycle.state == "running"), None)


def next_step(programme: Programme, now_s: float, node: str) -> Step:
    """Core: what is to be done now.

    Args:
        now_s: seconds since 1970; may have jumped since the last time.
        node: who asks; decides its jitter alone.
    """
    if programme.paused_why:
        return Paused(programme.paused_why)
    interval_s, name = programme.interval_s, programme.name
    number = cycle_number(now_s, interval_s)
    newest = max((cycle.number for cycle in programme.recent), default=None)
    if newest is not None and number <= newest:
        due_s = (newest + 1) * interval_s + jitter_s(node, name, newest + 1, interval_s)
        ahead = newest - number
        why = f"the clock went back: cycle {newest} of {name} has been, this is {number}" if ahead else ""
        return Wait(due_s, why)
    due_s = number * interval_s + jitter_s(node, name, number, interval_s)
    if newest is not None and now_s < due_s:
        return Wait(due_s)
    missed = 0 if newest is None else number - newest - 1
    record = CycleRecord(
        number=number,
        task_id=cycle_task_id(name, number),
        at=time_text(now_s),
        why=f"the {missed} before it were missed" if missed else "",
    )
    if before := running(programme):
        return Skip(skipped(record, f"cycle {before.number} is not over yet"), missed)
    return Begin(record, missed)


def skipped(record: CycleRecord, why: str) -> CycleRecord:
    """Core: the cycle, passed over for this reason."""
    why = "; ".join(filter(None, (why, record.why)))
    return msgspec.structs.replace(record, state="skipped", why=why[:WHY_CHARS_MAX])


def recorded(programme: Programme, record: CycleRecord, missed: int = 0) -> Programme:
    """Core: the programme with one cycle more, begun or skipped."""
    others = [cycle for cycle in programme.recent if cycle.number != record.number]
    cycles = sorted((record, *others), key=lambda cycle: cycle.number, reverse=True)
    return msgspec.structs.replace(
        programme,
        recent=_kept(cycles),
        missed=programme.missed + missed + (record.state == "skipped"),
    )


def after(
    programme: Programme,
    number: int,
    ending: Ending,
    patience: Patience = Patience(),
) -> Programme:
    """Core: the programme once the negotiation of cycle `number` is over; unchanged if that is known already."""
    record = next((one for one in programme.recent if one.number == number and one.state == "running"), None)
    if record is None:
        return programme
    ended = msgspec.structs.replace(
        record,
        state=ending.state,
        why=ending.why[:WHY_CHARS_MAX],
        digest=ending.digest,
        amount_nusd=ending.amount_nusd,
    )
    counted = _counted(programme, ending)
    changed = msgspec.structs.replace(
        counted,
        recent=tuple(ended if one is record else one for one in programme.recent),
        missed=counted.missed + (ending.state == "skipped"),
    )
    why = _too_much(changed, patience)
    return msgspec.structs.replace(changed, paused_why=changed.paused_why or why)


def resume(programme: Programme, now_s: float) -> Programme:
    """Core: the programme without its pause; cycles that a wrong clock put into the future are forgotten."""
    number = cycle_number(now_s, programme.interval_s)
    return msgspec.structs.replace(
        programme,
        paused_why="",
        failures=0,
        vetoes=0,
        identical=0,
        recent=tuple(one for one in programme.recent if one.number <= number or one.state == "running"),
    )


def _counted(programme: Programme, ending: Ending) -> Programme:
    replace = msgspec.structs.replace
    match ending.state:
        case "agreed":
            last = next((one.digest for one in programme.recent if one.state == "agreed"), "")
            is_same = bool(ending.digest) and ending.digest == last
            return replace(
                programme, failures=0, vetoes=0, identical=programme.identical + 1 if is_same else 1
            )
        case "vetoed" | "cancelled":
            return replace(programme, failures=0, vetoes=programme.vetoes + 1)
        case "failed" | "expired":
            return replace(programme, failures=programme.failures + 1)
        case "no_deal":
            return replace(programme, failures=programme.failures + 1 if ending.is_failure else 0)
        case _:
            return programme


def _too_much(programme: Programme, patience: Patience) -> str:
    last = running_or_last(programme)
    for count, limit, what in (
        (programme.failures, patience.failures, "failures"),
        (programme.vetoes, patience.vetoes, "vetoes"),
        (programme.identical, patience.identical, "identical deals"),
    ):
        if count >= limit:
            reason = f", the last: {last.why}" if last and last.why else ""
            return f"{count} {what} in a row{reason}"[:WHY_CHARS_MAX]
    return ""


def running_or_last(programme: Programme) -> CycleRecord | None:
    """Core: the newest cycle that was not skipped."""
    return next((one for one in programme.recent if one.state != "skipped"), None)


def _kept(cycles: list[CycleRecord]) -> tuple[CycleRecord, ...]:
    """The newest, and behind them what mustn't be forgotten: one that isn't over, the last deal to compare with."""
    newest, older = cycles[:RECENT_MAX], cycles[RECENT_MAX:]
    is_kept = {"running": True, "agreed": not any(one.state == "agreed" for one in newest)}
    for one in older:
        if is_kept.get(one.state):
            newest.append(one)
            is_kept[one.state] = False
    return tuple(newest)
