"""Shards: each file once for each role, in few pieces of about equal weight."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.shards import SHARD_BYTES, SHARDS_MAX, ShardsError, plan_shards
from schemas.review import Bundle


@dataclass(frozen=True)
class Role:
    name: str
    suffix: str = ""

    def applies(self, path: str) -> bool:
        return path.endswith(self.suffix)


def bundle(*sizes: int, name: str = "b", suffix: str = ".py") -> Bundle:
    paths = tuple(f"{name}/{index:05}{suffix}" for index in range(len(sizes)))
    return Bundle(object_name=name, sha256="", paths=paths, sizes=sizes, source_bytes=sum(sizes))


def test_small_files_of_one_bundle_are_one_shard_a_role() -> None:
    one = bundle(10, 20, 30)
    shards = plan_shards([one], [Role("security"), Role("secrets")])
    assert [(shard.role, shard.bundle, shard.paths) for shard in shards] == [
        ("security", one, one.paths),
        ("secrets", one, one.paths),
    ]


def test_a_role_gets_only_the_files_that_it_is_about() -> None:
    mixed = Bundle(object_name="b", sha256="", paths=("a.py", "b.yaml", "c.py"), sizes=(1, 1, 1))
    shards = plan_shards([mixed], [Role("security", ".py"), Role("secrets"), Role("dart", ".dart")])
    assert [(shard.role, shard.paths) for shard in shards] == [
        ("security", ("a.py", "c.py")),
        ("secrets", ("a.py", "b.yaml", "c.py")),
    ]


def test_nothing_to_review_gives_no_shard() -> None:
    assert plan_shards([], [Role("security")]) == ()
    assert plan_shards([bundle(1)], []) == ()


def test_shards_hold_about_forty_files() -> None:
    sizes = [len(shard.paths) for shard in plan_shards([bundle(*[100] * 130)], [Role("security")])]
    assert sizes == [32, 33, 32, 33]


def test_shards_hold_about_two_hundred_kilobytes() -> None:
    shards = plan_shards([bundle(*[30_000] * 40)], [Role("security")])
    assert [len(shard.paths) for shard in shards] == [7, 6, 7, 7, 6, 7]


def test_a_large_file_weighs_as_much_as_many_small_ones() -> None:
    shards = plan_shards([bundle(*[5_000] * 20, 190_000, *[5_000] * 20)], [Role("security")])
    by_weight = [
        sum(shard.bundle.sizes[shard.bundle.paths.index(path)] for path in shard.paths) for shard in shards
    ]
    assert len(shards) == 2
    assert max(by_weight) <= 2 * SHARD_BYTES


def test_sizes_that_are_not_known_are_taken_as_even() -> None:
    foreign = Bundle(
        object_name="b", sha256="", paths=tuple(f"{i}.py" for i in range(10)), source_bytes=1_000_000
    )
    assert [len(shard.paths) for shard in plan_shards([foreign], [Role("security")])] == [2, 2, 2, 2, 2]


def test_there_are_never_more_assignments_than_fit_in_a_batch() -> None:
    bundles = [bundle(*[100_000] * 200, name=f"b{index}") for index in range(50)]
    roles = [Role(f"role{index}") for index in range(6)]
    shards = plan_shards(bundles, roles)
    assert 300 < len(shards) <= SHARDS_MAX
    assert sum(len(shard.paths) for shard in shards) == 50 * 200 * 6
    assert max(len(shard.paths) for shard in shards) <= 200


def test_too_many_bundles_and_roles_are_an_error() -> None:
    bundles = [bundle(1, name=f"b{index}") for index in range(100)]
    with pytest.raises(ShardsError, match="1,000 pairs of bundle and role"):
        plan_shards(bundles, [Role(f"role{index}") for index in range(10)])


@given(
    bundles=st.lists(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=120), max_size=6),
    shards_max=st.integers(12, 60),
)
def test_every_file_is_in_one_shard_of_each_role_and_in_order(
    bundles: list[list[int]], shards_max: int
) -> None:
    made = [bundle(*sizes, name=f"b{index}") for index, sizes in enumerate(bundles)]
    roles = [Role("security"), Role("secrets", "1.py")]
    shards = plan_shards(made, roles, shards_max=shards_max)
    assert len(shards) <= shards_max
    assert all(shard.paths for shard in shards)
    for role in roles:
        wanted = [path for each in made for path in each.paths if role.applies(path)]
        assert [path for shard in shards if shard.role == role.name for path in shard.paths] == wanted
    assert max(Counter(shard.role for shard in shards).values(), default=0) <= shards_max
    assert shards == plan_shards(made, roles, shards_max=shards_max)
