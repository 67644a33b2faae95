"""The Genius XML form of negotiation domains: a domain file, and one utility profile for each agent.

Understood are linear additive profiles: discrete issues (an evaluation per value, divided by the issue's largest),
integer and real issues with a linear, constant or triangular evaluator; weights as they stand; a reservation value,
which becomes the disagreement point. As there, an issue is known by its number. Discount factors are ignored with a
warning.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agents.negotiator.domain import Agent, Domain, Issue, check
from agents.negotiator.genius_kinds import (
    counterpart,
    folded,
    is_blank,
    is_linear,
    name_of,
    number_of,
    value_of,
)
from agents.negotiator.limits import VALUES_MAX, RefusedError
from agents.negotiator.xml_tree import Node, parse

REAL_VALUES: Final = (101, 41, 21, 11)
"""That each real issue is cut into, ends included: the first that leaves no more than `REAL_OUTCOMES_MAX`."""
REAL_OUTCOMES_MAX: Final = 200_000
EVALUATION_LEAST: Final = 1e-5
"""Genius takes an issue whose largest evaluation is below this as worth nothing."""


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
    for agent, root in roots.items():
        if not is_linear(root):
            raise RefusedError(
                f"profile {agent!r} is not linear additive (it has hyper-rectangles or constraints); "
                "only weighted sums over issues are understood"
            )
    stated = next(iter(roots.values())) if domain is None else parse(domain, "domain file")
    warnings: list[str] = []
    issues = _stated(stated, warnings)
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
    """An issue, with the name and number that profiles know it by, and its values as numbers where they are."""

    issue: Issue
    name: str
    index: str
    numbers: tuple[float, ...] | None


def _issues(root: Node) -> list[Node]:
    found = root.every("issue")
    if not found:
        raise RefusedError(f"<{root.tag}> has no <issue>; is this a Genius domain?")
    return found


def _kind(node: Node) -> str:
    """Prices of old are real issues of a type of their own."""
    for key in ("type", "etype", "vtype"):
        if (kind := node.attributes.get(key, "").strip().lower()) in ("discrete", "integer", "real"):
            return kind
    return "real" if node.children_of("range") and not node.children_of("item") else "discrete"


def _stated(root: Node, warnings: list[str]) -> list[Stated]:
    nodes = _issues(root)
    steps = _steps(nodes)
    found: list[Stated] = []
    for number, node in enumerate(nodes, 1):
        name = node.attributes.get("name", "").strip() or f"issue {number}"
        if any(name == other.issue.name for other in found):
            name = f"{name} ({number})"
        values, numbers = _values(node, f"issue {name!r}", steps, warnings)
        found.append(
            Stated(
                issue=Issue(name=name, values=values),
                name=node.attributes.get("name", ""),
                index=number_of(node) or str(number),
                numbers=numbers,
            )
        )
    return found


def _steps(nodes: list[Node]) -> int:
    """How many values a real issue is looked at in."""
    reals = sum(not node.children_of("item") and _kind(node) == "real" for node in nodes)
    others = math.prod(
        len(node.children_of("item")) or _integers(node) for node in nodes if _kind(node) != "real"
    )
    return next(
        (steps for steps in REAL_VALUES if others * steps**reals <= REAL_OUTCOMES_MAX), REAL_VALUES[-1]
    )


def _integers(node: Node) -> int:
    if _kind(node) != "integer":
        return 1
    low, high = _bounds(node, f"issue {node.attributes.get('name', '')!r}")
    return int(high - low) + 1


def _values(
    node: Node, where: str, steps: int, warnings: list[str]
) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """What an issue may be; also as numbers, if it has a range."""
    if items := node.children_of("item"):
        return tuple(dict.fromkeys(value_of(item) for item in items)), None
    if _kind(node) == "discrete":
        raise RefusedError(f"{where} has no <item>; a discrete issue needs at least one value")
    low, high = _bounds(node, where)
    if _kind(node) == "integer":
        if high - low >= VALUES_MAX:
            raise RefusedError(f"{where} has {high - low + 1:.0f} values; at most {VALUES_MAX}")
        numbers = tuple(float(value) for value in range(round(low), round(high) + 1))
        return tuple(str(round(value)) for value in numbers), numbers
    steps = 1 if high <= low else steps
    warnings.append(f"{where} is real: looked at in {steps} values from {low:g} to {high:g}")
    numbers = tuple(low + (high - low) * step / max(steps - 1, 1) for step in range(steps))
    return tuple(f"{value:.12g}" for value in numbers), numbers


def _bounds(node: Node, where: str) -> tuple[float, float]:
    for holder in (*node.children_of("range"), node):
        if "lowerbound" in holder.attributes and "upperbound" in holder.attributes:
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
    if not math.isfinite(value):
        raise RefusedError(f"{where} is {text!r}, not a finite number")
    return value


def _agent(name: str, root: Node, issues: list[Stated], warnings: list[str]) -> Agent:
    where = f"profile {name!r}"
    nodes = _issues(root)
    if is_blank(root):
        raise RefusedError(f"{where} says of no value what it is worth; give evaluations or evaluators")
    weights = _weights(root, where)
    if not weights:
        warnings.append(f"{where}: no weights; all issues count alike")
    utilities: dict[str, dict[str, float] | list[float]] = {}
    factors: dict[str, float] = {}
    for stated in issues:
        node = _said(stated, nodes, where, warnings)
        factors[stated.issue.name] = _weight(node, weights, len(issues), where, warnings)
        utilities[stated.issue.name] = _worth(node, stated, f"{where}, issue {stated.issue.name!r}", warnings)
    _discount(root, where, warnings)
    agent = Agent(
        name=name, disagreement=_reservation(root, where), issue_weights=factors, utilities=utilities
    )
    _warn_of_cap(agent, warnings)
    return agent


def _said(stated: Stated, nodes: list[Node], where: str, warnings: list[str]) -> Node:
    """The issue of a profile that is the `stated` one."""
    name = stated.issue.name
    values = {folded(value) for value in stated.issue.values} if stated.numbers is None else set()
    node = counterpart(stated.index, stated.name, values, nodes)
    if node is None:
        raise RefusedError(f"{where} says nothing of issue {name!r}")
    if name_of(node) != folded(stated.name):
        called = node.attributes.get("name", "")
        warnings.append(f"{where}: issue {name!r} is called {called!r} there; known by its number")
    return node


def _discount(root: Node, where: str, warnings: list[str]) -> None:
    for node in root.every("discount_factor")[-1:]:
        stated = node.attributes.get("value", "1").strip()
        try:
            is_none = float(stated) in (0, 1)
        except ValueError:
            is_none = False
        if not is_none:
            warnings.append(f"{where}: discount factor {stated[:20]} is ignored")


def _reservation(root: Node, where: str) -> float:
    found = root.every("reservation")
    return _number(found[-1].attributes.get("value", "0"), f"{where}: reservation") if found else 0.0


def _weights(root: Node, where: str) -> dict[str, float]:
    return {
        node.attributes.get("index", ""): _number(node.attributes.get("value"), f"{where}: a weight")
        for node in root.every("weight")
    }


def _weight(node: Node, weights: dict[str, float], issues: int, where: str, warnings: list[str]) -> float:
    index = node.attributes.get("index", "")
    if index in weights:
        return weights[index]
    if not weights:
        return 1 / issues
    warnings.append(f"{where}: no weight for issue {node.attributes.get('name', index)!r}; taken as 0")
    return 0.0


def _worth(node: Node, stated: Stated, where: str, warnings: list[str]) -> list[float]:
    if items := [item for item in node.children_of("item") if "evaluation" in item.attributes]:
        return _evaluations(items, stated, where, warnings)
    evaluators = node.children_of("evaluator")
    if not evaluators:
        warnings.append(f"{where}: no evaluations; taken as indifferent")
        return [0.0] * len(stated.issue.values)
    if (numbers := stated.numbers) is None:
        try:
            numbers = tuple(float(value) for value in stated.issue.values)
        except ValueError:
            raise RefusedError(f"{where}: has a numeric evaluator for values that are no numbers") from None
    # The profile's own range, where it has one, is what its evaluator starts from.
    low = node.attributes.get("lowerbound")
    lowest = min(numbers) if low is None else _number(low, f"{where}: lowerbound")
    return [_evaluated(evaluators[0], value, lowest, where) for value in numbers]


def _evaluations(items: list[Node], stated: Stated, where: str, warnings: list[str]) -> list[float]:
    by_value = {
        value_of(item): _number(item.attributes["evaluation"], f"{where}: evaluation of {value_of(item)!r}")
        for item in items
        if item.attributes["evaluation"] != "null"
    }
    by_folded = {folded(value): number for value, number in by_value.items()}
    largest = max(by_value.values(), default=0.0)
    if missing := [value for value in stated.issue.values if folded(value) not in by_folded]:
        warnings.append(f"{where}: no evaluation of {missing[0]!r}; taken as 0")
    if largest < EVALUATION_LEAST:
        return [0.0] * len(stated.issue.values)
    return [by_value.get(value, by_folded.get(folded(value), 0.0)) / largest for value in stated.issue.values]


def _evaluated(evaluator: Node, value: float, lowest: float, where: str) -> float:
    kind = evaluator.attributes.get("ftype", "linear").strip().lower()

    def parameter(key: str) -> float:
        if key not in evaluator.attributes:
            raise RefusedError(f"{where}: the evaluator has no {key}")
        return _number(evaluator.attributes[key], f"{where}: evaluator {key}")

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
    """From 0 at `low` up to 1 at `top`, and down to 0 at `high`; nothing at `high`, even if that is the top."""
    if value < low or value >= high:
        return 0.0
    return (value - low) / (top - low) if value < top else 1 - (value - top) / (high - top)


def _warn_of_cap(agent: Agent, warnings: list[str]) -> None:
    most = 0.0
    for name, numbers in agent.utilities.items():
        assert isinstance(numbers, list)
        most += agent.issue_weights[name] * max(numbers)
    if most > 1 + 1e-6:
        warnings.append(
            f"profile {agent.name!r}: its utilities reach {most:.6g}; Genius would cut them off at 1, here they go on"
        )
