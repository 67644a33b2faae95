"""The Genius XML form: what it says, what is left aside with a warning, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from negotiations import unhurried

from agents.negotiator.genius import from_genius
from agents.negotiator.limits import RefusedError
from agents.negotiator.loading import load_domain
from agents.negotiator.problem import problem_of
from agents.negotiator.risk import Risk
from agents.negotiator.solve import solve
from schemas.deal import Certificate

DOMAIN = b"""<?xml version="1.0" encoding="UTF-8"?>
<negotiation_template>
  <utility_space number_of_issues="2">
    <objective description="" etype="objective" index="0" name="Boat trip" type="objective">
      <issue etype="discrete" index="1" name="Harbour" type="discrete" vtype="discrete">
        <item index="1" value="North" cost="0" description="cold"/>
        <item index="2" value="South" cost="0" description="warm"/>
      </issue>
      <issue etype="integer" index="2" name="Days" type="integer" vtype="integer">
        <range lowerbound="3" upperbound="5"/>
      </issue>
    </objective>
  </utility_space>
</negotiation_template>
"""


def profile(*, north: str = "2", south: str = "8", slope: str = "0.5", extra: str = "") -> bytes:
    return f"""<utility_space>
  <objective description="" etype="objective" index="0" name="Boat trip" type="objective">
    <issue etype="discrete" index="1" name="Harbour" type="discrete" vtype="discrete">
      <item index="1" value="North" evaluation="{north}"/>
      <item index="2" value="South" evaluation="{south}"/>
    </issue>
    <issue etype="integer" index="2" name="Days" type="integer" vtype="integer" lowerbound="3" upperbound="5">
      <evaluator ftype="linear" offset="0.0" slope="{slope}"/>
    </issue>
    <weight index="1" value="0.6"/>
    <weight index="2" value="0.4"/>
  </objective>
  {extra}
</utility_space>""".encode()


def test_evaluations_weights_and_reservation_make_the_utilities() -> None:
    one = profile(extra='<discount_factor value="0.8"/><reservation value="0.25"/>')
    domain = from_genius({"ann": one, "bo": profile(north="5", south="1")}, DOMAIN)
    problem = problem_of(domain, Risk())
    assert problem.parts[0].ravel().tolist() == pytest.approx([0.6 * 2 / 8, 0.6, 0.6, 0.6 / 5])
    assert problem.parts[1][0].tolist() == pytest.approx([0.0, 0.2, 0.4])
    assert problem.disagreement.tolist() == [0.25, 0.0]
    assert domain.warnings == ("profile 'ann': discount factor 0.8 is ignored",)
    answer = solve(domain, unhurried)
    assert isinstance(answer, Certificate)
    assert answer.deal["Days"] == "5"
    assert answer.warnings == domain.warnings


def test_without_a_domain_file_the_first_profile_states_the_issues() -> None:
    assert from_genius({"ann": profile()}).issues == from_genius({"ann": profile()}, DOMAIN).issues


def test_weights_may_lie_beside_the_objective_and_objectives_may_be_nested() -> None:
    nested = b"""<utility_space><weight index="3" value="0.25"/><weight index="4" value="0.75"/>
      <objective index="0" name="all"><objective index="1" name="part">
        <issue index="3" name="a"><item index="1" value="x" evaluation="1"/><item index="2" value="y" evaluation="4"/></issue>
      </objective>
      <issue index="4" name="b"><item index="1" value="x" evaluation="1.0"/><item index="2" value="y" evaluation="0.5"/></issue>
      </objective></utility_space>"""
    problem = problem_of(from_genius({"ann": nested}), Risk())
    assert [part.tolist() for part in problem.parts] == [[[0.0625, 0.25]], [[0.75, 0.375]]]


def test_real_issues_are_looked_at_in_steps_with_a_warning() -> None:
    real = b"""<utility_space><objective index="0"><issue index="1" name="price" type="real" etype="real">
      <range lowerbound="10" upperbound="20"/><evaluator ftype="%b"/></issue><weight index="1" value="1"/>
      </objective></utility_space>"""
    linear = from_genius({"ann": real % b'linear" parameter0="2" parameter1="-0.1'})
    assert linear.issues[0].values[::50] == ("10", "15", "20")
    assert "price" in linear.warnings[0]
    assert problem_of(linear, Risk()).parts[0][0, ::50].tolist() == pytest.approx([1.0, 0.5, 0.0])
    top = from_genius({"ann": real % b'triangular" parameter0="10" parameter1="20" parameter2="12'})
    assert problem_of(top, Risk()).parts[0][0, ::20].tolist() == pytest.approx([0, 1, 0.75, 0.5, 0.25, 0])
    flat = from_genius({"ann": real % b'constant" parameter0="0.5'})
    assert set(problem_of(flat, Risk()).parts[0][0].tolist()) == {0.5}


def test_what_a_profile_leaves_out_is_worth_nothing_and_said() -> None:
    poor = (
        profile()
        .replace(b'<item index="2" value="South" evaluation="8"/>', b"")
        .replace(b'<weight index="2" value="0.4"/>', b"")
    )
    domain = from_genius({"ann": poor}, DOMAIN)
    assert problem_of(domain, Risk()).parts[0].tolist() == [[0.6, 0.0]]
    assert "no evaluation of 'South'; taken as 0" in domain.warnings[0]
    assert "no weight for issue 'Days'" in domain.warnings[1]


def test_latin_1_that_does_not_say_so_is_read() -> None:
    text = profile().decode().replace("South", "Málaga")
    domain = from_genius({"ann": text.encode("latin-1")})
    assert domain.issues[0].values == ("North", "Málaga")


BILLION = b"""<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><utility_space><issue name="&b;"/></utility_space>"""
FETCH = b"""<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><utility_space/>"""


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (BILLION, "document type or entities"),
        (FETCH, "document type or entities"),
        (b"<a>" * 100 + b"</a>" * 100, "nested deeper than 64"),
        (b"<utility_space>", "not XML"),
        (b"", "not XML"),
        (b"<utility_space/>", "no <issue>"),
        (profile(north="many"), "evaluation of 'North' is 'many', not a number"),
        (profile(north="nan"), "not a finite number"),
        (profile().replace(b'index="2" value="0.4"', b'index="2" value="-0.4"'), "weights can't be negative"),
        (profile().replace(b'ftype="linear"', b'ftype="cubic"').replace(b"slope", b"x"), "evaluator 'cubic'"),
        (profile().replace(b'lowerbound="3"', b'lowerbound="9"'), "lowerbound 9 is above upperbound 5"),
        (profile().replace(b'upperbound="5"', b'upperbound="99999999"'), "values; at most 10000"),
        (profile().replace(b"<utility_space>", b'<utility_space type="nonlinear">'), "not linear additive"),
    ],
)
def test_hostile_and_broken_documents_are_refused(document: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as refused:
        from_genius({"ann": document})
    assert "\n" not in str(refused.value)


def test_a_profile_of_another_domain_is_refused() -> None:
    other = profile().replace(b'name="Harbour"', b'name="Port"').replace(b'index="1"', b'index="7"')
    with pytest.raises(RefusedError, match="says nothing of issue 'Harbour'"):
        from_genius({"ann": other}, DOMAIN)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    with pytest.raises(RefusedError):
        from_genius({"ann": document})


def lay_out(folder: Path) -> Path:
    (folder / "boat.xml").write_bytes(DOMAIN)
    (folder / "ann.xml").write_bytes(profile())
    (folder / "bo.xml").write_bytes(profile(north="5", south="1"))
    (folder / "readme.xml").write_bytes(b"<notes/>")
    (folder / "other.xml").write_bytes(profile().replace(b'name="Harbour"', b'name="Port"'))
    return folder / "boat.xml"


def test_a_domain_file_takes_the_profiles_beside_it_that_fit(tmp_path: Path) -> None:
    path = lay_out(tmp_path)
    assert [agent.name for agent in load_domain(path).agents] == ["ann", "bo"]
    assert load_domain(path) == load_domain(tmp_path)


def test_named_profiles_are_taken_alone(tmp_path: Path) -> None:
    path = lay_out(tmp_path)
    assert [agent.name for agent in load_domain(path, [tmp_path / "bo.xml"]).agents] == ["bo"]


def test_a_profile_given_as_the_domain_brings_those_that_fit_it(tmp_path: Path) -> None:
    lay_out(tmp_path)
    assert [agent.name for agent in load_domain(tmp_path / "ann.xml").agents] == ["ann", "bo"]


def test_files_that_are_missing_or_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name, reason in (
        ("none.yaml", "No such file"),
        ("binary.yaml", "not UTF-8"),
        ("none.xml", "No such file"),
    ):
        with pytest.raises(RefusedError, match=reason):
            load_domain(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RefusedError, match="no utility profiles beside it"):
        load_domain(tmp_path / "empty")
