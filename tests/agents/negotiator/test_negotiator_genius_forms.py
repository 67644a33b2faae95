"""The Genius XML form as found in the wild: slips that its own tools read over, old elements, crowded folders."""

import time
from pathlib import Path

import pytest
from negotiations import unhurried

from agents.negotiator.domain import Domain
from agents.negotiator.genius import REAL_OUTCOMES_MAX, from_genius
from agents.negotiator.limits import RefusedError
from agents.negotiator.loading import load_domain
from agents.negotiator.problem import problem_of
from agents.negotiator.risk import Risk
from agents.negotiator.solve import solve
from agents.negotiator.xml_tree import parse
from schemas.deal import Certificate

AGENTS = """<agent class="one" name="A" utility_space="{}"></agent><agent name="B" utility_space="old/{}"></agent>"""


def discrete(index: int, name: str, **evaluations: object) -> str:
    items = "".join(
        f'<item evaluation="{worth}" index="{number}" value="{value}"> \n</item>'
        for number, (value, worth) in enumerate(evaluations.items(), 1)
    )
    return f'<issue vtype="discrete" name="{name}" index="{index}" etype="discrete" type="discrete">{items}</issue>'


def weights(*values: object) -> str:
    return "".join(f'<weight index="{index}" value="{value}"/>' for index, value in enumerate(values, 1))


def profile(*parts: str, kind: str = "", after: str = "") -> bytes:
    root = f' type="{kind}"' if kind else ""
    return (
        f'<utility_space{root}><objective index="0" name="x">{"".join(parts)}</objective>{after}</utility_space>'
    ).encode()


def domain(*parts: str, before: str = "") -> bytes:
    stated = "".join(parts).replace(' evaluation="0"', "")
    return (
        f"<negotiation_template>{before}<utility_space><objective index='0' name='x'>{stated}</objective>"
        "</utility_space></negotiation_template>"
    ).encode()


TEA = discrete(1, "Tea", green=1, black=4)
TEA_DOMAIN = domain(discrete(1, "Tea", green=0, black=0))


def parts_of(stated: Domain) -> list[list[list[float]]]:
    return [part.tolist() for part in problem_of(stated, Risk()).parts]


@pytest.mark.parametrize(
    "document",
    [
        b"\n<!-- one -->\n<?xml version='1.0' encoding='utf-8' ?>\n" + profile(TEA, weights(1)),
        b"\xef\xbb\xbf\n  " + profile(TEA, weights(1)),
        profile(TEA, weights(1)).replace(b'" name=', b'"name='),
        profile(TEA, weights(1), after='<note text="a & b < c &eacute;"/>'),
        profile(TEA, weights(1)).decode().encode("utf-16"),
        b"<?xml version='1.0' encoding='no-such'?>" + profile(TEA, weights(1)),
        b"<?xml version='1.0' encoding='shift_jis'?>" + profile(TEA, weights(1)),
    ],
    ids=[
        "late declaration",
        "mark and space",
        "no space",
        "bare signs",
        "UTF-16",
        "unknown encoding",
        "encoding of two bytes",
    ],
)
def test_slips_that_tools_read_over_are_mended(document: bytes) -> None:
    assert parts_of(from_genius({"ann": document})) == [[[0.25, 1.0]]]


def test_mending_keeps_what_attributes_say() -> None:
    node = parse(b"""<a b="1 < 2 &amp; 3 &#62; 2 & 'so'"c='"x" = y'/>""", "it")
    assert node.attributes == {"b": "1 < 2 & 3 > 2 & 'so'", "c": '"x" = y'}


def test_a_mended_document_may_declare_no_entities_either() -> None:
    hostile = b"""\n<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "ha">]>""" + profile(TEA, weights(1))
    with pytest.raises(RefusedError, match="document type or entities"):
        from_genius({"ann": hostile})


@pytest.mark.parametrize("encoding", ["rot13", "base64", "punycode", "undefined", "x\x00"])
def test_odd_encodings_are_read_or_refused(encoding: str) -> None:
    stated = f"<?xml version='1.0' encoding='{encoding}'?>".encode()
    with pytest.raises(RefusedError, match="not XML"):
        from_genius({"ann": stated + b"<a>\xff"})


def test_text_of_windows_is_read() -> None:
    text = profile(TEA, weights(1)).decode().replace("green", "hors d’oeuvre")
    assert from_genius({"ann": text.encode("cp1252")}).issues[0].values == ("hors d’oeuvre", "black")


SIMILAR = (
    '<similarity_function weight="0.2"><criteria_function type="faratin" weight="1">'
    '<item index="1" value="green" evaluation="1"/><item index="2" value="odd" evaluation="9"/>'
    "</criteria_function></similarity_function></issue>"
)


def test_similarity_functions_say_nothing_of_worth(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(profile(TEA.replace("</issue>", SIMILAR), weights(1)))
    (tmp_path / "b.xml").write_bytes(TEA_DOMAIN.replace(b"</issue>", SIMILAR.encode()))
    loaded = load_domain(tmp_path)
    assert [agent.name for agent in loaded.agents] == ["a"]
    assert loaded.issues[0].values == ("green", "black")
    assert parts_of(loaded) == [[[0.25, 1.0]]]


def test_weights_stand_as_they_are_and_only_where_there_are_none_count_alike() -> None:
    two = TEA, discrete(2, "Cake", none=0, much=10)
    stated = from_genius({"a": profile(*two, weights(0.2, 0.3)), "b": profile(*two)})
    assert parts_of(stated) == [[[0.05, 0.2], [0.125, 0.5]], [[0, 0.3], [0, 0.5]]]
    assert stated.warnings == ("profile 'b': no weights; all issues count alike",)


def test_values_are_found_in_any_order_and_with_other_spaces() -> None:
    said = discrete(1, "tea ", **{" Black": 4, "Green\n": 1, "white": 8})
    stated = from_genius({"ann": profile(said, weights(1))}, TEA_DOMAIN)
    assert parts_of(stated) == [[[0.125, 0.5]]]
    assert stated.warnings == ()


def test_an_issue_is_known_by_its_number_where_its_values_agree() -> None:
    said = discrete(2, "Tea", green=4, black=1) + discrete(1, "Coffee", green=1, black=2)
    stated = domain(discrete(1, "Tea", green=0, black=0), discrete(2, "Coffee", green=0, black=0))
    loaded = from_genius({"ann": profile(said, weights(0.5, 0.5))}, stated)
    assert parts_of(loaded) == [[[0.25, 0.5]], [[0.5, 0.125]]]
    assert "issue 'Tea' is called 'Coffee' there; known by its number" in loaded.warnings[0]


def test_an_issue_is_known_by_its_name_where_numbers_point_to_other_values() -> None:
    said = discrete(2, "Tea", green=4, black=1) + discrete(1, "Cake", none=1, much=2)
    stated = domain(discrete(1, "Tea", green=0, black=0), discrete(2, "Cake", none=0, much=0))
    loaded = from_genius({"ann": profile(said, weights(0.8, 0.2))}, stated)
    assert parts_of(loaded) == [[[0.2, 0.05]], [[0.4, 0.8]]]
    assert loaded.warnings == ()


def test_a_profile_with_the_number_but_none_of_the_values_is_refused() -> None:
    said = profile(discrete(1, "Laptop", small=1, large=2), weights(1))
    with pytest.raises(RefusedError, match="profile 'ann' says nothing of issue 'Tea'"):
        from_genius({"ann": said}, TEA_DOMAIN)


def test_issues_without_a_name_or_of_the_same_name_are_told_apart() -> None:
    said = discrete(1, "", x=1, y=2) + discrete(2, "Tea", x=3, y=2) + discrete(3, "Tea", x=1, y=4)
    loaded = from_genius({"ann": profile(said, weights(1, 1, 1))})
    assert [issue.name for issue in loaded.issues] == ["issue 1", "Tea", "Tea (3)"]
    assert [part[0][0] for part in parts_of(loaded)] == pytest.approx([0.5, 1.0, 0.25])


@pytest.mark.parametrize(
    ("evaluator", "worths"),
    [
        ('ftype="linear" offset="0.3" slope="0.5"', [0.3, 0.8, 1.0, 1.0]),
        ('ftype="linear" offset="0.5" slope="-0.3"', [0.5, 0.2, 0.0, 0.0]),
        ('slope="0.1" offset="0"', [0.0, 0.1, 0.2, 0.3]),
    ],
)
def test_integers_count_from_the_lower_bound_and_are_cut_at_0_and_1(
    evaluator: str, worths: list[float]
) -> None:
    said = f'<issue index="1" name="n" type="integer" lowerbound="-2" upperbound="1"><evaluator {evaluator}/></issue>'
    loaded = from_genius({"ann": profile(said, weights(1))})
    assert loaded.issues[0].values == ("-2", "-1", "0", "1")
    assert parts_of(loaded)[0][0] == pytest.approx(worths)


def test_integers_count_from_the_lower_bound_of_the_profile() -> None:
    said = '<issue index="1" name="n" type="integer" lowerbound="0" upperbound="9"><evaluator slope="0.1" offset="0"/></issue>'
    stated = domain('<issue index="1" name="n" type="integer" lowerbound="5" upperbound="7"/>')
    assert parts_of(from_genius({"ann": profile(said, weights(1))}, stated)) == [
        [pytest.approx([0.5, 0.6, 0.7])]
    ]


def real(index: int, name: str, evaluator: str = 'ftype="linear" parameter1="0.1" parameter0="0"') -> str:
    return (
        f'<issue index="{index}" name="{name}" etype="real" vtype="real" type="real">'
        f'<range lowerbound="0" upperbound="10"/><evaluator etype="real" {evaluator}/></issue>'
    )


@pytest.mark.parametrize(("issues", "steps"), [(1, 101), (2, 101), (3, 41), (4, 21), (5, 11), (9, 11)])
def test_more_real_issues_are_cut_into_fewer_values(issues: int, steps: int) -> None:
    stated = profile(*(real(n, f"r{n}") for n in range(1, issues + 1)), weights(*[1 / issues] * issues))
    loaded = from_genius({"ann": stated})
    assert {len(issue.values) for issue in loaded.issues} == {steps}
    assert loaded.outcomes <= REAL_OUTCOMES_MAX or steps == 11
    assert loaded.warnings[0] == f"issue 'r1' is real: looked at in {steps} values from 0 to 10"


def test_a_triangle_whose_top_is_its_end_is_worth_nothing_there() -> None:
    top = real(1, "r", 'ftype="triangular" parameter0="0" parameter1="10" parameter2="10"')
    worths = parts_of(from_genius({"ann": profile(top, weights(1))}))[0][0]
    assert worths[-2:] == pytest.approx([0.99, 0.0])


def test_a_price_of_old_is_real_and_indifferent_to_who_gives_no_evaluator() -> None:
    price = '<issue index="2" name="Price" type="price"><range lowerbound="13" upperbound="20"/></issue>'
    loaded = from_genius({"ann": profile(TEA, price, weights(0.5, 0.5))})
    assert loaded.issues[1].values[::100] == ("13", "20")
    assert "issue 'Price': no evaluations; taken as indifferent" in loaded.warnings[1]


@pytest.mark.parametrize("factor", ["0", "1", "1.00", "0.0"])
def test_discount_factors_that_discount_nothing_are_no_matter(factor: str) -> None:
    after = f'<discount_factor value="{factor}"/><reservation value="-0.25"/>'
    loaded = from_genius({"ann": profile(TEA, weights(1), after=after)})
    assert (loaded.warnings, loaded.agents[0].disagreement) == ((), -0.25)


def test_discount_factors_that_are_no_numbers_are_named() -> None:
    after = '<discount_factor value="often"/>'
    loaded = from_genius({"ann": profile(TEA, weights(1), after=after)})
    assert loaded.warnings == ("profile 'ann': discount factor often is ignored",)


HYPER = profile(
    '<issue index="1" name="Tea" type="integer" lowerbound="0" upperbound="9"/>',
    '<utility maxutility="9"><ufun type="PlainUfun"><hyperRectangle utility="9"><INCLUDES index="1" min="1" max="9"/>'
    "</hyperRectangle></ufun></utility>",
    kind="nonlinear",
)
RANKS = profile(
    TEA, "<rules><ranks><issue index='1'/></ranks><constraints/></rules>", weights(1), kind="CONSTRAINT"
)


@pytest.mark.parametrize("document", [HYPER, HYPER.replace(b' type="nonlinear"', b""), RANKS])
def test_profiles_that_are_no_weighted_sums_are_refused_in_a_line(document: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.xml").write_bytes(document)
    for path in (tmp_path, tmp_path / "p.xml"):
        with pytest.raises(RefusedError, match="profile 'p' is not linear additive") as refused:
            load_domain(path)
        assert "\n" not in str(refused.value)


def test_a_form_that_was_never_filled_in_is_refused_and_beside_others_left_out(tmp_path: Path) -> None:
    blank = profile(discrete(1, "Tea", green="null", black="null"), weights(1))
    with pytest.raises(RefusedError, match="says of no value what it is worth"):
        from_genius({"ann": blank})
    lay_out(tmp_path, blank=blank)
    loaded = load_domain(tmp_path)
    assert [agent.name for agent in loaded.agents] == ["a", "b"]
    assert loaded.warnings == ("left out: blank.xml (not filled in)",)


def lay_out(folder: Path, **more: bytes) -> Path:
    files = {"domain": TEA_DOMAIN, "a": profile(TEA, weights(1))}
    files["b"] = profile(discrete(1, "Tea", green=4, black=1), weights(1))
    for name, content in {**files, **more}.items():
        (folder / f"{name}.xml").write_bytes(content)
    return folder / "domain.xml"


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    other = profile(discrete(1, "Cake", much=1), weights(1))
    uncertain = profile(TEA, weights(1), kind="UNCERTAIN", after="<comparisons>\n10 \n</comparisons>")
    named = profile(TEA.replace("Tea", "Thé"), weights(1))
    lay_out(tmp_path, other=other, u=uncertain, broken=b"<a>", hyper=HYPER, named=named)
    loaded = load_domain(tmp_path)
    assert [agent.name for agent in loaded.agents] == ["a", "b"]
    assert loaded.warnings == (
        "left out: broken.xml (not XML: no element found: line 1, column 3)",
        "left out: named.xml (other names for the issues)",
        "left out: u.xml (for uncertain agents)",
        "left out: hyper.xml (not linear additive)",
        "left out: other.xml (about other issues)",
    )


def test_uncertain_agents_negotiate_where_there_are_no_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.xml").write_bytes(profile(TEA, weights(1), kind="UNCERTAIN"))
    (tmp_path / "c.xml").write_bytes(profile(TEA, weights(1)))
    assert [agent.name for agent in load_domain(tmp_path).agents] == ["a", "b", "c"]


def test_profiles_that_the_domain_names_are_taken_if_they_are_there(tmp_path: Path) -> None:
    path = lay_out(tmp_path, c=profile(TEA, weights(1)))
    path.write_bytes(
        TEA_DOMAIN.replace(b"<utility_space>", AGENTS.format("c.xml", "a.xml").encode() + b"<utility_space>")
    )
    loaded = load_domain(path)
    assert [agent.name for agent in loaded.agents] == ["c", "a"]
    assert loaded.warnings == ("left out: b.xml (the domain names others)",)
    path.write_bytes(
        TEA_DOMAIN.replace(b"<utility_space>", AGENTS.format("", "gone.xml").encode() + b"<utility_space>")
    )
    assert [agent.name for agent in load_domain(path).agents] == ["a", "b", "c"]


def test_two_of_many_profiles_are_taken_in_the_order_given(tmp_path: Path) -> None:
    path = lay_out(tmp_path, **{f"p{n}": profile(TEA, weights(1)) for n in range(5)})
    chosen = load_domain(path, [tmp_path / "p3.xml", tmp_path / "b.xml"])
    assert [agent.name for agent in chosen.agents] == ["p3", "b"]
    assert load_domain(tmp_path, [tmp_path / "p3.xml", tmp_path / "b.xml"]) == chosen
    everyone = load_domain(path)
    assert len(everyone.agents) == 7
    assert "all 7 profiles that fit negotiate" in everyone.warnings[0]


def test_profiles_called_alike_are_told_apart_and_one_twice_is_refused(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        lay_out(tmp_path / name)
    path = tmp_path / "x" / "domain.xml"
    loaded = load_domain(path, [tmp_path / "x" / "a.xml", tmp_path / "y" / "a.xml"])
    assert [agent.name for agent in loaded.agents] == ["x/a", "y/a"]
    with pytest.raises(RefusedError, match=r"a\.xml: is given twice"):
        load_domain(path, [tmp_path / "x" / "a.xml"] * 2)


def test_a_folder_of_several_negotiations_asks_for_one(tmp_path: Path) -> None:
    cake = discrete(1, "Cake", much=1, none=2)
    lay_out(tmp_path, cake_domain=domain(discrete(1, "Cake", much=0, none=0)))
    assert [issue.name for issue in load_domain(tmp_path).issues] == ["Tea"]
    (tmp_path / "c.xml").write_bytes(profile(cake, weights(1)))
    with pytest.raises(RefusedError, match=r"has cake_domain\.xml and domain\.xml; name one of them"):
        load_domain(tmp_path)
    assert [agent.name for agent in load_domain(tmp_path / "cake_domain.xml").agents] == ["c"]


def test_a_folder_whose_only_profile_is_of_another_domain_says_so(tmp_path: Path) -> None:
    (tmp_path / "domain.xml").write_bytes(TEA_DOMAIN)
    (tmp_path / "c.xml").write_bytes(profile(discrete(1, "Cake", much=1), weights(1)))
    with pytest.raises(RefusedError, match=r"left out: c\.xml \(about other issues\)"):
        load_domain(tmp_path)


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(257):
        (tmp_path / f"{number}.xml").write_bytes(b"<a/>")
    with pytest.raises(RefusedError, match="more than 256 files"):
        load_domain(tmp_path)


def test_three_parties_over_prices_are_solved_in_little_time(tmp_path: Path) -> None:
    def prices(slopes: list[float]) -> bytes:
        parts = [
            f'<issue vtype="integer" lowerbound="8" upperbound="14" name="at {n}" index="{n}" type="integer"> \n'
            f'<evaluator ftype="linear" offset="{1.0 if slope < 0 else 0.1}" slope="{slope}"> \n</evaluator></issue>'
            for n, slope in enumerate(slopes, 1)
        ]
        return profile(*parts, weights(*[0.125] * 8))

    for name, slopes in (("buyer", [-0.15] * 8), ("maker", [0.15] * 8), ("grid", [-0.15] * 5 + [0.15] * 3)):
        (tmp_path / f"{name}.xml").write_bytes(prices(slopes))
    loaded = load_domain(tmp_path)
    assert (len(loaded.agents), loaded.outcomes, loaded.warnings) == (3, 7**8, ())
    took_s = []
    for _ in range(5):
        began_s = time.perf_counter()
        answer = solve(loaded, unhurried)
        took_s.append(time.perf_counter() - began_s)
        assert isinstance(answer, Certificate)
        assert answer.gap == 0
    assert min(took_s) < 0.2
