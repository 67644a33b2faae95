"""The Genius XML form of negotiation domains: a domain file, and one utility profile for each agent.

Understood are linear additive profiles: discrete issues (an evaluation per value, divided by the issue's largest),
integer and real issues with a linear, constant or triangular evaluator; weights; a reservation value, which becomes
the disagreement point. Discount factors are ignored with a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agents.negotiator.domain import Agent, Domain, Issue, check
from agents.negotiator.limits import VALUES_MAX, RefusedError
from agents.negotiator.xml_tree import Node, parse

REAL_VALUES: Final = 21
"""That a real issue is cut into, ends included."""
EVALUATION_LEAST: Final = 1e-5
"""Genius takes an issue whose largest evaluation is below this as worth nothing."""


def is_profile(root: Node) -> bool:
    """Whether a document says what an agent wants; else it only says what is negotiated."""
    return bool(root.every("weight") or root.every("evaluator")) or any(
        "evaluation" in item.attributes for item in root.every("item")
    )


def from_genius(
    profiles: Mapping[str, bytes], domain: bytes | None = None, name: str = "negotiation"
) -> Domain:
    """The domain that Genius documents state, checked.

    Args:
        profiles: by the name of the agent.
        domain: what is negotiated; without it, the issues of the first profile are.

    Raises:
        RefusedError: with the first thing that is wrong.
    """
    if not profiles:
        raise RefusedError("no utility profile; give one XML file for each agent")
    roots = {agent: parse(document, f"profile {agent!r}") for agent, document in profiles.items()}
    stated = next(iter(roots.values())) if domain is None else parse(domain, "domain file")
    warnings: list[str] = []
    issues = [_issue(node, number, warnings) for number, node in enumerate(_issues(stated), 1)]
    agents = [_agent(agent, root, issues, warnings) for agent, root in roots.items()]
    return check(
        Domain(
            name=name,
            issues=tuple(issue.issue for issue in issues),
            agents=tuple(agents),
            warnings=tuple(dict.fromkeys(warnings)),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """An issue, with the number that profiles may know it by, and its values as numbers where they are."""

    issue: Issue
    index: str
    numbers: tuple[float, ...] | None


def _issues(root: Node) -> list[Node]:
    found = root.every("issue")
    if not found:
        raise RefusedError(f"<{root.tag}> has no <issue>; is this a Genius domain?")
    return found


def _kind(node: Node) -> str:
    for key in ("type", "etype", "vtype"):
        if (kind := node.attributes.get(key, "").strip().lower()) in ("discrete", "integer", "real"):
            return kind
    return "discrete"


def _issue(node: Node, number: int, warnings: list[str]) -> Stated:
    name = node.attributes.get("name", "").strip() or f"issue {number}"
    index = node.attributes.get("index", str(number))
    where = f"issue {name!r}"
    items = [child for child in node.children if child.tag == "item"]
    if items:
        values = tuple(dict.fromkeys(_value(item) for item in items))
        return Stated(issue=Issue(name=name, values=values), index=index, numbers=None)
    if _kind(node) == "discrete":
        raise RefusedError(f"{where} has no <item>; a discrete issue needs at least one value")
    low, high = _bounds(node, where)
    if _kind(node) == "integer":
        if high - low >= VALUES_MAX:
            raise RefusedError(f"{where} has {high - low + 1:.0f} values; at most {VALUES_MAX}")
        numbers = tuple(float(value) for value in range(round(low), round(high) + 1))
        values = tuple(str(round(value)) for value in numbers)
    else:
        warnings.append(f"{where} is real: looked at in {REAL_VALUES} values from {low:g} to {high:g}")
        steps = 1 if high <= low else REAL_VALUES
        numbers = tuple(low + (high - low) * step / max(steps - 1, 1) for step in range(steps))
        values = tuple(f"{value:.12g}" for value in numbers)
    return Stated(issue=Issue(name=name, values=values), index=index, numbers=numbers)


def _value(item: Node) -> str:
    return item.attributes.get("value", item.attributes.get("index", ""))


def _bounds(node: Node, where: str) -> tuple[float, float]:
    for holder in (node.first("range"), node):
        if holder is not None and "lowerbound" in holder.attributes and "upperbound" in holder.attributes:
            low = _number(holder.attributes["lowerbound"], f"{where}: lowerbound")
            high = _number(holder.attributes["upperbound"], f"{where}: upperbound")
            if not low <= high:
                raise RefusedError(f"{where}: lowerbound {low:g} is above upperbound {high:g}")
            return low, high
    raise RefusedError(f"{where} has no lowerbound and upperbound")


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise RefusedError(f"{where} is {text!r}, not a number") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise RefusedError(f"{where} is {text!r}, not a finite number")
    return value


def _agent(name: str, root: Node, issues: list[Stated], warnings: list[str]) -> Agent:
    where = f"profile {name!r}"
    kind = root.attributes.get("type", "")
    if kind.lower() in ("nonlinear", "constraint") or root.every("ufun"):
        raise RefusedError(f"{where} is not linear additive; only weighted sums over issues are understood")
    nodes = list(reversed(_issues(root)))
    by_name = {node.attributes.get("name", "").strip(): node for node in nodes}
    by_index = {node.attributes.get("index", ""): node for node in nodes}
    weights = _weights(root, where)
    utilities: dict[str, dict[str, float] | list[float]] = {}
    factors: dict[str, float] = {}
    for stated in issues:
        node = by_name.get(stated.issue.name) or by_index.get(stated.index)
        if node is None:
            raise RefusedError(f"{where} says nothing of issue {stated.issue.name!r}")
        factors[stated.issue.name] = _weight(node, weights, where, warnings)
        utilities[stated.issue.name] = _worth(node, stated, f"{where}, issue {stated.issue.name!r}", warnings)
    discount = root.first("discount_factor")
    if discount is not None and _number(discount.attributes.get("value", "1"), f"{where}: discount") not in (
        0,
        1,
    ):
        warnings.append(f"{where}: discount factor {discount.attributes.get('value')} is ignored")
    agent = Agent(
        name=name, disagreement=_reservation(root, where), issue_weights=factors, utilities=utilities
    )
    _warn_of_cap(agent, warnings)
    return agent


def _reservation(root: Node, where: str) -> float:
    node = root.first("reservation")
    return 0.0 if node is None else _number(node.attributes.get("value", "0"), f"{where}: reservation")


def _weights(root: Node, where: str) -> dict[str, float]:
    return {
        node.attributes.get("index", ""): _number(node.attributes.get("value"), f"{where}: a weight")
        for node in root.every("weight")
    }


def _weight(node: Node, weights: dict[str, float], where: str, warnings: list[str]) -> float:
    index = node.attributes.get("index", "")
    if index in weights:
        return weights[index]
    if "weight" in node.attributes:
        return _number(node.attributes["weight"], f"{where}: a weight")
    if not weights:
        return 1.0
    warnings.append(f"{where}: no weight for issue {node.attributes.get('name', index)!r}; taken as 0")
    return 0.0


def _worth(node: Node, stated: Stated, where: str, warnings: list[str]) -> list[float]:
    items = [child for child in node.children if child.tag == "item" and "evaluation" in child.attributes]
    if items:
        return _evaluations(items, stated, where, warnings)
    evaluator = node.first("evaluator")
    if evaluator is None:
        warnings.append(f"{where}: no evaluations; taken as indifferent")
        return [0.0] * len(stated.issue.values)
    if (numbers := stated.numbers) is None:
        try:
            numbers = tuple(float(value) for value in stated.issue.values)
        except ValueError:
            raise RefusedError(f"{where}: has a numeric evaluator for values that are no numbers") from None
    return [_evaluated(evaluator, value, min(numbers), where) for value in numbers]


def _evaluations(items: list[Node], stated: Stated, where: str, warnings: list[str]) -> list[float]:
    by_value = {
        _value(item): _number(item.attributes["evaluation"], f"{where}: evaluation of {_value(item)!r}")
        for item in items
        if item.attributes["evaluation"] != "null"
    }
    largest = max(by_value.values(), default=0.0)
    if missing := [value for value in stated.issue.values if value not in by_value]:
        warnings.append(f"{where}: no evaluation of {missing[0]!r}; taken as 0")
    if largest < EVALUATION_LEAST:
        return [0.0] * len(stated.issue.values)
    return [by_value.get(value, 0.0) / largest for value in stated.issue.values]


def _evaluated(evaluator: Node, value: float, lowest: float, where: str) -> float:
    kind = evaluator.attributes.get("ftype", "linear").strip().lower()

    def parameter(key: str) -> float:
        return _number(evaluator.attributes.get(key), f"{where}: evaluator {key}")

    match kind:
        case "linear" if "slope" in evaluator.attributes:
            return min(max(parameter("offset") + parameter("slope") * (value - lowest), 0.0), 1.0)
        case "linear":
            return min(max(parameter("parameter0") + parameter("parameter1") * value, 0.0), 1.0)
        case "constant":
            return parameter("parameter0")
        case "triangular":
            return _triangular(
                value, parameter("parameter0"), parameter("parameter1"), parameter("parameter2")
            )
        case _:
            raise RefusedError(
                f"{where}: evaluator {kind!r} is unknown; linear, constant and triangular are known"
            )


def _triangular(value: float, low: float, high: float, top: float) -> float:
    """From 0 at `low` up to 1 at `top`, and down to 0 at `high`."""
    if value < low or value > high:
        return 0.0
    if value < top:
        return (value - low) / (top - low)
    return 1.0 if value == top else (high - value) / (high - top)


def _warn_of_cap(agent: Agent, warnings: list[str]) -> None:
    most = 0.0
    for name, numbers in agent.utilities.items():
        assert isinstance(numbers, list)
        most += agent.issue_weights[name] * max(numbers)
    if most > 1 + 1e-6:
        warnings.append(
            f"profile {agent.name!r}: its utilities reach {most:.4g}; Genius would cut them off at 1, here they go on"
        )
