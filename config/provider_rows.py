"""What may stand in a providers file: names, types, ranges, defaults and units.

Amounts are `Dollars`, exact decimals as they were written; `nusd` makes them whole nano-USD where they are used.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

NUSD_PER_USD: Final = 1_000_000_000
DOLLARS_MAX: Final = 10_000_000
TOKENS_MAX: Final = 100_000_000
NAME_CHARS_MAX: Final = 128
TEXT_CHARS_MAX: Final = 1024
PROVIDERS_MAX: Final = 128
MODELS_MAX: Final = 1_000
ENTRIES_MAX: Final = 64
TIERS_MAX: Final = 16
TENANTS_MAX: Final = 10_000

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX, pattern=NAME_PATTERN)]
"""Of a model: letters, digits and `._:/@+-`."""
Text = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]
Tokens = Annotated[int, Meta(ge=1, le=TOKENS_MAX)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Percent = Annotated[int, Meta(ge=1, le=100)]


class Dollars(Decimal):
    """An exact amount of US dollars, from 0 to ten million."""

    @property
    def nusd(self) -> int:
        """In nano-USD, rounded up: for prices."""
        return int((self * NUSD_PER_USD).to_integral_value(ROUND_CEILING))

    @property
    def limit_nusd(self) -> int:
        """In nano-USD, rounded down: for limits."""
        return int((self * NUSD_PER_USD).to_integral_value(ROUND_FLOOR))


def decode_dollars(kind: type, raw: Any) -> Any:
    """`dec_hook` for msgspec.

    Raises:
        ValueError: no amount, or out of range.
    """
    is_amount = kind is Dollars and isinstance(raw, int | Decimal) and not isinstance(raw, bool)
    if is_amount and 0 <= raw <= DOLLARS_MAX:
        return Dollars(raw)
    raise ValueError(f"Expected dollars from 0 to {DOLLARS_MAX:,}")


class PriceTierRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dollars per million tokens, for whole requests of at least `from_input_tokens` input tokens."""

    from_input_tokens: Tokens
    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None


class PriceRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dollars per million tokens; `tiers` price the whole request from a size of its input on.

    Attributes:
        cached_input: for input that the provider had in its cache; None: as `input`.
        per_request: dollars for every request, whatever its size.
        source, date: where and when (YYYY-MM-DD) it was read, for people.
    """

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    per_request: Dollars = Dollars(0)
    tiers: Annotated[tuple[PriceTierRow, ...], Meta(max_length=TIERS_MAX)] = ()
    source: Text = ""
    date: Text = ""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model can; None: nobody knows, the first use tells."""

    json_schema: bool | None = None
    json_object: bool | None = None
    tools: bool | None = None
    vision: bool | None = None
    stream_usage: bool | None = None
    temperature: bool | None = None


class ModelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model at a provider.

    Attributes:
        name: what the provider knows it by.
        aliases: what else people call it.
        context_tokens: input and output together.
        tier: how good: 1 small, 2 medium, 3 large; 0 as the name tells.
    """

    name: Name
    aliases: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    context_tokens: Tokens = 8_192
    output_tokens_max: Tokens = 4_096
    tier: Annotated[int, Meta(ge=0, le=3)] = 0
    capabilities: Capabilities = Capabilities()
    price: PriceRow | None = None


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that speaks the OpenAI protocol.

    Attributes:
        base_url: up to and with `/v1`.
        key_variable: the environment variable that holds the key; empty: none is needed.
        local: prompts stay on this machine or network, and answers are free unless priced.
        concurrency_max: requests at once; 0 when nobody knows, then it is found out carefully.
        max_tokens_field: what the limit on output tokens is called here.
        capabilities: of all its models, where a model doesn't say otherwise.
        prices_as: the provider's name in the price table; empty: found by `base_url`.
    """

    base_url: Text = ""
    key_variable: Annotated[str, Meta(max_length=NAME_CHARS_MAX, pattern=r"^([A-Z_][A-Z0-9_]*)?$")] = ""
    local: bool = False
    concurrency_max: Annotated[int, Meta(ge=0, le=10_000)] = 0
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    capabilities: Capabilities = Capabilities()
    prices_as: Annotated[str, Meta(max_length=NAME_CHARS_MAX)] = ""
    models: Annotated[tuple[ModelRow, ...], Meta(max_length=MODELS_MAX)] = ()


class Temperatures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By what the answer is for."""

    critical: Temperature = 0.3
    default: Temperature = 0.6
    creative: Temperature = 0.9


class Routing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model is chosen.

    Attributes:
        max_latency_ms: milliseconds within which an answer is wanted.
        max_cost_usd_per_task: dollars that one task may cost.
    """

    max_latency_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 1_200
    max_cost_usd_per_task: Dollars = Dollars("0.02")
    temperature: Temperatures = Temperatures()


class CostControl(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on money.

    Attributes:
        hard_stop_at_90_percent: no more paid calls once 90 % of a limit is spent or held.
        alert_slack_channel: where alerts go.
        auto_fallback_to_local: free local models answer when the money is near its end.
        tenants: dollars a month for each tenant.
        alert_percents: shares of the month's budget at which an alert is sent, in percent.
    """

    monthly_ai_budget_usd: Dollars = Dollars(500)
    hard_stop_at_90_percent: bool = True
    alert_slack_channel: Annotated[str, Meta(max_length=NAME_CHARS_MAX)] = ""
    per_task_usd_limit: Dollars = Dollars("0.02")
    auto_fallback_to_local: bool = True
    tenants: Annotated[dict[str, Dollars], Meta(max_length=TENANTS_MAX)] = {}
    alert_percents: Annotated[tuple[Percent, ...], Meta(max_length=16)] = (50, 75, 90)


class ProvidersFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file.

    Attributes:
        primary, fallbacks: models in the order of preference, such as `openai-gpt-4o-mini`.
        edge_local: models on local servers, each `{provider: model}`.
        providers: rows that are added to the catalogue, or fields that override a row of it.
    """

    primary: Annotated[str, Meta(max_length=2 * NAME_CHARS_MAX)] = ""
    fallbacks: Annotated[
        tuple[Annotated[str, Meta(max_length=2 * NAME_CHARS_MAX)], ...], Meta(max_length=ENTRIES_MAX)
    ] = ()
    edge_local: Annotated[tuple[dict[str, Name], ...], Meta(max_length=ENTRIES_MAX)] = ()
    routing: Routing = Routing()
    cost_control: CostControl = CostControl()
    providers: Annotated[dict[str, ProviderRow], Meta(max_length=PROVIDERS_MAX)] = {}
