"""When a call of a model is given up because no model will soon be back."""

import time

import msgspec
import pytest

from agents.review.models.patience import (
    BREAKERS,
    PAUSE_S_MAX,
    PAUSE_S_MIN,
    BreakerSeen,
    hopeless,
    patience_s,
)
from agents.router.breakers import BUCKET, BreakerRecord
from agents.router.upstream import FailureKind
from schemas.llm import ModelOffered, Tier

NOW_S = 1_000.0


def model(name: str) -> ModelOffered:
    return ModelOffered(
        model=name, is_local=True, tier=Tier.MEDIUM, context_tokens=8_000, output_tokens_max=1_000
    )


def away(name: str, pause_s: float = 8.0, reason: str = "server_error") -> BreakerSeen:
    return BreakerSeen(name=name, open_until_s=NOW_S + pause_s - 1, failed_s=NOW_S - 1, reason=reason)


def test_a_call_is_given_up_only_when_every_model_is_away() -> None:
    models = [model("a/x"), model("b/y")]
    assert hopeless(models, [away("a/x")], 4.0, now_s=NOW_S) == ""
    said = hopeless(models, [away("a/x"), away("b", reason="unreachable")], 4.0, now_s=NOW_S)
    assert said == "given up: a/x is down (server error); b/y is down (unreachable)"


@pytest.mark.parametrize(
    "breaker",
    [
        away("a/x", 2.0),
        away("a/x", reason="rate_limited"),
        away("a/x", reason="loading"),
        away("a/other"),
        BreakerSeen(name="a/x", open_until_s=NOW_S - 1, failed_s=NOW_S - 20, reason="server_error"),
    ],
)
def test_who_will_soon_be_back_is_waited_for(breaker: BreakerSeen) -> None:
    assert hopeless([model("a/x")], [breaker], 4.0, now_s=NOW_S) == ""


def test_without_any_model_nothing_is_said_of_models_that_are_down() -> None:
    assert hopeless([], [away("a/x")], 4.0, now_s=NOW_S) == ""


def test_who_has_more_time_waits_longer() -> None:
    assert patience_s(1.0) == PAUSE_S_MIN
    assert patience_s(500.0) == pytest.approx(15.0)
    assert patience_s(1e6) == PAUSE_S_MAX


def test_what_routers_tell_of_their_breakers_is_understood() -> None:
    now_s = time.time()
    for kind in FailureKind:
        told = BreakerRecord(
            name="a/x", open_until_s=now_s + 9, failures=5, failed_s=now_s - 1, reason=kind.value
        )
        seen = msgspec.json.decode(msgspec.json.encode(told), type=BreakerSeen)
        is_given_up = hopeless([model("a/x")], [seen], 4.0, now_s=now_s) != ""
        assert is_given_up == (kind not in (FailureKind.RATE_LIMITED, FailureKind.LOADING))
    assert BREAKERS == BUCKET
