"""Tasks over HTTP: start one, and ask where it stands."""

import time
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.tracker import tasks_bucket
from orchestrator.gateway.endpoint import ApiError, Endpoint, Scope, answer, body_of
from orchestrator.gateway.parts import Parts
from orchestrator.starting import CommandError, command_from
from schemas.event import TOKEN_CHARS_MAX, is_token
from schemas.task import TaskRecord

DEADLINE_S_MAX: Final = 30 * 86_400.0
SUBMIT_S: Final = 10.0
ROOT: Final = "/api/v1/tasks"


class TaskRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task to start.

    Attributes:
        type: of the command that starts it, such as `negotiation.requested.v1`.
        body: the command, an object as its type's schema says (`labverse schema`); empty by default.
        task_id: chosen by the caller, so that the request may be sent again: a second one is refused with 409.
        deadline_s: drop what is not done in so many seconds.
    """

    type: Annotated[str, Meta(min_length=1, max_length=120)]
    body: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    task_id: Annotated[str, Meta(pattern=rf"^([A-Za-z0-9_-]{{1,{TOKEN_CHARS_MAX}}})?\Z")] = ""
    deadline_s: Annotated[float, Meta(gt=0, le=DEADLINE_S_MAX)] | None = None


class TaskStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The task that was started: ask for it at `/api/v1/tasks/<task_id>`."""

    task_id: str


@dataclass(frozen=True, slots=True)
class _Tasks:
    """The handlers."""

    parts: Parts

    async def start(self, request: Request) -> Response:
        wanted = await body_of(request, TaskRequest)
        try:
            command = command_from(wanted.type, bytes(wanted.body))
        except CommandError as error:
            raise ApiError(422, "invalid", str(error), path=error.path) from None
        deadline_s = None if wanted.deadline_s is None else time.time() + wanted.deadline_s
        task_id = await self.parts.bus.submit(
            command, task_id=wanted.task_id, deadline_s=deadline_s, timeout_s=SUBMIT_S
        )
        return answer(TaskStarted(task_id=task_id), 202)

    async def show(self, request: Request) -> Response:
        task_id: str = request.path_params["task_id"]
        if not is_token(task_id):
            raise ApiError(404, "unknown", "that is no task's id: use 1 to 64 characters of A-Z a-z 0-9 _ -")
        bucket = tasks_bucket(self.parts.bus)
        await bucket.ensure()
        found = await bucket.get(task_id)
        if found is None:
            raise ApiError(404, "unknown", f"there is no task {task_id}, or the tracker has not seen it yet")
        return answer(found[0])


def routes(parts: Parts) -> list[Route]:
    """Starting and showing."""
    handlers = _Tasks(parts)
    return [
        Endpoint(
            ROOT,
            handlers.start,
            method="POST",
            scope=Scope.ALL,
            summary="Start a task",
            takes=TaskRequest,
            gives=TaskStarted,
            status=202,
            errors={
                409: "The task id is taken.",
                504: "The bus did not confirm in time: it may have started.",
            },
        ),
        Endpoint(
            f"{ROOT}/{{task_id}}",
            handlers.show,
            method="GET",
            scope=Scope.READ,
            summary="Where a task stands",
            gives=TaskRecord,
            errors={404: "There is no such task."},
        ),
    ]
