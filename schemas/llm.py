"""Model calls: what is asked of the router (`llm.complete`, `llm.stream`) and what it answers.

Money is integer nano-USD (a dollar is 1,000,000,000), rounded up; times are seconds.
"""

import enum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

MESSAGES_MAX: Final = 1_000
TOOLS_MAX: Final = 128
TEXT_CHARS_MAX: Final = 4_000_000
IMAGE_CHARS_MAX: Final = 16_000_000
OUTPUT_TOKENS_MAX: Final = 1_000_000
NUSD_PER_USD: Final = 1_000_000_000
TOKEN_CHARS_MAX: Final = 128

Token = Annotated[str, Meta(max_length=TOKEN_CHARS_MAX)]
"""A short name: of an agent, a tenant, a model."""


class Purpose(enum.StrEnum):
    """What the answer is for; decides the temperature."""

    CRITICAL = "critical"
    DEFAULT = "default"
    CREATIVE = "creative"


class Privacy(enum.StrEnum):
    """Where the prompt may go."""

    LOCAL_ONLY = "local_only"
    ANY = "any"


class Tier(enum.IntEnum):
    """How good a model must at least be; the catalogue gives each model one."""

    SMALL = 1
    MEDIUM = 2
    LARGE = 3


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    text: Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]


class ImagePart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """An image as `data:image/png;base64,…`, or an https address that the provider fetches."""

    url: Annotated[str, Meta(max_length=IMAGE_CHARS_MAX)]


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that the model wants made; `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. `tool_calls` stand on an assistant's turn, `tool_call_id` on a tool's."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Annotated[str, Meta(max_length=TEXT_CHARS_MAX)] | tuple[TextPart | ImagePart, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may ask to have called; `parameters` is a JSON Schema."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    description: str = ""
    parameters: dict[str, Any] = {}


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model call. Its deadline travels with the request, as the bus does for every request.

    Unknown fields are refused: a limit on money that is written wrong must not be dropped in silence.

    Attributes:
        call_id: identity of the call, for money and traces; the router makes one when it is empty.
        schema: JSON Schema that the answer must satisfy; None for free text.
        schema_name: what the schema is called towards the model.
        max_cost_nusd: most that this call may cost, in nano-USD; None leaves the task's and month's limits.
        task_limit_nusd: most that all calls of the task may cost together; the operator's own limit stays.
        max_tokens: most tokens of the answer; None lets the router choose what is usual and affordable.
        temperature: None takes the purpose's.
        model: `provider/model` to use that one alone; empty lets the router choose.
        prefer: `provider/model` to use as long as it can be called, also when it must be waited for; then others.
        cache: whether an answer given within the hour to exactly this may be given again.
        explain: whether the decision comes along with the answer.
    """

    messages: Annotated[tuple[Message, ...], Meta(min_length=1, max_length=MESSAGES_MAX)]
    call_id: Token = ""
    purpose: Purpose = Purpose.DEFAULT
    schema: dict[str, Any] | None = None
    schema_name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "answer"
    tools: Annotated[tuple[Tool, ...], Meta(max_length=TOOLS_MAX)] = ()
    max_cost_nusd: Annotated[int, Meta(ge=0)] | None = None
    task_limit_nusd: Annotated[int, Meta(ge=0)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=OUTPUT_TOKENS_MAX)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    privacy: Privacy = Privacy.ANY
    tier: Tier = Tier.SMALL
    model: Token = ""
    prefer: Token = ""
    agent: Token = ""
    tenant: Token = ""
    cache: bool = True
    explain: bool = False


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the provider bills them; `is_estimated` when it told none and we counted."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    is_estimated: bool = False


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One model in a decision: its estimates, and why it was dropped, if it was.

    Attributes:
        dropped: the reason in words; empty for those that stayed.
        p_in_time: estimated probability that the answer comes within the latency limit; -1 when nothing is known.
        latency_p50_s: estimated time to the whole answer; 0 when nothing is known yet.
    """

    model: str
    is_local: bool
    dropped: str = ""
    estimate_nusd: int = 0
    reserve_nusd: int = 0
    p_in_time: float = 0.0
    latency_p50_s: float = 0.0
    input_tokens: int = 0
    max_tokens: int = 0
    rank: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request that went to a provider, and what came of it."""

    model: str
    outcome: str
    started_s: float = 0.0
    latency_s: float = 0.0
    cost_nusd: int = 0
    is_hedge: bool = False
    detail: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why it was routed as it was: estimates beside what happened."""

    candidates: tuple[Candidate, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    deadline_left_s: float = 0.0
    budget_left_nusd: int | None = None
    decision_s: float = 0.0
    notes: tuple[str, ...] = ()


class Source(enum.StrEnum):
    """Where an answer came from; `rules` only ever stands where an agent fell back to its own."""

    MODEL = "model"
    CACHE = "cache"
    RULES = "rules"


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """An answer.

    Attributes:
        value: the decoded answer when a schema was asked for (it satisfies the schema), else None.
        model: `provider/model` that answered; `response_model` is the name that the provider gave.
        is_local: whether no prompt left this machine's network.
        finish_reason: `stop`, `length` (cut at max_tokens), `tool_calls`, or `content_filter`.
        cost_nusd: everything that was spent for it, failed and hedged attempts included.
        time_to_first_s: time to the first token of the answer; 0 when it did not come in pieces.
        fallback: whether a better ranked model failed first.
    """

    text: str = ""
    value: Any = None
    tool_calls: tuple[ToolCall, ...] = ()
    source: Source = Source.MODEL
    provider: str = ""
    model: str = ""
    response_model: str = ""
    is_local: bool = False
    finish_reason: str = "stop"
    usage: Usage = Usage()
    cost_nusd: int = 0
    latency_s: float = 0.0
    time_to_first_s: float = 0.0
    attempts: int = 1
    fallback: bool = False
    call_id: str = ""


class RefusalKind(enum.StrEnum):
    """Why there is no answer."""

    NO_MODEL = "NoModelAvailable"
    BUDGET = "BudgetExhausted"
    DEADLINE = "DeadlineExceeded"
    BAD_REQUEST = "BadRequest"
    REFUSED = "ModelRefused"
    OFF_SCHEMA = "OffSchema"
    STREAM_CUT = "StreamCut"
    UPSTREAM = "UpstreamFailed"


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """A limit on money at one moment, in nano-USD.

    Attributes:
        limit: which one, in words: `month 2026-11`, `tenant acme`, `task 01k…`, `call`.
        stop_nusd: where spending stops: the limit, or 90 % of it.
        resets_at: RFC 3339; empty when it never does.
    """

    limit: str
    limit_nusd: int
    stop_nusd: int
    spent_nusd: int
    reserved_nusd: int
    resets_at: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """No answer, and why, in one line that says what to do; `cost_nusd` was spent all the same."""

    kind: RefusalKind
    message: str
    budget: BudgetState | None = None
    cost_nusd: int = 0
    call_id: str = ""


class CompletionReply(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `llm.complete`: exactly one of completion and refusal."""

    completion: Completion | None = None
    refusal: Refusal | None = None
    explanation: Explanation | None = None


class ModelsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models can be called, by a request that asks for this privacy and tier without naming a model?"""

    privacy: Privacy = Privacy.ANY
    tier: Tier = Tier.SMALL


class ModelOffered(msgspec.Struct, frozen=True, kw_only=True):
    """A model as a router would call it now.

    Attributes:
        input_nusd, output_nusd: price of a million tokens, for a request of usual size; 0 for free ones.
        concurrency: requests at once that its provider takes.
        answer_s: median time of late to a whole answer of about a thousand tokens; 0 when nothing is known.
    """

    model: str
    is_local: bool
    tier: Tier
    context_tokens: int
    output_tokens_max: int
    input_nusd: int = 0
    output_nusd: int = 0
    per_request_nusd: int = 0
    concurrency: int = 1
    answer_s: float = 0.0


class ModelsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The models in the operator's order, and the most that the operator lets a task cost; None for no limit."""

    models: tuple[ModelOffered, ...] = ()
    task_limit_nusd: int | None = None


class CompletionPiece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the answer of `llm.stream`: text as it comes, and `reply` with the last one.

    The reply's text is the whole answer again; after a stream that was cut, what came stands in the pieces and
    the reply is a refusal of kind StreamCut.
    """

    text: str = ""
    reply: CompletionReply | None = None
