"""The account of what models did for a review: calls, tokens and money by model and finding, and what failed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from agents.review.models.verifier import Verified
from agents.review.report.wording import counted, money_text
from schemas.llm import RefusalKind
from schemas.review import Finding, ModelWork, ReviewFindings, ReviewPlanned

BUDGET: Final = RefusalKind.BUDGET.value


def model_work(parts: Iterable[ReviewFindings]) -> tuple[ModelWork, ...]:
    """What each model did, by name."""
    by_model: dict[str, list[ReviewFindings]] = {}
    for part in parts:
        if part.is_pass and part.model:
            by_model.setdefault(part.model, []).append(part)
    return tuple(
        ModelWork(
            model=model,
            calls=len(done),
            hits=sum(len(part.hits) for part in done),
            input_tokens=sum(part.input_tokens for part in done),
            output_tokens=sum(part.output_tokens for part in done),
            cost_nusd=sum(part.cost_nusd for part in done),
            fallbacks=sum(part.is_fallback for part in done),
        )
        for model, done in sorted(by_model.items())
    )


def with_costs(findings: Sequence[Finding], parts: Iterable[ReviewFindings]) -> list[Finding]:
    """The findings with their shares of what the passes cost that found them; a pass is shared by all it found."""
    shares: Counter[tuple[str, str, int]] = Counter()
    for part in parts:
        if part.cost_nusd and part.hits:
            share = -(-part.cost_nusd // len(part.hits))
            for hit in part.hits:
                shares[f"{hit.analyser} {hit.rule}", hit.path, hit.line] += share
    if not shares:
        return list(findings)
    by_place: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for (name, path, line), share in shares.items():
        by_place.setdefault((name, path), []).append((line, share))
    return [_with_cost(finding, by_place) for finding in findings]


def _with_cost(finding: Finding, by_place: dict[tuple[str, str], list[tuple[int, int]]]) -> Finding:
    cost = sum(
        share
        for name in finding.found_by
        for line, share in by_place.get((name, finding.path), ())
        if finding.line <= line <= finding.end_line
    )
    return msgspec.structs.replace(finding, cost_nusd=finding.cost_nusd + cost) if cost else finding


def spent(parts: Iterable[ReviewFindings], verified: Verified | None) -> int:
    """All money, in nano-USD."""
    return sum(part.cost_nusd for part in parts) + (verified.cost_nusd if verified else 0)


def shortfalls(
    planned: ReviewPlanned, parts: Sequence[ReviewFindings], verified: Verified | None
) -> list[str]:
    """Why the review is less than was asked for, as far as models are why."""
    out = []
    if planned.no_models:
        out.append(planned.no_models)
    failed = Counter(_kind(part.no_model) for part in parts if part.is_pass and not part.model)
    for kind, number in sorted(failed.items()):
        if kind == BUDGET:
            continue
        why = next(part.no_model for part in parts if part.is_pass and _kind(part.no_model) == kind)
        out.append(
            f"no model answered in {number} of {counted(planned.passes, 'pass', 'passes')}, "
            f"analysers alone looked there: {why}"
        )
    limit, cost = planned.verify_max_nusd, spent(parts, verified)
    if limit is not None and cost > limit:
        out.append(
            f"models cost {money_text(cost)}, over the limit of {money_text(limit)}: "
            "a provider billed more than it was allowed to answer"
        )
    if verified is not None and verified.why_not and _kind(verified.why_not) != BUDGET:
        out.append(f"contested findings were not all verified: {verified.why_not}")
    return out


def notes(
    planned: ReviewPlanned, parts: Sequence[ReviewFindings], verified: Verified | None, unconfirmed: int
) -> list[str]:
    """What else is to be known of it, in one line each."""
    out = []
    fallbacks = sum(part.is_fallback for part in parts)
    if fallbacks:
        out.append(f"{counted(fallbacks, 'pass', 'passes')} went to another model than planned")
    refused = [
        part.no_model for part in parts if part.is_pass and not part.model and _kind(part.no_model) == BUDGET
    ]
    if refused:
        out.append(
            f"{counted(len(refused), 'pass', 'passes')} of models not answered for lack of money: {refused[0]}"
        )
    if verified is not None and _kind(verified.why_not) == BUDGET:
        out.append(f"contested findings were not all looked at again, for lack of money: {verified.why_not}")
    dropped: Counter[str] = Counter()
    for part in parts:
        dropped.update(part.dropped)
    for why, number in sorted(dropped.items(), key=lambda item: (-item[1], item[0])):
        out.append(f"{counted(number, 'claim')} of models left out: {why}")
    if unconfirmed:
        out.append(f"{counted(unconfirmed, 'claim')} of models left out: not confirmed")
    if verified is not None and verified.calls:
        cost = money_text(verified.cost_nusd)
        out.append(f"contested findings were looked at again in {counted(verified.calls, 'call')} for {cost}")
    return out


def _kind(why: str) -> str:
    return why.partition(":")[0]
