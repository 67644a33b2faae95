"""Methods of texts: all but a few give back the text in another form, of the same origin."""

from collections.abc import Sequence
from typing import Any, Final

from agents.review.dataflow.checks import NO_SLASH_AT_START, ends_with, starts_with
from agents.review.dataflow.folding import fold_method
from agents.review.dataflow.machine import Frame
from agents.review.dataflow.values import (
    BOOLEAN,
    Thing,
    Value,
    beginning,
    changed,
    cleaned,
    constant,
    is_one,
    merge_taints,
    text_constant,
)

_SAME: Final = frozenset(
    {
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "title",
        "capitalize",
        "swapcase",
        "casefold",
        "expandtabs",
    }
    | {"zfill", "ljust", "rjust", "center", "encode", "decode", "removeprefix", "removesuffix", "translate"}
    | {"replace", "splitlines", "partition", "rpartition", "__str__", "tobytes"}
)
HARMLESS_SIGNS: Final[dict[str, frozenset[str]]] = {
    "<": frozenset({"xss"}),
    "..": frozenset(),
    "/": frozenset({"path"}),
    "\n": frozenset({"log", "header"}),
    "'": frozenset({"=single"}),
    "(": frozenset({"no ("}),
    ")": frozenset({"no )"}),
}
"""What a text can't cause any more once such a sign is replaced in it."""


def text_method(
    frame: Frame, owner: Value, name: str, positional: Sequence[Value], named: dict[str, Value]
) -> Value | None:
    """`owner.name(…)` as a text does it; None if it isn't one, or has no such method."""
    if is_one(owner) and owner.constants and isinstance(owner.constants[0], str | bytes) and not named:
        folded = fold_method(name, owner.constants[0], list(positional))
        if folded is not None:
            return folded
    is_text = owner.constants is not None or owner.kind in ("str", "bytes") or bool(owner.prefix)
    if name in ("format", "format_map") and (is_text or owner.taints):
        return _format(frame, owner, positional, named)
    if name == "join" and (is_text or not owner.kind):
        return _join(frame, owner, positional)
    if not is_text and not owner.taints:
        return None
    if name in ("startswith", "endswith"):
        if not positional:
            return BOOLEAN
        judge = starts_with if name == "startswith" else ends_with
        return judge(frame, owner, positional[0])
    if name in ("split", "rsplit"):
        return split_text(frame, owner)
    if name in _SAME:
        return _same(frame, owner, name, positional)
    return None


def _format(frame: Frame, owner: Value, positional: Sequence[Value], named: dict[str, Value]) -> Value:
    values = [*positional, *named.values()]
    text = text_constant(owner)
    is_plain = text is not None and text.count("{}") == len(positional) == text.count("{") and not named
    if text is not None and is_plain and all(is_one(value) for value in positional):
        parts = text.split("{}")
        filled = [str(value.constants[0]) for value in positional if value.constants]
        return constant("".join(one + other for one, other in zip(parts, [*filled, ""], strict=True)))
    taints = merge_taints(
        owner.taints, *(frame.state.taints(value) for value in _used(text, positional, named, values))
    )
    prefix = beginning(owner).split("{", 1)[0]
    if not prefix and text is not None and text.startswith("{") and positional:
        prefix = beginning(positional[0])
    return Value(taints=taints, prefix=prefix or None, kind="str")


def _used(
    text: str | None, positional: Sequence[Value], named: dict[str, Value], values: list[Value]
) -> list[Value]:
    """Those values that a known format puts in."""
    if text is None or "**" in named or "*" in named:
        return values
    kept = [value for name, value in named.items() if "{" + name in text]
    numbered = [value for index, value in enumerate(positional) if "{" + str(index) in text]
    return [*kept, *(numbered if numbered and "{}" not in text else positional)]


def _join(frame: Frame, owner: Value, positional: Sequence[Value]) -> Value | None:
    if not positional:
        return None
    given = positional[0]
    thing = frame.state.the_thing(given)
    separator = text_constant(owner)
    if (
        thing is not None
        and thing.size is not None
        and len(thing.fields) == thing.size
        and separator is not None
    ):
        values = [thing.fields[index] for index in range(thing.size)]
        if all(is_one(value) for value in values):
            return constant(separator.join(str(value.constants[0]) for value in values if value.constants))
        prefix = beginning(values[0]) if values else ""
        if values and is_one(values[0]) and len(values) > 1:
            prefix += separator
    else:
        prefix = beginning(thing.fields[0]) if thing is not None and 0 in thing.fields else ""
    return Value(
        taints=merge_taints(owner.taints, frame.state.taints(given)), prefix=prefix or None, kind="str"
    )


def split_text(frame: Frame, owner: Value) -> Value:
    """A list of parts; the first one is known if the beginning is."""
    text = text_constant(owner)
    if text is not None:
        return frame.state.put(Thing("list", {}, Value(kind="str")))
    start = beginning(owner).lstrip()
    fields: dict[Any, Value] = {}
    if " " in start:
        fields = {index: constant(word) for index, word in enumerate(start.split(" ")[:-1])}
    if owner.taints and not fields:
        return Value(taints=owner.taints)
    return frame.state.put(Thing("list", fields, Value(taints=owner.taints, kind="str")))


def _same(frame: Frame, owner: Value, name: str, positional: Sequence[Value]) -> Value:
    taints = owner.taints
    if name == "replace" and positional:
        if len(positional) > 1:
            taints = merge_taints(taints, positional[1].taints)
        signs = text_constant(positional[0])
        kinds = HARMLESS_SIGNS.get(signs) if signs is not None else None
        if kinds:
            return cleaned(Value(taints=taints, kind="str"), kinds)
    if name == "translate" and positional and (table := frame.state.the_thing(positional[0])) is not None:
        held_off = [HARMLESS_SIGNS[sign] for sign in table.fields if sign in HARMLESS_SIGNS]
        return cleaned(Value(taints=taints, kind="str"), frozenset().union(*held_off))
    if name in ("lstrip", "strip") and positional and "/" in (text_constant(positional[0]) or ""):
        return cleaned(Value(taints=taints, kind="str", marks=owner.marks), frozenset({NO_SLASH_AT_START}))
    prefix = beginning(owner) if name in ("encode", "decode", "rstrip", "strip", "ljust") else ""
    if name == "lower":
        prefix = beginning(owner).lower()
    value = Value(taints=taints, prefix=prefix or None, kind="str", marks=owner.marks)
    if name in ("partition", "rpartition", "splitlines"):
        return Value(taints=taints)
    return changed(value, kind="bytes") if name == "encode" else value
