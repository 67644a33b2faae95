"""How firm a deal is: the smallest change of one weight or one utility that makes another candidate the best."""

from dataclasses import replace
from typing import Final

import numpy as np

from agents.negotiator.concepts import Best, Concept, Terms, best_of, losses, merits
from agents.negotiator.deals import Names
from agents.negotiator.field import Candidates
from agents.negotiator.pareto import Indices
from agents.negotiator.problem import Floats, Problem
from schemas.deal import Flip

BEYOND: Final = 1e-6
"""A change is checked this much beyond where it should tip, as a share."""
TRIED_MAX: Final = 8
CANDIDATES_MAX: Final = 50_000


def flips_of(
    problem: Problem, concept: Concept, candidates: Candidates, terms: Terms, best: Best, names: Names
) -> tuple[Flip, ...]:
    """At most one flip of each kind, each checked by choosing again."""
    if not 1 < candidates.count <= CANDIDATES_MAX:
        return ()
    found = (
        _utility_flip(problem, concept, candidates, terms, best, names),
        _weight_flip(problem, concept, candidates, terms, best, names),
    )
    return tuple(flip for flip in found if flip is not None)


def _utility_flip(
    problem: Problem, concept: Concept, candidates: Candidates, terms: Terms, best: Best, names: Names
) -> Flip | None:
    rises = _rises(concept, candidates.utilities, terms, best)
    shares = rises / terms.unit[:, None]
    shares[:, best.column] = np.inf
    for at in _nearest(shares):
        row, column = np.unravel_index(at, shares.shape)
        rise = float(rises[row, column])
        changed = candidates.utilities.copy()
        changed[row, column] += rise + BEYOND * float(terms.unit[row])
        if best_of(concept, replace(candidates, utilities=changed), terms).column == column:
            before = float(candidates.utilities[row, column])
            return Flip(
                kind="utility",
                agent=problem.agents[row],
                before=before,
                after=before + rise,
                share=float(shares[row, column]),
                deal=names.deal(candidates.choices[column]),
            )
    return None


def _rises(concept: Concept, utilities: Floats, terms: Terms, best: Best) -> Floats:
    """(n, K): by how much one agent's utility of one outcome has to rise; inf where that can't do."""
    rises = np.full(utilities.shape, np.inf)
    if (stated := losses(concept, utilities, terms)) is not None:
        loss = stated[0]
        above = np.maximum(loss - loss[:, best.column].max(), 0.0)
        alone = (above > 0).sum(axis=0) <= 1
        slope = _slope(concept, terms)
        usable = alone[None, :] & (above >= above.max(axis=0)) & (slope > 0)[:, None]
        rises[usable] = (above / np.where(slope > 0, slope, 1.0)[:, None])[usable]
        return rises
    ranked = merits(concept, utilities, terms)
    short = ranked[-1][0][best.column] - ranked[-1][0]
    level = np.ones(utilities.shape[1], dtype=np.bool_)
    for merit, _ in ranked[:-1]:
        level &= merit == merit[best.column]
    usable_rows = terms.weight > 0
    weight = np.where(usable_rows, terms.weight, 1.0)[:, None]
    if concept == "utilitarian":
        needed = np.maximum(short, 0.0)[None, :] / weight
    else:
        gains = np.maximum(utilities - terms.disagreement[:, None], 0.0)
        needed = gains * np.expm1(np.clip(np.maximum(short, 0.0)[None, :] / weight, 0.0, 700.0))
        needed[gains <= 0] = np.inf
    rises[np.ix_(usable_rows, level)] = needed[np.ix_(usable_rows, level)]
    return rises


def _slope(concept: Concept, terms: Terms) -> Floats:
    match concept:
        case "regret" if terms.regret == "relative":
            return terms.weight / terms.scale
        case "regret":
            return terms.weight
        case "kalai_smorodinsky":
            return 1.0 / terms.scale
        case _:
            return np.ones(len(terms.scale))


def _weight_flip(
    problem: Problem, concept: Concept, candidates: Candidates, terms: Terms, best: Best, names: Names
) -> Flip | None:
    if concept in ("kalai_smorodinsky", "egalitarian"):
        return None
    weights = _tipping(concept, candidates.utilities, terms, best)
    change = np.abs(weights - terms.weight[:, None]) / np.maximum(terms.weight, 1e-12)[:, None]
    change[~np.isfinite(weights)] = np.inf
    change[:, best.column] = np.inf
    for at in _nearest(change):
        row, column = np.unravel_index(at, change.shape)
        before, tip = float(terms.weight[row]), float(weights[row, column])
        after = max(tip + (BEYOND if tip > before else -BEYOND) * max(tip, before), 0.0)
        changed = terms.weight.copy()
        changed[row] = after
        now = best_of(concept, candidates, replace(terms, weight=changed)).column
        if now != best.column:
            return Flip(
                kind="weight",
                agent=problem.agents[row],
                before=before,
                after=tip,
                share=float(change[row, column]),
                deal=names.deal(candidates.choices[now]),
            )
    return None


def _nearest(change: Floats) -> Indices:
    flat = change.reshape(-1)
    count = min(TRIED_MAX, len(flat))
    some = np.argpartition(flat, count - 1)[:count]
    some = some[np.isfinite(flat[some])]
    return some[np.lexsort((some, flat[some]))]


def _tipping(concept: Concept, utilities: Floats, terms: Terms, best: Best) -> Floats:
    """(n, K): the weight of one agent at which one outcome draws level with the best; inf where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if (stated := losses(concept, utilities, terms)) is not None:
            tipping = _tipping_leximin(stated[0], terms.weight, best.column)
        else:
            ranked = merits(concept, utilities, terms)
            gains = utilities - terms.disagreement[:, None]
            each = utilities if concept == "utilitarian" else np.log(np.where(gains > 0, gains, np.nan))
            ahead = ranked[-1][0][best.column] - ranked[-1][0]
            tipping = terms.weight[:, None] + ahead[None, :] / (each - each[:, [best.column]])
            for merit, _ in ranked[:-1]:
                tipping[:, merit != merit[best.column]] = np.inf
    tipping[~np.isfinite(tipping) | (tipping < 0)] = np.inf
    tipping[terms.weight <= 0] = np.inf
    return tipping


def _tipping_leximin(loss: Floats, weight: Floats, column: int) -> Floats:
    """Raise a weight until the best is as bad as another one, or lower it until another one is as good as the best."""
    unweighted = loss / weight[:, None]
    tipping = np.full(loss.shape, np.inf)
    for row in range(len(loss)):
        others = np.delete(loss, row, axis=0).max(axis=0, initial=0.0)
        raised = others / unweighted[row, column]
        able = (raised >= weight[row]) & (unweighted[row] < unweighted[row, column])
        tipping[row, able] = raised[able]
        lowered = others[column] / unweighted[row]
        able = (lowered < weight[row]) & (others < others[column])
        nearer = able & (weight[row] - lowered < np.abs(tipping[row] - weight[row]))
        tipping[row, nearer] = lowered[nearer]
    return tipping
