"""Approvals over HTTP: what waits for a yes, one approval, and a person's or program's word on it.

A key's word counts as that of `key:<name>`; the approval policy says whether it may decide.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.approver import approvals_bucket
from bus.kv import Bucket
from bus.services import APPROVAL_DECIDE
from orchestrator.gateway.endpoint import ApiError, Endpoint, Parameter, Scope, answer, body_of, caller_of
from orchestrator.gateway.parts import Parts
from schemas.approval import Approval, DecideOutcome, DecideReply, DecideRequest, Digest, Note
from schemas.event import is_token
from schemas.ids import new_id
from schemas.llm import Token

DECIDE_S: Final = 10.0
"""For the approver to answer."""
SHOWN: Final = 100
SHOWN_MAX: Final = 1_000
VOTE_ID_CHARS_MAX: Final = 64

ROOT: Final = "/api/v1/approvals"
ONE: Final = f"{ROOT}/{{approval_id}}"

STATUS: Final = {
    DecideOutcome.COUNTED: 200,
    DecideOutcome.REPEATED: 200,
    DecideOutcome.NOT_ALLOWED: 403,
    DecideOutcome.UNKNOWN: 404,
    DecideOutcome.TOO_LATE: 409,
    DecideOutcome.CHANGED: 409,
    DecideOutcome.EXPIRED: 410,
}


QUERY: Final = (
    Parameter(
        name="state",
        about="Those that wait, or all.",
        schema={"type": "string", "enum": ["pending", "all"], "default": "pending"},
    ),
    Parameter(
        name="limit",
        about="How many at most.",
        schema={"type": "integer", "minimum": 1, "maximum": SHOWN_MAX, "default": SHOWN},
    ),
)
NOT_COUNTED: Final = {
    403: "The policy doesn't let this key decide.",
    404: "There is no such approval.",
    409: "Somebody decided first, or what is to be approved has changed.",
    410: "The deadline has passed.",
    503: "No approver runs.",
    504: "The approver did not answer in time; the same vote id may be sent again.",
}


class ApprovalList(msgspec.Struct, frozen=True, kw_only=True):
    """Approvals, newest first.

    Attributes:
        total: how many there are; `approvals` has at most `limit` of them.
    """

    approvals: tuple[Approval, ...]
    total: int


class Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says to an approval.

    Attributes:
        action: `approve`, `veto`, or `delegate` to hand one's right on to `to`.
        digest: of what was seen, as the approval's request has it: nobody approves what has changed since.
        vote_id: sent again with the same id it counts once; also the header `Idempotency-Key`.
    """

    action: Literal["approve", "veto", "delegate"]
    digest: Digest
    note: Note = ""
    to: Token = ""
    vote_id: Annotated[str, Meta(max_length=VOTE_ID_CHARS_MAX)] = ""


@dataclass(frozen=True, slots=True)
class _Approvals:
    """The handlers."""

    parts: Parts

    async def show_all(self, request: Request) -> Response:
        wanted, limit = _query(request)
        bucket = await self._bucket()
        found = [one for one in (await bucket.values()).values() if wanted == "all" or one.is_open]
        found.sort(key=lambda approval: (approval.opened_at, approval.approval_id), reverse=True)
        return answer(ApprovalList(approvals=tuple(found[:limit]), total=len(found)))

    async def show(self, request: Request) -> Response:
        approval_id = _id_in(request)
        found = await (await self._bucket()).get(approval_id)
        if found is None:
            raise ApiError(404, "unknown", f"there is no approval {approval_id}")
        return answer(found[0])

    async def decide(self, request: Request) -> Response:
        approval_id = _id_in(request)
        word = await body_of(request, Word)
        caller = caller_of(request)
        if (word.action == "delegate") != bool(word.to):
            raise ApiError(
                422, "invalid", "`to` goes with the action `delegate`, and only with it", path="$.to"
            )
        wanted = DecideRequest(
            approval_id=approval_id,
            digest=word.digest,
            identity=caller.identity,
            action=word.action,
            vote_id=f"http:{caller.name}:{_vote_id(request, word)}",
            via="http",
            to=word.to,
            note=word.note,
        )
        reply = await self.parts.bus.call(APPROVAL_DECIDE, wanted, timeout_s=DECIDE_S)
        status = STATUS[reply.outcome]
        if status != HTTPStatus.OK:
            raise ApiError(status, reply.outcome.value, reply.message)
        return answer(reply)

    async def _bucket(self) -> Bucket[Approval]:
        bucket = approvals_bucket(self.parts.bus)
        await bucket.ensure()
        return bucket


def routes(parts: Parts) -> list[Route]:
    """The list, one approval, and deciding."""
    handlers = _Approvals(parts)
    return [
        Endpoint(
            ROOT,
            handlers.show_all,
            method="GET",
            scope=Scope.READ,
            summary="What waits for a yes",
            gives=ApprovalList,
            errors={400: "A query parameter is wrong."},
            parameters=QUERY,
        ),
        Endpoint(
            ONE,
            handlers.show,
            method="GET",
            scope=Scope.READ,
            summary="One approval",
            gives=Approval,
            errors={404: "There is no such approval."},
        ),
        Endpoint(
            ONE,
            handlers.decide,
            method="POST",
            scope=Scope.APPROVE,
            summary="Say yes or no, or hand one's right on",
            takes=Word,
            gives=DecideReply,
            errors=NOT_COUNTED,
            parameters=(Parameter(name="Idempotency-Key", about="In place of `vote_id`.", place="header"),),
        ),
    ]


def _query(request: Request) -> tuple[str, int]:
    wanted = request.query_params.get("state", "pending")
    if wanted not in ("pending", "all"):
        raise ApiError(400, "bad_query", "`state`: use pending or all", path="state")
    told = request.query_params.get("limit", str(SHOWN))
    if not (told.isascii() and told.isdigit() and len(told) < 6 and 1 <= int(told) <= SHOWN_MAX):
        raise ApiError(400, "bad_query", f"`limit`: use a number from 1 to {SHOWN_MAX}", path="limit")
    return wanted, int(told)


def _id_in(request: Request) -> str:
    approval_id: str = request.path_params["approval_id"]
    if not is_token(approval_id):
        raise ApiError(404, "unknown", "that is no approval's id: use 1 to 64 characters of A-Z a-z 0-9 _ -")
    return approval_id


def _vote_id(request: Request, word: Word) -> str:
    told = request.headers.get("idempotency-key", "")
    if told and word.vote_id and told != word.vote_id:
        raise ApiError(
            422, "invalid", "`vote_id` and Idempotency-Key differ: send one of them", path="$.vote_id"
        )
    vote_id = told or word.vote_id or new_id()
    if not (vote_id.isascii() and vote_id.isprintable() and len(vote_id) <= VOTE_ID_CHARS_MAX):
        raise ApiError(
            400, "bad_header", f"Idempotency-Key: use up to {VOTE_ID_CHARS_MAX} printable ASCII characters"
        )
    return vote_id
