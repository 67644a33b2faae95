"""What a regular expression lets through, read from its text; it is never compiled or run.

Only characters count: whether any text that matches as a whole may hold a quote, a slash, a blank.
"""

import re
from typing import Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.values import ANY

PATTERN_CHARS_MAX: Final = 400
_ANNOTATION_NODES_MAX: Final = 20
_EVERYTHING: Final = frozenset("'\"/\\:;|&$`<>(){}*= \n.")
_NEEDS: Final[dict[str, frozenset[str]]] = {
    "sql": frozenset("'\" ;("),
    "command": frozenset(";|&$`<> \n("),
    "code": frozenset("("),
    "ldap": frozenset("*()\\"),
    "xpath": frozenset("'\"["),
    "template": frozenset("{<$"),
    "path": frozenset("/\\"),
    "xss": frozenset("<'\""),
    "redirect": frozenset("/\\:"),
    "ssrf": frozenset("/:"),
    "header": frozenset("\n"),
    "log": frozenset("\n"),
    "trust": frozenset("'\"<;"),
    "deserialize": frozenset("!:("),
}
"""Characters of which a value needs one to cause a flaw of this kind."""
_SPECIAL: Final = frozenset("^$*+?{}[]()|")


def kinds_held_off(pattern: str) -> frozenset[str]:
    """Kinds of flaw that no text made only of what `pattern` allows can cause."""
    allowed = allowed_signs(pattern)
    kinds = frozenset(kind for kind, needs in _NEEDS.items() if not needs & allowed)
    if "redirect" not in kinds and "\\" not in allowed and _OWN_PATH.match(pattern):
        kinds |= {"redirect"}
    if _ADDRESS.match(pattern):
        kinds |= {"scheme"}
    return frozenset({ANY}) if len(kinds - {"scheme"}) == len(_NEEDS) else kinds


_ADDRESS: Final = re.compile(r"(?:\^|\\A)?(?:https?|http|https\?|\(\?:https?\)|/)(?::|\\/|/|[\w(\[])")
"""A pattern of what isn't the address of a script: another scheme, or a path."""
_OWN_PATH: Final = re.compile(
    r"(?:\^|\\A)?/(?:\((?:\?:)?)?(?:\\w|[A-Za-z0-9]|\[(?!\^)(?:[\w.~%-]|\\[wd])+\])(?![*?{|])"
)
"""A pattern of a path of this site: after the first slash stands something else than another one."""


def kinds_held_off_by_signs(signs: frozenset[str]) -> frozenset[str]:
    """Kinds of flaw that no text made only of these signs can cause."""
    kinds = frozenset(kind for kind, needs in _NEEDS.items() if not needs & signs)
    return frozenset({ANY}) if len(kinds) == len(_NEEDS) else kinds


def is_whole(pattern: str, method: str) -> bool:
    """Whether a match says something of the whole text."""
    starts = method in ("match", "fullmatch") or pattern.startswith(("^", r"\A"))
    ends = method == "fullmatch" or (pattern.endswith(("$", r"\Z", r"\z")) and not pattern.endswith(r"\$"))
    has_choice = "|" in _outside_groups(pattern) and method != "fullmatch"
    return starts and ends and not has_choice


def _outside_groups(pattern: str) -> str:
    depth, kept = 0, []
    for sign in pattern:
        depth += (sign == "(") - (sign == ")")
        if depth <= 0:
            kept.append(sign)
    return "".join(kept)


def pattern_of(call: s.Call) -> frozenset[str]:
    """Kinds of flaw that the `pattern=` or `regex=` of a call keeps out of what it describes."""
    for argument in call.arguments:
        node = argument.value
        if argument.name not in ("pattern", "regex") or not isinstance(node, s.Const):
            continue
        if isinstance(node.value, str) and is_whole(node.value, "search"):
            return kinds_held_off(node.value)
    return frozenset()


def calls_in(*nodes: s.Expr | None) -> list[s.Call]:
    """`Depends(…)`, `Query(…)` and their like in an annotation or a default, within `Annotated[…]` too."""
    stack: list[s.Expr] = [one for one in nodes if one is not None]
    found: list[s.Call] = []
    for _ in range(_ANNOTATION_NODES_MAX):
        if not stack:
            break
        match stack.pop():
            case s.Call() as call:
                found.append(call)
            case s.Index(owner=owner, key=key):
                stack += [owner, key]
            case s.Sequence(items=inside) | s.Unknown(parts=inside):
                stack += inside
    return found


def allowed_signs(pattern: str) -> frozenset[str]:
    """Signs with a meaning somewhere that a matching text may hold."""
    if len(pattern) > PATTERN_CHARS_MAX:
        return _EVERYTHING
    allowed: set[str] = set()
    place = 0
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\" and place + 1 < len(pattern):
            allowed |= _escaped(pattern[place + 1])
            place += 2
        elif sign == "[":
            end = _class_end(pattern, place)
            allowed |= _class(pattern[place + 1 : end])
            place = end + 1
        elif sign == ".":
            return _EVERYTHING
        elif sign == "(" and pattern.startswith("(?", place):
            place = _group_start(pattern, place)
        elif sign == "{":
            end = pattern.find("}", place)
            place = end + 1 if end > 0 else place + 1
        else:
            if sign not in _SPECIAL:
                allowed.add(sign)
            place += 1
    return frozenset(allowed) & _EVERYTHING


def removed_by(pattern: str) -> frozenset[str] | None:
    """Kinds held off when everything that matches is removed: `[^\\w]` leaves letters; None if it isn't that plain."""
    body = pattern.rstrip("+*")
    if body == r"\W":
        return kinds_held_off(r"\w")
    if body == r"\D":
        return kinds_held_off(r"\d")
    if body.startswith("[^") and _class_end(body, 0) == len(body) - 1:
        return kinds_held_off(f"[{body[2:]}")
    return None


def _escaped(sign: str) -> set[str]:
    if sign in "SDW":
        return set(_EVERYTHING)
    if sign == "s":
        return {" ", "\n"}
    return set() if sign.isalnum() else {sign}


def _class_end(pattern: str, start: int) -> int:
    place = start + 1
    if pattern.startswith("^", place):
        place += 1
    if pattern.startswith("]", place):
        place += 1
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return min(place, len(pattern))


def _class(body: str) -> set[str]:
    if body.startswith("^"):
        return set(_EVERYTHING)
    allowed: set[str] = set()
    place = 0
    while place < len(body):
        sign = body[place]
        if sign == "\\" and place + 1 < len(body):
            allowed |= _escaped(body[place + 1])
            place += 2
        elif place + 2 < len(body) and body[place + 1] == "-":
            low, high = ord(sign), ord(body[place + 2])
            allowed |= {one for one in _EVERYTHING if low <= ord(one) <= high}
            place += 3
        else:
            allowed.add(sign)
            place += 1
    return allowed


def _group_start(pattern: str, place: int) -> int:
    if pattern.startswith("(?P<", place):
        end = pattern.find(">", place)
        return end + 1 if end > 0 else place + 2
    for opening in ("(?:", "(?=", "(?!", "(?i)", "(?s)", "(?m)", "(?x)", "(?a)"):
        if pattern.startswith(opening, place):
            return place + len(opening)
    return place + 2
