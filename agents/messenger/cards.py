"""What people see: cards of approvals, reminders and cost alerts. Pure.

A card is made from the record alone, so that two messengers make the same one. It stays within Slack's limits
whatever the record holds, and nothing in a record can mention, link or format.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agents.messenger.chat import Card
from agents.messenger.mrkdwn import date, escape, marked, one_line, person, plain, plain_lines
from schemas.approval import Approval, ApprovalState, Ballot, Vote
from schemas.cost import CostThresholdCrossed

APPROVE: Final = "lv_approve"
VETO: Final = "lv_veto"

HEADER_CHARS_MAX: Final = 150
TEXT_CHARS_MAX: Final = 3_000
FIELD_CHARS_MAX: Final = 2_000
FIELDS_MAX: Final = 10
BUTTON_VALUE_CHARS_MAX: Final = 2_000
FALLBACK_CHARS_MAX: Final = 600
BLOCKS_CHARS_MAX: Final = 10_000
"""Of all blocks together, as JSON. Slack refuses from some 12,000 of text on (`msg_blocks_too_long`), by a rule that it
doesn't tell."""

_WAYS: Final = {
    "slack": "in Slack",
    "cli": "on the command line",
    "http": "over HTTP",
    "key": "over HTTP",
}
_HEADS: Final = {
    ApprovalState.PENDING: "Approval wanted",
    ApprovalState.APPROVED: "✅ Approved",
    ApprovalState.VETOED: "⛔ Vetoed",
    ApprovalState.EXPIRED: "⌛ Expired",
    ApprovalState.WITHDRAWN: "↩️ Withdrawn",
}


class ButtonValue(msgspec.Struct, frozen=True, kw_only=True, rename={"approval_id": "a", "digest": "d"}):
    """What a button tells when it is clicked: which approval, and the digest of what the person saw."""

    approval_id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """How much of what there may be much of is shown; characters and counts at most."""

    label_chars: int = HEADER_CHARS_MAX
    value_chars: int = FIELD_CHARS_MAX // 2
    text_chars: int = TEXT_CHARS_MAX
    reasons: int = 10
    names: int = 20
    note_chars: int = 500
    is_all: bool = True


_ROOMS: Final = (
    _Room(),
    _Room(
        label_chars=80, value_chars=200, text_chars=1_000, reasons=5, names=10, note_chars=100, is_all=False
    ),
    _Room(label_chars=40, value_chars=80, text_chars=300, reasons=2, names=5, note_chars=40, is_all=False),
)
"""Tried in this order; a card with the last one fits whatever the record holds."""


def approval_card(approval: Approval) -> Card:
    """The card of an approval as it stands: with buttons while it is open, with its outcome afterwards."""
    blocks: list[dict[str, Any]] = []
    for room in _ROOMS:
        blocks = _approval_blocks(approval, room)
        if len(msgspec.json.encode(blocks).decode()) <= BLOCKS_CHARS_MAX:
            break
    head = _HEADS[approval.state]
    return Card(text=f"{head}: {escape(approval.request.title, FALLBACK_CHARS_MAX)}", blocks=tuple(blocks))


def _approval_blocks(approval: Approval, room: _Room) -> list[dict[str, Any]]:
    request = approval.request
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": plain(request.title, HEADER_CHARS_MAX)},
        _section(_status_lines(approval, room)),
        *_fact_blocks(approval, room),
    ]
    if request.text:
        blocks.append({"type": "section", "text": plain_lines(request.text, room.text_chars)})
    if request.reasons and approval.is_open:
        blocks.append(_section(_reason_lines(request.reasons, room)))
    if lines := _vote_lines(approval, room):
        blocks.append(_section(lines))
    if approval.is_open:
        blocks.append(_buttons(approval))
    blocks.append({"type": "context", "elements": [marked(_footer(approval, room), FIELD_CHARS_MAX)]})
    return blocks


def reminder_card(approval: Approval) -> Card:
    """The answer in the card's thread when its deadline is near."""
    missing = approval.missing
    line = (
        f"⏰ Still {missing} to approve, until {date(approval.deadline)}: {_names(approval.approvers, _Room())}.\n"
        "Nobody's yes in time means no."
    )
    text = f"⏰ Expires soon: {escape(approval.request.title, FALLBACK_CHARS_MAX)}"
    return Card(text=text, blocks=(_section([line]),))


def cost_card(event: CostThresholdCrossed) -> Card:
    """The alert that a share of a money limit is used up."""
    budget = event.budget
    limit = escape(budget.limit, HEADER_CHARS_MAX)
    sign = "⛔" if event.is_stop else "⚠️"
    head = f"{sign} {event.percent} % of the limit of {budget.limit} is used"
    lines = [
        f"*{dollars(budget.spent_nusd)}* spent and {dollars(budget.reserved_nusd)} held "
        f"of {dollars(budget.limit_nusd)} ({limit})."
    ]
    if event.is_stop:
        lines.append("No more money is spent: only free models are left.")
    else:
        lines.append(f"Spending stops at {dollars(budget.stop_nusd)}.")
    if budget.resets_at:
        lines.append(f"The limit starts anew {date(budget.resets_at)}.")
    blocks = (
        {"type": "header", "text": plain(head, HEADER_CHARS_MAX)},
        _section(lines),
        {"type": "context", "elements": [marked("`labverse costs` shows what it was spent on.", 200)]},
    )
    return Card(text=escape(head, FALLBACK_CHARS_MAX), blocks=blocks)


def dollars(nusd: int) -> str:
    """An amount in nano-USD, rounded up to cents, or below a cent to what can be seen: `$12.30`, `$0.000069`."""
    if nusd >= 10_000_000:
        return f"${-(-nusd // 10_000_000) / 100:,.2f}" if nusd < 10**22 else f"${nusd // 10**9:,}"
    return "$0.00" if nusd == 0 else f"${nusd / 1e9:.9f}".rstrip("0")


def _section(lines: Iterable[str]) -> dict[str, Any]:
    return {"type": "section", "text": marked("\n".join(lines), TEXT_CHARS_MAX)}


def _status_lines(approval: Approval, room: _Room) -> list[str]:
    """First what became of it, or until when and from whom a word is wanted."""
    head = f"*{_HEADS[approval.state]}*"
    match approval.state:
        case ApprovalState.PENDING:
            who = _names(approval.approvers, room)
            wanted = max(1, approval.quorum)
            lines = [
                f"{head}, until {date(approval.deadline)}",
                f"{wanted} of these must approve, one veto is a no: {who}",
            ]
            if approval.warned:
                lines.insert(0, "⏰ *The deadline is near.*")
            return lines
        case ApprovalState.APPROVED:
            said_yes = [vote for vote in approval.votes if vote.ballot is Ballot.APPROVE]
            return [f"{head} by {_voters(said_yes, room)}, {date(approval.decided_at)}"]
        case ApprovalState.VETOED:
            said_no = [vote for vote in approval.votes if vote.ballot is Ballot.VETO]
            return [f"{head} by {_voters(said_no, room)}, {date(approval.decided_at)}"]
        case _:
            why = escape(approval.why, room.note_chars)
            return [f"{head} {date(approval.decided_at or approval.deadline)}" + (f": {why}" if why else "")]


def _fact_blocks(approval: Approval, room: _Room) -> list[dict[str, Any]]:
    """Facts in two columns; the cost stands first."""
    request = approval.request
    facts = [
        f"*{escape(fact.label, room.label_chars)}*\n{escape(fact.value, room.value_chars)}"
        for fact in request.facts
    ]
    cost = "nothing" if request.cost_nusd is None else f"at most {dollars(request.cost_nusd)}"
    facts.insert(0, f"*Costs*\n{cost}")
    fields = [marked(text, FIELD_CHARS_MAX) for text in facts]
    return [
        {"type": "section", "fields": fields[start : start + FIELDS_MAX]}
        for start in range(0, len(fields), FIELDS_MAX)
    ]


def _reason_lines(reasons: Sequence[str], room: _Room) -> list[str]:
    lines = ["*Why a person is asked*"]
    lines += [f"• {escape(reason, room.value_chars)}" for reason in reasons[: room.reasons]]
    if len(reasons) > room.reasons:
        lines.append(f"• and {len(reasons) - room.reasons} more")
    return lines


def _vote_lines(approval: Approval, room: _Room) -> list[str]:
    """Who said what so far, notes included; the newest when there are too many."""
    lines = []
    for vote in approval.votes[-room.names :]:
        said = "approved" if vote.ballot is Ballot.APPROVE else "vetoed"
        line = f"• {_voter(vote)} {said} {date(vote.at)}"
        lines.append(line + (f": {escape(vote.note, room.note_chars)}" if vote.note else ""))
    lines += [
        f"• {person(given.identity or given.who)} handed the right to vote on to {person(given.to)}"
        for given in approval.delegations[-room.names :]
    ]
    if lines and approval.is_open:
        lines.insert(0, f"*Said so far* ({approval.missing} more must approve)")
    elif lines:
        lines.insert(0, "*Said*")
    return lines


def _buttons(approval: Approval) -> dict[str, Any]:
    value = ButtonValue(approval_id=approval.approval_id, digest=approval.request.digest)
    text = msgspec.json.encode(value).decode()
    if len(text) > BUTTON_VALUE_CHARS_MAX:
        raise ValueError(
            f"a button's value of {len(text)} characters exceeds the limit of {BUTTON_VALUE_CHARS_MAX}"
        )
    title = one_line(approval.request.title)
    confirm = {
        "title": plain("Veto this?", 100),
        "text": plain(f"One veto is a no for everybody: {title}", 300),
        "confirm": plain("Veto", 30),
        "deny": plain("Back", 30),
        "style": "danger",
    }
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": APPROVE,
                "style": "primary",
                "text": plain("Approve", 75),
                "value": text,
            },
            {
                "type": "button",
                "action_id": VETO,
                "style": "danger",
                "text": plain("Veto", 75),
                "value": text,
                "confirm": confirm,
            },
        ],
    }


def _footer(approval: Approval, room: _Room) -> str:
    request = approval.request
    parts = [f"{request.kind} {escape(approval.approval_id, 128)}", f"digest {request.digest[:12]}"]
    if approval.requested_by:
        parts.append(f"asked by {escape(approval.requested_by, 128)}")
    if approval.policy_version:
        parts.append(f"policy {escape(approval.policy_version, 64)}")
    if not room.is_all:
        parts.insert(0, "shortened: `labverse approvals show` has all of it")
    return " · ".join(parts)


def _names(approvers: Sequence[str], room: _Room) -> str:
    if not approvers:
        return "nobody is on the list of approvers"
    names = ", ".join(person(name) for name in approvers[: room.names])
    more = len(approvers) - room.names
    return f"{names} and {more} more" if more > 0 else names


def _voters(votes: Sequence[Vote], room: _Room) -> str:
    names = ", ".join(_voter(vote) for vote in votes[-room.names :])
    return names or "nobody"


def _voter(vote: Vote) -> str:
    """Who said it and by what way; whose right it was, if it had been handed on."""
    way, _, _ = vote.identity.partition(":")
    name = person(vote.identity) if way == "slack" else person(vote.by or vote.identity)
    if way == "slack" and vote.by and vote.by != vote.identity:
        name = f"{escape(vote.by, 100)} ({name})"
    by_way = _WAYS.get(vote.via) or _WAYS.get(way)
    how = f" {by_way}" if by_way else ""
    whose = f" for {person(vote.on_behalf_of)}" if vote.on_behalf_of else ""
    return f"{name}{whose}{how}"
