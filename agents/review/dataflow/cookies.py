"""Cookies that are put together by hand: `http.cookies`, and `Set-Cookie` headers as texts."""

import re
from typing import Final

from agents.review.dataflow.library import Given, Special
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.sinks import weak_call
from agents.review.dataflow.values import NOTHING, Thing, Value, changed, constant, is_one, truth

JAR: Final = "http.cookies.SimpleCookie()"
MORSEL: Final = "http.cookies.Morsel()"
_NAME: Final = "(name)"
"""Field that keeps the name of a cookie; no attribute has such a name."""
_LINE: Final = "(line)"
FLAGGED: Final = "cookie:"
"""Begins the mark of a text that ends with attributes of a cookie; whether `Secure` is one of them follows."""
_FLAGS: Final = re.compile(
    r"(?is);\s*(?:httponly|path=[^;]*|samesite=\w*|max-age=[^;]*|expires=[^;]*|domain=[^;]*)\s*(?:;|$)"
)
_SECURE: Final = re.compile(r"(?i)(?:^|;)\s*secure\b")


def flags_of(parts: list[Value]) -> frozenset[str]:
    """The mark of a text of such parts: one of them names attributes of a cookie."""
    texts = [str(one.constants[0]) for one in parts if is_one(one) and one.constants]
    joined = ";".join(texts)
    if ";" not in joined or len(texts) == 0 or not _FLAGS.search(joined):
        return frozenset()
    is_ended = is_one(parts[-1])
    return frozenset({FLAGGED + ("secure" if _SECURE.search(joined) or not is_ended else "plain")})


def _jar(machine: Machine, frame: Frame, call: Given) -> Value:
    return frame.state.put(Thing(JAR, {}))


def _morsel(machine: Machine, frame: Frame, call: Given) -> Value:
    return frame.state.put(Thing(MORSEL, {_LINE: constant(call.node.line)}))


def put_cookie(frame: Frame, jar: Value, key: Value, line: int) -> bool:
    """`jar[key] = value`; whether it is a jar of cookies."""
    thing = frame.state.the_thing(jar)
    if thing is None or thing.kind != JAR:
        return False
    made = frame.state.put(Thing(MORSEL, {_NAME: key, _LINE: constant(line)}))
    if is_one(key) and key.constants:
        frame.state.set_field(jar, key.constants[0], made)
    else:
        frame.state.add(jar, made)
    return True


def _set(machine: Machine, frame: Frame, call: Given) -> Value:
    """`morsel.set(name, value, coded)`"""
    if call.owner is not None:
        frame.state.set_field(call.owner, _NAME, call.argument(0, "key"))
    return NOTHING


def _output(machine: Machine, frame: Frame, call: Given) -> Value:
    """`jar.output()`, `morsel.OutputString()`: what is sent; it is judged once it is complete."""
    owner = call.owner if call.owner is not None else NOTHING
    thing = frame.state.the_thing(owner)
    morsels = [owner]
    if thing is not None and thing.kind == JAR:
        morsels = list(thing.fields.values())
    for morsel in morsels:
        one = frame.state.the_thing(morsel)
        if one is None or one.kind != MORSEL or one.rest is not None:
            continue
        secure = one.fields.get("secure")
        if secure is None or truth(secure) is False:
            given = {"0": one.fields.get(_NAME, NOTHING)}
            weak_call(machine, frame, "cookie.morsel", given, call.node.line, call.node.line, what="cookie")
    return Value(kind="str", marks=frozenset({FLAGGED + "secure"}))


def with_flags(value: Value, parts: list[Value]) -> Value:
    """A text with the mark of what it says of a cookie."""
    marks = flags_of(parts)
    return changed(value, marks=value.marks | marks) if marks else value


def _middleware(machine: Machine, frame: Frame, call: Given) -> Value:
    """`Middleware(SessionMiddleware, …)`, `app.add_middleware(SessionMiddleware, …)`"""
    path = call.argument(0, "middleware_class", "cls").kind
    if path in _SESSIONS:
        weak_call(
            machine, frame, _SESSIONS[0], call.named, call.node.line, call.node.line, what="SessionMiddleware"
        )
    return NOTHING


_SESSIONS: Final = (
    "starlette.middleware.sessions.SessionMiddleware",
    "fastapi.middleware.sessions.SessionMiddleware",
)

COOKIE_SPECIALS: Final[dict[str, Special]] = {
    "http.cookies.SimpleCookie": _jar,
    "http.cookies.BaseCookie": _jar,
    "Cookie.SimpleCookie": _jar,
    "http.cookies.Morsel": _morsel,
    f"{MORSEL}.set": _set,
    f"{MORSEL}.OutputString": _output,
    f"{MORSEL}.output": _output,
    f"{JAR}.output": _output,
    "starlette.middleware.Middleware": _middleware,
    "fastapi.middleware.Middleware": _middleware,
    "FastApp.add_middleware": _middleware,
    "starlette.applications.Starlette().add_middleware": _middleware,
}
