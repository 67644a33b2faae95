"""What happens when a value reaches a call that tables know: it is reported, unless it is harmless there."""

import re
from collections.abc import Mapping
from typing import Final

from agents.review.dataflow.checks import NO_SLASH_AT_START, NO_TWO_SLASHES, ONE_SLASH, QUOTED, names_host
from agents.review.dataflow.clearing import is_understood, visit
from agents.review.dataflow.conditions import holds
from agents.review.dataflow.machine import Frame, Machine, Reached
from agents.review.dataflow.tables import Flaw, WeakCall
from agents.review.dataflow.values import ANSWER, Step, Taint, Value, beginning, is_clean, text_constant

TRUST_OF_FLAW: Final = {"random": frozenset({"random"})}
ABOUT_CHARS_MAX: Final = 200
_OF_ANSWERS: Final = frozenset({"xxe", "deserialize"})
"""Flaws of which it is enough that another server gave the data; for others that is mostly a server of ours."""


def reach(
    machine: Machine,
    frame: Frame,
    path: str,
    given: Mapping[str, Value],
    line: int,
    *,
    what: str,
    end_line: int = 0,
) -> None:
    """Report what reaches the call `path`.

    Args:
        given: arguments by position (`"0"`) and by name, and what the method belongs to (`self`).
        what: the call as people see it.
    """
    for flaw, sink in machine.tables.sinks.get(path):
        if sink.when and not holds(sink.when, frame, given):
            continue
        is_harmless = True
        for name in sink.arguments:
            value = given.get(name)
            if value is None or (sink.when == "command" and _is_plain_program(frame, given, value)):
                continue
            taint = _worst(frame, flaw, value)
            if taint is not None:
                _report(machine, frame, flaw, taint, line, end_line, what)
            is_harmless = (
                is_harmless and taint is None and is_understood(frame, value) and not _is_answer(value)
            )
        visit(machine, frame, flaw.cwe, line, is_harmless=is_harmless)


def _is_answer(value: Value) -> bool:
    return any(taint.trust == ANSWER for taint in value.taints)


def _worst(frame: Frame, flaw: Flaw, value: Value) -> Taint | None:
    """The taint of a value that does most harm here; None if none does any."""
    if flaw.flaw == "path" and value.kind in _FILES:
        return None  # the file itself, not its name
    taints = [taint for taint in frame.state.taints(value) if _counts(flaw, taint)]
    if flaw.flaw in ("redirect", "ssrf") and taints and _leads_home(flaw, value):
        return None
    order = {"remote": 0, "random": 0, ANSWER: 1, "local": 1}
    return min(taints, key=lambda taint: (order.get(taint.trust, 3), not taint.is_sure), default=None)


_HOME: Final = frozenset(
    {
        "WebRequest.path",
        "WebRequest.full_path",
        "WebRequest.url",
        "WebRequest.base_url",
        "WebRequest.get_full_path()",
        "WebRequest.path_info",
        "WebRequest.referrer",
        "WebRequest.headers['Referer']",
        "WebRequest.META['HTTP_REFERER']",
    }
)
"""Addresses of this site, or that the browser came from."""
_FILES: Final = frozenset(
    {
        "WebRequest.files[]",
        "WebRequest.FILES[]",
        "WebRequest.stream",
        "buffer",
        "WebRequest.files[].stream",
        "UploadFile",
        "UploadFile.file",
        "UploadFile.stream",
    }
)


def _counts(flaw: Flaw, taint: Taint) -> bool:
    if is_clean(taint.clean, flaw.flaw):
        return False
    if (taint.trust == "random") != (flaw.flaw == "random"):
        return False
    if taint.trust == ANSWER and flaw.flaw not in _OF_ANSWERS:
        return False
    if flaw.flaw in ("xss", "redirect") and not taint.is_sure:
        return False  # what isn't understood is mostly what makes pages and addresses, and escapes
    if flaw.flaw == "code" and taint.clean >= QUOTED:
        return False
    if flaw.flaw == "redirect" and ({ONE_SLASH, NO_TWO_SLASHES} <= taint.clean or taint.token in _HOME):
        return False
    return severity_of(flaw, taint.trust) is not None


def severity_of(flaw: Flaw, trust: str) -> object:
    """How bad a flaw is when such a source causes it; None if it isn't one."""
    if trust == "local":
        return flaw.local
    return flaw.severity


def _leads_home(flaw: Flaw, value: Value) -> bool:
    """Whether an address can't lead to another host, since its beginning is known."""
    start = beginning(value)
    if names_host(start):
        return True
    if flaw.flaw != "redirect":
        return False
    if start == "/" and all(NO_SLASH_AT_START in taint.clean for taint in value.taints):
        return True
    return bool(start) and (
        start[0] in "?#" or (start[0] == "/" and len(start) > 1 and start[1] not in "/\\")
    )


def _is_plain_program(frame: Frame, given: Mapping[str, Value], value: Value) -> bool:
    """Whether a list of arguments begins with a program that is known: what follows is only data to it."""
    thing = frame.state.the_thing(value)
    if thing is None:
        return False
    first = thing.fields.get(0)
    if first is None:
        return False
    shell = thing.fields.get(1)
    program = str(first.constants[0]).rsplit("/", 1)[-1] if first.constants else ""
    if program in _SHELLS and shell is not None and shell.constants is not None:
        flag = str(shell.constants[0])
        if (flag.startswith("-") and flag.endswith("c")) or flag.lower() in ("/c", "-command", "/k", "-e"):
            script = thing.fields.get(2)
            if program.startswith(_TAKING_MORE) or script is None or script.constants is None:
                return False
    shell_argument = given.get("shell")
    if shell_argument is not None and shell_argument.constants == (True,):
        return False
    return not frame.state.unchecked(first.taints)


_SHELLS: Final = frozenset(
    {
        "sh",
        "bash",
        "zsh",
        "dash",
        "ksh",
        "cmd",
        "cmd.exe",
        "powershell",
        "powershell.exe",
        "pwsh",
        "python",
        "python3",
    }
    | {"perl", "node", "ruby", "env"}
)


_TAKING_MORE: Final = ("cmd", "powershell", "pwsh")
"""Shells for which all that follows is the command; for others it is `$0`, `$1`, … of it."""


def _report(
    machine: Machine, frame: Frame, flaw: Flaw, taint: Taint, line: int, end_line: int, what: str
) -> None:
    step = taint.step
    if flaw.flaw == "random":  # the weak call is what must change, wherever its number is used
        step = _first(step)
        machine.report(
            Reached(flaw, step.path, step.line, step.line, what, taint.trust, True, taint.step), flaw.flaw
        )
        return
    if step.line != line or step.path != frame.path or step.before is None:
        step = Step(frame.path, line, what, step, step.count + 1)
    key = flaw.id if flaw.yields else flaw.flaw
    path, place = frame.path, line
    around, called_at = _blamed(frame, flaw, taint, what)
    if around is not frame:
        path, place, end_line = around.path, called_at, 0
        step = _through(step, around, called_at)
    machine.report(Reached(flaw, path, place, end_line, what, taint.trust, taint.is_sure, step), key)


_BUILT: Final = frozenset({"sql", "command", "code", "xpath", "ldap"})
"""Flaws of texts in a language: what is wrong is where such a text is put together."""


_WHOLE: Final = (
    "execute",
    "executemany",
    "executescript",
    "fetch",
    "fetchrow",
    "fetchval",
    "query",
    "exec_driver_sql",
)
"""Calls that are given a whole statement."""


def _blamed(frame: Frame, flaw: Flaw, taint: Taint, what: str) -> tuple[Frame, int]:
    """Whose flaw it is: a helper that executes whatever it is given is not to blame, but who gives it such a text.

    That is the call which hands on the text, in the function that put it together; for a statement that came from
    outside as a whole, in the function that took it.
    """
    built = taint.built
    if built is None and flaw.flaw == "sql" and what.rpartition(".")[2] in _WHOLE:
        first = _first(taint.step)
        built = first.path, first.line
    if built is None or flaw.flaw not in _BUILT:
        return frame, 0
    around, called_at = frame, 0
    while not around.holds(*built):
        if around.caller is None:
            return frame, 0
        called_at, around = around.called_at, around.caller
    return around, called_at


def _first(step: Step) -> Step:
    while step.before is not None:
        step = step.before
    return step


def _through(last: Step, around: Frame, line: int) -> Step:
    """The way to a sink in a helper, by the call at `line` of the function that is to blame."""
    after: list[Step] = []
    step: Step | None = last
    while step is not None and not around.holds(step.path, step.line):
        after.append(step)
        step = step.before
    if step is None or (step.path, step.line) != (around.path, line):
        step = Step(around.path, line, "handed on", step, step.count + 1 if step is not None else 1)
    for one in reversed(after):
        step = Step(one.path, one.line, one.what, step, step.count + 1)
    return step


def weak_call(
    machine: Machine,
    frame: Frame,
    path: str,
    given: Mapping[str, Value],
    line: int,
    end_line: int,
    *,
    what: str,
) -> None:
    """Report a call that is weak by itself."""
    for weakness, call in machine.tables.weak.get(path):
        if _is_weak(call, given):
            is_sure = _is_matter_of_security(frame, weakness.id, given)
            machine.report(Reached(weakness, frame.path, line, end_line, what, is_sure=is_sure), weakness.id)


_NO_SECRET: Final = re.compile(
    r"(?i)etag|cache|checksum|gravatar|avatar|fingerprint|dedup|colou?r|shard|bucket|file_?hash|theme|static|icon|sprite|thumb"
    r"|^lang|locale|time_?zone|consent|banner|visited|sidebar|dark_?mode|sort|filter"
)


def _is_matter_of_security(frame: Frame, weakness: str, given: Mapping[str, Value]) -> bool:
    """By the names around: a hash within `cache_key()` hides nothing, a cookie `theme` proves nothing."""
    if weakness == "weak-hash":
        function = frame.function.syntax.name if frame.function is not None else ""
        return _NO_SECRET.search(f"{function} {frame.path.rsplit('/', 1)[-1]}") is None
    if weakness == "insecure-cookie":
        name = _argument(given, "0|key|name")
        return name is None or _NO_SECRET.search(text_constant(name) or "") is None
    return True


def _is_weak(call: WeakCall, given: Mapping[str, Value]) -> bool:
    if call.needs and _argument(given, call.needs) is None:
        return False
    for names, wanted in call.given.items():
        value = _argument(given, names)
        if value is None or value.constants is None:
            return False
        if not all(str(one).lower() in wanted for one in value.constants):
            return False
    for names, pattern in call.about.items():
        value = _argument(given, names)
        text = text_constant(value) if value is not None else None
        if text is not None and re.match(pattern, text[:ABOUT_CHARS_MAX]) is None:
            return False
    for names, paths in call.kinds.items():
        value = _argument(given, names)
        if value is None or value.kind not in paths:
            return False
    for names, accepted in call.unless.items():
        value = _argument(given, names)
        if value is not None and (value.constants is None or all(one in accepted for one in value.constants)):
            return False
    for names, accepted in call.lacks.items():
        value = _argument(given, names)
        if value is None:
            if "**" in given:
                return False
        elif value.constants is None or any(one in accepted for one in value.constants):
            return False
    return True


def _argument(given: Mapping[str, Value], names: str) -> Value | None:
    return next((given[name] for name in names.split("|") if name in given), None)
