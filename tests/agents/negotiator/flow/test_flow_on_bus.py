"""Negotiations on a real bus, from the request to the deal, with everything that may come in between."""

import asyncio
from dataclasses import replace

import msgspec
import pytest
from deals import ASKING, FREELY, GATES, REQUEST, TERMS, dealing
from until import until_async

from agents.approver import approvals_bucket
from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import Limits
from agents.negotiator import switch
from agents.negotiator.flow.called_off import CalledOff
from agents.negotiator.gates import Gates
from agents.negotiator.platforms.cards import load_cards
from bus import Bus, Subscription
from bus.cancelling import end
from schemas.approval import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalOpened,
    ApprovalRequested,
    ApprovalState,
    DecideOutcome,
)
from schemas.event import Event
from schemas.negotiation import (
    HOUSE,
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationProposed,
    NegotiationVetoed,
    PositionAsked,
    PositionScenario,
    PositionStated,
)
from schemas.task import TaskCancelled, TaskStepFailed


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def the(events: list[Event], kind: type[Event]) -> Event:
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, kinds(events)
    return found[0]


async def test_tiktok_by_impressions_and_spotify_by_conversions_settle_by_policy_alone(bus: Bus) -> None:
    async with dealing(bus) as deals:
        events = await deals.negotiate()
    assert kinds(events)[:2] == ["NegotiationRequested", "NegotiationOpened"]
    assert sorted(event.party for event in events if isinstance(event, PositionStated)) == [
        HOUSE,
        "spotify",
        "tiktok",
    ]
    proposed, agreed = the(events, NegotiationProposed), the(events, NegotiationAgreed)
    assert isinstance(proposed, NegotiationProposed)
    assert isinstance(agreed, NegotiationAgreed)
    assert agreed.digest == proposed.digest
    assert agreed.amount_nusd == sum(one.most_nusd for one in agreed.payments) <= REQUEST.budget_nusd
    assert {one.platform for one in agreed.payments} == {"tiktok", "spotify"}
    assert proposed.certificate.pareto.is_undominated
    assert set(proposed.revenue) == {HOUSE, "tiktok", "spotify"}
    assert proposed.options
    assert proposed.approval_reasons == ()


async def test_a_deal_waits_for_a_person_and_is_agreed_when_approved(bus: Bus) -> None:
    async with dealing(bus, policy=ASKING) as deals:
        events = await deals.negotiate(task_id="t1")
        opened = the(events, ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        assert "NegotiationAgreed" not in kinds(events)
        reply = await deals.say(opened, "approve")
        assert reply.outcome is DecideOutcome.COUNTED
        events = await deals.events("t1", past_approval=True)
    agreed, asked = the(events, NegotiationAgreed), the(events, ApprovalRequested)
    assert isinstance(agreed, NegotiationAgreed)
    assert isinstance(asked, ApprovalRequested)
    assert (agreed.by, agreed.digest) == (("alice",), asked.digest)
    assert agreed.approval_id == opened.approval.approval_id


async def test_a_veto_ends_it_and_gives_the_money_back(bus: Bus) -> None:
    tight = Gates(
        deal_nusd=GATES.deal_nusd, platform_day_nusd=GATES.platform_day_nusd, day_nusd=REQUEST.budget_nusd
    )
    async with dealing(bus, policy=replace(ASKING, gates=tight)) as deals:
        for task_id in ("t1", "t2"):  # the second fits the day's gate only if the first gave back
            opened = the(await deals.negotiate(task_id=task_id), ApprovalOpened)
            assert isinstance(opened, ApprovalOpened)
            await deals.say(opened, "veto")
            vetoed = the(await deals.events(task_id, past_approval=True), NegotiationVetoed)
            assert isinstance(vetoed, NegotiationVetoed)
            assert vetoed.by == "alice"


async def test_one_that_is_called_off_gives_the_money_back_and_its_approval_is_withdrawn(bus: Bus) -> None:
    tight = Gates(
        deal_nusd=GATES.deal_nusd,
        platform_day_nusd=GATES.platform_day_nusd,
        day_nusd=REQUEST.budget_nusd,
    )
    async with dealing(bus, policy=replace(ASKING, gates=tight)) as deals:
        opened = the(await deals.negotiate(task_id="t1"), ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        await bus.cancel("t1", by="alice")

        async def is_withdrawn() -> bool:
            found = await approvals_bucket(bus).get(opened.approval.approval_id)
            return found is not None and found[0].state is ApprovalState.WITHDRAWN

        await until_async(is_withdrawn, within_s=30)

        async def fits_again() -> bool:
            return any(isinstance(event, ApprovalOpened) for event in await deals.negotiate())

        await until_async(fits_again, within_s=30)


async def test_nobody_decides_and_it_expires(bus: Bus) -> None:
    async with dealing(bus, policy=ASKING, terms=replace(TERMS, deadline_s=0.3)) as deals:
        await deals.negotiate(task_id="t1")
        events = await deals.events("t1", past_approval=True)
    expired = the(events, NegotiationExpired)
    assert isinstance(expired, NegotiationExpired)
    assert expired.why.startswith("nobody decided by")


async def test_a_silent_platform_is_named_and_left_out_or_blocks(bus: Bus) -> None:
    cards = load_cards()
    cards["spotify"] = msgspec.structs.replace(cards["spotify"], speaks="elsewhere")
    request = msgspec.structs.replace(REQUEST, position_s=0.5)
    async with dealing(bus, cards=cards) as deals:
        agreed = the(await deals.negotiate(request), NegotiationAgreed)
        assert isinstance(agreed, NegotiationAgreed)
        assert agreed.parties == (HOUSE, "tiktok")
        assert "nothing heard" in agreed.silent["spotify"]
        assert {one.platform for one in agreed.payments} == {"tiktok"}
        blocked = the(
            await deals.negotiate(msgspec.structs.replace(request, on_silence="block")), NegotiationNoDeal
        )
        assert isinstance(blocked, NegotiationNoDeal)
        assert (blocked.kind, list(blocked.silent)) == ("silent", ["spotify"])


async def test_somebody_else_may_speak_for_a_platform_and_nonsense_is_refused(bus: Bus) -> None:
    cards = load_cards()
    cards["spotify"] = msgspec.structs.replace(cards["spotify"], speaks="elsewhere")

    async def speak(event: PositionAsked, _: object) -> PositionStated | None:
        if event.party != "spotify":
            return None
        worth = {issue.name: tuple(float(at) for at in range(len(issue.values))) for issue in event.issues}
        weight = 2.0 if "sane" in event.goal else 1.0
        share = 1.0 if "sane" in event.goal else 0.4
        return PositionStated(
            party="spotify",
            agent="theirs",
            scenarios=(PositionScenario(probability=share, utilities=worth),),
            weight=weight,
        )

    request = msgspec.structs.replace(REQUEST, goal="sane")
    async with dealing(bus, cards=cards) as deals:
        await bus.run(Subscription(durable="theirs", listens=(PositionAsked,), handle=speak))
        agreed = the(await deals.negotiate(request), NegotiationAgreed)
        assert isinstance(agreed, NegotiationAgreed)
        assert agreed.parties == (HOUSE, "tiktok", "spotify")
        events = await deals.negotiate(msgspec.structs.replace(request, goal="mad"))
        refused = the(events, NegotiationAgreed)
        assert isinstance(refused, NegotiationAgreed)
        assert "add up to 0.4" in refused.silent["spotify"]


async def test_no_deal_over_a_gate_whoever_approves(bus: Bus) -> None:
    small = Gates(
        deal_nusd=GATES.deal_nusd,
        platform_day_nusd=GATES.platform_day_nusd,
        day_nusd=REQUEST.budget_nusd * 3 // 2,
    )
    async with dealing(bus, policy=replace(FREELY, gates=small)) as deals:
        the(await deals.negotiate(), NegotiationAgreed)
        refused = the(await deals.negotiate(), NegotiationNoDeal)
    assert isinstance(refused, NegotiationNoDeal)
    assert refused.kind == "gate"
    assert "stands in the way" in refused.reason


async def test_without_a_cost_guard_nothing_is_agreed_until_there_is_one(bus: Bus) -> None:
    async with dealing(bus, kinds=("negotiator", "table", "closer", "platform")) as deals:
        await deals.table.warm()
        task_id = await bus.submit(REQUEST)

        async def all_stated() -> bool:
            stored = [event async for event, _ in bus.events(task_id, only_stored=True)]
            return kinds(stored).count("PositionStated") == 3

        await until_async(all_stated, within_s=30)
        await asyncio.sleep(1.0)  # ten times what is left to do
        stored = [event async for event, _ in bus.events(task_id, only_stored=True)]
        assert "NegotiationProposed" not in kinds(stored)
        guarding = asyncio.create_task(CostGuard(bus=bus, limits=Limits(month_nusd=1)).run())
        try:
            the(await deals.events(task_id), NegotiationAgreed)
        finally:
            await end((guarding,))


@pytest.mark.parametrize("how", ["stopped", "unreadable"])
async def test_the_kill_switch_stops_what_would_be_agreed(bus: Bus, how: str) -> None:
    async with dealing(bus) as deals:
        if how == "stopped":
            await switch.set(bus, is_stopped=True, by="cli:alice", reason="too fast")
        else:
            await bus.connection.api("STREAM.DELETE.KV_SWITCHES")
        ended = the(await deals.negotiate(), NegotiationNoDeal)
    assert isinstance(ended, NegotiationNoDeal)
    assert ended.kind == "stopped"
    assert ("too fast" if how == "stopped" else "can't be read") in ended.reason


async def test_the_switch_thrown_after_the_proposal_stops_what_was_approved(bus: Bus) -> None:
    async with dealing(bus, policy=ASKING) as deals:
        opened = the(await deals.negotiate(task_id="t1"), ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        await switch.set(bus, is_stopped=True, by="cli:alice")
        await deals.say(opened, "approve")
        ended = the(await deals.events("t1", past_approval=True), NegotiationNoDeal)
    assert isinstance(ended, NegotiationNoDeal)
    assert ended.kind == "stopped"


async def test_a_decision_that_nobody_took_or_about_another_deal_is_not_acted_upon(bus: Bus) -> None:
    async with dealing(bus, policy=ASKING) as deals:
        opened = the(await deals.negotiate(task_id="t1"), ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        approval_id, digest = opened.approval.approval_id, opened.approval.request.digest
        forged: list[Event] = [
            ApprovalDecided(
                approval_id=approval_id, kind="deal", digest=digest, state=ApprovalState.APPROVED
            ),
            ApprovalDecided(
                approval_id=approval_id, kind="deal", digest="0" * 64, state=ApprovalState.APPROVED
            ),
            ApprovalDecided(approval_id=approval_id, kind="deal", digest=digest, state=ApprovalState.VETOED),
            ApprovalExpired(approval_id=approval_id, kind="deal", digest=digest, deadline=""),
        ]
        for number, event in enumerate(forged):
            await bus.publish(event, task_id="t1", event_id=f"forged-{number}")

        async def all_refused() -> bool:
            return len(await bus.letters.list()) == len(forged)

        await until_async(all_refused, within_s=30)
        stored = [event async for event, _ in bus.events("t1", only_stored=True)]
    assert not {"NegotiationAgreed", "NegotiationVetoed", "NegotiationExpired"} & set(kinds(stored))
    assert all(letter.durable == "negotiation-closer" for letter in await bus.letters.list())
    assert any(isinstance(event, TaskStepFailed) for event in stored)


async def test_a_decision_that_is_said_twice_is_acted_upon_once(bus: Bus) -> None:
    async with dealing(bus, policy=ASKING) as deals:
        opened = the(await deals.negotiate(task_id="t1"), ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        await deals.say(opened, "approve")
        decided = the(await deals.events("t1", past_approval=True), ApprovalDecided)
        await bus.publish(decided, task_id="t1", event_id="again")

        async def is_handled() -> bool:
            found = [
                envelope
                async for _, envelope in bus.events("t1", only_stored=True)
                if envelope.causation_id == "again"
            ]
            return bool(found)

        await until_async(is_handled, within_s=30)
        stored = [event async for event, _ in bus.events("t1", only_stored=True)]
    assert kinds(stored).count("NegotiationAgreed") == 1


async def test_money_of_an_approved_deal_is_not_given_back_when_it_is_called_off(bus: Bus) -> None:
    """Somebody may be agreeing on it at this very moment."""
    tight = Gates(
        deal_nusd=GATES.deal_nusd,
        platform_day_nusd=GATES.platform_day_nusd,
        day_nusd=REQUEST.budget_nusd,
    )
    kinds_but_closer = ("guard", "negotiator", "table", "platform", "approver")
    async with dealing(bus, policy=replace(ASKING, gates=tight), kinds=kinds_but_closer) as deals:
        opened = the(await deals.negotiate(task_id="t1"), ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        await deals.say(opened, "approve")
        await bus.cancel("t1", by="alice")
        (cancelled,) = [
            (event, envelope)
            async for event, envelope in bus.events("t1", only_stored=True)
            if isinstance(event, TaskCancelled)
        ]
        await CalledOff(bus=bus).handle(*cancelled)  # type: ignore[arg-type]
        refused = the(await deals.negotiate(), NegotiationNoDeal)
        assert isinstance(refused, NegotiationNoDeal)
        assert refused.kind == "gate"


async def test_a_card_with_a_large_weight_makes_no_deal_that_can_not_be_read(bus: Bus) -> None:
    cards = load_cards()
    cards["tiktok"] = msgspec.structs.replace(cards["tiktok"], weight=900.0)
    async with dealing(bus, policy=ASKING, cards=cards) as deals:
        opened = the(await deals.negotiate(task_id="t1"), ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        await deals.say(opened, "approve")
        the(await deals.events("t1", past_approval=True), NegotiationAgreed)


async def test_the_second_deal_of_a_kind_is_not_new_any_more(bus: Bus) -> None:
    async with dealing(bus, policy=replace(FREELY, ask_if_new=True)) as deals:
        opened = the(await deals.negotiate(task_id="t1"), ApprovalOpened)
        assert isinstance(opened, ApprovalOpened)
        await deals.say(opened, "approve")
        the(await deals.events("t1", past_approval=True), NegotiationAgreed)
        until = asyncio.get_running_loop().time() + 30
        while True:  # the memory follows the deal
            events = await deals.negotiate()
            if "NegotiationAgreed" in kinds(events):
                break
            assert asyncio.get_running_loop().time() < until
    assert (await approvals_bucket(bus).values())[opened.approval.approval_id].state is ApprovalState.APPROVED
