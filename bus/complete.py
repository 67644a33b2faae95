"""Asking a model, for agents: one call, typed, that falls back to rules and says which of both answered."""

import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import msgspec

from bus.bus import Bus
from bus.errors import BusError, DeadlineError, NoResponderError, RemoteError
from bus.services import LLM_COMPLETE, LLM_STREAM
from schemas.llm import (
    Completion,
    CompletionPiece,
    CompletionReply,
    CompletionRequest,
    Refusal,
    RefusalKind,
    Source,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Generic[T]):
    """An answer of the wanted type.

    Attributes:
        source: `model`, `cache` or `rules`.
        why_rules: why no model answered, in one line; empty when one did.
        completion: what the model said, with its cost; None when rules answered.
        cost_nusd: what was spent, also for calls that gave nothing.
    """

    value: T
    source: Source
    why_rules: str = ""
    completion: Completion | None = None
    cost_nusd: int = 0


class Complete(Protocol):
    """The port that agents take."""

    async def __call__(
        self,
        request: CompletionRequest,
        *,
        into: type[T],
        rules: Callable[[], T],
        deadline_s: float,
        task_id: str = "",
    ) -> Answered[T]:
        """Ask a model; when none may, can or does answer in time, `rules` do.

        Args:
            into: `str` for free text, else a type that msgspec knows: its JSON Schema is asked for.
            rules: computes the answer without a model.
            deadline_s: absolute, seconds since 1970.
        """
        ...


class BusComplete:
    """`Complete` by the routers on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(
        self,
        request: CompletionRequest,
        *,
        into: type[T],
        rules: Callable[[], T],
        deadline_s: float,
        task_id: str = "",
    ) -> Answered[T]:
        if into is not str:
            schema = msgspec.json.schema(into)
            request = msgspec.structs.replace(request, schema=schema)
        reply = await ask(self._bus, request, deadline_s=deadline_s, task_id=task_id)
        completion, refusal = reply.completion, reply.refusal
        if completion is not None:
            if into is str:
                return _answered(cast(T, completion.text), completion)
            try:
                return _answered(msgspec.convert(completion.value, into, strict=False), completion)
            except msgspec.ValidationError as error:
                # The schema can't say everything that a type can (a tagged union's cases, a length).
                refusal = Refusal(
                    kind=RefusalKind.OFF_SCHEMA, message=str(error), cost_nusd=completion.cost_nusd
                )
        assert refusal is not None
        return Answered(
            value=rules(),
            source=Source.RULES,
            why_rules=f"{refusal.kind}: {refusal.message}",
            cost_nusd=refusal.cost_nusd,
        )


def _answered(value: T, completion: Completion) -> Answered[T]:
    return Answered(
        value=value, source=completion.source, completion=completion, cost_nusd=completion.cost_nusd
    )


async def ask(
    bus: Bus, request: CompletionRequest, *, deadline_s: float, task_id: str = ""
) -> CompletionReply:
    """The routers' answer; what goes wrong on the way to them is a refusal as well."""
    try:
        return await bus.call(
            LLM_COMPLETE, request, timeout_s=max(0.0, deadline_s - time.time()), task_id=task_id
        )
    except BusError as error:
        return CompletionReply(refusal=_refusal(error))


async def ask_in_pieces(
    bus: Bus, request: CompletionRequest, *, deadline_s: float, task_id: str = ""
) -> AsyncGenerator[CompletionPiece]:
    """The routers' answer as it comes; the last piece holds the reply. Closing it early stops the model."""
    pieces = bus.stream(LLM_STREAM, request, timeout_s=max(0.0, deadline_s - time.time()), task_id=task_id)
    try:
        async for piece in pieces:
            yield piece
    except BusError as error:
        yield CompletionPiece(reply=CompletionReply(refusal=_refusal(error)))
    finally:
        await pieces.aclose()


def _refusal(error: BusError) -> Refusal:
    match error:
        case NoResponderError():
            text = "no router runs: start one with `labverse up` or `labverse agent router`"
            return Refusal(kind=RefusalKind.NO_MODEL, message=text)
        case DeadlineError():
            return Refusal(kind=RefusalKind.DEADLINE, message="no answer before the deadline")
        case RemoteError(kind="DeadlineError"):
            return Refusal(kind=RefusalKind.DEADLINE, message=str(error))
        case RemoteError(kind="DecodeError"):
            return Refusal(kind=RefusalKind.BAD_REQUEST, message=str(error))
        case _:
            return Refusal(kind=RefusalKind.UPSTREAM, message=str(error))
