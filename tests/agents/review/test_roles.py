import pytest

from agents.review.analysers import analyser
from agents.review.roles import ROLES, pick_roles

ALL = ["security", "secrets", "quality", "performance", "testing", "accessibility"]


def test_nothing_wanted_means_every_role() -> None:
    assert [role.name for role in pick_roles([])] == ALL


def test_roles_come_in_the_order_of_the_table_and_once() -> None:
    assert [role.name for role in pick_roles(["quality", "security", "quality"])] == ["security", "quality"]


def test_an_unknown_role_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(ValueError, match="securty") as refused:
        pick_roles(["securty", "quality"])
    assert all(name in str(refused.value) for name in ALL)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("app/a.py", ["security", "secrets", "quality", "performance", "testing"]),
        ("app/a b.vue", ALL),
        ("App.tsx", ALL),
        ("Main.swift", ["security", "secrets", "quality", "performance", "testing"]),
        ("deploy/.env", ["secrets"]),
        ("config.yaml", ["secrets"]),
        ("logo.png", []),
        ("package-lock.json", []),
    ],
)
def test_a_role_applies_to_the_files_it_knows(path: str, names: list[str]) -> None:
    assert [role.name for role in ROLES.values() if role.applies(path)] == names


def test_every_role_says_what_it_looks_for_and_names_analysers_that_exist() -> None:
    for name, role in ROLES.items():
        assert role.name == name
        assert role.title
        assert role.focus.endswith(".")
        assert role.analysers
        assert all(analyser(one) for one in role.analysers)
