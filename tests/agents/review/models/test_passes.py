"""Which passes are made, within money, time and number."""

from typing import Any

import pytest

from agents.review.models.passes import (
    MONEY_SHARE,
    OUTPUT_TOKENS_EXPECTED,
    Plan,
    candidates,
    cost_nusd,
    plan_passes,
    unit_chars,
)
from agents.review.models.planning import roles_for
from agents.review.models.roles import ModelRole, model_roles
from agents.review.models.units import UNIT_CHARS_MAX, UNIT_CHARS_MIN, shown, units_of
from schemas.llm import ModelOffered, Tier

RISKY = "import os\nfrom flask import request\n\n" + "def f():\n    os.system(request.args['x'])\n" * 20
PLAIN = "def add(a, b):\n    return a + b\n" * 25
PAGE = "<template><button @click='go'>go</button></template>\n" * 45


def model(name: str = "ollama/a", **fields: Any) -> ModelOffered:
    return ModelOffered(
        **{
            "model": name,
            "is_local": True,
            "tier": Tier.MEDIUM,
            "context_tokens": 32_768,
            "output_tokens_max": 4_096,
            "concurrency": 4,
            "answer_s": 1.0,
        }
        | fields
    )


def plan(sources: dict[str, str], *models: ModelOffered, **options: Any) -> Plan:
    units = units_of(0, sources)
    texts = [shown(unit.parts, sources) for unit in units]
    options = {"passes_max": 100, "max_cost_nusd": None, "left_s": 600.0} | options
    return plan_passes(units, texts, roles_for(()), models, **options)


def test_roles_are_picked_by_what_the_code_contains() -> None:
    def roles(sources: dict[str, str]) -> set[str]:
        return {one.role for one in plan(sources, model()).passes}

    assert "injection" in roles({"a.py": RISKY})
    assert "injection" not in roles({"a.py": PLAIN})
    assert "interface" in roles({"a.vue": PAGE})
    assert "interface" not in roles({"a.py": RISKY})
    assert "correctness" in roles({"a.py": PLAIN})


def test_several_passes_are_made_by_different_models_alone() -> None:
    one = plan({"a.py": RISKY}, model())
    assert {each.number for each in one.passes} == {1}
    two = plan({"a.py": RISKY}, model(), model("ollama/b"))
    injection = [each for each in two.passes if each.role == "injection"]
    assert sorted(each.number for each in injection) == [1, 2]
    assert len({each.model for each in injection}) == 2


def test_over_the_limit_on_assignments_the_most_worth_stay() -> None:
    whole, cut = (
        plan({"a.py": RISKY, "b.py": PLAIN}, model()),
        plan({"a.py": RISKY, "b.py": PLAIN}, model(), passes_max=2),
    )
    assert len(cut.passes) == 2
    assert "injection" in {one.role for one in cut.passes}
    assert cut.left_out == {"the limit on assignments for models": len(whole.passes) - 2}


def test_what_is_expected_to_be_spent_stays_under_the_limit() -> None:
    paid = model(input_nusd=3_000_000_000, output_nusd=15_000_000_000, is_local=False)
    limit = 60_000_000
    made = plan({f"{n}/a.py": RISKY for n in range(20)}, paid, max_cost_nusd=limit)
    assert 0 < sum(one.cost_nusd for one in made.estimates) <= limit * MONEY_SHARE
    assert made.left_out is not None
    assert made.left_out["the limit on money"] > 0


def test_no_money_leaves_what_costs_nothing() -> None:
    free, paid = model(), model("cloud/b", is_local=False, input_nusd=10**9, output_nusd=10**9)
    made = plan({"a.py": RISKY}, paid, free, max_cost_nusd=0)
    assert {one.model for one in made.passes} == {"ollama/a"}


def test_slow_models_are_given_what_they_can_do_in_time() -> None:
    made = plan({f"{n}/a.py": RISKY for n in range(20)}, model(answer_s=60.0, concurrency=2), left_s=150.0)
    assert len(made.passes) == 4
    [estimate] = made.estimates
    assert estimate.seconds == 120.0


def test_without_models_or_code_there_is_nothing_to_do() -> None:
    assert plan({"a.py": RISKY}).passes == ()
    assert plan({}, model()).passes == ()


def test_passes_over_the_same_code_stand_together_for_prefix_caches() -> None:
    made = plan({f"{n}/a.py": RISKY for n in range(5)}, model(), model("ollama/b"))
    pairs = [(one.unit, one.model) for one in made.passes]
    assert len(set(pairs)) == sum(pairs[n] != pairs[n - 1] for n in range(1, len(pairs))) + 1


def test_the_same_plan_comes_out_twice() -> None:
    sources = {f"{n}/a.py": RISKY + f"x = {n}\n" for n in range(9)}
    assert plan(sources, model(), model("b/c")) == plan(
        dict(reversed(sources.items())), model(), model("b/c")
    )


def test_units_are_as_long_as_the_smallest_context_takes() -> None:
    assert unit_chars([model(context_tokens=1_000_000)]) == UNIT_CHARS_MAX
    assert unit_chars([model(), model(context_tokens=2_048)]) == UNIT_CHARS_MIN
    assert UNIT_CHARS_MIN < unit_chars([model(context_tokens=6_000)]) < UNIT_CHARS_MAX


def test_money_is_rounded_up() -> None:
    assert cost_nusd(model(input_nusd=1, output_nusd=1), 1, 1) == 1
    paid = model(input_nusd=150_000_000, output_nusd=600_000_000, per_request_nusd=7)
    assert cost_nusd(paid, 1_000, OUTPUT_TOKENS_EXPECTED) == 7 + 150_000 + 300_000


@pytest.mark.parametrize("role", model_roles().values(), ids=lambda role: role.name)
def test_every_role_says_what_it_looks_for(role: ModelRole) -> None:
    assert role.title
    assert len(role.question) > 80
    assert role.always or role.signals
    assert candidates([], [], [role], 3) == []


def test_roles_of_a_review_pick_those_for_models() -> None:
    assert {role.name for role in roles_for(("performance",))} >= {"performance", "concurrency"}
    assert "injection" not in {role.name for role in roles_for(("performance",))}
    assert len(roles_for(())) == len(model_roles())
