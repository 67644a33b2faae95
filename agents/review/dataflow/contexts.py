"""Where in a text a value is put: escaping that is right there, and escaping that was meant for another place.

`html.escape` holds within the text of a page and within quotes of an attribute, not in a script, not for the scheme of
an address; `shlex.quote` outside quotes only; doubled quotes within such quotes only. Until an escaped value is put
somewhere, its taint carries a mark of what was done to it; here the mark becomes harmlessness, or is taken away.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from agents.review.dataflow.checks import SCHEME_CHECKED
from agents.review.dataflow.machine import Frame
from agents.review.dataflow.values import Taint, Thing, Value, beginning, changed, is_one, text_constant

ESCAPED: Final = "=html"
"""Mark of a text without `<`, `>`, `&` and quotes."""
ESCAPED_TEXT: Final = "=text"
"""The same, but quotes may be in it."""
QUOTED_WORD: Final = "=shell"
"""Mark of a text within quotes for a shell."""
DOUBLED: Final = "=single"
"""Mark of a text whose single quotes were doubled or replaced."""
UNKNOWN_PART: Final = "\0"
"""Stands in a text for what isn't known of it."""
_MARKS: Final = frozenset({ESCAPED, ESCAPED_TEXT, QUOTED_WORD, DOUBLED})
_JSON: Final = "=json"
TEXT_CHARS_MAX: Final = 20_000
ATTRIBUTE_CHARS_MAX: Final = 300

_ATTRIBUTE: Final = re.compile(r"([\w:-]+)\s*=\s*([^\"'<>\s]*)$")
_ADDRESSES: Final = frozenset({"href", "src", "action", "formaction", "xlink:href"})
_OPERAND: Final = re.compile(r"(?i)(?:[=<>(,]|\b(?:by|limit|offset|like|in|and|or|where|values))\s*$")
_CONVERSION: Final = re.compile(r"%(?:\((\w+)\))?[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])")
_FIELD: Final = re.compile(r"\{\{|\}\}|\{(\w*)[^{}]{0,60}\}")
_OWN: Final = ("WebRequest.path", "WebRequest.full_path", "WebRequest.base_url", "WebRequest.url")
"""Addresses of this site: their scheme is no script."""


def placed(values: Sequence[Value]) -> list[Value]:
    """Parts of a text, each as harmless as it is at its place."""
    if not any(_is_open(value) for value in values):
        return list(values)
    before = ""
    found: list[Value] = []
    for value in values:
        found.append(at(before, value))
        known = (
            str(value.constants[0]) if is_one(value) and value.constants else beginning(value) + UNKNOWN_PART
        )
        before = (before + known)[-TEXT_CHARS_MAX:]
    return found


def percent(frame: Frame, text: Value, given: Value) -> Value:
    """What `text % given` puts in."""
    template = text_constant(text)
    if template is None:
        return given
    thing = frame.state.the_thing(given)
    if thing is None:
        return at(_before(template, _CONVERSION, 0), given) if _is_open(given) else given
    if not any(_is_open(one) for one in thing.fields.values()):
        return given
    matches = [match for match in _CONVERSION.finditer(template) if match[2] != "%"]
    fields = dict(thing.fields)
    for index, match in enumerate(matches):
        key = match[1] or index
        if key in fields:
            fields[key] = at(template[: match.start()], fields[key])
    return frame.state.put(Thing(thing.kind, fields, thing.rest, thing.size))


def formatted(
    text: Value, positional: Sequence[Value], named: dict[str, Value]
) -> tuple[list[Value], dict[str, Value]]:
    """What `text.format(…)` puts in."""
    template = text_constant(text)
    given, by_name = list(positional), dict(named)
    if template is None or not any(map(_is_open, [*given, *by_name.values()])):
        return given, by_name
    count = 0
    for match in _FIELD.finditer(template):
        if match[0] in ("{{", "}}"):
            continue
        name, before = match[1], template[: match.start()]
        index = count if not name else int(name) if name.isdigit() and len(name) < 4 else -1
        count += not name
        if 0 <= index < len(given):
            given[index] = at(before, given[index])
        elif name in by_name:
            by_name[name] = at(before, by_name[name])
    return given, by_name


def _before(template: str, expression: re.Pattern[str], index: int) -> str:
    starts = [match.start() for match in expression.finditer(template) if match[0] != "%%"]
    return template[: starts[index]] if index < len(starts) else ""


def _is_open(value: Value) -> bool:
    """Whether something was done to a value that fits some places only."""
    return any(taint.clean & _MARKS or _JSON in taint.clean for taint in value.taints)


def at(before: str, value: Value) -> Value:
    """A value that is put behind this text."""
    if not before or not _is_open(value):
        return value
    start = before + beginning(value)
    is_bare = not beginning(value)
    return changed(value, taints=tuple(_settled(start, taint, is_bare=is_bare) for taint in value.taints))


def _settled(before: str, taint: Taint, *, is_bare: bool) -> Taint:
    clean = taint.clean
    if clean & {ESCAPED, ESCAPED_TEXT, _JSON} and "<" in before:
        clean = _in_page(before, taint, is_bare=is_bare)
    if QUOTED_WORD in clean:
        clean = (clean - {QUOTED_WORD}) | (frozenset() if _quote(before) else {"command"})
    if DOUBLED in clean:
        quote = _quote(before)
        if quote == "'":
            clean = (clean - {DOUBLED}) | {"sql", "xpath"}
        elif quote or _OPERAND.search(before):
            clean -= {DOUBLED}
    return taint if clean == taint.clean else msgspec.structs.replace(taint, clean=clean)


def _in_page(before: str, taint: Taint, *, is_bare: bool) -> frozenset[str]:
    """What an escaped value is harmless for, behind this part of a page."""
    clean, marks = taint.clean, {ESCAPED, ESCAPED_TEXT}
    lower = before.lower()
    if lower.rfind("<script") > lower.rfind("</script"):
        return clean - marks - {_JSON} if lower.rfind(">") > lower.rfind("<script") else clean
    if not clean & marks:
        return clean
    tag = before.rfind("<")
    if tag < before.rfind(">"):
        return (clean - marks) | {"xss"}
    inside = before[tag:]
    quote, start = _open_quote(inside)
    attribute = _ATTRIBUTE.search(inside[:start][-ATTRIBUTE_CHARS_MAX:])
    if attribute is None:
        return clean - {ESCAPED_TEXT}
    name, text = attribute[1].lower(), inside[start + 1 :] if quote else attribute[2]
    is_address = name in _ADDRESSES and not text and is_bare and not taint.token.startswith(_OWN)
    is_harmful = (
        not quote
        or (is_address and not clean & {"redirect", "=url", "=quoted", SCHEME_CHECKED})
        or (name.startswith("on") and len(name) > 3)
        or ESCAPED not in clean
    )
    return clean - marks if is_harmful else (clean - marks) | {"xss"}


def _quote(text: str) -> str:
    """The quote that is open at the end of a text; empty if none is."""
    return _open_quote(text)[0]


def _open_quote(text: str) -> tuple[str, int]:
    """The quote that is open at the end of a text, and where it stands; if none is, that end."""
    opened, start = "", len(text)
    is_escaped = False
    for place, sign in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif sign == "\\":
            is_escaped = True
        elif sign in "'\"" and opened in ("", sign):
            opened, start = ("", len(text)) if opened else (sign, place)
    return opened, start
