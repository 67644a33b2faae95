"""New instances of the project's classes, and which fields of a model its type makes harmless."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents.review.dataflow.calls_project import call_function
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectClass, ProjectFunction
from agents.review.dataflow.values import ANY, UNKNOWN, Thing, Value, cleaned, join_all, part_of

_ENUMS: Final = frozenset(
    {"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "django.db.models.TextChoices"}
)


def instantiate(
    machine: Machine,
    frame: Frame,
    owner: ProjectClass,
    positional: Sequence[Value],
    named: Mapping[str, Value],
    line: int,
) -> Value:
    """A new instance, after its `__init__`."""
    bases = owner.library_bases()
    if any(base in _ENUMS for base in bases):
        return cleaned(join_all(positional), frozenset({ANY})) if positional else UNKNOWN
    fields = _data_fields(frame, owner, positional, named) if owner.member("__init__") is None else {}
    rest = (
        join_all([*positional, *named.values()]) if not fields and bases and (positional or named) else None
    )
    value = frame.state.put(Thing("instance", fields, rest, None, owner))
    makers = owner.member("__init__") or owner.member("__post_init__")
    for target in makers.targets if makers is not None else ():
        if isinstance(target, ProjectFunction):
            bound = ProjectFunction(target.syntax, target.module, target.closure, target.owner, value)
            is_post = target.syntax.name == "__post_init__"
            call_function(
                machine, frame, bound, () if is_post else positional, {} if is_post else named, line
            )
    return value


def _data_fields(
    frame: Frame, owner: ProjectClass, positional: Sequence[Value], named: Mapping[str, Value]
) -> dict[Any, Value]:
    """Of a dataclass, named tuple or model: arguments by the names of its annotations."""
    order = [name for one in reversed(owner.lineage()) for name in one.annotations]
    types = {name: kind for one in reversed(owner.lineage()) for name, kind in one.annotations.items()}
    fields = dict(zip(order, positional, strict=False)) | {
        name: value for name, value in named.items() if not name.startswith("*")
    }
    if "**" in named:
        spread = named["**"]
        fields = {name: frame.state.field(spread, name) or part_of(spread, name) for name in order} | fields
    is_checked = bool(owner.library_bases())
    return {
        name: cleaned(value, frozenset({ANY})) if is_checked and is_safe_type(types.get(name, "")) else value
        for name, value in fields.items()
    }


SAFE_TYPES: Final = frozenset(
    {
        "int",
        "float",
        "bool",
        "UUID",
        "uuid.UUID",
        "UUID4",
        "date",
        "datetime",
        "Decimal",
        "datetime.date",
        "datetime.datetime",
    }
    | {
        "PositiveInt",
        "NonNegativeInt",
        "IPvAnyAddress",
        "conint",
        "confloat",
        "complex",
        "NoneType",
        "None",
        "timedelta",
        "time",
    }
)


def is_safe_type(annotation: str) -> bool:
    """Whether a framework that converts a value to this type leaves nothing harmful of it."""
    plain = annotation.replace(" ", "").replace("Optional[", "").replace("typing.", "").rstrip("]")
    if plain.startswith(("Literal[", "Annotated[")):
        head = plain.split("[", 1)[1].split(",")[0]
        return plain.startswith("Literal[") or is_safe_type(head)
    if plain.startswith(("list[", "List[", "set[", "Sequence[")):
        plain = plain.split("[", 1)[1]
    parts = plain.split("|")
    return all(part in SAFE_TYPES for part in parts)
