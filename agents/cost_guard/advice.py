"""Where money could be saved, drawn from the call records alone.

Every piece of advice carries the numbers that it was drawn from; where there are too few calls it says so
instead of guessing. Savings overlap (a call can be moved once), so they are never added up. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from agents.cost_guard.evidence import Evidence, Key, Side
from agents.cost_guard.report import dollars

CALLS_MIN: Final = 20
"""Fewer calls than this prove nothing."""
LOCAL_ANSWERED_MIN: Final = 0.95
SAME_RATE_WITHIN: Final = 0.02
"""Answered rates that differ by less are taken as the same."""
CHEAPER_BY_MIN: Final = 0.1
FAILED_SHARE_MIN: Final = 0.1
LIMIT_TIMES_P99_MIN: Final = 2.0
"""A limit on output is oversized when it is this many times what 99 of 100 answers needed."""
SAVING_NUSD_MIN: Final = 1_000
"""A millionth of a dollar: less is not worth a line."""
ADVICE_PER_RULE_MAX: Final = 5


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do about the bill.

    Attributes:
        saving_nusd: what it would have saved over these records; 0 when it saves no money by itself.
        is_at_most: the saving is a bound, not an estimate.
        calls: how many calls it was drawn from.
        is_enough: False when there are too few calls to say anything.
    """

    title: str
    text: str
    saving_nusd: int = 0
    is_at_most: bool = False
    calls: int = 0
    is_enough: bool = True


def advise(evidence: Evidence) -> list[Advice]:
    """What could be saved, the largest saving first; then what there are too few calls to say of."""
    total = evidence.total.calls
    if total < CALLS_MIN:
        return [_too_few("advice", total)]
    found = [
        *_move_to_local(evidence),
        *_cheaper_models(evidence),
        *_failures(evidence),
        *_cache(evidence),
        *_hedging(evidence),
        *_unknown_charges(evidence),
        *_oversized_limits(evidence),
    ]
    return sorted(found, key=lambda one: (not one.is_enough, -one.saving_nusd))


def _move_to_local(evidence: Evidence) -> Iterator[Advice]:
    title = "move calls to a local model"
    tried, found = 0, []
    for key, paid in evidence.paid.items():
        local = evidence.local.get(key)
        if local is None or not paid.tally.cost_nusd:
            continue
        tried = max(tried, local.tried)
        if local.tried >= CALLS_MIN and local.answered_rate >= LOCAL_ANSWERED_MIN:
            saving = paid.tally.cost_nusd - local.tally.cost_nusd * paid.tally.calls // local.tally.calls
            share = paid.tally.calls / (paid.tally.calls + local.tally.calls)
            text = (
                f"{_who(key)}: local models answered {local.answered_rate:.0%} of {local.tried:,} calls usably; "
                f"{paid.tally.calls:,} more ({share:.0%}) went to paid models for "
                f"{dollars(paid.tally.cost_nusd)}. How good the answers were, the records don't tell"
            )
            found.append(Advice(title=title, text=text, saving_nusd=saving, calls=local.tried))
    if 0 < tried < CALLS_MIN:
        yield _too_few(title, tried)
    yield from _largest(found)


def _cheaper_models(evidence: Evidence) -> Iterator[Advice]:
    title = "use a cheaper model for the same purpose"
    by_purpose: dict[str, list[tuple[str, Side]]] = {}
    for (purpose, name), side in evidence.models.items():
        by_purpose.setdefault(purpose, []).append((name, side))
    most, found = 0, []
    for purpose, models in by_purpose.items():
        if len(models) > 1:
            most = max(most, sorted(side.tried for _, side in models)[-2])
        usable = [(name, side) for name, side in models if side.tried >= CALLS_MIN and side.fit.calls]
        for name, side in usable:
            rivals = [
                (other.fit.price(side.tally.input_tokens, side.tally.output_tokens), rival, other)
                for rival, other in usable
                if rival != name and other.answered_rate >= side.answered_rate - SAME_RATE_WITHIN
            ]
            price, rival, other = min(rivals, default=(0, "", side), key=lambda one: one[:2])
            if rival and price < side.tally.cost_nusd * (1 - CHEAPER_BY_MIN):
                text = (
                    f"purpose {purpose or 'of no name'}: {rival} answered {other.answered_rate:.0%} of "
                    f"{other.tried:,} calls, {name} {side.answered_rate:.0%} of {side.tried:,}; at the former's "
                    f"prices the latter's tokens would have cost {dollars(price)} instead of "
                    f"{dollars(side.tally.cost_nusd)}"
                )
                saving, calls = side.tally.cost_nusd - price, min(side.tried, other.tried)
                found.append(Advice(title=title, text=text, saving_nusd=saving, calls=calls))
    if 0 < most < CALLS_MIN:
        yield _too_few(title, most)
    yield from _largest(found)


def _failures(evidence: Evidence) -> Iterator[Advice]:
    title = "stop paying for answers that nobody can use"
    by_model: dict[str, list[Side]] = {}
    for (_, name), side in evidence.models.items():
        by_model.setdefault(name, []).append(side)
    most, found = 0, []
    for name, sides in by_model.items():
        tried = sum(side.tried for side in sides)
        spent = sum(side.failed_nusd for side in sides)
        failed = sum(side.tally.failed for side in sides)
        if spent:
            most = max(most, tried)
        if spent < SAVING_NUSD_MIN or tried < CALLS_MIN or failed / tried < FAILED_SHARE_MIN:
            continue
        off_schema = sum(side.off_schema for side in sides)
        off_nusd = sum(side.off_schema_nusd for side in sides)
        of_these = f", {off_schema:,} of them off the schema ({dollars(off_nusd)})" if off_schema else ""
        text = (
            f"{name}: {failed:,} of {tried:,} calls ({failed / tried:.0%}) gave no answer that could be used"
            f"{of_these}, for {dollars(spent)}"
        )
        found.append(Advice(title=title, text=text, saving_nusd=spent, calls=tried))
    if 0 < most < CALLS_MIN:
        yield _too_few(title, most)
    yield from _largest(found)


def _cache(evidence: Evidence) -> Iterator[Advice]:
    title = "let repeats come from the cache"
    hits, misses = evidence.total.cached, evidence.look_alikes
    if not misses:
        return
    if evidence.paid_answered + hits < CALLS_MIN:
        yield _too_few(title, evidence.paid_answered + hits)
        return
    if evidence.look_alikes_nusd < SAVING_NUSD_MIN:
        return
    text = (
        f"{hits:,} answers came from the cache; {misses:,} paid calls look like an earlier one (same agent, "
        f"purpose, size of input and limit, within the hour) and were paid again, for "
        f"{dollars(evidence.look_alikes_nusd)}. Records hold no prompts, so some may only look alike, or were "
        "asked with the cache off"
    )
    yield Advice(
        title=title,
        text=text,
        saving_nusd=evidence.look_alikes_nusd,
        is_at_most=True,
        calls=hits + evidence.paid_answered,
    )


def _hedging(evidence: Evidence) -> Iterator[Advice]:
    title = "hedge less"
    hedges = evidence.hedges
    if not hedges.lost_nusd:
        return
    if hedges.sent < CALLS_MIN:
        yield _too_few(title, hedges.sent)
        return
    usual = evidence.paid_answered_nusd / evidence.paid_answered if evidence.paid_answered else 0.0
    each = hedges.lost_nusd / max(1, hedges.won)
    if each > usual and hedges.lost_nusd >= SAVING_NUSD_MIN:
        text = (
            f"{hedges.won:,} of {hedges.sent:,} hedges answered first; the losers cost "
            f"{dollars(hedges.lost_nusd)}, so each answer that came sooner cost {dollars(round(each))} extra, "
            f"more than a whole paid call ({dollars(round(usual))})"
        )
        yield Advice(title=title, text=text, saving_nusd=hedges.lost_nusd, calls=hedges.sent)


def _unknown_charges(evidence: Evidence) -> Iterator[Advice]:
    if evidence.unknown_nusd < SAVING_NUSD_MIN:
        return
    text = (
        f"{evidence.total.unknown:,} of {evidence.total.calls:,} calls ended without anybody knowing what they "
        f"cost (their router died or lost its provider): {dollars(evidence.unknown_nusd)} were charged whole. "
        "Compare with the provider's bill"
    )
    yield Advice(
        title="look into charges that nobody knows",
        text=text,
        saving_nusd=evidence.unknown_nusd,
        is_at_most=True,
        calls=evidence.total.calls,
    )


def _oversized_limits(evidence: Evidence) -> Iterator[Advice]:
    title = "ask for shorter answers"
    most, found = 0, []
    for key, limits in evidence.limits.items():
        most = max(most, limits.calls)
        if limits.calls < CALLS_MIN or limits.reserved_nusd <= limits.cost_nusd:
            continue
        p99 = limits.outputs.quantile(0.99)
        mean = limits.max_tokens / limits.calls
        if mean >= LIMIT_TIMES_P99_MIN * p99:
            text = (
                f"{_who(key)}: 99 of 100 answers took up to about {p99:,.0f} tokens, the limit sent was "
                f"{mean:,.0f} on average. {dollars(limits.reserved_nusd)} were held for what cost "
                f"{dollars(limits.cost_nusd)}: a smaller max_tokens lets more calls run near a limit, though "
                "it makes none cheaper"
            )
            found.append(Advice(title=title, text=text, calls=limits.calls))
    if 0 < most < CALLS_MIN:
        yield _too_few(title, most)
    yield from sorted(found, key=lambda one: -one.calls)[:ADVICE_PER_RULE_MAX]


def _largest(found: Iterable[Advice]) -> list[Advice]:
    worthy = [one for one in found if one.saving_nusd >= SAVING_NUSD_MIN]
    return sorted(worthy, key=lambda one: -one.saving_nusd)[:ADVICE_PER_RULE_MAX]


def _too_few(title: str, calls: int) -> Advice:
    return Advice(
        title=title, text=f"not enough calls yet ({calls} of {CALLS_MIN})", calls=calls, is_enough=False
    )


def _who(key: Key) -> str:
    purpose, agent = key
    return f"{agent or 'callers without a name'}, purpose {purpose or 'of no name'}"
