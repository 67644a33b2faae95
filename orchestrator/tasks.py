"""Looking tasks up."""

from agents.tracker import tasks_bucket
from bus import Bus
from orchestrator.shell import UserError
from schemas.event import is_token
from schemas.task import TaskRecord

SHOWN_MAX = 20


async def known_tasks(bus: Bus) -> list[TaskRecord]:
    """All tasks that the tracker knows, newest last."""
    bucket = tasks_bucket(bus)
    await bucket.ensure()
    return sorted((await bucket.values()).values(), key=lambda record: record.created_at)


async def find_task(bus: Bus, text: str) -> str:
    """The id of the task that `text` names: whole, or as unique beginning or end. An id that nobody knows yet
    is returned as it is, since a task may be watched before it starts.

    Raises:
        UserError: it names several tasks, or can't be an id.
    """
    text = text.strip("…")
    if not is_token(text):
        raise UserError(f"{text[:80]!r} is no task id: `labverse status` shows them")
    ids = [record.task_id for record in await known_tasks(bus)]
    if text in ids:
        return text
    matching = [task_id for task_id in ids if task_id.startswith(text) or task_id.endswith(text)]
    if len(matching) > 1:
        shown = ", ".join(matching[:5])
        raise UserError(f"{text} fits {len(matching)} tasks ({shown}{' …' if len(matching) > 5 else ''})")
    return matching[0] if matching else text
