"""Negotiations that were and are, the programmes that repeat them unattended, and the switch that stops them all.

labverse negotiations list                     newest last, with the programmes and where they stand
labverse negotiations show ID                  one negotiation whole: who said what, the deal, its proof, the money
labverse negotiations stop --reason "…"        no unattended cycle begins any more, and no deal is closed, anywhere
labverse negotiations stop --task ID           call one negotiation off
labverse negotiations resume                   let it all go on; with a name only that programme
"""

import argparse
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bus import Bus

HELP = "list, show, stop and resume negotiations"

REASON_CHARS_MAX: Final = 500
CONFLICTS_MAX: Final = 20


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[common], help="recent negotiations, and all programmes")
    listing.add_argument("--all", action="store_true", help="all that are known, not only the newest")
    show = actions.add_parser(
        "show", parents=[common], help="everything about one of them, or of a programme"
    )
    show.add_argument("id", help="task id, or its unique beginning or end; or a programme's name")
    stop = actions.add_parser("stop", parents=[common], help="stop unattended work, or call one off")
    stop.add_argument("--task", metavar="ID", help="call this negotiation off, and nothing else")
    stop.add_argument("--reason", default="", metavar="TEXT", help="why, for the records")
    resume = actions.add_parser("resume", parents=[common], help="let unattended work go on")
    resume.add_argument("name", nargs="?", help="end the pause of this programme only")
    for action in (listing, show, stop, resume):
        action.add_argument("--json", action="store_true", help="answer in JSON")


async def run(args: argparse.Namespace) -> int:
    from orchestrator.shell import UserError, bus_for, load_settings

    if args.action == "stop" and len(args.reason) > REASON_CHARS_MAX:
        raise UserError(f"--reason has {len(args.reason)} characters; at most {REASON_CHARS_MAX}")
    async with bus_for(load_settings(args), role="cli", source="labverse/negotiations") as bus:
        match args.action:
            case "list":
                await _list(bus, is_all=args.all, as_json=args.json)
            case "show":
                await _show(bus, args.id, as_json=args.json)
            case "stop" if args.task:
                await _call_off(bus, args.task, args.reason, as_json=args.json)
            case "stop":
                await _stop(bus, args.reason, as_json=args.json)
            case _:
                await _resume(bus, args.name or "", as_json=args.json)
    return 0


async def _list(bus: "Bus", *, is_all: bool, as_json: bool) -> None:
    from orchestrator.negotiations_view import overview, print_overview

    found = await overview(bus)
    if as_json:
        _print_json(found.as_dict())
    else:
        print_overview(found, is_all=is_all)


async def _show(bus: "Bus", text: str, *, as_json: bool) -> None:
    from orchestrator.negotiations_view import print_programme, print_story, programme_of, story_of
    from orchestrator.tasks import find_task

    if (programme := await programme_of(bus, text)) is not None:
        if as_json:
            _print_json(programme.as_dict())
        else:
            print_programme(programme)
        return
    story = await story_of(bus, await find_task(bus, text))
    if as_json:
        _print_json(story.as_dict())
    else:
        print_story(story)


async def _stop(bus: "Bus", reason: str, *, as_json: bool) -> None:
    from agents.negotiator import switch
    from orchestrator.clean import clean
    from orchestrator.identity import cli_identity
    from schemas.negotiation import SwitchState

    who = cli_identity()
    before = await switch.read(bus) if await switch.exists(bus) else None
    state = await switch.set(bus, is_stopped=True, by=who, reason=reason)
    was_stopped = isinstance(before, SwitchState) and before.is_stopped
    if as_json:
        _print_json({"switch": state, "was_stopped": was_stopped})
    elif was_stopped:
        print(clean(f"it was stopped already: {switch.stopped_words(state)}"))
    else:
        print(
            "stopped: on every node, no cycle begins and no deal is closed any more, asked for by hand or not"
        )
        print("labverse negotiations resume lets them go on")


async def _call_off(bus: "Bus", text: str, reason: str, *, as_json: bool) -> None:
    from bus.envelope import now_text
    from orchestrator.identity import cli_identity
    from orchestrator.negotiations_view import story_of
    from orchestrator.shell import UserError
    from orchestrator.tasks import find_task
    from schemas.approval import AuditEntry

    story = await story_of(bus, await find_task(bus, text))
    task_id = story.course.task_id
    if story.course.is_over:
        raise UserError(f"negotiation {task_id} is over already: {story.course.failed or story.course.state}")
    who = cli_identity()
    await bus.cancel(task_id, by=who, reason=reason)
    entry = AuditEntry(
        at=now_text(),
        what="negotiations.cancel",
        identity=who,
        outcome="done",
        subject=task_id,
        task_id=task_id,
        via="cli",
        detail=reason,
    )
    await bus.audit(entry)
    if as_json:
        _print_json({"cancelled": task_id})
    else:
        print(f"called off {task_id}")


async def _resume(bus: "Bus", name: str, *, as_json: bool) -> None:
    from agents.negotiator import switch
    from agents.negotiator.cycles import programmes
    from orchestrator.clean import clean
    from orchestrator.identity import cli_identity
    from orchestrator.shell import UserError

    bucket = programmes(bus)
    await bucket.ensure()
    known = await bucket.values()
    if name and name not in known:
        raise UserError(f"no programme {clean(name)[:60]!r}: `labverse negotiations list` shows them")
    who = cli_identity()
    chosen = [name] if name else [one for one, programme in known.items() if programme.paused_why]
    resumed = [one for one in chosen if await _end_pause(bus, one, who)]
    before = await switch.read(bus) if known or await switch.exists(bus) else None
    was_stopped = isinstance(before, str) or (before is not None and before.is_stopped)
    if was_stopped and not name:
        await switch.set(bus, is_stopped=False, by=who)
    if as_json:
        _print_json(
            {
                "resumed": resumed,
                "switch_was_stopped": was_stopped,
                "switch_cleared": was_stopped and not name,
            }
        )
        return
    for one in resumed:
        print(f"programme {clean(one)} goes on with its next cycle")
    if was_stopped and not name:
        print("the kill switch is off: unattended work goes on")
    elif was_stopped:
        print(
            "the kill switch still stops everything: labverse negotiations resume, without a name, ends that"
        )
    elif not resumed:
        print(f"programme {clean(name)} did not pause" if name else "nothing was stopped or paused")


async def _end_pause(bus: "Bus", name: str, who: str) -> bool:
    """Whether it paused until now."""
    import time

    from agents.negotiator.cycles import programmes, resume
    from bus import ConflictError
    from bus.envelope import now_text
    from orchestrator.shell import UserError
    from schemas.approval import AuditEntry

    bucket = programmes(bus)
    for _ in range(CONFLICTS_MAX):
        found = await bucket.get(name)
        if found is None:
            return False
        programme, revision = found
        changed = resume(programme, time.time())
        if changed == programme:
            return False
        try:
            await bucket.update(name, changed, revision)
        except ConflictError:
            continue  # its leader wrote in between
        entry = AuditEntry(
            at=now_text(),
            what="negotiations.resume",
            identity=who,
            outcome="done",
            subject=name,
            via="cli",
            detail=programme.paused_why,
        )
        await bus.audit(entry)
        return bool(programme.paused_why)
    raise UserError(f"programme {name} changes all the time: try again")


def _print_json(answer: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(answer)).decode())
