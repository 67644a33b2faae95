"""What a condition that came out true or false says about values from outside.

A fact is about a kind of flaw, or about all (`ANY`): a value that is one of a list of allowed ones is harmless in
every way, one without ".." in a path only.
"""

from typing import Final

from agents.review.dataflow.folding import fold_comparison
from agents.review.dataflow.machine import Frame
from agents.review.dataflow.values import (
    ANY,
    BOOLEAN,
    LEADS_ELSEWHERE,
    NO_FACTS,
    Fact,
    Value,
    changed,
    constant,
    text_constant,
)

HOST: Final = "host"
"""Mark of the host of an address: checking it says where the address leads, nothing else."""
OTHER_PART: Final = "other part"
"""Mark of another part of an address, of a file's suffix, of a length: checking it says nothing."""
RESOLVED: Final = "resolved"
"""Mark of a path without `..` and links."""
PARENTS: Final = "parents"
"""Mark of the folders that a path lies in."""
ONE_SLASH: Final = "one slash"
NO_TWO_SLASHES: Final = "no two slashes"
SCHEME_PART: Final = "scheme part"
"""Mark of the scheme of an address: checking it keeps out addresses that are scripts."""
SCHEME_CHECKED: Final = "scheme"
NO_SLASH_AT_START: Final = "no slash at the start"
QUOTED: Final = frozenset({"quote at the start", "quote at the end", "no other quote"})
"""What, taken together, makes a text a plain literal of Python."""
_FORBIDDEN: Final[dict[str, frozenset[str]]] = {
    "..": frozenset({"path"}),
    "../": frozenset({"path"}),
    "/": frozenset({"path", "redirect", "ssrf"}),
    "\n": frozenset({"log", "header"}),
    "\r": frozenset({"log", "header"}),
    "<": frozenset({"xss"}),
    "'": frozenset({"sql", "xpath", "no other quote"}),
    '"': frozenset({"no other quote"}),
    "(": frozenset({"ldap", "code"}),
    ")": frozenset({"ldap"}),
    "{": frozenset({"template"}),
    "{{": frozenset({"template"}),
    ";": frozenset(),
    "://": frozenset({"ssrf"}),
}


_TOGETHER: Final[dict[str, frozenset[str]]] = {
    "command": frozenset(";|&$`<>\n"),
    "code": frozenset("("),
    "sql": frozenset("'\";"),
    "ldap": frozenset("*()\\"),
    "xpath": frozenset("'\"["),
    "redirect": frozenset("/\\"),
}
"""Signs of which a value needs one to cause such a flaw."""


def kinds_without(signs: frozenset[str]) -> frozenset[str]:
    """Kinds of flaw that a text without these signs can't cause."""
    kinds = {kind for kind, needs in _TOGETHER.items() if needs <= signs}
    return frozenset(kinds.union(*(_FORBIDDEN.get(sign, frozenset()) for sign in signs)))


def facts_of(value: Value, outcome: bool) -> frozenset[Fact]:
    """What is known if a condition comes out this way."""
    return value.yes if outcome else value.no


def facts_about(frame: Frame, value: Value, kinds: frozenset[str]) -> frozenset[Fact]:
    """That what a value comes from can't cause these kinds of flaw."""
    if OTHER_PART in value.marks:
        if SCHEME_PART not in value.marks:
            return NO_FACTS
        kinds = frozenset({SCHEME_CHECKED})
    if HOST in value.marks:
        kinds = LEADS_ELSEWHERE
    tokens = {taint.token for taint in frame.state.taints(value)}
    return frozenset((token, kind) for token in tokens for kind in kinds)


def compare(frame: Frame, operator: str, left: Value, right: Value) -> Value:
    """`left operator right`, with what follows from it."""
    known = fold_comparison(operator, left, right)
    if known is None and operator in ("in", "not in"):
        known = _contains(frame, operator, left, right)
    if known is not None:
        return constant(known)
    if operator in ("is", "is not", "==", "!=") and right.constants == (None,):
        return _against_none(operator, left)
    yes = _equal(frame, left, right) if operator in ("==", "!=", "is", "is not") else NO_FACTS
    no: frozenset[Fact] = NO_FACTS
    if operator in ("in", "not in"):
        yes, no = _membership(frame, left, right)
    if operator in ("!=", "is not", "not in", "<>"):
        yes, no = no, yes
    return changed(BOOLEAN, yes=yes, no=no)


def _contains(frame: Frame, operator: str, left: Value, right: Value) -> bool | None:
    """Whether a constant is in a container of which everything is known."""
    thing = frame.state.the_thing(right)
    if thing is None or thing.rest is not None or left.constants is None or len(left.constants) != 1:
        return None
    if thing.kind == "dict":
        found = left.constants[0] in thing.fields
    else:
        values = list(thing.fields.values())
        if any(value.constants is None or len(value.constants) != 1 for value in values):
            return None
        found = left.constants[0] in {value.constants[0] for value in values if value.constants}
    return found if operator == "in" else not found


def _against_none(operator: str, value: Value) -> Value:
    """`value is None` is as good as `not value` for what a check returned."""
    is_none = operator in ("is", "==")
    if value.constants is None and not value.taints and (value.references or value.targets):
        return constant(not is_none)
    return changed(BOOLEAN, yes=value.no if is_none else value.yes, no=value.yes if is_none else value.no)


def _equal(frame: Frame, left: Value, right: Value) -> frozenset[Fact]:
    """Equal to something that isn't from outside."""
    left_taints, right_taints = frame.state.taints(left), frame.state.taints(right)
    if bool(left_taints) == bool(right_taints):
        return NO_FACTS
    return facts_about(frame, left if left_taints else right, frozenset({ANY}))


def _membership(frame: Frame, left: Value, right: Value) -> tuple[frozenset[Fact], frozenset[Fact]]:
    """What `left in right` says if it is true, and if it is false."""
    tainted_left, tainted_right = frame.state.taints(left), frame.state.taints(right)
    if tainted_left and not tainted_right:
        return facts_about(frame, left, frozenset({ANY})), NO_FACTS
    if tainted_right and not tainted_left:
        if PARENTS in right.marks:
            return facts_about(frame, right, frozenset({"path"})), NO_FACTS
        forbidden = text_constant(left)
        kinds = _FORBIDDEN.get(forbidden) if forbidden is not None else None
        if kinds is not None:
            return NO_FACTS, facts_about(frame, right, kinds)
    return NO_FACTS, NO_FACTS


def starts_with(frame: Frame, value: Value, given: Value) -> Value:
    """`value.startswith(given)`: inside a folder, at an allowed address, or a path of this site."""
    taints = frame.state.taints(value)
    if not taints or frame.state.taints(given):
        return BOOLEAN
    thing = frame.state.the_thing(given)
    starts = [text_constant(one) or "" for one in (thing.fields.values() if thing is not None else (given,))]
    found = _starts_with_one(frame, value, given)
    if starts and all(one.startswith(_PLAIN_STARTS) for one in starts):
        return changed(found, yes=found.yes | facts_about(frame, value, frozenset({SCHEME_CHECKED})))
    return found


_PLAIN_STARTS: Final = ("http://", "https://", "http", "/", "#", "mailto:")


def _starts_with_one(frame: Frame, value: Value, given: Value) -> Value:
    text = text_constant(given)
    if text is not None and text.startswith(".."):
        is_plain = RESOLVED in value.marks
        return changed(BOOLEAN, no=facts_about(frame, value, frozenset({"path"})) if is_plain else NO_FACTS)
    if RESOLVED in value.marks:
        return changed(BOOLEAN, yes=facts_about(frame, value, frozenset({"path"})))
    if text in _QUOTES:
        return changed(BOOLEAN, yes=facts_about(frame, value, frozenset({"quote at the start"})))
    if text == "/":
        return changed(BOOLEAN, yes=_slashes(frame, value, ONE_SLASH))
    if text == "//":
        return changed(BOOLEAN, no=_slashes(frame, value, NO_TWO_SLASHES))
    if text is not None and names_host(text):
        return changed(BOOLEAN, yes=facts_about(frame, value, LEADS_ELSEWHERE))
    if text is not None and len(text) > 1 and text.startswith("/") and not text.startswith("//"):
        return changed(BOOLEAN, yes=facts_about(frame, value, frozenset({"redirect"})))
    return BOOLEAN


_QUOTES: Final = ("'", '"')


def ends_with(frame: Frame, value: Value, given: Value) -> Value:
    """`value.endswith(given)`: a host of an allowed domain, or a quote."""
    if frame.state.taints(given):
        return BOOLEAN
    if HOST in value.marks:
        return changed(BOOLEAN, yes=facts_about(frame, value, LEADS_ELSEWHERE))
    if text_constant(given) in _QUOTES:
        return changed(BOOLEAN, yes=facts_about(frame, value, frozenset({"quote at the end"})))
    return BOOLEAN


def _slashes(frame: Frame, value: Value, kind: str) -> frozenset[Fact]:
    """Half of "begins with one slash"; `is_own_path` looks for both."""
    return facts_about(frame, value, frozenset({kind}))


def names_host(text: str) -> bool:
    """Whether an address that begins so can lead to one host only: the host stands there to its end."""
    _, colon, after = text.partition("://")
    if not colon:
        return False
    return any(sign in after for sign in "/?#")
