"""What people see: cards of approvals, reminders and cost alerts. Pure.

A card is made from the record alone, so that two messengers make the same one. It stays within Slack's limits
whatever the record holds, and nothing in a record can mention, link or format.
"""

from collections.abc import Iterable, Sequence
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
NAMES_SHOWN_MAX: Final = 20
REASONS_SHOWN_MAX: Final = 10
LINE_CHARS_MAX: Final = 700

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


def approval_card(approval: Approval) -> Card:
    """The card of an approval as it stands: with buttons while it is open, with its outcome afterwards."""
    request = approval.request
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": plain(request.title, HEADER_CHARS_MAX)},
        _section(_status_lines(approval)),
        *_fact_blocks(approval),
    ]
    if request.text:
        blocks.append({"type": "section", "text": plain_lines(request.text, TEXT_CHARS_MAX)})
    if request.reasons and approval.is_open:
        blocks.append(_section(_reason_lines(request.reasons)))
    if lines := _vote_lines(approval):
        blocks.append(_section(lines))
    if approval.is_open:
        blocks.append(_buttons(approval))
    blocks.append({"type": "context", "elements": [marked(_footer(approval), FIELD_CHARS_MAX)]})
    head = _HEADS[approval.state]
    return Card(text=f"{head}: {escape(request.title, FALLBACK_CHARS_MAX)}", blocks=tuple(blocks))


def reminder_card(approval: Approval) -> Card:
    """The answer in the card's thread when its deadline is near."""
    missing = approval.missing
    line = (
        f"⏰ Still {missing} to approve, until {date(approval.deadline)}: {_names(approval.approvers)}.\n"
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


def _status_lines(approval: Approval) -> list[str]:
    """First what became of it, or until when and from whom a word is wanted."""
    head = f"*{_HEADS[approval.state]}*"
    match approval.state:
        case ApprovalState.PENDING:
            who = _names(approval.approvers)
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
            return [f"{head} by {_voters(said_yes)}, {date(approval.decided_at)}"]
        case ApprovalState.VETOED:
            said_no = [vote for vote in approval.votes if vote.ballot is Ballot.VETO]
            return [f"{head} by {_voters(said_no)}, {date(approval.decided_at)}"]
        case _:
            why = escape(approval.why, LINE_CHARS_MAX)
            return [f"{head} {date(approval.decided_at or approval.deadline)}" + (f": {why}" if why else "")]


def _fact_blocks(approval: Approval) -> list[dict[str, Any]]:
    """Facts in two columns; the cost stands first."""
    request = approval.request
    facts = [
        f"*{escape(fact.label, HEADER_CHARS_MAX)}*\n{escape(fact.value, FIELD_CHARS_MAX // 2)}"
        for fact in request.facts
    ]
    cost = "nothing" if request.cost_nusd is None else f"at most {dollars(request.cost_nusd)}"
    facts.insert(0, f"*Costs*\n{cost}")
    fields = [marked(text, FIELD_CHARS_MAX) for text in facts]
    return [
        {"type": "section", "fields": fields[start : start + FIELDS_MAX]}
        for start in range(0, len(fields), FIELDS_MAX)
    ]


def _reason_lines(reasons: Sequence[str]) -> list[str]:
    lines = ["*Why a person is asked*"]
    lines += [f"• {escape(reason, LINE_CHARS_MAX // 3)}" for reason in reasons[:REASONS_SHOWN_MAX]]
    if len(reasons) > REASONS_SHOWN_MAX:
        lines.append(f"• and {len(reasons) - REASONS_SHOWN_MAX} more")
    return lines


def _vote_lines(approval: Approval) -> list[str]:
    """Who said what so far, notes included; the newest when there are too many."""
    lines = []
    for vote in approval.votes[-NAMES_SHOWN_MAX:]:
        said = "approved" if vote.ballot is Ballot.APPROVE else "vetoed"
        line = f"• {_voter(vote)} {said} {date(vote.at)}"
        lines.append(line + (f": {escape(vote.note, LINE_CHARS_MAX)}" if vote.note else ""))
    lines += [
        f"• {person(given.identity or given.who)} handed the right to vote on to {person(given.to)}"
        for given in approval.delegations[-NAMES_SHOWN_MAX:]
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


def _footer(approval: Approval) -> str:
    request = approval.request
    parts = [f"{request.kind} {escape(approval.approval_id, 128)}", f"digest {request.digest[:12]}"]
    if approval.requested_by:
        parts.append(f"asked by {escape(approval.requested_by, 128)}")
    if approval.policy_version:
        parts.append(f"policy {escape(approval.policy_version, 64)}")
    return " · ".join(parts)


def _names(approvers: Sequence[str]) -> str:
    if not approvers:
        return "nobody is on the list of approvers"
    names = ", ".join(person(name) for name in approvers[:NAMES_SHOWN_MAX])
    more = len(approvers) - NAMES_SHOWN_MAX
    return f"{names} and {more} more" if more > 0 else names


def _voters(votes: Sequence[Vote]) -> str:
    names = ", ".join(_voter(vote) for vote in votes[-NAMES_SHOWN_MAX:])
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
