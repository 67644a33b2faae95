"""Positions from elsewhere: refused when they are nonsense, and brought together as a domain for the solver."""

import math
from collections.abc import Sequence
from typing import Final

from agents.negotiator.domain import PROBABILITY_TOLERANCE, Agent, Domain, Issue, Scenario, check
from agents.negotiator.limits import (
    SCENARIO_CELLS_MAX,
    RefusedError,
    check_size,
    finite,
    positive_or_zero,
)
from agents.negotiator.platforms.issues import read_head_start
from agents.negotiator.platforms.pricing import read_terms
from schemas.negotiation import (
    HOUSE,
    ISSUES_MAX,
    SCENARIOS_MAX,
    IssueStated,
    PositionAsked,
    PositionStated,
)

WEIGHT_MAX: Final = 1_000.0
UTILITY_PLAIN_MAX: Final = 1e12
"""Up to here, a number needs no closer look."""


def checked(position: PositionStated, asked: PositionAsked) -> None:
    """Whether a position answers the question with usable numbers.

    Raises:
        RefusedError: with the party and the first thing that is wrong.
    """
    where = f"position of {position.party!r}"
    if position.party != asked.party:
        raise RefusedError(f"{where}: {asked.party!r} was asked, nobody else can answer for it")
    _check_size(position, asked, where)
    if positive_or_zero(position.weight, f"{where}: weight") > WEIGHT_MAX:
        raise RefusedError(f"{where}: weight is {position.weight:g}; at most {WEIGHT_MAX:g}")
    disagreement = finite(position.disagreement, f"{where}: disagreement point")
    if position.threshold is not None and finite(position.threshold, f"{where}: threshold") < disagreement:
        raise RefusedError(
            f"{where}: threshold {position.threshold:g} is below its disagreement point {disagreement:g}; "
            "it can't accept less than it has without a deal"
        )
    total = math.fsum(
        positive_or_zero(one.probability, f"{where}: the probability of a scenario")
        for one in position.scenarios
    )
    if abs(total - 1) > PROBABILITY_TOLERANCE:
        raise RefusedError(f"{where}: the probabilities of its scenarios add up to {total:g}, not to 1")
    for number, scenario in enumerate(position.scenarios, 1):
        _check_utilities(scenario.utilities, asked.issues, f"{where}, scenario {number}")
    for proposal in position.proposals:
        _check_proposal(proposal.deal, asked.issues, where)


def _check_size(position: PositionStated, asked: PositionAsked, where: str) -> None:
    if not asked.issues or len(asked.issues) > ISSUES_MAX:
        raise RefusedError(f"{where}: {len(asked.issues)} issues; from 1 to {ISSUES_MAX}")
    if not position.scenarios:
        raise RefusedError(f"{where}: no scenario; state at least one, with probability 1")
    if len(position.scenarios) > SCENARIOS_MAX:
        raise RefusedError(f"{where}: {len(position.scenarios)} scenarios; at most {SCENARIOS_MAX}")
    outcomes = math.prod(len(issue.values) for issue in asked.issues)
    check_size(outcomes, max(1, asked.of))
    cells = outcomes * len(position.scenarios)
    if len(position.scenarios) > 1 and cells * max(1, asked.of) > SCENARIO_CELLS_MAX:
        raise RefusedError(
            f"{where}: {len(position.scenarios)} scenarios of {outcomes} outcomes, with {asked.of} parties; "
            "state fewer scenarios"
        )


def _check_utilities(
    utilities: dict[str, tuple[float, ...]], issues: Sequence[IssueStated], where: str
) -> None:
    names = {issue.name for issue in issues}
    if unknown := sorted(utilities.keys() - names):
        raise RefusedError(f"{where}: {unknown[0][:64]!r} is none of the issues")
    for issue in issues:
        stated = utilities.get(issue.name)
        if stated is None:
            raise RefusedError(f"{where}: no utilities for issue {issue.name!r}")
        if len(stated) != len(issue.values):
            raise RefusedError(
                f"{where}: {len(stated)} utilities for the {len(issue.values)} values of issue {issue.name!r}"
            )
        for value, number in zip(issue.values, stated, strict=True):
            if not abs(number) <= UTILITY_PLAIN_MAX:
                finite(number, f"{where}: the utility of {value!r}")


def _check_proposal(deal: dict[str, str], issues: Sequence[IssueStated], where: str) -> None:
    values = {issue.name: issue.values for issue in issues}
    for name, value in deal.items():
        if value not in values.get(name, ()):
            raise RefusedError(f"{where}: it proposes {name[:64]} {value[:80]!r}, which nobody can agree on")
    if missing := sorted(values.keys() - deal.keys()):
        raise RefusedError(f"{where}: it proposes a deal without {missing[0]!r}")


def domain_of(
    issues: Sequence[IssueStated], positions: Sequence[PositionStated], *, name: str = "negotiation"
) -> Domain:
    """What the parties that stated a position negotiate, checked.

    Nothing is agreed on for a platform that stated none: values that give it money or a head start are left out.

    Raises:
        RefusedError: what is left can't be negotiated.
    """
    present = {position.party for position in positions}
    kept = {
        issue.name: [at for at, value in enumerate(issue.values) if _gives_to(value) <= present]
        for issue in issues
    }
    for issue in issues:
        if not kept[issue.name]:
            raise RefusedError(
                f"issue {issue.name!r}: every value is for platforms that stated no position; ask them again"
            )
    return check(
        Domain(
            name=name,
            issues=tuple(
                Issue(
                    name=issue.name,
                    values=tuple(issue.values[at] for at in kept[issue.name]),
                    is_divisible=issue.divisible,
                )
                for issue in issues
            ),
            agents=tuple(_agent(position, kept) for position in positions),
        )
    )


def _gives_to(value: str) -> set[str]:
    """The platforms that get money or a head start by a value."""
    if (terms := read_terms(value)) is not None:
        return {platform for platform, _ in terms.split}
    if (first := read_head_start(value)) is not None:
        return {first[0]} - {HOUSE}
    return set()


def _agent(position: PositionStated, kept: dict[str, list[int]]) -> Agent:
    return Agent(
        name=position.party,
        disagreement=position.disagreement,
        threshold=position.threshold,
        weight=position.weight,
        scenarios=tuple(
            Scenario(
                probability=scenario.probability,
                utilities={
                    name: [scenario.utilities[name][at] for at in places] for name, places in kept.items()
                },
            )
            for scenario in position.scenarios
        ),
    )
