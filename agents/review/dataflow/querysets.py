"""Managers and query sets of Django that a project makes itself: their methods are its own."""

from typing import Final

from agents.review.dataflow.instances import instantiate
from agents.review.dataflow.library import Given, Special
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectClass
from agents.review.dataflow.values import UNKNOWN, Value

BASES: Final = ("QuerySet", "Manager", "BaseManager")
CHAINED: Final = frozenset(
    {
        "all",
        "filter",
        "exclude",
        "annotate",
        "alias",
        "order_by",
        "select_related",
        "prefetch_related",
        "distinct",
    }
    | {"using", "only", "defer", "reverse", "get_queryset", "none", "extra", "select_for_update"}
)
"""Methods that give back a query set of the same class."""


def chained(frame: Frame, owner: Value, name: str) -> Value | None:
    """`owner.filter(…)` of a query set of the project's own class is one too; None if it isn't that."""
    thing = frame.state.the_thing(owner)
    if name not in CHAINED or thing is None or not isinstance(thing.owner, ProjectClass):
        return None
    return owner if any(base.endswith(BASES) for base in thing.owner.library_bases()) else None


def _as_manager(machine: Machine, frame: Frame, call: Given) -> Value:
    """`objects = OwnQuerySet.as_manager()`"""
    for target in call.owner.targets if call.owner is not None else ():
        if isinstance(target, ProjectClass):
            return instantiate(machine, frame, target, [], {}, call.node.line)
    return UNKNOWN


def _from_queryset(machine: Machine, frame: Frame, call: Given) -> Value:
    """`objects = Manager.from_queryset(OwnQuerySet)()`: a class with the methods of the query set."""
    return Value(targets=call.argument(0, "queryset_class").targets)


QUERYSET_SPECIALS: Final[dict[str, Special]] = {
    **{
        f"{path}.as_manager": _as_manager
        for path in ("django.db.models.QuerySet", "django.db.models.query.QuerySet", "?")
    },
    **{
        f"{path}.from_queryset": _from_queryset
        for path in (
            "django.db.models.Manager",
            "django.db.models.manager.Manager",
            "django.db.models.manager.BaseManager",
        )
    },
}
