"""The agent on a real bus: it speaks for those whose card speaks here, in time, whatever models do."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from until import until_async

from agents.negotiator.platforms.agent import DURABLE, PlatformAgent
from agents.negotiator.platforms.card import Card
from bus import Bus
from bus.complete import BusComplete
from bus.envelope import time_text
from bus.services import LLM_COMPLETE
from schemas.llm import Completion, CompletionReply, CompletionRequest, Refusal, RefusalKind
from schemas.negotiation import PositionAsked, PositionStated
from schemas.review import Models
from schemas.task import TaskStepFailed

Ask = Callable[..., PositionAsked]
Answer = Callable[[CompletionRequest], Awaitable[CompletionReply]]
PAIR = ("tiktok", "spotify")
TASK = "campaign"


async def stated(bus: Bus) -> list[PositionStated]:
    events = bus.events(TASK, only_stored=True)
    return [event async for event, _ in events if isinstance(event, PositionStated)]


async def after_asking(bus: Bus, *questions: PositionAsked, count: int | None = None) -> list[PositionStated]:
    """Positions, as soon as there are so many (one for each question by default)."""
    wanted = len(questions) if count is None else count

    async def enough() -> bool:
        return len(await stated(bus)) >= wanted

    for number, question in enumerate(questions):
        await bus.publish(question, task_id=TASK, event_id=f"q{number}")
    await until_async(enough, within_s=30.0, what=f"{wanted} positions")
    return await stated(bus)


def in_s(seconds: float) -> str:
    return time_text(time.time() + seconds)


async def serve(bus: Bus, answer: Answer) -> None:
    await bus.serve(LLM_COMPLETE, lambda request, _: answer(request))


def saying(words: str, **proposal: object) -> CompletionReply:
    value = {"words": words, "proposals": [proposal] if proposal else []}
    return CompletionReply(
        completion=Completion(text="", value=value, model="local/m", is_local=True, cost_nusd=5)
    )


async def test_every_party_whose_card_speaks_here_is_spoken_for(
    bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    await bus.run(PlatformAgent(cards=shipped, name="platform-1").subscription())
    questions = [ask(party, PAIR, shipped, deadline=in_s(60)) for party in ("house", *PAIR)]
    found = {one.party: one for one in await after_asking(bus, *questions)}
    assert found.keys() == {"house", "tiktok", "spotify"}
    for question in questions:
        one = found[question.party]
        assert (one.agent, one.words_by, one.refused) == ("platform-1", "template", ())
        assert set(one.scenarios[0].utilities) == {issue.name for issue in question.issues}


async def test_a_party_that_speaks_elsewhere_or_has_no_card_is_left_to_others(
    bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    cards = {**shipped, "spotify": msgspec.structs.replace(shipped["spotify"], speaks="elsewhere")}
    await bus.run(PlatformAgent(cards=cards).subscription())
    stranger = msgspec.structs.replace(ask("tiktok", PAIR, shipped, deadline=in_s(60)), party="stranger")
    questions = [ask(party, PAIR, shipped, deadline=in_s(60)) for party in ("spotify", "house")]
    found = await after_asking(bus, stranger, *questions, count=1)
    # Questions are answered in any order; what is silent stays so once all are done.
    await bus.drain(5.0)
    assert {one.party for one in [*found, *await stated(bus)]} == {"house"}


async def test_a_question_asked_twice_is_answered_once(
    bus: Bus, second_bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    await bus.run(PlatformAgent(cards=shipped).subscription())
    await second_bus.run(PlatformAgent(cards=shipped).subscription())
    questions = [ask("tiktok", PAIR, shipped, deadline=in_s(60))] * 20
    assert len(await after_asking(bus, *questions)) == 20
    await bus.drain(5.0)
    assert len(await stated(second_bus)) == 20


async def test_a_question_about_something_else_fails_with_the_reason(
    bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    await bus.run(PlatformAgent(cards=shipped).subscription())
    question = ask("tiktok", PAIR, shipped, deadline=in_s(60))
    odd = msgspec.structs.replace(
        question, issues=(msgspec.structs.replace(question.issues[0], name="colour"),)
    )
    await bus.publish(odd, task_id=TASK, event_id="q0")

    async def failed() -> list[str]:
        events = bus.events(TASK, only_stored=True)
        return [event.reason async for event, _ in events if isinstance(event, TaskStepFailed)]

    await until_async(failed, within_s=30.0)
    [reason] = await failed()
    assert "colour" in reason


async def test_a_model_words_the_position_and_proposes_what_the_card_bears_out(
    bus: Bus, second_bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    asked: list[CompletionRequest] = []

    async def answer(request: CompletionRequest) -> CompletionReply:
        asked.append(request)
        return saying(
            "We bring clips at $6.50.",
            pricing="CPM",
            price_usd=6.5,
            discount_percent=5,
            shares=[{"platform": "tiktok", "percent": 70}],
            format="clip",
            head_start="none",
        )

    await serve(second_bus, answer)
    await bus.run(PlatformAgent(cards=shipped, complete=BusComplete(bus)).subscription())
    question = ask("tiktok", PAIR, shipped, deadline=in_s(60), models=Models.LOCAL, goal="Sell more clips")
    [found] = await after_asking(bus, question)
    assert (found.words, found.words_by, found.cost_nusd) == ("We bring clips at $6.50.", "local/m", 5)
    assert found.proposals[1].deal["terms"] == "CPM −5 %, tiktok 70 % · spotify 30 %"
    [request] = asked
    assert request.privacy == "local_only"
    assert request.schema is not None
    assert "Sell more clips" in str(request.messages)


async def test_a_model_that_invents_prices_is_not_believed(
    bus: Bus, second_bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    async def answer(request: CompletionRequest) -> CompletionReply:
        return saying(
            "Only $1.00 a thousand, 90 % off!",
            pricing="CPM",
            price_usd=1.0,
            discount_percent=0,
            shares=[{"platform": "tiktok", "percent": 50}],
            format="clip",
            head_start="none",
        )

    await serve(second_bus, answer)
    await bus.run(PlatformAgent(cards=shipped, complete=BusComplete(bus)).subscription())
    [found] = await after_asking(bus, ask("tiktok", PAIR, shipped, deadline=in_s(60), models=Models.ANY))
    assert found.words_by == "template"
    assert found.words.startswith("tiktok takes CPM $6.50")
    assert [one.source for one in found.proposals] == ["rules"]
    assert len(found.refused) == 2
    assert found.cost_nusd == 5


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (CompletionReply(refusal=Refusal(kind=RefusalKind.NO_MODEL, message="none", cost_nusd=3)), "none"),
        (CompletionReply(completion=Completion(value={"text": 1}, model="m", cost_nusd=3)), "OffSchema"),
        (CompletionReply(completion=Completion(value=None, model="m", cost_nusd=3)), "OffSchema"),
    ],
    ids=["refusing", "off_schema", "empty"],
)
async def test_a_model_that_gives_nothing_leaves_the_template_and_its_cost(
    bus: Bus, second_bus: Bus, shipped: dict[str, Card], ask: Ask, reply: CompletionReply, says: str
) -> None:
    async def answer(request: CompletionRequest) -> CompletionReply:
        return reply

    await serve(second_bus, answer)
    await bus.run(PlatformAgent(cards=shipped, complete=BusComplete(bus)).subscription())
    [found] = await after_asking(bus, ask("tiktok", PAIR, shipped, deadline=in_s(60), models=Models.ANY))
    assert (found.words_by, found.cost_nusd) == ("template", 3)
    assert says in found.refused[0]
    assert len(found.proposals) == 1


async def test_a_late_model_is_not_waited_for(
    bus: Bus, second_bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    never = asyncio.Event()

    async def answer(request: CompletionRequest) -> CompletionReply:
        await never.wait()
        return saying("late")

    await serve(second_bus, answer)
    await bus.run(PlatformAgent(cards=shipped, complete=BusComplete(bus)).subscription())
    started = time.time()
    [found] = await after_asking(bus, ask("tiktok", PAIR, shipped, deadline=in_s(2), models=Models.ANY))
    assert found.words_by == "template"
    assert "deadline" in found.refused[0].lower()
    # Far from forever; on a quiet machine it is 1.6 s.
    assert time.time() - started < 20
    never.set()


async def test_without_time_or_leave_no_model_is_asked(
    bus: Bus, second_bus: Bus, shipped: dict[str, Card], ask: Ask
) -> None:
    asked: list[CompletionRequest] = []

    async def answer(request: CompletionRequest) -> CompletionReply:
        asked.append(request)
        return saying("Never heard.")

    await serve(second_bus, answer)
    await bus.run(PlatformAgent(cards=shipped, complete=BusComplete(bus)).subscription())
    found = await after_asking(
        bus,
        ask("tiktok", PAIR, shipped, deadline=in_s(0.5), models=Models.ANY),
        ask("spotify", PAIR, shipped, deadline=in_s(60), models=Models.NONE),
    )
    assert asked == []
    assert {one.words_by for one in found} == {"template"}
    assert {one.party: len(one.refused) for one in found} == {"tiktok": 1, "spotify": 0}


def test_its_subscription_shares_the_work_under_one_name(shipped: dict[str, Card]) -> None:
    subscription = PlatformAgent(cards=shipped).subscription()
    assert (subscription.durable, subscription.listens) == (DURABLE, (PositionAsked,))
