"""Whether a deal needs a person, what that person is shown, and the digest that binds the answer. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agents.negotiator.gates import Gates, usd
from schemas.approval import FACTS_MAX, NOTE_CHARS_MAX, TEXT_CHARS_MAX, ApprovalRequested, Fact
from schemas.deal import Deal
from schemas.negotiation import HOUSE, Interval, NegotiationProposed, Payment

CONVERSIONS_MIN: Final = 5
"""Counted on a platform; with fewer, its conversion rate is mostly prior."""
KIND: Final = "deal"
"""Of the policy's rule, and of approvals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DealPolicy:
    """What the policy says of deals.

    Attributes:
        ask_above_nusd, ask_below_confidence: None: that is no reason to ask.
        gates: what deals may cost at most, approved or not.
    """

    version: str
    gates: Gates
    ask_always: bool = False
    ask_above_nusd: int | None = None
    ask_below_confidence: float | None = None
    ask_if_new: bool = False


def reasons_to_ask(
    policy: DealPolicy,
    *,
    amount_nusd: int,
    confidence: float,
    is_new: bool,
    wanted: bool,
    unproven: Sequence[str] = (),
) -> tuple[str, ...]:
    """Why a person must decide, in words; empty: nobody need.

    Args:
        confidence: likelihood that every party gains, 0 to 1.
        is_new: nothing like it was agreed on before.
        wanted: whoever asked for the negotiation wants a person, whatever the policy says.
        unproven: platforms that would be paid and of which too little was counted for the likelihood to mean much.
    """
    out = []
    if wanted:
        out.append("whoever asked for this negotiation wants a person to decide")
    if policy.ask_always:
        out.append("every deal is put before a person")
    if policy.ask_above_nusd is not None and amount_nusd > policy.ask_above_nusd:
        out.append(f"{usd(amount_nusd)} is more than {usd(policy.ask_above_nusd)}")
    if policy.ask_below_confidence is not None and confidence < policy.ask_below_confidence:
        out.append(
            f"with {confidence:.0%} it is less likely than {policy.ask_below_confidence:.0%} that everybody gains"
        )
    if policy.ask_below_confidence is not None and unproven:
        out.append(
            f"fewer than {CONVERSIONS_MIN} conversions were counted on {' and '.join(unproven)}: "
            "what it brings is a guess"
        )
    if policy.ask_if_new and is_new:
        out.append("no deal with these platforms and terms was agreed on before")
    return tuple(out)


def digest_of(goal: str, deal: Deal, payments: Sequence[Payment], policy_version: str) -> str:
    """SHA-256 of all that a yes means, in hexadecimal."""
    content = {"goal": goal, "deal": dict(sorted(deal.items())), "policy": policy_version}
    stated = [(one.platform, one.terms, one.most_nusd, one.volume) for one in payments]
    return hashlib.sha256(msgspec.json.encode({**content, "payments": stated})).hexdigest()


def approval_of(proposed: NegotiationProposed, task_id: str) -> ApprovalRequested:
    """What is put before people."""
    platforms = " and ".join(one.platform for one in proposed.payments)
    title = f"Deal with {platforms or 'nobody'} for at most {usd(proposed.amount_nusd)}"
    return ApprovalRequested(
        kind=KIND,
        title=_cut(title, 150),
        digest=proposed.digest,
        facts=tuple(_facts(proposed))[:FACTS_MAX],
        text=_cut(_text(proposed), TEXT_CHARS_MAX),
        cost_nusd=proposed.amount_nusd,
        about=f"deal {task_id}",
        reasons=tuple(_cut(reason, NOTE_CHARS_MAX) for reason in proposed.approval_reasons),
    )


def _facts(proposed: NegotiationProposed) -> list[Fact]:
    facts = [Fact(label="Goal", value=_cut(proposed.goal, NOTE_CHARS_MAX))]
    for one in proposed.payments:
        volume = f" for {one.volume}" if one.volume else ""
        pays = f"at most {usd(one.most_nusd)}{volume}: {one.terms}"
        facts.append(Fact(label=one.platform, value=_cut(pays, NOTE_CHARS_MAX)))
    for issue, value in proposed.deal.items():
        facts.append(Fact(label=_cut(issue, 150), value=_cut(value, NOTE_CHARS_MAX)))
    if ours := proposed.revenue.get(HOUSE):
        facts.append(Fact(label="We gain, expected", value=_range(ours.expected)))
        facts.append(Fact(label="We gain, as it may turn out", value=_range(ours.realised)))
    facts.append(Fact(label="Likelihood that everybody gains", value=f"{proposed.confidence:.0%}"))
    return facts


def _text(proposed: NegotiationProposed) -> str:
    certificate = proposed.certificate
    worst = max(certificate.regrets.values(), default=0.0)
    binds = ", ".join(certificate.binds) or "nobody"
    proof = "No deal does better by it" if certificate.is_exact else "A better one was not found in time"
    out = [f"The largest share of what anybody could gain and doesn't is {worst:.0%} ({binds}). {proof}."]
    if proposed.silent:
        out.append(f"Not taking part: {_named(proposed.silent)}.")
    return " ".join(out)


def _named(silent: Mapping[str, str]) -> str:
    return "; ".join(f"{party} ({why})" for party, why in silent.items())


def _range(interval: Interval) -> str:
    share = f"{interval.level:.0%}"
    return f"{_dollars(interval.mean)}, with {share} between {_dollars(interval.low)} and {_dollars(interval.high)}"


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[: chars - 1]}…"
