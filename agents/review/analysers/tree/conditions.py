"""Named conditions that queries use where a pattern is not enough.

Written in a query like tree-sitter's own predicates, `(#dynamic? @arg)`; each may be negated,
`(#not-dynamic? @arg)`. The first argument is a capture, the others are strings. A capture that a match left
empty fails every condition, negated or not.

| condition | holds if |
|---|---|
| `dynamic?` | a string is put together at run time: a template, addition or format with a part that isn't constant |
| `literal?` | the value is a plain literal, or a name to which one was assigned |
| `tainted?` | the value comes from a request, directly or through one assignment |
| `secret-value?` | a string that looks like a real secret: long, mixed, neither placeholder nor path |
| `secret-name?` | a name of something secret (`apiKey`), not of something about it (`tokenUrl`) |
| `says? regex` | the text, or that of the value assigned to this name, matches |
| `markup?` | a dynamic string with a tag in it, or data of a request |
| `awaited-in-turn?` | an `await` in a `for … of` that needs nothing but its own item, in a loop without exits |
| `in-handler?` | stands in a function that must not block: async, or a handler of requests |
| `function-lacks? regex` | nothing in the function around it matches |
| `logs-secret?` | a text to be logged holds the value of a name of something secret |
| `meant-for? regex` | the variable, property, function or argument that receives the value has a name like this |
| `has-attr? names…` | an element of JSX or a Vue template has one of these attributes, bound or not |
| `bare? names…` | an element has none of these attributes, and no spread that could bring them |
| `in-element? names…` | stands in an element with one of these names |
| `has-key? names…` | an object literal has one of these keys |
| `lacks-key? names…` | an object literal has none of these keys, and no spread |
| `insecure-url?` | an `http://` or `ws://` address of another machine |
| `backtracks? ` | a regular expression repeats a repetition, `(a+)+`, so that matching can take exponential time |
"""

import re
import time
from collections.abc import Callable
from typing import Final, Literal

from tree_sitter import Node

from agents.review.analysers.tree.assignments import assigned_to, first_assigned_to
from agents.review.analysers.tree.elements import has_attribute, in_element, is_bare
from agents.review.analysers.tree.nodes import FUNCTIONS, NAMES, ancestors_of, nodes_in, text_of, unwrapped
from agents.review.analysers.tree.secrets import is_secret_name, is_secret_value
from agents.review.analysers.tree.values import is_dynamic, is_literal, is_request_data

Condition = Callable[[Node, tuple[str, ...]], bool]

LOOPS: Final = frozenset(
    {"for_statement", "for_in_statement", "while_statement", "do_statement", "repeat_while_statement"}
)
KEYS_MAX: Final = 60
"""Keys of one object literal that are looked at."""

_LOCAL_HOST = re.compile(
    r"(?i)^[rfbu]?['\"`]*(?:http|ws)://(?:localhost|127\.|0\.0\.0\.0|\[?::1|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\."
    r"|[\w-]+(?=[:/'\"`]|$)|[\w.-]+\.(?:local|localhost|test|example|invalid|internal|svc)\b"
    r"|(?:[\w-]+\.)*example\.(?:com|org|net)\b|[$%{\\<])"
)
_NAMESPACE_HOST = re.compile(
    r"(?i)//(?:www\.)?(?:[\w-]+\.)*(?:w3\.org|xmlsoap\.org|openxmlformats\.org|purl\.org|schema\.org|apache\.org"
    r"|apple\.com/DTDs|json-schema\.org|adobe\.com|ns\.\w+\.com|schemas\.[\w.-]+|mozilla\.org|inkscape\.org"
    r"|sodipodi\.sourceforge\.net|xmlns\.com|ogp\.me|sitemaps\.org|iana\.org|gnu\.org/licenses)"
)
_FOR_OF = re.compile(r"for\s*\([^)]*\sof\s")
_NEEDS_TURNS = re.compile(
    r"(?i)\b(?:break|return|continue|yield|throw|sleep|delay|wait\w*|retry|setTimeout|transaction|trx|tx)\b"
)
_HANDLER = re.compile(r"\basync\b|\(\s*_?(?:req|request|ctx)\b\s*[,:)]")
_INSECURE = re.compile(r"(?i)^[rfbu]?['\"`]*(?:http|ws)://[\w-]")
_BACKTRACKS = re.compile(
    r"\((?:\?:)?(?:\\[wdsWDS]|\[(?:[^\]\\]|\\.)+\]|[A-Za-z0-9.])[+*]\)(?:[+*]|\{\d+,\})(?!\?*$)."
)


class Conditions:
    """The callback for one run of a query. After `deadline_s` it refuses every match, and says so in `is_late`."""

    def __init__(self, *, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.is_late = False

    def __call__(
        self,
        predicate: str,
        args: list[tuple[str, Literal["capture", "string"]]],
        pattern_index: int,
        captures: dict[str, list[Node]],
    ) -> bool:
        if self.is_late or time.monotonic() > self.deadline_s:
            self.is_late = True
            return False
        name = predicate.removeprefix("not-")
        nodes = captures.get(args[0][0])
        if not nodes:
            return False
        words = tuple(word for word, kind in args[1:] if kind == "string")
        return CONDITIONS[name](nodes[0], words) is (name == predicate)


def _says(node: Node, regexes: tuple[str, ...]) -> bool:
    node = unwrapped(node)
    texts = [text_of(node)]
    if node.type in NAMES:
        value = assigned_to(node)
        texts += [text_of(value)] if value is not None else []
        first = value is not None and first_assigned_to(node)
        texts += [text_of(first)] if first else []
    return any(re.search(regex, text, re.DOTALL) for regex in regexes for text in texts)


def _is_markup(node: Node, _: tuple[str, ...]) -> bool:
    return (is_dynamic(node) and _says(node, (r"<\w",))) or is_request_data(node)


def _awaited_in_turn(node: Node, _: tuple[str, ...]) -> bool:
    for above in ancestors_of(node):
        if above.type in FUNCTIONS or (above.type in LOOPS and above.type != "for_in_statement"):
            return False
        if above.type == "for_in_statement":
            item, body = above.child_by_field_name("left"), above.child_by_field_name("body")
            if item is None or body is None or item.type not in NAMES or not _FOR_OF.match(text_of(above)):
                return False
            arguments = [part for part in nodes_in(node) if part.type == "arguments"]
            uses_item = any(
                part.text == item.text
                for given in arguments
                for part in nodes_in(given)
                if part.type in NAMES
            )
            return uses_item and not _NEEDS_TURNS.search(text_of(body))
    return False


def _in_handler(node: Node, _: tuple[str, ...]) -> bool:
    for above in ancestors_of(node):
        head = text_of(above).partition("{")[0]
        if above.type in FUNCTIONS and above.type != "class_declaration" and head:
            return _HANDLER.search(head) is not None
    return False


def _function_lacks(node: Node, regexes: tuple[str, ...]) -> bool:
    around = next((above for above in ancestors_of(node) if above.type in _WHOLE_FUNCTIONS), None)
    return around is None or not any(re.search(regex, text_of(around)) for regex in regexes)


def _logs_secret(node: Node, _: tuple[str, ...]) -> bool:
    """The last name of each chain counts: `user.password`, but not `password.length`."""
    value = unwrapped(node)
    names = [part for part in nodes_in(value) if part.type in NAMES]
    return any(is_secret_name(text_of(name)) and not _is_followed(name) for name in names)


def _is_followed(name: Node) -> bool:
    """Whether a member is taken of a name: then it is the member that is used."""
    place = name.parent if name.parent is not None and name.parent.type.endswith("selector") else name
    if place.parent is not None and place.parent.type == "selector":
        place = place.parent
    return place.next_named_sibling is not None and place.next_named_sibling.type == "selector"


_WHOLE_FUNCTIONS: Final = frozenset({"function_declaration", "lambda_literal", "class_body"})
_RECEIVERS: Final = {
    "variable_declarator": "name",
    "assignment_expression": "left",
    "assignment": "left",
    "pair": "key",
    "property_declaration": "name",
    "initialized_variable_definition": "name",
    "static_final_declaration": "name",
    "function_declaration": "name",
    "method_definition": "name",
    "function_definition": "name",
    "function_signature": "name",
    "public_field_definition": "name",
    "field_definition": "property",
}


def _receiver_name(node: Node) -> Node | None:
    """The name that a declaration, assignment or function gives. In Dart the signature stands beside the body."""
    if node.type == "method_signature":
        node = node.named_children[0]
    field = _RECEIVERS.get(node.type)
    return node.child_by_field_name(field) if field else None


def _meant_for(node: Node, regexes: tuple[str, ...]) -> bool:
    """The nearest two receivers count: `const token = …` in `function makeId()` is one of both."""
    left = 2
    for above in ancestors_of(node):
        holder = above.prev_named_sibling if above.type == "function_body" else above
        name = _receiver_name(holder) if holder is not None else None
        if name is not None:
            if any(re.search(regex, text_of(name)) for regex in regexes):
                return True
            left -= 1
            if not left:
                break
    return False


def _keys_of(node: Node) -> tuple[set[str], bool]:
    """Keys of an object literal (or named arguments of a call), and whether a spread may bring others."""
    keys: set[str] = set()
    has_spread = False
    for part in node.named_children[:KEYS_MAX]:
        key = part.child_by_field_name("key") or part.child_by_field_name("name")
        if part.type in ("spread_element", "dictionary_splat"):
            has_spread = True
        elif key is not None:
            keys.add(text_of(key).strip("'\""))
        elif part.type in ("shorthand_property_identifier", "method_definition"):
            keys.add(text_of(part))
    return keys, has_spread


def _has_key(node: Node, names: tuple[str, ...]) -> bool:
    return not _keys_of(node)[0].isdisjoint(names)


def _lacks_key(node: Node, names: tuple[str, ...]) -> bool:
    keys, has_spread = _keys_of(node)
    return not has_spread and keys.isdisjoint(names)


def is_insecure_url(text: str) -> bool:
    """Whether `text` is an unencrypted address of another machine, and not the name of an XML namespace."""
    return bool(_INSECURE.match(text)) and not _LOCAL_HOST.match(text) and not _NAMESPACE_HOST.search(text)


CONDITIONS: Final[dict[str, Condition]] = {
    "dynamic?": lambda node, _: is_dynamic(node),
    "literal?": lambda node, _: is_literal(node),
    "tainted?": lambda node, _: is_request_data(node),
    "secret-value?": lambda node, _: is_secret_value(text_of(node)),
    "secret-name?": lambda node, _: is_secret_name(text_of(node)),
    "says?": _says,
    "markup?": _is_markup,
    "awaited-in-turn?": _awaited_in_turn,
    "in-handler?": _in_handler,
    "function-lacks?": _function_lacks,
    "logs-secret?": _logs_secret,
    "meant-for?": _meant_for,
    "has-attr?": has_attribute,
    "bare?": is_bare,
    "in-element?": in_element,
    "has-key?": _has_key,
    "lacks-key?": _lacks_key,
    "insecure-url?": lambda node, _: is_insecure_url(text_of(node)),
    "backtracks?": lambda node, _: _BACKTRACKS.search(text_of(node).replace("\\\\", "\\")) is not None,
}
