"""The providers file: what it may say, what it adds to the catalogue, and what is said of one that can't be used."""

import re
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.load import load
from config.providers import (
    CATALOGUE_FILE,
    SHIPPED_FILE,
    Capabilities,
    CostControl,
    Dollars,
    Listed,
    Providers,
    Routing,
    Temperatures,
    find_providers_file,
    load_providers,
    names,
    resolve,
)
from config.settings import LlmSettings

AS_PEOPLE_WRITE_IT = """\
primary: dashscope-qwen-turbo
fallbacks: [openai-gpt-4o-mini, anthropic-claude-3-sonnet, moonshot-v1-8k]
edge_local: [{ollama: mixtral:8x7b-instruct}, {ollama: qwen2:7b}]
routing: {max_latency_ms: 1200, max_cost_usd_per_task: 0.02, temperature: {critical: 0.3, default: 0.6, creative: 0.9}}
cost_control: {monthly_ai_budget_usd: 500, hard_stop_at_90_percent: true, alert_slack_channel: "#cost-alerts", per_task_usd_limit: 0.02, auto_fallback_to_local: true}
"""

ORDER = [
    ("dashscope", "qwen-turbo", "primary"),
    ("openai", "gpt-4o-mini", "fallback"),
    ("anthropic", "claude-3-sonnet-20240229", "fallback"),
    ("moonshot", "moonshot-v1-8k", "fallback"),
    ("ollama", "mixtral:8x7b-instruct", "edge_local"),
    ("ollama", "qwen2:7b", "edge_local"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ai_providers.yaml"


def load_text(path: Path, text: str) -> Providers:
    path.write_text(text, encoding="utf-8")
    return load_providers(path)


def error_of(path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(path, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def order(providers: Providers) -> list[tuple[str, str, str]]:
    return [(one.provider, one.model, one.role) for one in providers.listed]


class TestWhatIsWritten:
    def test_a_file_of_the_five_sections_loads_as_it_is(self, path: Path) -> None:
        providers = load_text(path, AS_PEOPLE_WRITE_IT)
        assert order(providers) == ORDER
        assert providers.routing == Routing(
            max_latency_ms=1200,
            max_cost_usd_per_task=Dollars("0.02"),
            temperature=Temperatures(critical=0.3, default=0.6, creative=0.9),
        )
        assert providers.cost_control == CostControl(
            monthly_ai_budget_usd=Dollars(500),
            hard_stop_at_90_percent=True,
            alert_slack_channel="#cost-alerts",
            per_task_usd_limit=Dollars("0.02"),
            auto_fallback_to_local=True,
        )
        assert providers.cost_control.alert_percents == (50, 75, 90)
        assert providers.task_limit_nusd == 20_000_000

    def test_the_file_that_ships_says_the_same(self, path: Path) -> None:
        shipped = load_providers(None)
        assert shipped.file == SHIPPED_FILE
        assert order(shipped) == ORDER
        written = load_text(path, AS_PEOPLE_WRITE_IT)
        assert (shipped.routing, shipped.cost_control) == (written.routing, written.cost_control)

    def test_its_examples_can_be_used_by_removing_the_comment_sign(self, path: Path) -> None:
        text = re.sub(r"^( *)#(?! \S)", r"\1", SHIPPED_FILE.read_text(), flags=re.MULTILINE)
        assert "\nproviders:\n" in text
        providers = load_text(path, text)
        assert providers.cost_control.tenants == {"acme": Dollars(50), "initech": Dollars("12.50")}
        assert providers.rows["mine"].models[0].tier == 2
        price = providers.rows["paid"].models[0].price
        assert price is not None
        assert (price.input.nusd, price.output.nusd) == (1_100_000_000, 4_400_000_000)

    def test_an_empty_file_prefers_nothing_and_has_the_defaults(self, path: Path) -> None:
        for text in ("", "# nothing\n", "providers:\nrouting:\n"):
            providers = load_text(path, text)
            assert providers.listed == ()
            assert providers.routing == Routing()
            assert set(providers.rows) == set(load_providers(None).rows)

    def test_a_model_that_stands_twice_keeps_its_first_place(self, path: Path) -> None:
        text = "primary: openai-gpt-4o-mini\nfallbacks: [mistral/mistral-small-latest, openai/gpt-4o-mini]\n"
        assert order(load_text(path, text)) == [
            ("openai", "gpt-4o-mini", "primary"),
            ("mistral", "mistral-small-latest", "fallback"),
        ]

    def test_a_listed_model_knows_its_line(self, path: Path) -> None:
        providers = load_text(path, "# head\nprimary: openai-gpt-4o-mini\nfallbacks:\n  - moonshot-v1-8k\n")
        assert providers.listed[1] == Listed(
            provider="moonshot",
            model="moonshot-v1-8k",
            role="fallback",
            entry="moonshot-v1-8k",
            where=f"{path} line 4",
        )

    def test_the_smaller_one_of_the_two_limits_of_a_task_counts(self, path: Path) -> None:
        assert load_text(path, "cost_control: {per_task_usd_limit: 0.005}").task_limit_nusd == 5_000_000
        assert load_text(path, "routing: {max_cost_usd_per_task: 0}").task_limit_nusd == 0

    @pytest.mark.parametrize(
        ("text", "up", "down"),
        [
            ("0.02", 20_000_000, 20_000_000),
            ("0.1", 100_000_000, 100_000_000),
            ("500", 500_000_000_000, 500_000_000_000),
            ("1e-3", 1_000_000, 1_000_000),
            (".5", 500_000_000, 500_000_000),
            ("0.0000000001", 1, 0),
            ("1.0000000001", 1_000_000_001, 1_000_000_000),
        ],
    )
    def test_dollars_are_exact_prices_round_up_and_limits_down(
        self, path: Path, text: str, up: int, down: int
    ) -> None:
        amount = load_text(
            path, f"cost_control: {{monthly_ai_budget_usd: {text}}}"
        ).cost_control.monthly_ai_budget_usd
        assert (amount.nusd, amount.limit_nusd) == (up, down)


class TestNames:
    @pytest.mark.parametrize(
        ("entry", "found"),
        [
            ("dashscope-qwen-turbo", ("dashscope", "qwen-turbo")),
            ("dashscope/qwen-turbo", ("dashscope", "qwen-turbo")),
            ("anthropic-claude-3-sonnet", ("anthropic", "claude-3-sonnet-20240229")),
            ("moonshot-v1-8k", ("moonshot", "moonshot-v1-8k")),
            ("moonshot-moonshot-v1-8k", ("moonshot", "moonshot-v1-8k")),
            ("mistral-small-latest", ("mistral", "mistral-small-latest")),
            ("ollama-mixtral:8x7b-instruct", ("ollama", "mixtral:8x7b-instruct")),
            ("ollama/any:7b", ("ollama", "any:7b")),
            ("vllm/Qwen/Qwen3-8B", ("vllm", "Qwen/Qwen3-8B")),
            ("openai/gpt-9-none", None),
            ("gpt-4o-mini", None),
            ("openai", None),
            ("ollama/", None),
            ("ollama", None),
            ("ollama-\x1b[31m", None),
            ("", None),
        ],
    )
    def test_an_entry_is_a_provider_with_a_model_or_alias(
        self, entry: str, found: tuple[str, str] | None
    ) -> None:
        assert resolve(entry, load_providers(None).rows) == found

    def test_every_model_of_the_catalogue_can_be_written_both_ways(self) -> None:
        rows = load_providers(None).rows
        assert all(resolve(name, rows) for name in names(rows))
        for provider, row in rows.items():
            for model in row.models:
                for name in (model.name, *model.aliases):
                    assert resolve(f"{provider}/{name}", rows) == (provider, model.name)

    def test_the_longest_provider_name_that_fits_is_meant(self, path: Path) -> None:
        text = "primary: my-lab-a\nproviders:\n" + "".join(
            f"  {name}: {{base_url: http://h, models: [{{name: {model}}}]}}\n"
            for name, model in (("my", "lab-a"), ("my-lab", "a"))
        )
        assert order(load_text(path, text)) == [("my-lab", "a", "primary")]


class TestRows:
    def test_a_row_of_your_own_needs_no_more_than_an_address(self, path: Path) -> None:
        text = "primary: mine-my-model\nproviders: {mine: {base_url: 'http://10.0.0.5:9000/v1/', local: true, models: [{name: my-model}]}}"
        providers = load_text(path, text)
        assert providers.rows["mine"].base_url == "http://10.0.0.5:9000/v1"
        assert providers.where["mine"] == f"{path} line 2"
        assert providers.own_models == {("mine", "my-model")}
        assert order(providers) == [("mine", "my-model", "primary")]

    def test_fields_that_are_not_named_keep_what_the_catalogue_says(self, path: Path) -> None:
        text = """
providers:
  openai:
    base_url: http://127.0.0.1:9/v1
    models:
      - {name: gpt-4o-mini, tier: 3}
      - {name: gpt-new, context_tokens: 1000}
"""
        before, after = load_providers(None).rows["openai"], load_text(path, text).rows["openai"]
        assert after.base_url == "http://127.0.0.1:9/v1"
        assert (after.key_variable, after.max_tokens_field) == (before.key_variable, "max_completion_tokens")
        changed, known = after.models[0], before.models[0]
        assert (changed.tier, changed.context_tokens) == (3, known.context_tokens)
        assert [model.name for model in after.models] == [*(model.name for model in before.models), "gpt-new"]

    def test_the_catalogue_has_every_provider_and_each_cloud_one_names_its_key(self) -> None:
        rows = load_providers(None).rows
        assert {name: row.key_variable for name, row in rows.items() if not row.local} == {
            name: f"{name.upper()}_API_KEY"
            for name in (
                "openai", "anthropic", "dashscope", "moonshot", "gemini", "xai", "mistral", "deepseek",
            )
        }  # fmt: skip
        assert {name: row.base_url for name, row in rows.items() if row.local} == {
            "ollama": "http://127.0.0.1:11434/v1",
            "vllm": "http://127.0.0.1:8000/v1",
            "llamacpp": "http://127.0.0.1:8080/v1",
        }
        assert all(row.base_url.startswith("https://") for row in rows.values() if not row.local)
        assert rows["openai"].max_tokens_field == "max_completion_tokens"
        assert rows["anthropic"].capabilities.json_schema is False
        for row in rows.values():
            for model in row.models:
                assert model.output_tokens_max <= model.context_tokens

    def test_what_a_model_can_may_be_said_for_a_whole_server(self, path: Path) -> None:
        text = "providers: {mine: {base_url: http://h/v1, capabilities: {json_schema: true}}}"
        assert load_text(path, text).rows["mine"].capabilities == Capabilities(json_schema=True)


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("primry: x", "unknown key `primry` in {} line 1; did you mean `primary`?"),
            ("routing:\n  max_latency: 3", "unknown key `routing.max_latency` in {} line 2; did you mean `max_latency_ms`?"),
            ("providers:\n  x:\n    models:\n      - {name: a}\n      - {nam: b}", "unknown key `providers.x.models[1].nam` in {} line 5; did you mean `name`?"),
            ("routing: {max_latency_ms: 0}", "`routing.max_latency_ms` in {} line 1: found 0, expected a whole number of at least 1"),
            ("routing:\n  max_latency_ms: fast", "`routing.max_latency_ms` in {} line 2: found the text 'fast', expected a whole number"),
            ("routing:\n  max_latency_ms: 012", "found the text '012', expected a whole number"),
            ("routing:\n  temperature:\n    critical: 3", "`routing.temperature.critical` in {} line 3: found 3, expected a number of at most 2"),
            ("cost_control: {monthly_ai_budget_usd: -1}", "found -1, expected dollars from 0 to 10,000,000"),
            ("cost_control: {monthly_ai_budget_usd: .nan}", "found the text '.nan', expected dollars"),
            ("cost_control: {monthly_ai_budget_usd: true}", "found true, expected dollars"),
            ("cost_control: {monthly_ai_budget_usd: 1e99}", "expected dollars from 0"),
            ("cost_control: {hard_stop_at_90_percent: 1}", "found 1, expected true or false"),
            ("cost_control: {alert_percents: [50, 200]}", "`cost_control.alert_percents[1]` in {} line 1: found 200, expected a whole number of at most 100"),
            ("cost_control:\n  tenants:\n    acme: 5\n    initech: much", "`cost_control.tenants.initech` in {} line 4: found the text 'much', expected dollars"),
            ("primary: 7", "`primary` in {} line 1: found 7, expected a text (a number needs quotes)"),
            ("fallbacks: openai-gpt-4o-mini", "expected a list"),
            ("routing: 3", "`routing` in {} line 1: found 3, expected keys below it"),
            ("- a", "{} line 1: expected keys such as `primary: openai-gpt-4o-mini`"),
            ("a: b: c", "{} line 1, column 5: not valid YAML: mapping values are not allowed"),
            ("fallbacks: [a\n", "{} line 2, column 1: not valid YAML: while parsing a flow sequence that begins in line 1"),
            ("primary: *x", "{} line 1, column 10: not valid YAML: found undefined alias"),
            ("x: &a [*a]", "{} line 1: found more than 12 levels; write it flatter"),
            ("primary: a\nrouting: {}\nprimary: b", "`primary` stands twice in {}: line 1 and line 3; remove one"),
            ("providers:\n  x: {local: true, local: true}", "`local` stands twice in {}: line 2 and line 2"),
            ("? [a]\n: 1", "{} line 1: expected a name before the colon"),
            ("primary: openai-gpt-4o-mni", "unknown model `openai-gpt-4o-mni` in `primary`, {} line 1; did you mean `openai-gpt-4o-mini`?; write"),
            ("fallbacks:\n  - moonshot-v1-8k\n  - opnai-gpt-4o-mini", "in `fallbacks`, {} line 3; did you mean `openai-gpt-4o-mini`?; write provider-model, and add the model below `providers:`"),
            ("edge_local:\n  - {olama: x}", "unknown provider `olama` in `edge_local`, {} line 2; did you mean `ollama`?; write one of ollama, vllm, llamacpp"),
            ("edge_local: [{openai: gpt-4o-mini}]", "not a local provider: `openai` in `edge_local`, {} line 1"),
            ("edge_local: [ollama]", "`edge_local[0]` in {} line 1: found the text 'ollama', expected keys below it"),
            ("edge_local: [{ollama: 'a b'}]", "found the text 'a b', expected a name of letters, digits and"),
            ("providers: {x: {local: true}}", "provider `x` in {} line 1: add its `base_url:`"),
            ("providers: {a/b: {base_url: http://h}}", "provider `a/b` in {} line 1: expected a name of letters"),
            ("providers:\n  x:\n    base_url: ftp://h", "`providers.x.base_url` in {} line 3: found no http:// or https:// with a host, expected http(s)://host:port/v1"),
            ("providers: {x: {base_url: 'http://h:99999'}}", "found no URL"),
            ("providers: {x: {base_url: 'http://[h'}}", "found no URL"),
            ("providers: {x: {base_url: 'http://h/a b'}}", "found a character that no URL has"),
            ("providers: {x: {base_url: http://h, models: [{tier: 1}]}}", "`providers.x.models[0]` in {} line 1: add `name:`, which is missing"),
            ("providers: {x: {base_url: http://h, models: [{name: a, tier: 4}]}}", "expected a whole number of at most 3"),
            ("providers: {x: {base_url: http://h, models: [{name: a}, {name: a}]}}", "model `a` stands twice in {} line 1"),
            ("providers: {x: {base_url: http://h, models: [{name: a, price: {input: 1}}]}}", "add `output:`"),
            ("providers: {x: {base_url: http://h, models: [{name: a, price: {input: 1, output: 1, tiers: [{from_input_tokens: 9, input: 1, output: 1}, {from_input_tokens: 9, input: 1, output: 1}]}}]}}", "expected tiers by ascending `from_input_tokens`"),
            ("providers: {x: {max_tokens_field: tokens}}", "expected max_tokens or max_completion_tokens"),
        ],
    )  # fmt: skip
    def test_it_tells_file_and_line_what_was_found_and_what_to_do(
        self, path: Path, text: str, told: str
    ) -> None:
        assert told.format(path) in error_of(path, text)

    def test_a_file_that_is_missing_or_no_file_is_named(self, tmp_path: Path) -> None:
        for path in (tmp_path / "gone.yaml", tmp_path):
            with pytest.raises(ConfigError, match=str(path)):
                load_providers(path)

    def test_a_file_may_not_say_more_than_a_limit(self, path: Path) -> None:
        assert "found more than 20000 values" in error_of(path, "fallbacks:\n" + "- a\n" * 20_001)
        assert "expected a list of length of at most 64" in error_of(
            path, "fallbacks:\n" + "- openai-gpt-4o-mini\n" * 65
        )


KEYS = (
    "sk-abcdefgh12345678",
    "sk-proj-Ab_cd-1234567890",
    "sk-ant-api03-abcdefghij",
    "xai-abcdefghijklmnop1234",
    "AIzaSyA1234567890abcdefghijk",
    "0123456789abcdef0123456789abcdef",
    "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE",
)


class TestKeys:
    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize(
        "text",
        [
            "primary: {}",
            "providers:\n  openai: {{api_key: {}}}",
            "providers:\n  openai:\n    key_variable: {}",
            "routing:\n  max_latency_ms: {}",
            "edge_local: [{{ollama: {}}}]",
            "{}: 1",
            "# my key is {}\n",
            "primary: *{}",
            "primary: [{}",
            "primary: !{} x",
            "providers: {{x: {{base_url: 'https://u:{}@h'}}}}",
        ],
    )
    def test_text_that_looks_like_a_key_is_refused_and_never_shown(
        self, path: Path, text: str, key: str
    ) -> None:
        error = error_of(path, text.format(key))
        assert key not in error
        assert f"{path} line " in error
        assert "environment variables alone" in error

    def test_a_key_is_not_hidden_by_escapes(self, path: Path) -> None:
        error = error_of(path, 'primary: "\\x73k-abcdefgh12345678"')
        assert "abcdefgh" not in error
        assert "looks like an API key" in error

    @pytest.mark.parametrize(
        "field", ["api_key", "key", "apikey", "token", "secret", "password", "authorization"]
    )
    def test_a_field_for_a_key_is_told_where_keys_belong(self, path: Path, field: str) -> None:
        error = error_of(path, f"providers:\n  openai:\n    {field}: hunter2\n")
        assert error == (
            f"`providers.openai.{field}` in {path} line 3: keys come from environment variables alone: remove it "
            "here, and let `key_variable` name the variable"
        )

    @pytest.mark.parametrize(
        "url", ["http://ada:hunter2@h/v1", "http://hunter2@h", "http://h/v1?key=hunter2", "http://h/#hunter2"]
    )
    def test_an_address_with_credentials_is_refused_and_not_shown(self, path: Path, url: str) -> None:
        error = error_of(path, f"providers: {{x: {{base_url: '{url}'}}}}")
        assert "found credentials, a query or a fragment" in error
        assert "hunter2" not in error

    def test_what_stands_where_a_variable_is_named_is_not_shown(self, path: Path) -> None:
        error = error_of(path, "providers: {x: {base_url: http://h, key_variable: hunter2}}")
        assert "expected the name of an environment variable" in error
        assert "hunter2" not in error

    def test_long_names_and_numbers_in_addresses_are_no_keys(self, path: Path) -> None:
        text = "providers:\n  cf:\n    base_url: https://h/accounts/0123456789abcdef0123456789abcdef/ai/v1\n    models: [{name: mistralai/Mistral-Small-3.1-24B-Instruct-2503-GGUF}, {name: risk-task-desk-model-1}]\n"
        assert len(load_text(path, text).rows["cf"].models) == 2

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        key=st.text(string.ascii_letters + string.digits, min_size=20, max_size=60),
        before=st.text(alphabet="ab:*&[]{}<>-?|!%@`\"'# \n~1.", max_size=30),
        after=st.text(alphabet="ab:*&[]{}<>-?|!%@`\"'# \n~1.", max_size=30),
    )
    def test_a_key_anywhere_in_any_text_never_gets_into_an_error(
        self, path: Path, key: str, before: str, after: str
    ) -> None:
        assert key not in error_of(path, f"{before} sk-{key}{after}")


class TestAnyText:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(text=st.text(max_size=80) | st.text(alphabet="ab:*&[]{}<>-?|!%@`\"'# \n\t~1.", max_size=80))
    def test_is_read_or_refused_in_one_line(self, path: Path, text: str) -> None:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        told = ""
        try:
            load_providers(path)
        except ConfigError as error:
            told = str(error)
        assert "\n" not in told

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_with_known_keys_is_read_or_refused_in_one_line(self, path: Path, data: st.DataObject) -> None:
        scalar = st.sampled_from(
            ["x", "1", "0.5", "-1", "true", "~", "''", "openai-gpt-4o-mini", "http://h/v1", "1e9"]
        )
        key = st.sampled_from(
            [
                "primary",
                "fallbacks",
                "edge_local",
                "routing",
                "cost_control",
                "providers",
                "openai",
                "mine",
                "base_url",
                "models",
                "name",
                "price",
                "input",
                "output",
                "tiers",
                "tenants",
                "temperature",
                "critical",
                "capabilities",
                "local",
                "key_variable",
                "aliases",
            ]
        )
        value = st.recursive(
            scalar,
            lambda inner: (
                st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
                | st.lists(st.tuples(key, inner), max_size=3).map(
                    lambda pairs: "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"
                )
            ),
            max_leaves=8,
        )
        rows = data.draw(st.lists(st.tuples(key, value), max_size=4))
        path.write_text("".join(f"{name}: {text}\n" for name, text in rows))
        told = f"{path}"
        try:
            load_providers(path)
        except ConfigError as error:
            told = str(error)
        assert "\n" not in told
        assert str(path) in told


class TestWhereItIsLookedFor:
    def test_named_then_in_the_configuration_folder_then_the_one_that_ships(self, tmp_path: Path) -> None:
        env = {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}
        assert find_providers_file(LlmSettings(), env) is None
        at_home = tmp_path / ".config" / "labverse" / "ai_providers.yaml"
        in_xdg = tmp_path / "xdg" / "labverse" / "ai_providers.yaml"
        for file in (at_home, in_xdg):
            file.parent.mkdir(parents=True)
            file.write_text("")
        assert find_providers_file(LlmSettings(), env) == in_xdg
        assert find_providers_file(LlmSettings(), {"HOME": str(tmp_path)}) == at_home
        named = tmp_path / "gone.yaml"
        assert find_providers_file(LlmSettings(providers_file=named), env) == named

    def test_one_that_lies_in_the_current_folder_is_not_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for file in (
            Path("ai_providers.yaml"),
            Path("config/ai_providers.yaml"),
            Path("labverse/ai_providers.yaml"),
        ):
            file.parent.mkdir(exist_ok=True)
            file.write_text("")
        assert find_providers_file(LlmSettings(), {"HOME": "/nowhere", "XDG_CONFIG_HOME": "."}) is None

    def test_nor_may_settings_that_lie_there_name_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("labverse.yaml").write_text("llm: {providers_file: theirs.yaml}")
        with pytest.raises(ConfigError, match="only found here"):
            load(env={"HOME": "/h"})


def test_the_catalogue_prefers_nothing_by_itself() -> None:
    assert load_providers(CATALOGUE_FILE).listed == ()
