"""What `labverse negotiate` shows, from plain values: no width cuts a word, no name can harm a terminal or an SVG."""

import argparse
import io
from typing import get_args
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from negotiations import domains, unhurried
from rich.cells import cell_len
from rich.console import Console

from agents.negotiator.concepts import CONCEPTS, RegretKind
from agents.negotiator.domain import Domain, from_mapping
from agents.negotiator.points import points_of
from agents.negotiator.risk import AVERSION_DEFAULT, RiskKind
from agents.negotiator.solve import TIME_S, Options, solve
from orchestrator.commands import negotiate as command
from orchestrator.negotiation_picture import BAR_CELLS, Mark, Picture, bar, figure, keys, picture_of, scatter
from orchestrator.negotiation_svg import svg_of
from orchestrator.negotiation_view import gained, print_certificate, print_no_deal
from orchestrator.negotiation_words import bound_words, difference, manipulability_words, pareto_words
from schemas.deal import Certificate, NoDeal

HOSTILE = "\x1b[31mred\x1b[0m\n\r\x07[bold]<script>&\"'\ufffe\u202eevil"


def answered(domain: Domain, **options: object) -> tuple[Certificate | NoDeal, Picture]:
    outcome = solve(domain, unhurried, Options(**options))  # type: ignore[arg-type]
    points = points_of(domain, unhurried) if isinstance(outcome, Certificate) else None
    return outcome, picture_of(domain, outcome, points)


def shown(domain: Domain, width: int, *, terminal: bool = True, **options: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, force_terminal=terminal, color_system=None)
    outcome, picture = answered(domain, **options)
    if isinstance(outcome, NoDeal):
        print_no_deal(console, domain, outcome, picture, 0.01)
    else:
        print_certificate(console, domain, outcome, picture, 0.01)
    return out.getvalue()


def pair(name: str = "ann", issue: str = "split", values: tuple[str, ...] = ("20", "50", "80")) -> Domain:
    return from_mapping(
        {
            "name": f"of {name}",
            "issues": [{"name": issue, "values": list(values)}],
            "agents": [
                {"name": name, "utilities": {issue: [0, 5, 9]}},
                {"name": "bo", "utilities": {issue: [9, 5, 0]}},
            ],
        }
    )


def certificate_of(domain: Domain) -> Certificate:
    outcome = solve(domain, unhurried)
    assert isinstance(outcome, Certificate)
    return outcome


def plane(*points: tuple[float, float], deal: tuple[float, float]) -> Picture:
    marks = (
        Mark(kind="without", label="without a deal", utilities=(0.0, 0.0)),
        Mark(kind="deal", label="the deal", utilities=deal),
    )
    return Picture(name="n", agents=("ann", "bo"), points=points, legend="deals", marks=marks)


@settings(deadline=None, max_examples=60)
@given(domains(), st.integers(50, 200), st.sampled_from(CONCEPTS))
def test_every_answer_fits_every_width_and_every_picture_is_xml(
    domain: Domain, width: int, concept: str
) -> None:
    text = shown(domain, width, concept=concept)
    assert max(map(cell_len, text.splitlines())) <= width, text
    outcome, picture = answered(domain, concept=concept)
    ElementTree.fromstring(svg_of(picture))
    if isinstance(outcome, NoDeal):
        assert "no deal: " in text
        for one in outcome.blockers:
            assert f"{one.agent} " in text
    else:
        for issue, value in outcome.deal.items():
            assert issue in text
            assert value in text
        for agent in outcome.utilities:
            assert agent in text


def test_names_can_harm_neither_terminal_nor_svg() -> None:
    domain = pair(HOSTILE, HOSTILE, (HOSTILE, "50", "80"))
    text = shown(domain, 80, terminal=False)
    assert not set(text) & set("\x1b\r\x07\u202e\ufffe")
    assert "[bold]<script>" in text  # is text, not markup
    _, picture = answered(domain)
    svg = svg_of(picture)
    root = ElementTree.fromstring(svg)
    assert not [one for one in root.iter() if one.tag.endswith("script")]
    assert "&lt;script&gt;" in svg


def test_long_names_are_whole_where_they_are_listed() -> None:
    issue, value = "issue " * 20 + "end", "value" * 25
    text = shown(pair(issue=issue, values=(value, "50", "80"), name="a" * 150), 80)
    assert max(map(cell_len, text.splitlines())) <= 80
    everything = "".join(text.split())
    assert "".join(issue.split()) in everything or text.count("issue") >= 20


def test_a_scatter_has_its_signs_where_the_numbers_say() -> None:
    lines = scatter(plane((10.0, 0.0), (0.0, 10.0), deal=(10.0, 10.0)), 60)
    assert lines[0].strip() == "bo ↑"
    rows = [line.partition("│")[2] for line in lines if "│" in line]
    top, bottom = rows[0], rows[-1]
    assert top.index("·") < top.index("◆")
    assert bottom.index("x") < bottom.index("·")
    assert top.index("·") == bottom.index("x")
    assert top.index("◆") == bottom.index("·")
    assert "ann →" in lines[-1]


def test_the_deal_covers_what_lies_in_the_same_place() -> None:
    picture = plane((1.0, 1.0), deal=(1.0, 1.0))
    assert sum(line.count("◆") for line in scatter(picture, 60)) == 1
    assert not any("·" in line for line in scatter(picture, 60))
    assert keys(picture) == ["· deals", "◆ the deal", "x without a deal"]


def test_a_picture_of_nothing_but_one_place_is_drawn() -> None:
    picture = plane((0.0, 0.0), deal=(0.0, 0.0))
    assert any("◆" in line for line in scatter(picture, 20))
    ElementTree.fromstring(svg_of(picture))


def test_shares_are_bars() -> None:
    assert bar(0.5, 10) == "█████░░░░░"
    assert bar(-3) == "░" * BAR_CELLS
    assert bar(7) == "█" * BAR_CELLS


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1 / 3, "0.3333"),
        (12345.6, "12,346"),
        (-99_999.0, "-99,999"),
        (1e15, "1e+15"),
    ],
)
def test_figures_are_short(value: float, said: str) -> None:
    assert figure(value) == said


def test_what_is_gained_is_a_share_of_what_there_is_to_gain() -> None:
    certificate = certificate_of(pair())
    assert gained(certificate, certificate.ideal, "ann") == 1
    assert gained(certificate, certificate.disagreement, "ann") == 0
    assert gained(certificate, {"ann": 4.5, "bo": 0.0}, "ann") == 0.5


def test_deals_are_told_apart_by_a_few_issues() -> None:
    deal = {f"i{at}": "a" for at in range(7)}
    assert difference(deal, deal) == "the same deal"
    assert difference(deal, {**deal, "i2": "b"}) == "i2 b"
    assert difference(deal, dict.fromkeys(deal, "b")) == "i0 b, i1 b, i2 b, i3 b and 3 more"


def test_what_is_not_proven_is_not_claimed() -> None:
    found = certificate_of(pair())
    assert "proven best" in bound_words(found)
    loose = msgspec.structs.replace(found, is_exact=False, bound=found.value - 0.25, gap=0.25)
    assert bound_words(loose).startswith("the best found in time")
    assert "gap 0.25" in bound_words(loose)
    assert "no bound" in bound_words(msgspec.structs.replace(found, is_exact=False, bound=None, gap=None))
    unproven = msgspec.structs.replace(found.pareto, is_proven=False)
    assert "not proven" in pareto_words(msgspec.structs.replace(found, pareto=unproven))
    assert found.manipulability is not None
    honest = msgspec.structs.replace(found.manipulability, deviator=None, epsilon=0.0)
    assert "no proof" in manipulability_words(honest)


def test_the_commands_choices_are_the_solvers() -> None:
    assert set(command.CONCEPTS) == set(CONCEPTS)
    assert set(command.REGRETS) == set(get_args(RegretKind))
    assert set(command.RISKS) == set(get_args(RiskKind))
    assert command.DEADLINE_S == TIME_S
    assert command.RISK_AVERSION == AVERSION_DEFAULT
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args(["--domain", "x"])
    assert (args.concept, args.risk, args.regret) == (
        Options().concept,
        Options().risk.kind,
        Options().regret,
    )
