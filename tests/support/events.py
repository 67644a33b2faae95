"""Events for tests of the bus, made from the product's own types."""

from schemas.ids import derive_id, output_id
from schemas.review import Bundle, ReviewAssigned, ReviewFindings, ReviewRequested

BUNDLE = Bundle(object_name="none", sha256="0" * 64, paths=())


def requested(name: str = "x") -> ReviewRequested:
    return ReviewRequested(name=name)


def assigned(index: int, of: int = 1) -> ReviewAssigned:
    return ReviewAssigned(index=index, of=of, role="security", bundle=BUNDLE, paths=())


def findings(index: int, agent: str = "reviewer") -> ReviewFindings:
    return ReviewFindings(index=index, role="security", agent=agent)


def assigned_ids(task_id: str, count: int, durable: str = "planner") -> list[str]:
    """Ids of the outputs of `durable` for the command that started the task."""
    derived = derive_id(f"lv.review.requested.v1.{task_id}", durable)
    return [output_id(derived, index) for index in range(count)]
