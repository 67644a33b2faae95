"""Every setting of Labverse: name, type, range, default and unit.

The structs are frozen values; `config.load` fills them from file, environment and flags. A key's dotted name
is `section.field`, its environment variable `LABVERSE_SECTION__FIELD`. What a key means also stands, for
people, in `labverse.yaml` beside this file; a test holds the two together.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from config.secret import PORT_MAX, Secret, Url

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
DAY_S: Final = 86_400.0

TEXT_CHARS_MAX: Final = 4096
ROOTS_MAX: Final = 64
AGENTS_MAX: Final = 1024
STORE_BYTES_MIN: Final = 16 * MIB
"""A smaller stream or object store is full before anything has happened."""
STORE_BYTES_MAX: Final = 1024 * 1024 * GIB

Text = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]
StoreBytes = Annotated[int, Meta(ge=STORE_BYTES_MIN, le=STORE_BYTES_MAX)]


def default_data_dir(env: Mapping[str, str]) -> Path:
    """$XDG_DATA_HOME/labverse, else ~/.local/share/labverse. A relative XDG_DATA_HOME doesn't count.

    Raises:
        RuntimeError: this user has no home folder.
    """
    base = Path(env.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else home(env) / ".local" / "share") / "labverse"


def home(env: Mapping[str, str]) -> Path:
    """The user's home folder: $HOME, else what the system's user list says.

    Raises:
        RuntimeError: this user has none.
    """
    named = env.get("HOME", "")
    return Path(named) if named else Path.home()


def configured_file(name: str, env: Mapping[str, str]) -> Path | None:
    """The file of that name in $XDG_CONFIG_HOME/labverse or ~/.config/labverse, if it is there."""
    folder = Path(env.get("XDG_CONFIG_HOME", ""))
    try:
        base = folder if folder.is_absolute() else home(env) / ".config"
        path = base / "labverse" / name
        return path if path.exists() else None
    except (OSError, RuntimeError):  # no home folder, or none that may be looked into
        return None


def _data_dir() -> Path:
    return default_data_dir({})


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach NATS, and how large it may grow.

    Attributes:
        url: servers, separated by commas; empty starts (or finds) the embedded one.
        credentials_file, nkey_seed_file: a NATS .creds file; a file with an NKey seed.
        tls_ca_file: certificate authorities to trust instead of the system's.
        tls_cert_file, tls_key_file: our own certificate and its key, for mutual TLS; the key may also stand
            in the certificate's file.
        data_dir: where the embedded server keeps its files.
        port: of the embedded server; 0 takes any free one.
        sync_always: the embedded server syncs every write to disk before it acknowledges.
        stream_messages_max, stream_bytes_max, stream_age_max_s: bounds of the event stream; full means that
            publishers are refused, never that waiting work is dropped.
        object_bytes_max: the largest single object (a bundle of files, a large payload).
        objects_bytes_max: all objects together.
        replicas: copies of each stream in a cluster.
    """

    url: Url = Url()
    credentials_file: Path | None = None
    user: Text = ""
    password: Secret = Secret()
    token: Secret = Secret()
    nkey_seed_file: Path | None = None
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    data_dir: Path = msgspec.field(default_factory=_data_dir)
    port: Annotated[int, Meta(ge=0, le=PORT_MAX)] = 0
    sync_always: bool = True
    stream_messages_max: Annotated[int, Meta(ge=1_000, le=1_000_000_000)] = 1_000_000
    stream_bytes_max: StoreBytes = 2 * GIB
    stream_age_max_s: Annotated[float, Meta(ge=60.0, le=3650 * DAY_S)] = 7 * DAY_S
    object_bytes_max: Annotated[int, Meta(ge=MIB, le=4 * GIB)] = 64 * MIB
    objects_bytes_max: StoreBytes = 4 * GIB
    connect_timeout_s: Annotated[float, Meta(ge=0.1, le=300.0)] = 5.0
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1


class ReviewSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Code review.

    Attributes:
        roots: folders that services may ask to have reviewed by path; empty means none.
        deadline_s: time for a whole review, in seconds.
        agents: reviewers that work at a time; 0 means one for each processor core.
        fail_on: the mildest severity that makes `labverse review` exit with 1; `never` makes none do so.
        models: which models may read the code: none, local ones, or any that is listed.
        max_cost_usd: most that they may cost for one review, in US dollars.
        models_s: for so many seconds' work of models a review is planned, as far as their speed is known.
        file_bytes_max, files_max, total_bytes_max: what is larger is left out, and the report says so.
    """

    roots: Annotated[tuple[Path, ...], Meta(max_length=ROOTS_MAX)] = ()
    deadline_s: Annotated[float, Meta(ge=1.0, le=DAY_S)] = 600.0
    agents: Annotated[int, Meta(ge=0, le=AGENTS_MAX)] = 0
    fail_on: Literal["critical", "high", "medium", "low", "info", "never"] = "high"
    models: Literal["none", "local", "any"] = "local"
    max_cost_usd: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    models_s: Annotated[float, Meta(ge=1.0, le=DAY_S)] = 180.0
    file_bytes_max: Annotated[int, Meta(ge=1, le=64_000_000)] = 2_000_000
    files_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 50_000
    total_bytes_max: Annotated[int, Meta(ge=1, le=16_000_000_000)] = 256_000_000


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How every agent takes its work.

    Attributes:
        ack_wait_s: silence after which a worker counts as dead and its event goes to another.
        attempts_max: tries before an event becomes a dead letter.
        grace_s: time to finish what is in flight after a request to stop.
    """

    ack_wait_s: Annotated[float, Meta(ge=1.0, le=3600.0)] = 8.0
    attempts_max: Annotated[int, Meta(ge=1, le=1000)] = 5
    grace_s: Annotated[float, Meta(ge=0, le=3600.0)] = 10.0


class LlmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Model calls. Which models, and what they may cost, stands in the providers file.

    Attributes:
        providers_file: None takes ai_providers.yaml of the configuration folder, else the one that ships.
        deadline_s: time for a call that names none, in seconds.
        cache_age_s: how long an answer may be given again for exactly the same call; 0 means off.
        discover: look for local servers at their addresses, and ask them which models they have.
        hedge_ratio_max: share of calls, 0 to 1, that may be sent a second time when the first is slow.
        in_time_probability: how likely an answer in time must be for a model to be taken.
        record_prompts: write prompts and answers into traces.
        local_model: a GGUF file to serve from a child process of ours, on `local_model_port`; 0 takes any
            free port.
    """

    providers_file: Path | None = None
    deadline_s: Annotated[float, Meta(ge=0.1, le=3600.0)] = 60.0
    cache_age_s: Annotated[float, Meta(ge=0, le=30 * DAY_S)] = 3600.0
    discover: bool = True
    hedge_ratio_max: Annotated[float, Meta(ge=0, le=1.0)] = 0.05
    in_time_probability: Annotated[float, Meta(ge=0, le=1.0)] = 0.9
    record_prompts: bool = False
    local_model: Path | None = None
    local_model_port: Annotated[int, Meta(ge=0, le=PORT_MAX)] = 0


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where traces go.

    Attributes:
        endpoint: base address of an OTLP collector, to which `/v1/traces` is added for HTTP; empty means off. It
            holds no credentials: those belong into `headers`.
        headers: sent with every export, as `name=value,name=value` with percent-encoded values.
        sample_ratio: share of tasks that are traced, 0 to 1.
        service_name: the `service.name` of all spans.
    """

    endpoint: Text = ""
    protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"
    headers: Secret = Secret()
    sample_ratio: Annotated[float, Meta(ge=0, le=1.0)] = 1.0
    service_name: Annotated[str, Meta(min_length=1, max_length=255)] = "labverse"


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP gateway of `labverse up`.

    Attributes:
        serve: whether there is one.
        host, port: where it listens; port 0 takes any free one.
        keys_file: API keys, as `labverse key` keeps them; None: `api_keys.yaml` in the configuration folder.
        body_bytes_max: of one request.
        requests_per_minute: of one key or, without one, one address.
    """

    serve: bool = True
    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=PORT_MAX)] = 8084
    keys_file: Path | None = None
    body_bytes_max: Annotated[int, Meta(ge=KIB, le=GIB)] = MIB
    requests_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 600


class SlackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where people are asked and told in Slack; without a token nobody is.

    Attributes:
        bot_token: `xoxb-…` of our app.
        signing_secret: proves that a click comes from Slack.
        channel: where approvals are posted, as an id (`C0123456789`) or `#name`.
        api_url: another server that speaks Slack's API.
    """

    bot_token: Secret = Secret()
    signing_secret: Secret = Secret()
    channel: Annotated[str, Meta(max_length=80)] = "#approvals"
    api_url: Text = "https://slack.com/api/"


class NegotiationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Negotiations and what people must approve.

    Attributes:
        cards: a folder of rate cards beside those that ship; a card of the same name takes their place.
        policy_file: who approves what, and the limits on deals; None takes approval_policy.yaml of the configuration
            folder, else the one that ships.
    """

    cards: Path | None = None
    policy_file: Path | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. `Settings()` is what holds with no file, environment or flag."""

    bus: BusSettings = msgspec.field(default_factory=BusSettings)
    review: ReviewSettings = msgspec.field(default_factory=ReviewSettings)
    agents: AgentSettings = msgspec.field(default_factory=AgentSettings)
    llm: LlmSettings = msgspec.field(default_factory=LlmSettings)
    negotiation: NegotiationSettings = msgspec.field(default_factory=NegotiationSettings)
    gateway: GatewaySettings = msgspec.field(default_factory=GatewaySettings)
    slack: SlackSettings = msgspec.field(default_factory=SlackSettings)
    telemetry: TelemetrySettings = msgspec.field(default_factory=TelemetrySettings)
