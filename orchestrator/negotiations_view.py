"""What `labverse negotiations` knows and shows: all of them in a table, programmes, and one from beginning to end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agents.negotiator import switch
from agents.negotiator.cycles import programmes
from agents.negotiator.cycles.runner import lease_name
from agents.negotiator.gates import usd
from bus import Bus, Envelope
from orchestrator.clean import clean
from orchestrator.event_words import told
from orchestrator.fitting import Column, print_table
from orchestrator.negotiating import Course
from orchestrator.shell import UserError
from orchestrator.tasks import known_tasks
from schemas.event import Event, is_token, tag_of
from schemas.negotiation import CycleRecord, NegotiationRequested, Programme, SwitchState
from schemas.task import TaskRecord

if TYPE_CHECKING:
    from rich.console import Console

SHOWN: Final = 20
EVENTS_MAX: Final = 2_000
"""Of one negotiation; it has some dozens."""
WIDTH_IN_PIPES: Final = 160
TEXT_SHOWN: Final = 200
KIND: Final = tag_of(NegotiationRequested)

NEGOTIATIONS: Final = (
    Column("negotiation", "name"),
    Column("state", "text"),
    Column("for", "text", rank=2, under="for"),
    Column("started", "text", rank=1, under="started"),
    Column("remarks", "text", rank=3, under=""),
)
PROGRAMMES: Final = (
    Column("programme", "name"),
    Column("every"),
    Column("state", "text", rank=1, under=""),
    Column("last cycle", "text", rank=2, under="last cycle"),
    Column("passed over", rank=3, under="passed over"),
    Column("for", "text", rank=4, under="for"),
)
CYCLES: Final = (
    Column("cycle", "name"),
    Column("state", "text"),
    Column("at", "text", rank=1),
    Column("at most", rank=2, under="at most"),
    Column("remarks", "text", rank=3, under=""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeNow:
    """A programme, and who runs it now: `host:pid`, empty when nobody does."""

    programme: Programme
    run_by: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {"programme": self.programme, "run_by": self.run_by}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All that is known; `switch`: why it can't be read, if it can't; None: there is none yet."""

    switch: SwitchState | str | None
    negotiations: list[TaskRecord]
    programmes: list[ProgrammeNow]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        state = self.switch
        return {
            "switch": {"error": state} if isinstance(state, str) else state,
            "negotiations": self.negotiations,
            "programmes": [one.as_dict() for one in self.programmes],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A negotiation from its beginning to now."""

    course: Course
    events: list[tuple[Event, Envelope]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        course = self.course
        return {
            "task_id": course.task_id,
            "state": course.state,
            "request": course.request,
            "opened": course.opened,
            "positions": course.positions,
            "proposed": course.proposed,
            "approval": course.approval,
            "ending": course.ending,
            "failed": course.failed,
            "timeline": [
                {
                    "time": envelope.time,
                    "event": envelope.tag,
                    "source": envelope.source,
                    "words": told(event),
                }
                for event, envelope in self.events
            ],
        }


async def overview(bus: Bus) -> Overview:
    """Everything, as it is now.

    Raises:
        BusError: the server doesn't answer.
    """
    bucket = programmes(bus)
    await bucket.ensure()
    known = await bucket.values()
    # Looking makes no switch: a new one would let work go on that a lost one stops.
    has_switch = bool(known) or await switch.exists(bus)
    return Overview(
        switch=await switch.read(bus) if has_switch else None,
        negotiations=[task for task in await known_tasks(bus) if task.kind == KIND],
        programmes=[await _now(bus, programme) for _, programme in sorted(known.items())],
    )


async def programme_of(bus: Bus, name: str) -> ProgrammeNow | None:
    """The programme of that name, if there is one."""
    if not is_token(name):
        return None
    bucket = programmes(bus)
    await bucket.ensure()
    found = await bucket.get(name)
    return await _now(bus, found[0]) if found else None


async def _now(bus: Bus, programme: Programme) -> ProgrammeNow:
    lease = bus.lease(lease_name(programme.name))
    await lease.bucket.ensure()
    holder = await lease.holder()
    return ProgrammeNow(programme=programme, run_by=f"{holder.host}:{holder.pid}" if holder else "")


async def story_of(bus: Bus, task_id: str) -> Story:
    """Everything that is stored of a negotiation.

    Raises:
        UserError: it is none, or its events are gone.
    """
    story = Story(course=Course(task_id=task_id))
    events = bus.events(task_id, only_stored=True)
    try:
        async for event, envelope in events:
            story.course.take(event)
            story.events.append((event, envelope))
            if len(story.events) >= EVENTS_MAX:
                break
    finally:
        await events.aclose()
    if story.course.request is None:
        if any(task.task_id == task_id and task.kind == KIND for task in await known_tasks(bus)):
            raise UserError(
                f"what negotiation {task_id} said has been forgotten: `labverse status` knows the rest"
            )
        raise UserError(f"no negotiation {task_id}: `labverse negotiations list` shows them")
    return story


def print_overview(found: Overview, *, is_all: bool) -> None:
    """Tables of negotiations and programmes, and the switch."""
    console = _console()
    total = len(found.negotiations)
    shown = found.negotiations if is_all else found.negotiations[-SHOWN:]
    title = "negotiations" if len(shown) == total else f"negotiations (the newest {len(shown)} of {total})"
    if shown:
        print_table(console, title, NEGOTIATIONS, [_task_row(task) for task in shown])
    else:
        _say(console, 'no negotiations yet: labverse negotiate --mode single --goal "…" --platforms …')
    if found.programmes:
        console.print()
        print_table(console, "programmes", PROGRAMMES, [_programme_row(one) for one in found.programmes])
    state = found.switch
    if isinstance(state, str):
        _say(console, f"the kill switch can't be read, so unattended work stops: {clean(state)}", "bold red")
    elif state is not None and state.is_stopped:
        words = clean(switch.stopped_words(state))
        _say(console, f"unattended work is {words}; labverse negotiations resume lets it go on", "bold red")


def print_programme(found: ProgrammeNow) -> None:
    """A programme with its last cycles."""
    console = _console()
    programme = found.programme
    print_table(console, "programme", PROGRAMMES, [_programme_row(found)])
    request = programme.request
    _say(
        console,
        f"with {', '.join(request.platforms)}, at most {usd(request.budget_nusd)}; in a row now: "
        f"{programme.failures} failures, {programme.vetoes} vetoes, {programme.identical} identical deals",
    )
    if programme.recent:
        console.print()
        print_table(console, "cycles, newest first", CYCLES, [_cycle_row(one) for one in programme.recent])


def print_story(story: Story) -> None:
    """A negotiation whole: positions, the deal with its certificate, money, the approval, the timeline."""
    from orchestrator.negotiation_report import print_ending, print_money, print_step, print_waiting

    console = _console()
    course = story.course
    _say(console, f"negotiation {course.task_id}: {course.state.replace('_', ' ')}", "bold")
    if course.request is not None and course.request.cycle:
        _say(console, f"cycle {clean(course.request.cycle)}")
    for event, _ in story.events:
        print_step(console, event)
    if course.proposed is not None and course.opened is not None:
        _print_deal(console, course)
        print_money(console, course.proposed)
    if course.approval is not None:
        if not course.is_over:
            print_waiting(console, course.approval)
        else:
            _print_approval(console, course)
    print_ending(console, course)
    _print_timeline(console, story.events)


def _print_deal(console: "Console", course: Course) -> None:
    from orchestrator.negotiation_picture import picture_of
    from orchestrator.negotiation_report import domain_of_course
    from orchestrator.negotiation_view import print_certificate

    assert course.proposed is not None
    domain = domain_of_course(course)
    certificate = course.proposed.certificate
    picture = picture_of(domain, certificate, None)
    console.print()
    print_certificate(console, domain, certificate, picture, course.proposed.machine_s)


def _print_approval(console: "Console", course: Course) -> None:
    approval = course.approval
    assert approval is not None
    console.print()
    _say(console, f"approval {approval.approval_id}, policy {clean(approval.policy_version) or '-'}")
    for reason in approval.request.reasons:
        _say(console, f"  asked because: {clean(reason)}")


def _print_timeline(console: "Console", events: Sequence[tuple[Event, Envelope]]) -> None:
    console.print()
    _say(console, "timeline", "italic")
    for event, envelope in events:
        fact = envelope.tag.rsplit(".", 1)[0]
        words = clean(told(event))
        words = words if len(words) <= TEXT_SHOWN else f"{words[: TEXT_SHOWN - 1]}…"
        _say(console, f"{envelope.time[:23].replace('T', ' ')}  {fact:<28} {words}".rstrip())


def _task_row(task: TaskRecord) -> tuple[str, ...]:
    return (
        task.task_id,
        task.state,
        clean(task.name)[:TEXT_SHOWN],
        task.created_at[:19].replace("T", " "),
        clean(task.reason)[:TEXT_SHOWN],
    )


def _programme_row(found: ProgrammeNow) -> tuple[str, ...]:
    programme = found.programme
    last = programme.recent[0] if programme.recent else None
    where = f"runs on {found.run_by}" if found.run_by else "nobody runs it"
    return (
        clean(programme.name),
        every(programme.interval_s),
        clean(f"pauses: {programme.paused_why}; {where}" if programme.paused_why else where),
        _last_words(last),
        f"{programme.missed:,}",
        clean(programme.request.goal)[:TEXT_SHOWN],
    )


def _last_words(last: CycleRecord | None) -> str:
    return (
        f"{last.number} {last.state.replace('_', ' ')}, {last.at[:19].replace('T', ' ')}"
        if last
        else "none yet"
    )


def _cycle_row(record: CycleRecord) -> tuple[str, ...]:
    return (
        str(record.number),
        record.state.replace("_", " "),
        record.at[:19].replace("T", " "),
        usd(record.amount_nusd) if record.state == "agreed" else "",
        clean(record.why),
    )


def every(interval_s: float) -> str:
    """`1 h`, `90 min`, `10 s`."""
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if interval_s >= unit_s and interval_s % unit_s == 0:
            return f"{interval_s / unit_s:g} {unit}"
    return f"{interval_s:g} s"


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES
    return console


def _say(console: "Console", text: str, style: str = "") -> None:
    from rich.text import Text

    console.print(Text(text, style=style, overflow="fold"))
