import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.router.cache import Flights, ResponseCache, key_of
from schemas.llm import Completion, CompletionRequest, Message, Privacy, Purpose, Tier, Tool

REQUEST = CompletionRequest(messages=(Message(role="user", content="hi"),))
DIFFERENT: list[dict[str, Any]] = [
    {"messages": (Message(role="system", content="hi"),)},
    {"schema": {"type": "object"}},
    {"schema_name": "other"},
    {"tools": (Tool(name="f"),)},
    {"purpose": Purpose.CRITICAL},
    {"temperature": 0.0},
    {"max_tokens": 5},
    {"tier": Tier.LARGE},
    {"privacy": Privacy.LOCAL_ONLY},
    {"model": "a/b"},
    {"prefer": "a/b"},
    {"tenant": "acme"},
]
ALIKE: list[dict[str, Any]] = [
    {"call_id": "c1"},
    {"agent": "reviewer"},
    {"explain": True},
    {"max_cost_nusd": 5},
    {"task_limit_nusd": 5},
]


def answer(text: str) -> Completion:
    return Completion(text=text, value={"list": [1, 2]})


@pytest.mark.parametrize("change", DIFFERENT, ids=str)
def test_what_matters_for_the_answer_makes_another_key(change: dict[str, Any]) -> None:
    assert key_of(msgspec.structs.replace(REQUEST, **change)) != key_of(REQUEST)


@pytest.mark.parametrize("change", ALIKE, ids=str)
def test_who_asks_makes_no_other_key(change: dict[str, Any]) -> None:
    assert key_of(msgspec.structs.replace(REQUEST, **change)) == key_of(REQUEST)


def test_every_field_of_a_request_was_thought_of() -> None:
    thought_of = {name for change in [*DIFFERENT, *ALIKE] for name in change} | {"cache"}
    assert thought_of == set(CompletionRequest.__struct_fields__)


def test_the_order_in_a_schema_and_its_salt() -> None:
    one = msgspec.structs.replace(REQUEST, schema={"type": "object", "required": ["a"]})
    other = msgspec.structs.replace(REQUEST, schema={"required": ["a"], "type": "object"})
    assert key_of(one) == key_of(other)
    assert key_of(one, salt="catalogue 2") != key_of(one)


def test_an_answer_is_given_again_until_it_is_too_old() -> None:
    cache = ResponseCache(age_s=60)
    cache.put("k", answer("yes"), 100.0)
    assert cache.get("k", 159.9) == answer("yes")
    assert cache.get("k", 160.0) is None
    assert len(cache) == 0
    assert cache.size_bytes == 0


def test_nobody_can_change_what_others_are_given() -> None:
    cache = ResponseCache()
    cache.put("k", answer("yes"), 0.0)
    first = cache.get("k", 1.0)
    assert first is not None
    first.value["list"].append(3)
    assert cache.get("k", 1.0) == answer("yes")


def test_the_least_recently_used_makes_room() -> None:
    cache = ResponseCache(entries_max=2)
    cache.put("a", answer("a"), 0.0)
    cache.put("b", answer("b"), 0.0)
    assert cache.get("a", 0.0)
    cache.put("c", answer("c"), 0.0)
    assert cache.get("b", 0.0) is None
    assert cache.get("a", 0.0)
    assert cache.get("c", 0.0)


def test_one_larger_than_the_cache_is_not_kept_and_drives_nothing_out() -> None:
    cache = ResponseCache(bytes_max=1_000)
    cache.put("a", answer("a"), 0.0)
    cache.put("b", answer("b" * 2_000), 0.0)
    assert cache.get("a", 0.0)
    assert cache.get("b", 0.0) is None


def test_half_a_surrogate_pair_is_not_kept() -> None:
    cache = ResponseCache()
    cache.put("k", Completion(text="\ud800"), 0.0)
    assert cache.get("k", 0.0) is None


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 900), st.floats(0, 20)), max_size=60),
    st.integers(0, 4),
)
def test_it_stays_within_its_limits_and_never_gives_what_was_not_put(
    steps: list[tuple[str, int, float]], entries_max: int
) -> None:
    cache = ResponseCache(age_s=30, entries_max=entries_max, bytes_max=2_000)
    put: dict[str, tuple[Completion, float]] = {}
    now_s = 0.0
    for key, size, gap_s in steps:
        now_s += gap_s
        given_again = cache.get(key, now_s)
        if given_again is not None:
            assert given_again == put[key][0]
            assert now_s - put[key][1] < 30
        put[key] = (answer(key * size), now_s)
        cache.put(key, put[key][0], now_s)
        assert len(cache) <= entries_max
        assert 0 <= cache.size_bytes <= 2_000
        assert bool(cache.size_bytes) == bool(len(cache))


class Work:
    """Counts how often it is started and cancelled, and ends when it is told to."""

    def __init__(self) -> None:
        self.started = self.cancelled = self.cleaned_up = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> str:
        self.started += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(0.01)
            self.cleaned_up += 1
            raise
        if self.error and self.started == 1:
            raise self.error
        return f"result {self.started}"


Run = asyncio.Task[tuple[str, bool]]


async def callers(flights: Flights, start: Callable[[], Awaitable[str]], count: int) -> list[Run]:
    tasks = [asyncio.create_task(flights.run("k", start)) for _ in range(count)]
    await asyncio.sleep(0.01)
    return tasks


async def test_who_asks_meanwhile_shares_one_result() -> None:
    flights, work = Flights(), Work()
    tasks = await callers(flights, work, 5)
    work.may_end.set()
    results = await asyncio.gather(*tasks)
    assert [result for result, _ in results] == ["result 1"] * 5
    assert sum(is_leader for _, is_leader in results) == 1
    assert len(flights) == 0


async def test_who_asks_afterwards_starts_anew() -> None:
    flights, work = Flights(), Work()
    work.may_end.set()
    assert await flights.run("k", work) == ("result 1", True)
    assert await flights.run("k", work) == ("result 2", True)


async def test_other_keys_fly_on_their_own() -> None:
    flights, work = Flights(), Work()
    work.may_end.set()
    await asyncio.gather(flights.run("a", work), flights.run("b", work))
    assert work.started == 2


async def test_a_failure_reaches_its_leader_alone_and_one_of_the_others_leads() -> None:
    flights, work = Flights(), Work()
    work.error = ValueError("no money")
    leader, *others = await callers(flights, work, 4)
    work.may_end.set()
    with pytest.raises(ValueError, match="no money"):
        await leader
    results = await asyncio.gather(*others)
    assert [result for result, _ in results] == ["result 2"] * 3
    assert sum(is_leader for _, is_leader in results) == 1
    assert work.started == 2


async def test_a_cancelled_leader_leaves_the_work_to_the_others() -> None:
    flights, work = Flights(), Work()
    leader, other = await callers(flights, work, 2)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    work.may_end.set()
    assert await other == ("result 1", False)
    assert work.cancelled == 0


async def test_a_cancelled_follower_disturbs_nobody() -> None:
    flights, work = Flights(), Work()
    leader, other = await callers(flights, work, 2)
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    work.may_end.set()
    assert await leader == ("result 1", True)


async def test_the_work_is_cancelled_with_the_last_who_waits_and_has_cleaned_up_by_then() -> None:
    flights, work = Flights(), Work()
    tasks = await callers(flights, work, 3)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert (work.cancelled, work.cleaned_up) == (1, 1)
    assert len(flights) == 0


async def test_who_asks_while_work_is_torn_down_starts_anew() -> None:
    flights, work = Flights(), Work()
    (only,) = await callers(flights, work, 1)
    only.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.may_end.set()
    assert await flights.run("k", work) == ("result 2", True)
    assert (work.cancelled, work.cleaned_up) == (1, 0)
    with pytest.raises(asyncio.CancelledError):
        await only


async def test_a_failure_after_its_leader_left_is_tried_again_by_who_is_left() -> None:
    flights, work = Flights(), Work()
    work.error = ValueError("late")
    leader, other = await callers(flights, work, 2)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    work.may_end.set()
    assert await other == ("result 2", True)


async def test_a_start_that_fails_at_once_is_an_error_of_its_caller() -> None:
    def start() -> Awaitable[str]:
        raise ValueError("before any await")

    with pytest.raises(ValueError, match="before any await"):
        await Flights().run("k", start)
