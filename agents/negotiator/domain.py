"""What is negotiated: issues with their values, and agents with a utility for each value.

Utilities are linear additive: an agent's utility of an outcome is the sum over issues of what the chosen value is
worth to it. The units are the agent's own and need not be comparable with another's.

The form in YAML or JSON:

    name: syndication
    quorum: 2                                    # optional: how many agents must accept; default all
    issues:
      - {name: format, values: [clip, episode]}
      - {name: split, values: [30, 50, 70], divisible: true}
    agents:
      - name: tiktok
        disagreement: 0.2                        # utility without a deal, default 0
        threshold: 0.3                           # accepts nothing below, default the disagreement point
        weight: 1                                # bargaining weight, default 1
        issue_weights: {format: 0.4, split: 0.6} # optional, default 1 each
        utilities: {format: {clip: 1, episode: 0.5}, split: [0, 0.5, 1]}
      - name: spotify                            # instead of `utilities`, scenarios with their own
        scenarios:
          - {probability: 0.8, utilities: {...}}
          - {probability: 0.2, utilities: {...}}
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray

from agents.negotiator.limits import (
    AGENTS_MAX,
    FILE_BYTES_MAX,
    ISSUES_MAX,
    SCENARIOS_MAX,
    UTILITY_MAX,
    VALUES_MAX,
    RefusedError,
    check_name,
    check_size,
    finite,
    positive_or_zero,
)

PROBABILITY_TOLERANCE: Final = 1e-6
DEPTH_MAX: Final = 12
_OPENING: Final = (
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
)
_CLOSING: Final = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)

Floats = NDArray[np.float64]
Utilities = dict[str, dict[str, float] | list[float]]
"""By issue: by value, or in the order of the issue's values."""


class Issue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to agree on.

    Attributes:
        values: what it may be, without repetition.
        is_divisible: whether the parties can share it out or take turns, as in 60 % one value and 40 % another.
    """

    name: str
    values: tuple[str, ...]
    is_divisible: bool = msgspec.field(default=False, name="divisible")


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How things may turn out for one agent."""

    probability: float
    utilities: Utilities


class Agent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who negotiates, and what everything is worth to it.

    Attributes:
        disagreement: its utility when there is no deal.
        threshold: the least that it accepts; its disagreement point when not given.
        weight: how much it counts, at least 0.
        issue_weights: factors on `utilities` by issue; 1 when not given.
        scenarios: utilities under each way things may turn out; then `utilities` is empty.
    """

    name: str
    disagreement: float = 0.0
    threshold: float | None = None
    weight: float = 1.0
    issue_weights: dict[str, float] = {}
    utilities: Utilities = {}
    scenarios: tuple[Scenario, ...] = ()


class Domain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A negotiation as stated.

    Attributes:
        quorum: how many agents must accept; all when not given.
        warnings: what was left aside while reading it.
    """

    name: str = "negotiation"
    issues: tuple[Issue, ...]
    agents: tuple[Agent, ...]
    quorum: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def outcomes(self) -> int:
        return math.prod(len(issue.values) for issue in self.issues)


def worth(agent: Agent, utilities: Utilities, issue: Issue) -> Floats:
    """What each value of `issue` is worth to `agent`, with its weight for the issue: (values,).

    Raises:
        RefusedError: a value is missing, unknown, or worth no finite number.
    """
    where = f"agent {agent.name!r}, issue {issue.name!r}"
    stated = utilities.get(issue.name)
    if stated is None:
        raise RefusedError(f"{where}: no utilities; give one for each of its {len(issue.values)} values")
    if isinstance(stated, dict):
        if unknown := sorted(stated.keys() - set(issue.values)):
            raise RefusedError(f"{where}: {unknown[0]!r} is none of the issue's values")
        if missing := [value for value in issue.values if value not in stated]:
            raise RefusedError(f"{where}: no utility for {missing[0]!r}")
        numbers = [stated[value] for value in issue.values]
    else:
        numbers = stated
    if len(numbers) != len(issue.values):
        raise RefusedError(f"{where}: {len(numbers)} utilities for {len(issue.values)} values")
    weight = positive_or_zero(agent.issue_weights.get(issue.name, 1.0), f"{where}: weight")
    weighed: Floats = weight * np.asarray(numbers, dtype=np.float64)
    if not (np.abs(weighed) <= UTILITY_MAX).all() or not (np.abs(numbers) <= UTILITY_MAX).all():
        for value, number in zip(issue.values, numbers, strict=True):
            finite(
                weight * finite(number, f"{where}: the utility of {value!r}"),
                f"{where}: weight times utility",
            )
    return weighed


def check(domain: Domain) -> Domain:
    """`domain`, if it can be negotiated.

    Raises:
        RefusedError: with the first thing that is wrong.
    """
    _check_issues(domain.issues)
    if not domain.agents:
        raise RefusedError("no agents; a negotiation needs at least one")
    if len(domain.agents) > AGENTS_MAX:
        _refuse_many(domain)
    if repeated := _repeated([agent.name for agent in domain.agents]):
        raise RefusedError(f"two agents are called {repeated!r}; give each a name of its own")
    for agent in domain.agents:
        _check_agent(agent, domain.issues)
    if all(agent.weight == 0 for agent in domain.agents):
        raise RefusedError("all agents have weight 0; give at least one a positive weight")
    if domain.quorum is not None and not 1 <= domain.quorum <= len(domain.agents):
        raise RefusedError(
            f"quorum is {domain.quorum}; it must be from 1 to {len(domain.agents)}, the agents"
        )
    check_size(domain.outcomes, len(domain.agents))
    return domain


def _refuse_many(domain: Domain) -> None:
    raise RefusedError(f"{len(domain.agents)} agents; at most {AGENTS_MAX}: let agents speak in groups")


def _repeated(names: list[str]) -> str | None:
    return next((name for number, name in enumerate(names) if name in names[:number]), None)


def _check_issues(issues: tuple[Issue, ...]) -> None:
    if not issues:
        raise RefusedError("no issues; a negotiation needs at least one with at least one value")
    if len(issues) > ISSUES_MAX:
        raise RefusedError(f"{len(issues)} issues; at most {ISSUES_MAX}")
    for number, issue in enumerate(issues, 1):
        check_name(issue.name, f"issue {number}")
        if not issue.values:
            raise RefusedError(f"issue {issue.name!r} has no values; give it at least one")
        if len(issue.values) > VALUES_MAX:
            raise RefusedError(f"issue {issue.name!r} has {len(issue.values)} values; at most {VALUES_MAX}")
        if len(set(issue.values)) < len(issue.values):
            raise RefusedError(f"issue {issue.name!r} has the value {_repeated(list(issue.values))!r} twice")
    if repeated := _repeated([issue.name for issue in issues]):
        raise RefusedError(f"two issues are called {repeated!r}; give each a name of its own")


def _check_agent(agent: Agent, issues: tuple[Issue, ...]) -> None:
    where = f"agent {check_name(agent.name, 'an agent')!r}"
    positive_or_zero(agent.weight, f"{where}: weight")
    finite(agent.disagreement, f"{where}: disagreement point")
    if agent.threshold is not None and finite(agent.threshold, f"{where}: threshold") < agent.disagreement:
        raise RefusedError(
            f"{where}: threshold {agent.threshold:g} contradicts its disagreement point {agent.disagreement:g}; "
            "it can't accept less than it has without a deal"
        )
    if agent.scenarios and agent.utilities:
        raise RefusedError(f"{where}: has both utilities and scenarios; give one of them")
    if len(agent.scenarios) > SCENARIOS_MAX:
        raise RefusedError(f"{where}: {len(agent.scenarios)} scenarios; at most {SCENARIOS_MAX}")
    names = {issue.name for issue in issues}
    stated = [scenario.utilities for scenario in agent.scenarios] or [agent.utilities]
    for named in (*(set(utilities) for utilities in stated), set(agent.issue_weights)):
        if unknown := sorted(named - names):
            raise RefusedError(f"{where}: {unknown[0]!r} is none of the issues")
    for utilities in stated:
        for issue in issues:
            worth(agent, utilities, issue)
    for scenario in agent.scenarios:
        positive_or_zero(scenario.probability, f"{where}: the probability of a scenario")
    total = math.fsum(scenario.probability for scenario in agent.scenarios)
    if agent.scenarios and abs(total - 1) > PROBABILITY_TOLERANCE:
        raise RefusedError(f"{where}: the probabilities of its scenarios add up to {total:g}, not to 1")


def from_mapping(stated: object) -> Domain:
    """The domain that plain data (of JSON or YAML) states, checked.

    Raises:
        RefusedError: with the first thing that is wrong.
    """
    try:
        return check(msgspec.convert(_plain(stated, 0), Domain))
    except msgspec.ValidationError as error:
        raise RefusedError(f"not a negotiation: {error}") from None


def from_text(text: str) -> Domain:
    """The domain that a YAML or JSON text states, checked.

    Raises:
        RefusedError: with the first thing that is wrong.
    """
    if len(text.encode()) > FILE_BYTES_MAX:
        raise RefusedError(f"the file has {len(text.encode())} bytes; at most {FILE_BYTES_MAX}")
    try:
        stated = msgspec.json.decode(text) if text.lstrip()[:1] in ("{", "[") else _yaml(text)
    except msgspec.DecodeError:
        stated = _yaml(text)
    except RecursionError:
        raise RefusedError(f"not a negotiation: nested deeper than {DEPTH_MAX} levels") from None
    return from_mapping(stated)


def _yaml(text: str) -> object:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # A few aliases of aliases unfold to billions of nodes.
        depth = 0
        for token in yaml.scan(text, Loader=loader):
            if isinstance(token, yaml.AliasToken):
                raise RefusedError("the file uses YAML aliases (*name); write things out")
            # Counted before it is loaded: the C parser recurses, and dies of what is nested too deeply.
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > DEPTH_MAX:
                raise RefusedError(f"not a negotiation: nested deeper than {DEPTH_MAX} levels")
        return yaml.load(text, Loader=loader)  # a safe loader
    except yaml.YAMLError as error:
        raise RefusedError(f"not YAML or JSON: {' '.join(str(error).split())[:200]}") from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(
            "not YAML or JSON that can be read: nested too deeply, or a broken number"
        ) from None


def _plain(stated: object, depth: int) -> object:
    """With texts for keys, names and the values of issues, where YAML has numbers: `{10: 0.5}`, `values: [10, 20]`."""
    if depth > DEPTH_MAX:
        raise RefusedError(f"not a negotiation: nested deeper than {DEPTH_MAX} levels")
    if isinstance(stated, Mapping):
        plain = {_text(key): _plain(value, depth + 1) for key, value in stated.items()}
        for kind in ("issues", "agents") if depth == 0 else ():
            if isinstance(rows := plain.get(kind), list):
                plain[kind] = [_named(row) for row in rows]
        return plain
    if isinstance(stated, list | tuple):
        return [_plain(value, depth + 1) for value in stated]
    return stated


def _named(row: object) -> object:
    if not isinstance(row, dict):
        return row
    named = dict(row)
    if isinstance(named.get("name"), bool | int | float):
        named["name"] = _text(named["name"])
    if isinstance(values := named.get("values"), list):
        named["values"] = [_text(value) for value in values]
    return named


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
