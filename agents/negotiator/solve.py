"""The solver: from a domain to a deal with its certificate, or to an honest "no deal".

Pure: the only clock is the deadline that the caller gives as a function of the seconds left.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from agents.negotiator.concepts import CONCEPTS, LOG_MAX, Best, Concept, RegretKind, Terms, best_of, terms_of
from agents.negotiator.deals import Names, names_of
from agents.negotiator.domain import Domain, check
from agents.negotiator.explore import explore
from agents.negotiator.field import Candidates, Field
from agents.negotiator.flips import flips_of
from agents.negotiator.highs import UnfinishedError
from agents.negotiator.manipulation import manipulability_of
from agents.negotiator.mixed import mixed_deal
from agents.negotiator.nodeal import no_deal
from agents.negotiator.problem import Problem, problem_of
from agents.negotiator.risk import Risk
from agents.negotiator.search import NothingFoundError
from schemas.deal import Alternative, Certificate, Mixed, NoDeal, ParetoCheck

TIME_S: Final = 0.18
"""That a negotiation is planned with: under 200 ms with what comes before and after."""
RESERVE_SHARE: Final = 0.25
"""Of the time, for the certificate."""
SPARE_SHARE: Final = 0.15
"""Of the time, that the certificate does not use up: statements to try would fill any."""
SIDE_BY_SIDE: Final[tuple[Concept, ...]] = (
    "regret",
    "nash",
    "utilitarian",
    "egalitarian",
    "kalai_smorodinsky",
)
"""In which order concepts are worked out that do not decide, for when time runs out."""
BINDING: Final = 1e-6
"""As a part of the agent's range: who is so close to the worst off binds too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to negotiate.

    Attributes:
        concept: by which notion of fairness the deal is chosen.
        regret: relative to what each could gain, or in its unit times its weight.
        with_mixed: also look for a deal that shares out the divisible issues, if there are any.
        with_certificate: also look for flips and false statements that pay.
    """

    concept: Concept = "regret"
    regret: RegretKind = "relative"
    risk: Risk = field(default_factory=Risk)
    with_mixed: bool = True
    with_certificate: bool = True


def solve(
    domain: Domain, left_s: Callable[[], float], options: Options | None = None
) -> Certificate | NoDeal:
    """The deal, or who prevents one.

    Args:
        left_s: seconds until the answer is wanted; past that, the best found so far with a bound.

    Raises:
        RefusedError: the domain can't be negotiated as stated.
    """
    options = options or Options()
    problem = problem_of(check(domain), options.risk)
    names = names_of(domain, problem)
    total_s = left_s()
    reserve_s = total_s * RESERVE_SHARE if np.isfinite(total_s) else 0.0
    order = (options.concept, *(other for other in SIDE_BY_SIDE if other != options.concept))
    try:
        found = explore(problem, options.regret, order, lambda: left_s() - reserve_s)
    except NothingFoundError as nothing:
        nobody = no_deal(problem, names, left_s, is_proven=nothing.is_proven)
        return _warned_no_deal(nobody, domain)
    spare_s = total_s * SPARE_SHARE if np.isfinite(total_s) else 0.0
    return _certified(domain, problem, names, found, options, lambda: left_s() - spare_s)


def _warned_no_deal(nobody: NoDeal, domain: Domain) -> NoDeal:
    return NoDeal(
        **{name: getattr(nobody, name) for name in nobody.__struct_fields__ if name != "warnings"},
        warnings=domain.warnings,
    )


def _certified(
    domain: Domain,
    problem: Problem,
    names: Names,
    found: Field,
    options: Options,
    left_s: Callable[[], float],
) -> Certificate:
    candidates = found.candidates
    terms = terms_of(problem, found.ideal, options.regret)
    bests = {concept: best_of(concept, candidates, terms) for concept in CONCEPTS}
    bests = {concept: _lifted(problem, candidates, terms, concept, best) for concept, best in bests.items()}
    best = bests[options.concept]
    utilities = candidates.utilities[:, best.column]
    by_concept: dict[str, Alternative] = {
        concept: _alternative(names, found, terms, concept, one) for concept, one in bests.items()
    }
    chosen = by_concept[options.concept]
    extras = options.with_certificate
    mixed, warnings = _mixed(domain, problem, names, found, options, left_s)
    return Certificate(
        concept=options.concept,
        regret=options.regret,
        deal=chosen.deal,
        utilities=chosen.utilities,
        disagreement=names.by_agent(problem.disagreement),
        ideal=names.by_agent(found.ideal),
        regrets=names.by_agent(np.maximum(found.ideal - utilities, 0.0) / terms.scale),
        absolute_regrets=names.by_agent(np.maximum(found.ideal - utilities, 0.0)),
        binds=_binding(problem, terms, options, candidates, best),
        accepts=tuple(
            agent
            for agent, yes in zip(problem.agents, problem.accepting(utilities[:, None])[:, 0], strict=True)
            if yes
        ),
        value=best.value,
        bound=chosen.bound,
        gap=None if chosen.bound is None else abs(chosen.bound - chosen.value),
        is_exact=chosen.is_exact,
        route=found.route,
        outcomes=problem.outcomes,
        candidates=candidates.count,
        runner_up=_runner_up(problem, names, found, terms, options.concept, best),
        flips=flips_of(problem, options.concept, candidates, terms, best, names) if extras else (),
        pareto=_pareto(found, options.concept),
        by_concept=by_concept,
        mixed=mixed,
        manipulability=manipulability_of(
            problem,
            options.concept,
            options.regret,
            found,
            best.column,
            names,
            left_s,
            again=_again(options, left_s) if found.route == "search" else None,
        )
        if extras
        else None,
        warnings=warnings,
    )


def _mixed(
    domain: Domain,
    problem: Problem,
    names: Names,
    found: Field,
    options: Options,
    left_s: Callable[[], float],
) -> tuple[Mixed | None, tuple[str, ...]]:
    """The shared deal, and the warnings of the certificate."""
    if not options.with_mixed:
        return None, domain.warnings
    try:
        mixed = mixed_deal(domain, problem, found, options.concept, options.regret, names, left_s)
    except UnfinishedError:
        return None, (*domain.warnings, "no time was left to work out shares of the divisible issues")
    return mixed, domain.warnings


def _again(
    options: Options, left_s: Callable[[], float]
) -> Callable[[Problem], tuple[Candidates, int] | None]:
    """Solves a changed problem anew, for the chosen concept alone."""

    def choose(problem: Problem) -> tuple[Candidates, int] | None:
        try:
            found = explore(problem, options.regret, (options.concept,), left_s)
        except NothingFoundError:
            return None
        if options.concept in found.bounds or not found.is_ideal_exact:
            return None
        terms = terms_of(problem, found.ideal, options.regret)
        return found.candidates, best_of(options.concept, found.candidates, terms).column

    return choose


def _lifted(problem: Problem, candidates: Candidates, terms: Terms, concept: Concept, best: Best) -> Best:
    """`best`, or what dominates it: concepts with weights of 0 or unsettled searches may overlook somebody."""
    own = candidates.utilities[:, best.column]
    if candidates.is_frontier:
        return best
    no_worse = (candidates.utilities >= (own - problem.equal)[:, None]).all(axis=0)
    better = no_worse & (candidates.utilities > (own + problem.equal)[:, None]).any(axis=0)
    if not better.any():
        return best
    columns = np.flatnonzero(better)
    shares = (candidates.utilities[:, columns] / problem.unit[:, None]).sum(axis=0)
    column = candidates.first_of(columns[shares >= shares.max()])
    kept = replace(
        candidates, utilities=candidates.utilities[:, [column]], choices=candidates.choices[[column]]
    )
    return replace(best_of(concept, kept, terms), column=column, tied=best.tied)


def _alternative(names: Names, found: Field, terms: Terms, concept: Concept, best: Best) -> Alternative:
    utilities = names.by_agent(found.candidates.utilities[:, best.column])
    bound: float | None = best.value
    is_exact = found.is_ideal_exact
    if concept in found.bounds:
        bound, is_exact = _bound(concept, found.bounds[concept], terms), False
    if not found.is_ideal_exact and concept in ("regret", "kalai_smorodinsky"):
        bound = None
    return Alternative(
        deal=names.deal(found.candidates.choices[best.column]),
        utilities=utilities,
        value=best.value,
        tied=best.tied,
        bound=bound,
        is_exact=is_exact,
    )


def _bound(concept: Concept, aim: float, terms: Terms) -> float | None:
    """The bound of a search's aim, as the concept's value."""
    if not np.isfinite(aim):
        return None
    match concept:
        case "regret":
            return max(-aim, 0.0)
        case "kalai_smorodinsky":
            return 1.0 + aim
        case "nash":
            return float(np.exp(min(aim, LOG_MAX)))
        case _:
            return aim


def _binding(
    problem: Problem, terms: Terms, options: Options, candidates: Candidates, best: Best
) -> tuple[str, ...]:
    """Who is worst off: by weighted regret, by gain for `egalitarian`, by share of what could be gained elsewhere."""
    utilities = candidates.utilities[:, best.column]
    match options.concept:
        case "regret":
            scale = terms.scale if options.regret == "relative" else np.ones(len(terms.scale))
            off = (terms.ideal - utilities) * terms.weight / scale
            spread = terms.weight if options.regret == "relative" else terms.weight * terms.unit
        case "egalitarian":
            off, spread = terms.disagreement - utilities, terms.unit
        case _:
            off, spread = (terms.ideal - utilities) / terms.scale, np.ones(len(terms.scale))
    worst = off >= off.max() - BINDING * float(spread.max())
    return tuple(agent for agent, is_worst in zip(problem.agents, worst, strict=True) if is_worst)


def _runner_up(
    problem: Problem, names: Names, found: Field, terms: Terms, concept: Concept, best: Best
) -> Alternative | None:
    """The best of the outcomes that are different to somebody."""
    utilities = found.candidates.utilities
    other = (np.abs(utilities - utilities[:, [best.column]]) > problem.equal[:, None]).any(axis=0)
    if not other.any():
        return None
    left = Candidates(utilities=utilities[:, other], choices=found.candidates.choices[other])
    second = best_of(concept, left, terms)
    return Alternative(
        deal=names.deal(left.choices[second.column]),
        utilities=names.by_agent(left.utilities[:, second.column]),
        value=second.value,
        tied=second.tied,
        is_exact=found.candidates.is_frontier,
    )


def _pareto(found: Field, concept: Concept) -> ParetoCheck:
    is_proven = found.is_ideal_exact and concept not in found.bounds
    return ParetoCheck(is_undominated=True, is_proven=is_proven, by=found.route)
