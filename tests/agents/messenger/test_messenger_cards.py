"""Cards: within Slack's limits whatever the record holds, and nothing in them but what we mean."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slackcards import DIGEST, decided, make_approval

from agents.messenger.cards import (
    BUTTON_VALUE_CHARS_MAX,
    ButtonValue,
    approval_card,
    cost_card,
    dollars,
    reminder_card,
)
from agents.messenger.chat import Card
from agents.messenger.mrkdwn import date, escape, marked, one_line, person, plain
from schemas.approval import (
    APPROVERS_MAX,
    FACTS_MAX,
    NOTE_CHARS_MAX,
    TEXT_CHARS_MAX,
    TITLE_CHARS_MAX,
    VOTES_MAX,
    Approval,
    ApprovalState,
    Ballot,
    Delegation,
    Fact,
    Vote,
)
from schemas.cost import CostThresholdCrossed
from schemas.llm import BudgetState

AT = "2026-11-21T12:00:00Z"
NASTY = "<!channel> <@U123> <https://evil.example|*Approved*> & `x` ~no~\n\u202egnp.exe\x1b[31m@here"


def texts(card: Card) -> list[dict[str, Any]]:
    """All text objects of a card."""
    found: list[dict[str, Any]] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if node.get("type") in ("mrkdwn", "plain_text"):
                found.append(node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list | tuple):
            for value in node:
                walk(value)

    walk(card.blocks)
    return found


def buttons(card: Card) -> list[dict[str, Any]]:
    return [button for block in card.blocks if block["type"] == "actions" for button in block["elements"]]


def check_limits(card: Card) -> None:
    """What Slack refuses with `invalid_blocks`."""
    assert card.text
    assert len(card.blocks) <= 50
    assert len(json.dumps(card.blocks, ensure_ascii=False, separators=(",", ":"))) <= 10_000
    for text in texts(card):
        assert 1 <= len(text["text"]) <= 3_000
    for block in card.blocks:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert len(block["text"]["text"]) <= 150
            case "section":
                fields = block.get("fields", [])
                assert len(fields) <= 10
                assert all(len(field["text"]) <= 2_000 for field in fields)
                assert fields or block["text"]
            case "actions":
                assert len(block["elements"]) <= 25
            case "context":
                assert len(block["elements"]) <= 10
            case other:
                raise AssertionError(other)
    for button in buttons(card):
        assert len(button["value"]) <= BUTTON_VALUE_CHARS_MAX
        assert len(button["text"]["text"]) <= 75
        if "confirm" in button:
            confirm = button["confirm"]
            assert len(confirm["title"]["text"]) <= 100
            assert len(confirm["text"]["text"]) <= 300
            assert len(confirm["confirm"]["text"]) <= 30
            assert len(confirm["deny"]["text"]) <= 30


def full_approval(piece: str, state: ApprovalState = ApprovalState.PENDING) -> Approval:
    """As much of everything as a record may hold, all of it made of `piece`."""

    def fill(chars: int) -> str:
        return (piece * chars)[:chars]

    vote = Vote(
        by=fill(100),
        identity=f"cli:{fill(60)}",
        ballot=Ballot.VETO if state is ApprovalState.VETOED else Ballot.APPROVE,
        at=AT,
        vote_id="v",
        note=fill(NOTE_CHARS_MAX),
        on_behalf_of=fill(100),
    )
    given_on = Delegation(who=fill(100), to=fill(100), at=AT)
    return make_approval(
        title=fill(TITLE_CHARS_MAX),
        text=fill(TEXT_CHARS_MAX),
        facts=tuple(Fact(label=fill(TITLE_CHARS_MAX), value=fill(NOTE_CHARS_MAX)) for _ in range(FACTS_MAX)),
        reasons=(fill(NOTE_CHARS_MAX),) * FACTS_MAX,
        cost_nusd=10**18,
        approvers=tuple(f"{fill(90)}{number}" for number in range(APPROVERS_MAX)),
        quorum=APPROVERS_MAX,
        votes=(vote,) * VOTES_MAX,
        delegations=(given_on,) * APPROVERS_MAX,
        requested_by=fill(300),
        policy_version=fill(300),
        why=fill(2_000),
        state=state,
        decided_at=AT,
    )


@pytest.mark.parametrize("piece", ["x", "&", "<", "\n", "😀", "\u202e", "a b ", NASTY])
@pytest.mark.parametrize("state", list(ApprovalState))
def test_the_fullest_record_is_within_slacks_limits(piece: str, state: ApprovalState) -> None:
    approval = full_approval(piece, state)
    check_limits(approval_card(approval))
    check_limits(reminder_card(approval))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=TITLE_CHARS_MAX), st.text(max_size=TEXT_CHARS_MAX), st.text(max_size=NOTE_CHARS_MAX))  # fmt: skip
def test_any_text_is_within_slacks_limits(title: str, text: str, note: str) -> None:
    approval = make_approval(
        title=title, text=text, facts=(Fact(label=title, value=note),), reasons=(note,), approvers=(note,)
    )
    card = approval_card(approval)
    check_limits(card)
    json.dumps(card.blocks).encode()


def test_a_card_that_had_to_be_shortened_says_where_all_of_it_is() -> None:
    assert "shortened" in json.dumps(approval_card(full_approval("x")).blocks)
    assert "shortened" not in json.dumps(approval_card(make_approval()).blocks)


def test_nothing_in_a_record_can_mention_link_or_format() -> None:
    for state in ApprovalState:
        approval = full_approval(NASTY, state)
        for card in (approval_card(approval), reminder_card(approval)):
            said = [card.text, *(text["text"] for text in texts(card))]
            assert not any("<!channel>" in text or "<@U123>" in text or "<http" in text for text in said)
            assert not any("\u202e" in text or "\x1b" in text for text in said)
            for text in texts(card):
                if text["type"] == "mrkdwn":
                    assert text["verbatim"] is True  # no @here, #channel or address becomes a link
                    assert "~no~" not in text["text"]
                    assert "*Approved*>" not in text["text"]
                else:
                    assert text["emoji"] is False


def test_an_open_card_has_what_the_person_needs_to_decide() -> None:
    approval = make_approval(
        facts=(Fact(label="Pays", value="$120.00 to TikTok"), Fact(label="Goal", value="Reach")),
        reasons=("over $100.00",),
        text="As agreed.",
        approvers=("slack:U024BE7LH", "alice"),
        quorum=2,
        deadline=AT,
    )
    card = approval_card(approval)
    said = "\n".join(text["text"] for text in texts(card))
    for part in (
        "Deal with TikTok and Spotify",
        "*Pays*\n$120.00 to TikTok",
        "at most $120.00",
        "over $100.00",
        "As agreed.",
        "2 of these must approve",
        "<@U024BE7LH>, alice",
        "<!date^1795262400^{date_short_pretty} at {time}|2026-11-21 12:00 UTC>",
        DIGEST[:12],
    ):
        assert part in said, part
    approve, veto = buttons(card)
    assert (approve["style"], veto["style"]) == ("primary", "danger")
    assert "confirm" in veto
    assert "confirm" not in approve
    value = msgspec.json.decode(approve["value"], type=ButtonValue)
    assert (value.approval_id, value.digest) == (approval.approval_id, DIGEST)


@pytest.mark.parametrize(
    ("identity", "by", "via", "said"),
    [
        ("cli:alice", "alice", "cli", "alice on the command line"),
        ("key:ops", "ops", "http", "ops over HTTP"),
        ("key:ops", "ops", "", "ops over HTTP"),
        ("slack:U1ABC", "alice", "slack", "alice (<@U1ABC>) in Slack"),
        ("slack:U1ABC", "slack:U1ABC", "slack", "<@U1ABC> in Slack"),
    ],
)
def test_a_decided_card_says_who_when_and_by_what_way_and_has_no_buttons(
    identity: str, by: str, via: str, said: str
) -> None:
    vote = Vote(by=by, identity=identity, ballot=Ballot.APPROVE, at=AT, vote_id="v", note="go", via=via)
    approval = decided(make_approval(reasons=("over $100.00",)), votes=(vote,), decided_at=AT)
    card = approval_card(approval)
    words = "\n".join(text["text"] for text in texts(card))
    assert f"*✅ Approved* by {said}, <!date^1795262400^" in words
    assert ": go" in words
    assert "must approve" not in words
    assert buttons(card) == []


def test_equal_records_make_equal_cards_and_others_do_not() -> None:
    approval = make_approval()
    assert approval_card(approval).fingerprint == approval_card(approval).fingerprint
    assert approval_card(approval).fingerprint != approval_card(decided(approval)).fingerprint


def test_a_stop_says_that_no_more_money_is_spent() -> None:
    budget = BudgetState(
        limit="month 2026-11",
        limit_nusd=100 * 10**9,
        stop_nusd=90 * 10**9,
        spent_nusd=90 * 10**9,
        reserved_nusd=0,
    )
    card = cost_card(CostThresholdCrossed(budget=budget, percent=90, is_stop=True))
    check_limits(card)
    assert "No more money is spent" in json.dumps(card.blocks)
    nasty = msgspec.structs.replace(budget, limit=f"task {NASTY}", resets_at="never")
    check_limits(cost_card(CostThresholdCrossed(budget=nasty, percent=10**6)))


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (4_200_000, "$0.0042"),
        (10_000_000, "$0.01"),
        (10_000_001, "$0.02"),
        (12_300_000_000, "$12.30"),
        (10**18, "$1,000,000,000.00"),
    ],
)
def test_money_is_rounded_up_and_small_sums_are_seen(nusd: int, text: str) -> None:
    assert dollars(nusd) == text


@given(st.text(max_size=200), st.integers(5, 60))
def test_an_escaped_text_is_short_and_no_escape_is_cut(text: str, chars_max: int) -> None:
    for cut in (escape(text, chars_max), plain(text, chars_max)["text"]):
        assert len(cut) <= chars_max
        assert not set("<>") & set(cut)
        rest = cut.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert "&" not in rest


@given(st.text(max_size=100))
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_a_text_that_is_cut_keeps_whole_lines() -> None:
    text = marked("\n".join(f"• <@U{number:05}>" for number in range(100)), 100)["text"]
    assert len(text) <= 100
    assert all(line.endswith(">") for line in text.splitlines()[:-1])
    assert text.splitlines()[-1] == "…"


def test_only_slack_users_are_mentioned() -> None:
    assert person("slack:U024BE7LH") == "<@U024BE7LH>"
    assert person("slack:U1> <!channel") == "slack:U1&gt; &lt;!channel"
    assert person("alice") == "alice"


@pytest.mark.parametrize("text", ["", "soon", "2026-13-45", "2026-01-01T00:00:00", "<!channel>", "1890-01-01T00:00:00Z"])  # fmt: skip
def test_what_is_no_time_stays_text(text: str) -> None:
    assert "<" not in date(text)
    assert date(text)
