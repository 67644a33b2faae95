"""Which models are offered at which price, from the file, the keys at hand and the price table."""

import datetime
import re
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.router.offers import FREE, RANK_UNLISTED, Capability, Offer, Price, PriceTier
from config.errors import ConfigError
from config.providers import Providers, load_providers
from orchestrator.local.discovery import FoundModel
from orchestrator.offers import (
    FOUND_MODELS_MAX,
    RANK_FOUND,
    OfferBook,
    build_offers,
    check,
    found_offers,
    tier_of,
)
from orchestrator.prices import price_of
from schemas.llm import Tier

NOW = datetime.datetime(2026, 11, 21, 20, 0, tzinfo=datetime.UTC)
KEY = "sk-hunter2-hunter2-hunter2"
VARIABLES = [
    f"{name}_API_KEY"
    for name in ("DASHSCOPE", "OPENAI", "ANTHROPIC", "MOONSHOT", "GEMINI", "XAI", "MISTRAL", "DEEPSEEK")
]
ALL_KEYS = dict.fromkeys(VARIABLES, KEY)


@pytest.fixture(scope="module")
def shipped() -> Providers:
    return load_providers(None)


def found(*names: str) -> tuple[FoundModel, ...]:
    return tuple(FoundModel(name=name) for name in names)


def load_text(folder: Path, text: str) -> Providers:
    path = folder / "ai_providers.yaml"
    path.write_text(text)
    return load_providers(path)


def offer(book: OfferBook, name: str) -> Offer:
    return next(one for one in book.offers if one.name == name)


class TestOffers:
    def test_listed_models_come_first_in_their_order_whether_they_have_a_key_or_not(
        self, shipped: Providers
    ) -> None:
        listed = [
            ("dashscope/qwen-turbo", 0, False),
            ("openai/gpt-4o-mini", 1, True),
            ("anthropic/claude-3-sonnet-20240229", 2, False),
            ("moonshot/moonshot-v1-8k", 3, False),
            ("ollama/mixtral:8x7b-instruct", 4, True),
            ("ollama/qwen2:7b", 5, True),
        ]
        book = build_offers(shipped, {"OPENAI_API_KEY": KEY, "XAI_API_KEY": " "}, now=NOW)
        assert [(one.name, one.rank, one.has_key) for one in book.offers[:6]] == listed
        assert {(one.provider, one.rank) for one in book.offers[6:]} == {("openai", RANK_UNLISTED)}
        assert [(one.model, "set DASHSCOPE_API_KEY" in one.text, one.is_fatal) for one in book.problems] == [
            ("dashscope/qwen-turbo", True, False),
            ("anthropic/claude-3-sonnet-20240229", False, False),
            ("moonshot/moonshot-v1-8k", False, False),
        ]

    def test_without_any_key_the_listed_ones_alone_are_there_and_that_is_no_error(
        self, shipped: Providers
    ) -> None:
        book = build_offers(shipped, {}, now=NOW)
        assert [one.rank for one in book.offers] == [0, 1, 2, 3, 4, 5]
        assert {one.provider for one in book.offers if one.has_key} == {"ollama"}
        check(book)

    def test_every_model_of_the_catalogue_has_a_known_price(self, shipped: Providers) -> None:
        book = build_offers(shipped, ALL_KEYS, now=NOW)
        assert {one.provider for one in book.offers} == {*shipped.rows} - {"vllm", "llamacpp"}
        assert [one.name for one in book.offers if one.price is None] == []
        assert [one.name for one in book.offers if one.price is not None and one.price.is_free] == [
            "ollama/mixtral:8x7b-instruct",
            "ollama/qwen2:7b",
        ]
        assert book.problems == ()
        check(book)

    def test_an_offer_says_what_its_rows_say(self, tmp_path: Path) -> None:
        text = """
providers:
  mine:
    base_url: http://10.0.0.5:9000/v1
    local: true
    concurrency_max: 3
    max_tokens_field: max_completion_tokens
    capabilities: {json_schema: true, tools: true}
    models:
      - {name: my-model, tier: 3, context_tokens: 2000, output_tokens_max: 9000, capabilities: {tools: false}}
"""
        book = build_offers(load_text(tmp_path, text), {}, now=NOW)
        assert offer(book, "mine/my-model") == Offer(
            provider="mine",
            model="my-model",
            tier=Tier.LARGE,
            is_local=True,
            price=FREE,
            context_tokens=2000,
            output_tokens_max=2000,
            can={Capability.JSON_SCHEMA: True, Capability.TOOLS: False},
            rank=RANK_UNLISTED,
            concurrency_max=3,
            concurrency_start=3,
            max_tokens_field="max_completion_tokens",
        )
        endpoint = book.endpoints["mine"]
        assert (endpoint.base_url, endpoint.is_local, bool(endpoint.key)) == (
            "http://10.0.0.5:9000/v1",
            True,
            False,
        )
        assert "mine" in book.local_providers()

    def test_local_models_are_free_unless_the_file_prices_them(self, tmp_path: Path) -> None:
        text = "providers: {mine: {base_url: http://h/v1, local: true, models: [{name: a, price: {input: 0.1, output: 0.2}}]}}"
        price = offer(build_offers(load_text(tmp_path, text), {}), "mine/a").price
        assert price is not None
        assert price.tiers == (PriceTier(input_nusd=100_000_000, output_nusd=200_000_000),)
        assert price.source == f"{tmp_path}/ai_providers.yaml line 1"

    def test_a_price_in_the_file_wins_over_the_table(self, tmp_path: Path) -> None:
        text = """
primary: openai-gpt-4o-mini
providers:
  openai:
    models:
      - name: gpt-4o-mini
        price:
          {input: 1, output: 2, cached_input: 0.0000000001, per_request: 0.001, source: our contract, date: "2026-11-01",
           tiers: [{from_input_tokens: 100, input: 3, output: 4}]}
"""
        book = build_offers(load_text(tmp_path, text), {}, now=NOW)
        assert offer(book, "openai/gpt-4o-mini").price == Price(
            tiers=(
                PriceTier(input_nusd=1_000_000_000, output_nusd=2_000_000_000, cached_input_nusd=1),
                PriceTier(input_nusd=3_000_000_000, output_nusd=4_000_000_000, from_input_tokens=100),
            ),
            per_request_nusd=1_000_000,
            source="our contract",
            date="2026-11-01",
        )

    def test_an_address_of_the_operators_own_is_priced_by_the_table_when_that_knows_it(
        self, tmp_path: Path
    ) -> None:
        text = (
            "primary: fast-llama-3.3-70b-versatile\n"
            "providers: {fast: {base_url: https://api.groq.com/openai/v1, key_variable: FAST_KEY, "
            "models: [{name: llama-3.3-70b-versatile}]}}"
        )
        book = build_offers(load_text(tmp_path, text), {"FAST_KEY": KEY}, now=NOW)
        price = offer(book, "fast/llama-3.3-70b-versatile").price
        assert price is not None
        assert price.tiers[0].input_nusd == 590_000_000


class TestProblems:
    @pytest.mark.parametrize("entry", ["primary: x-big", "primary: openai-gpt-4o-mini\nfallbacks: [x-big]"])
    def test_a_paid_model_without_a_price_that_the_file_names_stops_the_start(
        self, tmp_path: Path, entry: str
    ) -> None:
        providers = load_text(
            tmp_path,
            f"{entry}\nproviders: {{x: {{base_url: https://llm.example.com/v1, models: [{{name: big}}]}}}}",
        )
        book = build_offers(providers, {}, now=NOW)
        assert offer(book, "x/big").price is None
        line = 1 if entry.startswith("primary: x") else 2
        with pytest.raises(ConfigError) as caught:
            check(book)
        assert str(caught.value).startswith(
            f"the price of `x-big` ({tmp_path}/ai_providers.yaml line {line}) is unknown, so it is never called: add "
        )
        [advice] = re.findall(r"`(providers: .*)` in US", str(caught.value))
        cured = load_text(
            tmp_path, f"{entry}\n" + advice.replace("…", "1").replace("x: {", "x: {base_url: https://h, ")
        )
        check(build_offers(cured, {}, now=NOW))

    def test_one_that_is_not_named_is_no_problem_and_never_free(self, tmp_path: Path) -> None:
        book = build_offers(
            load_text(
                tmp_path, "providers: {x: {base_url: https://llm.example.com/v1, models: [{name: big}]}}"
            ),
            {},
        )
        assert offer(book, "x/big").price is None
        check(book)


class TestKeys:
    def test_no_key_is_in_any_repr_or_text(self, shipped: Providers) -> None:
        book = build_offers(shipped, ALL_KEYS, now=NOW)
        assert "hunter2" not in repr(book) + str(book)
        assert book.endpoints["openai"].key.reveal() == KEY

    @pytest.mark.parametrize("key", ["", " \n", "sk-a\nb", "clé", "k" * 10_000])
    def test_what_no_header_can_hold_is_no_key(self, shipped: Providers, key: str) -> None:
        book = build_offers(shipped, {"OPENAI_API_KEY": key}, now=NOW)
        assert not offer(book, "openai/gpt-4o-mini").has_key
        assert not book.endpoints["openai"].key
        [problem] = [one for one in book.problems if one.model == "openai/gpt-4o-mini"]
        assert problem.text.endswith("has no usable key: set OPENAI_API_KEY")

    def test_white_space_around_a_key_is_dropped(self, shipped: Providers) -> None:
        book = build_offers(shipped, {"OPENAI_API_KEY": f" {KEY}\r\n"}, now=NOW)
        assert book.endpoints["openai"].key.reveal() == KEY


class TestFound:
    def test_what_a_local_server_has_is_offered_after_the_listed_ones(self, shipped: Providers) -> None:
        book = build_offers(shipped, {}, now=NOW)
        after = found_offers(
            shipped, book, "ollama", found("qwen2:7b", "qwen3:8b", "my:1b", "my:1b", "nomic-embed-text")
        )
        new = after.offers[len(book.offers) :]
        assert [(one.name, one.rank, one.price, one.tier) for one in new] == [
            ("ollama/qwen3:8b", RANK_FOUND, FREE, Tier.MEDIUM),
            ("ollama/my:1b", RANK_FOUND, FREE, Tier.SMALL),
        ]
        assert after.offers[: len(book.offers)] == book.offers
        assert found_offers(shipped, after, "ollama", found("my:1b")) == after

    @pytest.mark.parametrize(
        ("name", "tier"),
        [
            ("my-model", 2),
            ("SmolLM2-135M-Instruct", 1),
            ("qwen3:0.6b", 1),
            ("llama3.1:8b", 2),
            ("mixtral:8x7b", 3),
            ("meta-llama/Llama-3.3-70B-Instruct", 3),
            ("gemma-2-27b-it", 2),
            ("v3.2", 2),
        ],
    )
    def test_a_model_that_nobody_described_is_as_good_as_its_name_says(self, name: str, tier: int) -> None:
        assert tier_of(name) == tier

    def test_a_server_tells_how_much_fits(self, shipped: Providers) -> None:
        model = FoundModel(name="mine", context_tokens=2_048)
        offer = found_offers(shipped, build_offers(shipped, {}, now=NOW), "vllm", [model]).offers[-1]
        assert (offer.context_tokens, offer.output_tokens_max) == (2_048, 2_048)

    def test_no_more_than_a_limit_are_taken_from_one_server(self, shipped: Providers) -> None:
        book = build_offers(shipped, {}, now=NOW)
        after = found_offers(shipped, book, "vllm", found(*(f"m{number}" for number in range(10_000))))
        assert len(after.offers) - len(book.offers) == FOUND_MODELS_MAX

    def test_a_cloud_provider_is_not_asked(self, shipped: Providers) -> None:
        with pytest.raises(ValueError, match="openai is no local provider"):
            found_offers(shipped, build_offers(shipped, {}, now=NOW), "openai", found("x"))


class TestPrices:
    def test_the_table_is_read_exactly(self) -> None:
        price = price_of("openai", "gpt-4o-mini", now=NOW)
        assert price == Price(
            tiers=(PriceTier(input_nusd=150_000_000, output_nusd=600_000_000, cached_input_nusd=75_000_000),),
            source=price.source if price else "",
            date="2026-11-21",
        )
        assert re.fullmatch(r"genai-prices \d+\.\d+\.\d+", price.source)

    def test_what_it_does_not_know_is_none_and_never_free(self) -> None:
        assert price_of("openai", "no-such-model-x", now=NOW) is None
        assert price_of("nobody", "gpt-4o-mini", now=NOW) is None
        assert (
            price_of("", "qwen-turbo", base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1")
            is None
        )
        assert price_of("openai", "whisper-1", now=NOW) is None
        assert price_of("openai", "text-embedding-3-small", now=NOW) is None

    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            ("anthropic", "claude-sonnet-4-5"),
            ("google", "gemini-2.5-pro"),
            ("x-ai", "grok-4.3"),
            ("openai", "gpt-4.1"),
        ],
    )
    @settings(max_examples=40, deadline=None)
    @given(
        input_tokens=st.integers(0, 400_000) | st.sampled_from([127_999, 128_000, 199_999, 200_000, 200_001]),
        output_tokens=st.integers(0, 100_000),
        cached=st.integers(0, 400_000),
    )
    def test_every_request_costs_what_the_tables_own_sum_says(
        self, provider: str, model: str, input_tokens: int, output_tokens: int, cached: int
    ) -> None:
        from genai_prices import Usage, calc_price

        cached = min(cached, input_tokens)
        price = price_of(provider, model, now=NOW)
        assert price is not None
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cached)
        theirs = calc_price(usage, model, provider_id=provider, genai_request_timestamp=NOW).total_price
        expected = int((Decimal(theirs) * 10**9).to_integral_value(ROUND_CEILING))
        assert price.cost_nusd(input_tokens, output_tokens, cached) == expected

    def test_of_prices_by_time_of_day_the_dearest_counts_at_any_hour(self) -> None:
        prices = [price_of("deepseek", "deepseek-v4-flash", now=NOW.replace(hour=hour)) for hour in range(24)]
        assert {price.tiers[0].input_nusd for price in prices if price} == {300_000_000}
        assert {price.tiers[0].output_nusd for price in prices if price} == {1_200_000_000}

    def test_writing_the_cache_counts_where_the_provider_does_it_by_itself(self) -> None:
        ours = price_of("openai", "gpt-6-luna", now=NOW)
        theirs = price_of("anthropic", "claude-haiku-4-5", now=NOW)
        assert ours is not None
        assert theirs is not None
        assert [tier.input_nusd for tier in ours.tiers] == [125_000_000, 250_000_000]
        assert theirs.tiers[0].input_nusd == 1_000_000_000

    def test_qwen_bills_the_whole_request_at_the_tier_of_its_input(self, shipped: Providers) -> None:
        price = offer(build_offers(shipped, ALL_KEYS, now=NOW), "dashscope/qwen3-max").price
        assert price is not None
        assert price.cost_nusd(32_000, 1_000) == 32_000 * 1_200 + 1_000 * 6_000
        assert price.cost_nusd(32_001, 1_000) == 32_001 * 2_400 + 1_000 * 12_000
        assert price.cost_nusd(200_000, 0) == 200_000 * 3_000

    def test_no_model_of_the_table_breaks_the_reading(self) -> None:
        from genai_prices.data import providers

        for provider in providers:
            if provider.id in (
                "openai",
                "anthropic",
                "google",
                "x-ai",
                "mistral",
                "deepseek",
                "moonshotai",
                "perplexity",
            ):
                for model in provider.models:
                    price = price_of(provider.id, model.id, now=NOW)
                    if price is not None:
                        starts = [tier.from_input_tokens for tier in price.tiers]
                        assert starts == sorted(set(starts))
                        assert starts[0] == 0
                        assert price.cost_nusd(1_000, 1_000) >= 0
