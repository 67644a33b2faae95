"""Passes: which model reads which code in which role, chosen for what they are worth, within money and time. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.review.models.roles import ModelRole
from agents.review.models.units import UNIT_CHARS_MAX, UNIT_CHARS_MIN, Unit
from schemas.llm import ModelOffered
from schemas.review import PassEstimate

CHARS_PER_TOKEN: Final = 3.2
"""Of code; measured on Python and TypeScript with the tokenizers of the price table's models it is 3.0 to 3.8."""
OVERHEAD_TOKENS: Final = 1_500
"""Of instructions, schema, evidence and passages from documents."""
OUTPUT_TOKENS_EXPECTED: Final = 500
OUTPUT_TOKENS_MAX: Final = 3_000
ANSWER_S_UNKNOWN: Final = {True: 20.0, False: 6.0}
"""For local models and others, as long as nothing is known of their speed."""
MONEY_SHARE: Final = 0.85
"""Of the money, for what is expected: the rest is for longer answers, and for what is contested."""
TIME_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Pass:
    """One model reads one unit in one role; `number` counts the passes over the unit in this role from 1."""

    unit: int
    role: str
    number: int
    model: str
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The passes, those over the same unit by the same model next to one another, so that its cache serves them.

    Attributes:
        left_out: passes that would have paid too, by the reason why they are not made.
    """

    passes: tuple[Pass, ...]
    estimates: tuple[PassEstimate, ...] = ()
    left_out: Mapping[str, int] | None = None


def input_tokens(chars: int) -> int:
    """About how many tokens a model reads when it is shown so many characters of code."""
    return math.ceil(chars / CHARS_PER_TOKEN) + OVERHEAD_TOKENS


def unit_chars(models: Sequence[ModelOffered]) -> int:
    """How long a unit may be, so that each of the models can read it."""
    room = min(model.context_tokens for model in models) - OVERHEAD_TOKENS - 2 * OUTPUT_TOKENS_EXPECTED
    return max(UNIT_CHARS_MIN, min(UNIT_CHARS_MAX, math.floor(room * CHARS_PER_TOKEN)))


def cost_nusd(model: ModelOffered, read: int, written: int) -> int:
    """The price of one call, in nano-USD."""
    return model.per_request_nusd + math.ceil(
        (read * model.input_nusd + written * model.output_nusd) / 1_000_000
    )


def candidates(
    units: Sequence[Unit], texts: Sequence[str], roles: Sequence[ModelRole], models: int
) -> list[tuple[float, int, str, int]]:
    """(worth, unit, role, number) of every pass that pays, the most worth first.

    A pass is worth its role's weight, more the more of the role's signals stand in the code, and a further pass in the
    same role less: F1 by number of reviewers saturates (1 → .51, 2 → .60, 8 → .63).
    """
    found: list[tuple[float, int, str, int]] = []
    for index, (unit, text) in enumerate(zip(units, texts, strict=True)):
        for role in roles:
            signals = max(role.found_in(path, text) for path in unit.paths)
            if not signals:
                continue
            worth = role.weight * (1 + math.log2(signals))
            numbers = range(1, min(role.passes, models) + 1)
            found += [(worth / number**2, index, role.name, number) for number in numbers]
    return sorted(found, key=lambda one: (-one[0], one[1:]))


def plan_passes(
    units: Sequence[Unit],
    texts: Sequence[str],
    roles: Sequence[ModelRole],
    models: Sequence[ModelOffered],
    *,
    passes_max: int,
    max_cost_nusd: int | None,
    left_s: float,
) -> Plan:
    """The passes that are worth most.

    Args:
        texts: of the units, as they are shown.
        models: that may be asked, in the operator's order.
        max_cost_nusd: all together; None for no limit.
        left_s: until answers are of no use any more.
    """
    if not models:
        return Plan(())
    tokens = [input_tokens(len(text)) for text in texts]
    room = {model.model: _calls_in_time(model, left_s) for model in models}
    chosen: list[Pass] = []
    left_out: dict[str, int] = {}
    spent = 0
    for _, unit, role, number in candidates(units, texts, roles, len(models)):
        model = models[(unit + number - 1) % len(models)]
        read = tokens[unit]
        cost = cost_nusd(model, read, OUTPUT_TOKENS_EXPECTED)
        if reason := _against(
            len(chosen) < passes_max,
            read + OUTPUT_TOKENS_EXPECTED <= model.context_tokens,
            max_cost_nusd is None or spent + cost <= max_cost_nusd * MONEY_SHARE,
            room[model.model] > 0,
        ):
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        room[model.model] -= 1
        spent += cost
        chosen.append(Pass(unit, role, number, model.model, read))
    chosen.sort(key=lambda one: (one.unit, one.model, one.role, one.number))
    return Plan(tuple(chosen), tuple(_estimates(chosen, models)), left_out)


def _against(in_number: bool, in_context: bool, in_money: bool, in_time: bool) -> str:
    """Why a pass is not made; empty when it is."""
    reasons = {
        "the models' context is too small": in_context,
        "the limit on money": in_money,
        "the time that is left": in_time,
        "the limit on assignments for models": in_number,
    }
    return next((reason for reason, is_kept in reasons.items() if not is_kept), "")


def answer_s(model: ModelOffered) -> float:
    """Seconds for one pass: as learned of late, else what is usual."""
    return model.answer_s or ANSWER_S_UNKNOWN[model.is_local]


def _calls_in_time(model: ModelOffered, left_s: float) -> int:
    return int(max(0.0, left_s) * TIME_SHARE / answer_s(model)) * model.concurrency


def _estimates(passes: Sequence[Pass], models: Sequence[ModelOffered]) -> list[PassEstimate]:
    out = []
    for model in models:
        own = [one for one in passes if one.model == model.model]
        if not own:
            continue
        waves = math.ceil(len(own) / max(1, model.concurrency))
        out.append(
            PassEstimate(
                model=model.model,
                calls=len(own),
                input_tokens=sum(one.input_tokens for one in own),
                output_tokens=len(own) * OUTPUT_TOKENS_EXPECTED,
                cost_nusd=sum(cost_nusd(model, one.input_tokens, OUTPUT_TOKENS_EXPECTED) for one in own),
                cost_max_nusd=sum(cost_nusd(model, one.input_tokens, OUTPUT_TOKENS_MAX) for one in own),
                seconds=round(waves * answer_s(model), 1),
                is_speed_known=model.answer_s > 0,
            )
        )
    return out
