"""A certificate in words: how sure a deal is, and what would change it; no more is claimed than is proven."""

from typing import Final

from agents.negotiator.domain import Domain
from orchestrator.clean import clean
from orchestrator.fitting import shortened
from orchestrator.negotiation_picture import figure
from schemas.deal import Certificate, Deal, Flip, Manipulability

NAME_CELLS_MAX: Final = 40
"""Of a name in the middle of a sentence."""
DIFFERENCES_MAX: Final = 4
"""Issues that two deals are told apart by."""
VALUES: Final = {
    "nash": "product of gains",
    "kalai_smorodinsky": "least share of what is to be gained",
    "egalitarian": "least gain",
    "utilitarian": "sum of utilities",
}


def value_words(domain: Domain, certificate: Certificate) -> str:
    """What the concept makes large or small."""
    is_weighted = any(agent.weight != 1 for agent in domain.agents)
    if certificate.concept == "regret":
        return f"{'weighted ' if is_weighted else ''}{certificate.regret} regret, the largest one"
    words = VALUES[certificate.concept]
    return f"weighted {words}" if is_weighted and certificate.concept in ("nash", "utilitarian") else words


def bound_words(certificate: Certificate) -> str:
    """How much better another deal could be."""
    if certificate.bound is None or certificate.gap is None:
        return "the best found in time; no bound was found, so another may be better"
    bound, gap = figure(certificate.bound), figure(certificate.gap)
    if certificate.is_exact:
        return f"proven best: no outcome does better than {bound}, gap {gap}"
    return f"the best found in time: none can do better than {bound}, gap {gap}"


def pareto_words(certificate: Certificate) -> str:
    """What is known of outcomes that are better for somebody and worse for nobody."""
    if not certificate.pareto.is_undominated:
        return "yes: another outcome is better for somebody and worse for nobody"
    if certificate.pareto.is_proven:
        return f"no, proven by {certificate.pareto.by}: nothing is better for one and worse for none"
    return "by none of the outcomes that were looked at (not proven: time was out)"


def runner_up_words(certificate: Certificate) -> str:
    """The next best deal, as it differs."""
    second = certificate.runner_up
    if second is None:
        return "none: nothing else that is accepted differs for anybody"
    known = "" if second.is_exact else " (the best of those known)"
    return f"{figure(second.value)} with {difference(certificate.deal, second.deal)}{known}"


def difference(deal: Deal, other: Deal) -> str:
    """What is different in `other`, in words; some of it where that is much."""
    changed = [f"{short(issue)} {short(value)}" for issue, value in other.items() if deal.get(issue) != value]
    if not changed:
        return "the same deal"
    more = len(changed) - DIFFERENCES_MAX
    listed = ", ".join(changed[:DIFFERENCES_MAX])
    return listed if more <= 0 else f"{listed} and {more} more"


def flip_words(deal: Deal, flip: Flip) -> str:
    """A change that makes another deal the best."""
    to = f"from {figure(flip.before)} to {figure(flip.after)}"
    if flip.kind == "weight":
        return f"weight of {short(flip.agent)} {to}: then {difference(deal, flip.deal)}"
    return f"{difference(deal, flip.deal)} worth {to} to {short(flip.agent)} ({percent(flip.share)} of its range)"


def manipulability_words(found: Manipulability) -> str:
    """What somebody gains by lying, as far as was looked."""
    tried = counted(found.tested, "false statement")
    if found.deviator is None:
        return f"nobody gained by any of {tried} tried (no proof that nobody can)"
    return (
        f"{short(found.deviator)} gains {figure(found.gain)} (ε {percent(found.epsilon)} of what it can gain) if it "
        f"{clean(found.deviation or '')}; {tried} tried"
    )


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def short(name: str) -> str:
    """A name that is safe to print, in the middle of a sentence."""
    return shortened(clean(name), NAME_CELLS_MAX)
