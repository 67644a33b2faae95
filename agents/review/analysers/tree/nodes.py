"""Nodes of all our languages: their kinds by what they mean, and walks over them.

No walk recurses, and each one has a limit.
"""

from collections.abc import Iterator
from typing import Final

from tree_sitter import Node

NODES_MAX: Final = 300
"""Nodes looked at in one expression; a longer one counts as what was seen of it."""
ANCESTORS_MAX: Final = 40
WRAPPED_MAX: Final = 8
TEXT_BYTES_MAX: Final = 4_000

STRINGS: Final = frozenset(
    {"string", "template_string", "line_string_literal", "multi_line_string_literal", "raw_string_literal"}
    | {"string_literal", "concatenated_string"}
)
INTERPOLATIONS: Final = frozenset({"template_substitution", "interpolated_expression", "interpolation"})
SUMS: Final = frozenset({"binary_expression", "additive_expression", "binary_operator"})
NAMES: Final = frozenset(
    {"identifier", "simple_identifier", "shorthand_property_identifier", "identifier_dollar_escaped"}
)
LITERALS: Final = frozenset(
    {"number", "integer", "float", "integer_literal", "real_literal", "true", "false", "null", "none"}
    | {"decimal_integer_literal", "decimal_floating_point_literal", "boolean_literal", "additive_operator"}
)
WRAPPERS: Final = frozenset(
    {"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression", "argument"}
    | {"value_argument", "ternary_expression", "conditional_expression", "await_expression"}
)
BESIDES: Final = frozenset({"selector", "value_argument_label", "label", "comment"})
"""What stands beside a value without being one; a Dart call is a name followed by selectors."""
FUNCTIONS: Final = frozenset(
    {"function_declaration", "function_expression", "arrow_function", "method_definition", "function"}
    | {"generator_function", "generator_function_declaration", "lambda_literal", "init_declaration"}
    | {"function_definition", "lambda", "function_body", "method_declaration", "class_declaration"}
)


def text_of(node: Node) -> str:
    """The source of a node, cut after `TEXT_BYTES_MAX` bytes."""
    return (node.text or b"")[:TEXT_BYTES_MAX].decode(errors="replace")


def nodes_in(node: Node, limit: int = NODES_MAX) -> Iterator[Node]:
    """`node` and what is in it, outer ones first."""
    stack, seen = [node], 0
    while stack and seen < limit:
        found = stack.pop()
        seen += 1
        yield found
        stack.extend(reversed(found.named_children[:limit]))


def unwrapped(node: Node) -> Node:
    """The expression in an argument or in parentheses, if it is all that stands there."""
    for _ in range(WRAPPED_MAX):
        if node.type not in ("argument", "value_argument", "parenthesized_expression"):
            break
        value = node.child_by_field_name("value")
        if value is None and node.named_child_count == 1:
            value = node.named_child(0)
        if value is None:
            break
        node = value
    return node


def ancestors_of(node: Node, limit: int = ANCESTORS_MAX) -> Iterator[Node]:
    """Parent, its parent, and so on."""
    above = node.parent
    while above is not None and limit:
        yield above
        above, limit = above.parent, limit - 1
