"""The services that answer requests: who may be asked what, and which types go there and back."""

from typing import Final, NamedTuple

import msgspec

from schemas.approval import DecideReply, DecideRequest
from schemas.cost import (
    Release,
    ReleaseRequest,
    ReserveReply,
    ReserveRequest,
    SettleReply,
    SettleRequest,
    StateReply,
    StateRequest,
)
from schemas.knowledge import (
    KnowledgeAddReply,
    KnowledgeAddRequest,
    KnowledgeSearchReply,
    KnowledgeSearchRequest,
)
from schemas.llm import CompletionPiece, CompletionReply, CompletionRequest, ModelsReply, ModelsRequest

SERVICE_ROOT: Final = "rpc"


class ServiceType(NamedTuple):
    """A service; `in_pieces` when its answer comes as several messages."""

    name: str
    request: type[msgspec.Struct]
    reply: type[msgspec.Struct]
    about: str
    in_pieces: bool = False

    @property
    def subject(self) -> str:
        return f"{SERVICE_ROOT}.{self.name}"


SERVICES: Final = (
    ServiceType("llm.complete", CompletionRequest, CompletionReply, "Ask a model, routed under limits."),
    ServiceType(
        "llm.stream",
        CompletionRequest,
        CompletionPiece,
        "Ask a model, with the answer as it comes.",
        in_pieces=True,
    ),
    ServiceType("llm.models", ModelsRequest, ModelsReply, "The models that can be called now."),
    ServiceType("cost.reserve", ReserveRequest, ReserveReply, "Hold money before it is spent."),
    ServiceType("cost.settle", SettleRequest, SettleReply, "Book what calls cost, once each."),
    ServiceType("cost.release", ReleaseRequest, Release, "Give held money back."),
    ServiceType("cost.state", StateRequest, StateReply, "What is spent and held of each limit."),
    ServiceType(
        "knowledge.search", KnowledgeSearchRequest, KnowledgeSearchReply, "Passages about a question."
    ),
    ServiceType("approval.decide", DecideRequest, DecideReply, "Approve, veto, or hand the right to on."),
    ServiceType("knowledge.add", KnowledgeAddRequest, KnowledgeAddReply, "Add or replace a document."),
)
