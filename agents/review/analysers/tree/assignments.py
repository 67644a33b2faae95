"""What was assigned to a name: the nearest assignment before its use, in its own function or around it.

This is a judgement on syntax, not data flow: branches and calls in between are not looked at.
"""

from typing import Final

from tree_sitter import Node

from agents.review.analysers.tree.nodes import ANCESTORS_MAX, FUNCTIONS, NAMES, nodes_in

SIBLINGS_MAX: Final = 60
"""Statements before a use that are searched for the assignment of a name, in each enclosing block."""
DECLARED_MAX: Final = 8
"""Names that one declaration is searched for, and steps of a text that grows."""


def first_assigned_to(name: Node) -> Node | None:
    """What a name began with: the assignment before `+=`, for text that grows from statement to statement."""
    value = assigned_to(name)
    for _ in range(DECLARED_MAX):
        parent = value.parent if value is not None else None
        if parent is None or parent.type not in ("augmented_assignment_expression", "augmented_assignment"):
            break
        target = parent.named_child(0)
        earlier = assigned_to(target) if target is not None and target.type in NAMES else None
        if earlier is None:
            break
        value = earlier
    return value


def assigned_to(name: Node) -> Node | None:
    """The value of the nearest assignment to `name` before it, in its own function or around it."""
    wanted = name.text
    scope: Node | None = name
    for _ in range(ANCESTORS_MAX):
        if scope is None:
            break
        before = scope.prev_named_sibling
        for _ in range(SIBLINGS_MAX):
            if before is None:
                break
            value = _value_given(before, wanted)
            if value is not None:
                return value if value.end_byte <= name.start_byte else None
            before = before.prev_named_sibling
        scope = scope.parent
        if scope is not None and scope.type in FUNCTIONS and _has_parameter(scope, wanted):
            return None
    return None


def _value_given(statement: Node, wanted: bytes | None) -> Node | None:
    """What a declaration or assignment gives to the name `wanted`, if it does."""
    if wanted is None or wanted not in (statement.text or b""):
        return None
    parts = [statement]
    if statement.type in _HOLDERS:
        parts = statement.named_children[:DECLARED_MAX]
        if parts and parts[0].type == "lexical_declaration":
            parts = parts[0].named_children[:DECLARED_MAX]
    for part in parts:
        if part.type in _GIVERS and part.named_child_count > 1:
            target = _field(part, "name", "left", "target") or part.named_children[0]
            value = _field(part, "value", "right", "result") or part.named_children[-1]
            if _names(target, wanted):
                return value
    return None


def _field(node: Node, *names: str) -> Node | None:
    return next((child for name in names if (child := node.child_by_field_name(name)) is not None), None)


_HOLDERS: Final = frozenset(
    {"lexical_declaration", "variable_declaration", "local_variable_declaration", "expression_statement"}
    | {"export_statement", "static_final_declaration_list", "initialized_identifier_list", "statements"}
)
_GIVERS: Final = frozenset(
    {"variable_declarator", "assignment_expression", "augmented_assignment_expression", "assignment"}
    | {"augmented_assignment", "property_declaration", "initialized_variable_definition"}
    | {"static_final_declaration", "initialized_identifier"}
)


def _names(target: Node, wanted: bytes) -> bool:
    """Whether the left side of an assignment is the name, or takes it out of an object."""
    if target.type in NAMES:
        return target.text == wanted
    if target.type in (
        "object_pattern",
        "array_pattern",
        "pattern",
        "assignable_expression",
        "directly_assignable_expression",
    ):
        return any(
            part.text == wanted
            for part in nodes_in(target, SIBLINGS_MAX)
            if part.type in NAMES or part.type == "shorthand_property_identifier_pattern"
        )
    return False


def _has_parameter(function: Node, wanted: bytes | None) -> bool:
    for field in ("parameters", "parameter"):
        parameters = function.child_by_field_name(field)
        if parameters is not None and any(part.text == wanted for part in nodes_in(parameters, SIBLINGS_MAX)):
            return True
    return False
