"""What a negotiation decides with plain values: whom to ask, what counts, when a person must look, what a yes binds."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.negotiator.flow.asking import DealPolicy, approval_of, digest_of, reasons_to_ask
from agents.negotiator.flow.known import kind_of
from agents.negotiator.flow.opening import DURABLE, Negotiator, opened
from agents.negotiator.flow.settling import others
from agents.negotiator.flow.table import agreed, taken, why_over
from agents.negotiator.gates import Gates
from agents.negotiator.platforms.cards import load_cards
from agents.negotiator.platforms.issues import issues_of
from agents.negotiator.platforms.positions import position_of
from bus import Envelope
from bus.gather import Gathered
from schemas.approval import ApprovalRequested
from schemas.deal import Alternative
from schemas.event import subject_of
from schemas.examples import EXAMPLES
from schemas.ids import derive_id, output_id
from schemas.negotiation import (
    HOUSE,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
    Payment,
    PositionAsked,
    PositionStated,
)

REQUEST = NegotiationRequested(goal="syndication", platforms=("tiktok", "spotify"))
CARDS = load_cards()
POLICY = DealPolicy(
    version="7",
    gates=Gates(deal_nusd=1, platform_day_nusd=1, day_nusd=1),
    ask_above_nusd=100_000_000_000,
    ask_below_confidence=0.8,
    ask_if_new=True,
)


def envelope(task_id: str = "t1", *, deadline: str = "", cause: str = "") -> Envelope:
    tag = "negotiation.requested.v1"
    return Envelope(
        subject=subject_of(tag, task_id, task_id),
        id=task_id,
        tag=tag,
        task_id=task_id,
        deadline=deadline,
        causation_id=cause,
        time="2026-01-31T12:00:00.000000Z",
    )


def opening(request: NegotiationRequested = REQUEST) -> tuple[NegotiationOpened, list[PositionAsked]]:
    first, *asked = opened(request, envelope(), issues_of(request.platforms, CARDS), now_s=1_000.0)
    assert isinstance(first, NegotiationOpened)
    return first, [one for one in asked if isinstance(one, PositionAsked)]


def position(party: str, opened_: NegotiationOpened) -> PositionStated:
    return position_of(
        party,
        cards=CARDS,
        issues=opened_.issues,
        platforms=opened_.request.platforms,
        budget_nusd=opened_.request.budget_nusd,
        agent="platform",
    )


def gathered(opened_: NegotiationOpened, **stated: PositionStated) -> Gathered[PositionStated]:
    steps = dict(zip(opened_.parties, opened_.asked, strict=True))
    return Gathered(
        parts=[(one, envelope(cause=steps[party])) for party, one in stated.items()],
        missing=[step for party, step in steps.items() if party not in stated],
    )


def test_everybody_is_asked_ourselves_first_and_the_opening_names_the_questions() -> None:
    first, asked = opening()
    assert [one.party for one in asked] == [HOUSE, "tiktok", "spotify"]
    derived = derive_id(envelope().subject, DURABLE, 0)
    assert first.asked == tuple(output_id(derived, number) for number in (1, 2, 3))
    assert {one.deadline for one in asked} == {first.deadline}
    assert first.deadline.startswith("1970-01-01T00:16:42")


def test_positions_are_due_by_the_tasks_deadline_at_the_latest() -> None:
    first, *_ = opened(REQUEST, envelope(deadline="1970-01-01T00:16:40.5Z"), (), now_s=1_000.0)
    assert isinstance(first, NegotiationOpened)
    assert first.deadline.startswith("1970-01-01T00:16:40.5")


@pytest.mark.parametrize(
    ("platforms", "said"),
    [
        (("tiktok", "tiktok"), "named twice"),
        (("tiktok", "house"), "ourselves"),
        (("tiktok", "nowhere"), "no rate card for 'nowhere'"),
    ],
)
async def test_platforms_that_can_not_be_negotiated_with_are_refused_with_the_reason(
    platforms: tuple[str, ...], said: str
) -> None:
    request = msgspec.structs.replace(REQUEST, platforms=platforms)
    (refused,) = await Negotiator(cards=CARDS).handle(request, envelope())
    assert isinstance(refused, NegotiationNoDeal)
    assert refused.kind == "refused"
    assert said in refused.reason


def test_who_says_nothing_is_named_and_nonsense_counts_as_nothing() -> None:
    first, _ = opening()
    mine, theirs = position(HOUSE, first), position("tiktok", first)
    broken = msgspec.structs.replace(
        theirs,
        scenarios=(msgspec.structs.replace(theirs.scenarios[0], probability=0.5),),
    )
    positions, silent = taken(first, gathered(first, house=mine, tiktok=broken))
    assert list(positions) == [HOUSE]
    assert silent["spotify"].startswith("nothing heard by")
    assert "add up to 0.5" in silent["tiktok"]
    assert "no platform stated a position" in why_over(first, positions, silent)


def test_a_silent_platform_is_left_out_or_blocks_by_policy() -> None:
    first, _ = opening()
    positions, silent = taken(
        first, gathered(first, house=position(HOUSE, first), tiktok=position("tiktok", first))
    )
    assert why_over(first, positions, silent) == ""
    blocking = msgspec.structs.replace(first, request=msgspec.structs.replace(REQUEST, on_silence="block"))
    assert "without everybody nothing is agreed on" in why_over(blocking, positions, silent)


def test_without_ourselves_nothing_is_negotiated() -> None:
    first, _ = opening()
    positions, silent = taken(
        first, gathered(first, spotify=position("spotify", first), tiktok=position("tiktok", first))
    )
    assert "we stated no position" in why_over(first, positions, silent)


def test_each_reason_to_ask_a_person_is_said() -> None:
    def reasons(**more: object) -> tuple[str, ...]:
        given = {"amount_nusd": 1, "confidence": 1.0, "is_new": False, "wanted": False} | more
        return reasons_to_ask(POLICY, **given)  # type: ignore[arg-type]

    assert reasons() == ()
    assert reasons(amount_nusd=100_000_000_000) == ()
    assert reasons(amount_nusd=100_000_000_001) == ("$100.01 is more than $100.00",)
    assert "79%" in reasons(confidence=0.79)[0]
    assert "agreed on before" in reasons(is_new=True)[0]
    assert "wants a person" in reasons(wanted=True)[0]
    assert "on tiktok: what it brings is a guess" in reasons(unproven=["tiktok"])[0]
    asks = DealPolicy(version="1", gates=POLICY.gates, ask_always=True)
    assert reasons_to_ask(asks, amount_nusd=0, confidence=1.0, is_new=False, wanted=False)


PAYMENT = Payment(platform="tiktok", terms="CPM $6.50", most_nusd=10, volume="1 impression")


@given(
    st.sampled_from(
        [
            {"goal": "other"},
            {"deal": {"terms": "b"}},
            {"deal": {"terms": "a", "format": "x"}},
            {"payments": ()},
            {"payments": (msgspec.structs.replace(PAYMENT, most_nusd=11),)},
            {"payments": (msgspec.structs.replace(PAYMENT, platform="spotify"),)},
            {"payments": (msgspec.structs.replace(PAYMENT, terms="CPM $6.51"),)},
            {"payments": (msgspec.structs.replace(PAYMENT, volume="2 impressions"),)},
            {"policy_version": "2"},
        ]
    )
)
def test_the_digest_changes_with_all_that_a_yes_means(change: dict[str, object]) -> None:
    given_: dict[str, object] = {
        "goal": "g",
        "deal": {"terms": "a"},
        "payments": (PAYMENT,),
        "policy_version": "1",
    }
    before = digest_of(**given_)  # type: ignore[arg-type]
    assert len(before) == 64
    assert before == digest_of(**given_)  # type: ignore[arg-type]
    assert before != digest_of(**(given_ | change))  # type: ignore[arg-type]


def test_what_people_see_says_money_terms_and_why_they_are_asked() -> None:
    proposed = EXAMPLES["negotiation.proposed.v1"]
    assert isinstance(proposed, NegotiationProposed)
    card = approval_of(proposed, "t1")
    assert isinstance(card, ApprovalRequested)
    assert card.title == "Deal with tiktok and spotify for at most $1,000.00"
    assert (card.digest, card.about, card.cost_nusd) == (proposed.digest, "deal t1", proposed.amount_nusd)
    assert card.reasons == proposed.approval_reasons
    told = {fact.label: fact.value for fact in card.facts}
    assert told["tiktok"] == "at most $600.00 for 92,307 impressions: CPM $6.50"
    assert "between -$60.00 and $450.00" in told["We gain, as it may turn out"]


def test_the_longest_names_still_make_a_card_that_can_be_sent() -> None:
    proposed = EXAMPLES["negotiation.proposed.v1"]
    assert isinstance(proposed, NegotiationProposed)
    long = msgspec.structs.replace(
        proposed,
        goal="g" * 500,
        deal={f"issue {number}": "v" * 200 for number in range(16)},
        payments=tuple(
            Payment(platform="p" * 32, terms="t" * 600, most_nusd=1, volume="v" * 600) for _ in range(11)
        ),
        silent={"s" * 32: "why " * 300},
        approval_reasons=("r" * 500,) * 4,
    )
    card = approval_of(long, "t1")
    assert msgspec.json.decode(msgspec.json.encode(card), type=ApprovalRequested) == card


def test_deals_of_one_kind_differ_in_amounts_only() -> None:
    deal = {"terms": "CPM, tiktok 60 % · spotify 40 %", "format": "clip"}
    more = msgspec.structs.replace(PAYMENT, most_nusd=99, volume="9 impressions")
    assert kind_of(deal, (PAYMENT,)) == kind_of({**deal, "terms": "CPM, tiktok 100 %"}, (more,))
    assert kind_of(deal, (PAYMENT,)) != kind_of({**deal, "format": "episode"}, (PAYMENT,))
    dearer = msgspec.structs.replace(PAYMENT, terms="CPM $7.00")
    assert kind_of(deal, (PAYMENT,)) != kind_of(deal, (dearer,))


def test_deals_beside_the_chosen_one_are_told_once_each() -> None:
    proposed = EXAMPLES["negotiation.proposed.v1"]
    assert isinstance(proposed, NegotiationProposed)
    certificate = proposed.certificate
    other = Alternative(deal={"terms": "x"}, utilities={}, value=1.0)
    found = others(
        msgspec.structs.replace(
            certificate,
            by_concept={**certificate.by_concept, "nash": other, "utilitarian": other},
            runner_up=Alternative(deal={"terms": "y"}, utilities={}, value=1.0),
        )
    )
    assert found == {"nash": {"terms": "x"}, "runner_up": {"terms": "y"}}


def test_what_is_agreed_is_what_was_proposed() -> None:
    proposed = EXAMPLES["negotiation.proposed.v1"]
    assert isinstance(proposed, NegotiationProposed)
    done = agreed(proposed)
    assert (done.deal, done.payments, done.digest) == (proposed.deal, proposed.payments, proposed.digest)
    assert (done.approval_id, done.by) == ("", ())
