"""How large a negotiation may be, and the refusal of one that can't be taken as stated."""

import math
from typing import Final

AGENTS_MAX: Final = 64
ISSUES_MAX: Final = 64
VALUES_MAX: Final = 10_000
"""Of one issue."""
NAME_CHARS_MAX: Final = 200
OUTCOMES_MAX: Final = 10**30
CELLS_MAX: Final = 20_000_000
"""Outcomes times agents that are looked at one by one: about 160 MB of utilities at worst."""
SEARCH_AGENTS_MAX: Final = 16
"""Where outcomes can't be looked at one by one."""
COALITIONS_MAX: Final = 64
"""Ways to fill a quorum that are searched one after another, where outcomes can't be looked at one by one."""
SCENARIOS_MAX: Final = 256
"""Of one agent."""
SCENARIO_CELLS_MAX: Final = 100_000_000
"""Outcomes times scenarios of all agents."""
UTILITY_MAX: Final = 1e15
FILE_BYTES_MAX: Final = 8_000_000


class RefusedError(ValueError):
    """Raised when a negotiation is refused as stated; one line that says what is wrong, where, and what to do."""


def finite(value: float, where: str) -> float:
    """`value`, a usable number.

    Raises:
        RefusedError: it is not a number, infinite or out of proportion.
    """
    if math.isnan(value):
        raise RefusedError(f"{where} is not a number (NaN)")
    if abs(value) > UTILITY_MAX:
        raise RefusedError(f"{where} is {value:g}; numbers may be at most {UTILITY_MAX:g} in size")
    return float(value)


def positive_or_zero(value: float, where: str) -> float:
    """`value`, a usable weight.

    Raises:
        RefusedError: it is negative or no finite number.
    """
    if finite(value, where) < 0:
        raise RefusedError(f"{where} is {value:g}; weights can't be negative")
    return float(value)


def check_name(name: str, where: str) -> str:
    """`name`, if it has characters and not too many.

    Raises:
        RefusedError: it is empty or too long.
    """
    if not name.strip():
        raise RefusedError(f"{where} has no name")
    if len(name) > NAME_CHARS_MAX:
        raise RefusedError(f"{where} has a name of {len(name)} characters; at most {NAME_CHARS_MAX}")
    return name


def check_size(outcomes: int, agents: int) -> None:
    """Refuses what can neither be looked at one by one nor searched.

    Raises:
        RefusedError: too many outcomes for so many agents.
    """
    if outcomes > OUTCOMES_MAX:
        raise RefusedError(
            f"about 10^{len(str(outcomes)) - 1} outcomes; at most 10^30: drop issues or values"
        )
    if outcomes * agents > CELLS_MAX and agents > SEARCH_AGENTS_MAX:
        raise RefusedError(
            f"{outcomes} outcomes × {agents} agents; with more than {SEARCH_AGENTS_MAX} agents at most "
            f"{CELLS_MAX // agents} outcomes: drop issues, or let agents speak in groups"
        )
