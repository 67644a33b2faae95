"""What of a model's claims is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.models.claims import (
    CLAIMS_MAX,
    NO_SUCH_FILE,
    NOT_THERE,
    NOTHING_QUOTED,
    TOO_MANY,
    TWICE,
    Claim,
    Claims,
    changes_nothing,
    check_claims,
)
from schemas.review import CodePart, Severity

CODE = """\
import os

def ping(host):
    command = "ping -c 1 " + host
    return os.system(command)

def pong(host):
    return os.system(command)
"""
SOURCES = {"net/ping.py": CODE}
WHOLE = (CodePart(path="net/ping.py", first=1, last=8),)


def claim(**fields: object) -> Claim:
    return Claim(
        **{
            "path": "net/ping.py",
            "line": 5,
            "quote": "    return os.system(command)",
            "title": "A host can run commands",
            "severity": "critical",
        }
        | fields
    )


def check(*claims: Claim, parts: tuple[CodePart, ...] = WHOLE) -> tuple[list[object], dict[str, int]]:
    checked = check_claims(
        Claims(findings=list(claims)),
        parts,
        SOURCES,
        model="ollama/qwen3:8b",
        rule="injection",
        confidence=0.1,
    )
    return list(checked.hits), checked.dropped


def test_a_claim_that_quotes_the_code_becomes_a_hit_of_the_model() -> None:
    ([hit], dropped) = check(claim(cwe=78, why="`; rm -rf /` as host.", fix="subprocess.run([...])"))
    assert dropped == {}
    assert (hit.analyser, hit.rule, hit.path, hit.line) == ("ollama/qwen3:8b", "injection", "net/ping.py", 5)
    assert hit.code == "    return os.system(command)"
    assert hit.by_model
    assert (hit.severity, hit.cwe) == (Severity.CRITICAL, 78)


@pytest.mark.parametrize(("told", "meant"), [(5, 5), (7, 8), (8, 8), (1, 5), (-3, 5), (9_999, None)])
def test_a_claim_moves_to_the_nearest_place_that_it_quotes(told: int, meant: int | None) -> None:
    hits, dropped = check(claim(line=told))
    assert [hit.line for hit in hits] == ([meant] if meant else [])
    assert dropped == ({} if meant else {NOT_THERE: 1})


def test_a_quote_that_stands_once_is_found_wherever_it_was_said_to_be() -> None:
    ([hit], _) = check(claim(line=700, quote='command = "ping -c 1 " + host'))
    assert hit.line == 4


@pytest.mark.parametrize(
    "quote",
    [
        '    4|     command = "ping -c 1 " + host',
        '```\ncommand = "ping -c 1 " + host\n```',
        'command="ping -c 1 "+host',
    ],
    ids=["with its number", "fenced", "other spaces"],
)
def test_how_a_quote_is_set_does_not_matter(quote: str) -> None:
    ([hit], _) = check(claim(line=4, quote=quote))
    assert hit.line == 4


def test_several_quoted_lines_are_one_place() -> None:
    ([hit], _) = check(claim(line=4, quote='command = "ping -c 1 " + host\nreturn os.system(command)'))
    assert (hit.line, hit.end_line) == (4, 5)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"quote": "os.execv(host)"}, NOT_THERE),
        ({"quote": ""}, NOTHING_QUOTED),
        ({"quote": ")"}, NOTHING_QUOTED),
        ({"quote": "\n \n"}, NOTHING_QUOTED),
    ],
)
def test_what_quotes_nothing_that_is_there_is_dropped(fields: dict[str, str], why: str) -> None:
    assert check(claim(**fields)) == ([], {why: 1})


def test_lines_outside_of_what_was_shown_do_not_count() -> None:
    assert check(claim(), parts=(CodePart(path="net/ping.py", first=1, last=3),)) == ([], {NOT_THERE: 1})


def test_another_file_than_those_shown_is_told_apart() -> None:
    parts = (*WHOLE, CodePart(path="other.py", first=1, last=1))
    assert check(claim(path="third.py"), parts=parts) == ([], {NO_SUCH_FILE: 1})
    assert len(check(claim(path="./ping.py"))[0]) == 1  # of a single file the name says nothing


def test_the_same_claim_counts_once() -> None:
    hits, dropped = check(claim(cwe=78), claim(cwe=78, title="Again"))
    assert len(hits) == 1
    assert dropped == {TWICE: 1}


def test_ten_thousand_claims_are_cut() -> None:
    hits, dropped = check(*(claim(title=f"claim {n}") for n in range(10_000)))
    assert len(hits) <= CLAIMS_MAX
    assert dropped[TOO_MANY] == 10_000 - CLAIMS_MAX


def test_a_fix_that_changes_nothing_is_no_fix() -> None:
    ([hit], _) = check(claim(fix="```python\nreturn   os.system(command)\n```"))
    assert hit.fix == ""
    assert changes_nothing("", "x")
    assert not changes_nothing("subprocess.run(command)", "os.system(command)")


def test_what_a_terminal_could_be_driven_with_is_shown_as_text() -> None:
    ([hit], _) = check(claim(title="red \x1b[31m alert", why="a\x1b]0;b\x07"))
    assert "\x1b" not in hit.title + hit.description


@given(
    st.lists(
        st.builds(
            Claim,
            path=st.sampled_from(["net/ping.py", "", "../../etc/passwd"]),
            line=st.integers(-(10**6), 10**6),
            quote=st.one_of(st.text(max_size=40), st.sampled_from(CODE.splitlines())),
            title=st.text(max_size=30),
            severity=st.sampled_from(["critical", "high", "medium", "low"]),
            cwe=st.integers(-5, 10**7),
            why=st.text(max_size=20),
            fix=st.text(max_size=20),
        ),
        max_size=8,
    )
)
def test_every_hit_quotes_lines_that_are_there(claims: list[Claim]) -> None:
    hits, dropped = check(*claims)
    lines = CODE.splitlines()
    for hit in hits:
        assert 1 <= hit.line <= hit.end_line <= len(lines)
        assert hit.code.splitlines()[0] == lines[hit.line - 1]
        assert hit.path == "net/ping.py"
    assert len(hits) + sum(dropped.values()) == len(claims)
