"""The services that everybody may ask, with the types of question and answer."""

from typing import Final

from bus.rpc import Service
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

LLM_COMPLETE: Final = Service("llm.complete", CompletionRequest, CompletionReply)
LLM_MODELS: Final = Service("llm.models", ModelsRequest, ModelsReply)
LLM_STREAM: Final = Service("llm.stream", CompletionRequest, CompletionPiece)

COST_RESERVE: Final = Service("cost.reserve", ReserveRequest, ReserveReply)
COST_SETTLE: Final = Service("cost.settle", SettleRequest, SettleReply)
COST_RELEASE: Final = Service("cost.release", ReleaseRequest, Release)
COST_STATE: Final = Service("cost.state", StateRequest, StateReply)

KNOWLEDGE_SEARCH: Final = Service("knowledge.search", KnowledgeSearchRequest, KnowledgeSearchReply)
KNOWLEDGE_ADD: Final = Service("knowledge.add", KnowledgeAddRequest, KnowledgeAddReply)

APPROVAL_DECIDE: Final = Service("approval.decide", DecideRequest, DecideReply)
