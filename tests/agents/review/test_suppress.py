"""Comments that say to ignore a finding: which hits they mean, and which they don't."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.suppress import mark_suppressed
from schemas.review import Hit, Severity

HIT = Hit(
    analyser="bandit",
    rule="B602",
    path="a.py",
    line=1,
    title="Shell",
    severity=Severity.HIGH,
    cwe=78,
    confidence=0.8,
)
RUFF = msgspec.structs.replace(HIT, analyser="ruff", rule="S602")
OWN = msgspec.structs.replace(HIT, analyser="labverse", rule="PY-SHELL")
QUALITY = Hit(analyser="ruff", rule="E722", path="a.py", line=1, title="Bare except", severity=Severity.LOW)
SECRET = Hit(
    analyser="detect-secrets", rule="AWS", path="a.py", line=1, title="Key", severity=Severity.HIGH, cwe=798
)
ALL = (HIT, RUFF, OWN, QUALITY, SECRET)


def at(hit: Hit, line: int, end_line: int = 0) -> Hit:
    return msgspec.structs.replace(hit, line=line, end_line=end_line)


def ignored(text: str, *hits: Hit) -> list[str]:
    """The rules of the hits that are ignored in a file with this text."""
    return [hit.rule for hit in mark_suppressed(hits, {"a.py": text}) if hit.suppressed]


EVERYTHING = ["B602", "S602", "PY-SHELL", "E722", "AWS"]
SHELL = ["B602", "S602", "PY-SHELL"]
SECURITY = [*SHELL, "AWS"]


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# labverse: ignore", EVERYTHING),
        ("# LABVERSE:ignore because", EVERYTHING),
        ("// labverse: ignore", EVERYTHING),
        ("/* labverse: ignore */", EVERYTHING),
        ("<!-- labverse: ignore -->", EVERYTHING),
        ("# labverse: ignore[B602] checked by hand", SHELL),
        ("# labverse: ignore[b602,e722]", [*SHELL, "E722"]),
        ("# labverse: ignore[ CWE-78 ]", SHELL),
        ("# labverse: ignore[cwe798]", ["AWS"]),
        ("# labverse: ignore[ruff]", [*SHELL, "E722"]),
        ("# labverse: ignore[ruff:E722]", ["E722"]),
        ("# labverse: ignore[bandit:S602]", []),
        ("# labverse: ignore[]", []),
        ("# labverse: ignore[B6]", []),
        ("# labverse: ignored", []),
        ("labverse: ignore", []),
        ("# nosec", SECURITY),
        ("#nosec", SECURITY),
        ("# nosec B602", SHELL),
        ("# nosec: B602,B607 # more", SHELL),
        ("# nosec B607", []),
        ("# nosec see ABC123", SECURITY),
        ("# nosecond", []),
        ("# noqa", [*SHELL, "E722"]),
        ("# NOQA:E722", ["E722"]),
        ("# noqa: S602", SHELL),
        ("# noqa: S602, E722", [*SHELL, "E722"]),
        ("# noqa: E501", []),
        ("# noqa: E72", []),
        ("# noqa:", []),
        ("# noqa: because", []),
        ("# noqa : E722 because", ["E722"]),
        ("# type: ignore  # noqa: E722", ["E722"]),
        ("# pragma: allowlist secret", ["AWS"]),
        ("// pragma: whitelist secret", ["AWS"]),
        ("// eslint-disable-next-line", []),
    ],
)
def test_a_comment_on_the_line_ignores_what_it_names(comment: str, rules: list[str]) -> None:
    assert ignored(f"run(x)  {comment}\n", *ALL) == rules


def test_bare_noqa_is_about_ruff_and_what_ruff_has_said() -> None:
    assert ignored("run(x)  # noqa", HIT, SECRET) == []
    assert ignored("run(x)  # noqa", HIT, SECRET, RUFF) == ["B602", "S602"]


def test_bare_nosec_is_about_bandit_and_ruffs_copies_of_it_even_without_a_cwe() -> None:
    bandit, ruff, own = (msgspec.structs.replace(hit, cwe=0) for hit in (HIT, RUFF, OWN))
    assert ignored("run(x)  # nosec", bandit, ruff, own) == ["B602", "S602"]


def test_ruffs_bugbear_rules_are_not_bandits() -> None:
    bugbear = msgspec.structs.replace(QUALITY, rule="B006")
    assert ignored("x  # noqa: B602", HIT) == []
    assert ignored("x  # noqa: B006", bugbear) == ["B006"]


@pytest.mark.parametrize(
    "comment", ["# labverse: ignore[B602]", "  // labverse: ignore", "<!-- labverse: ignore -->"]
)
def test_a_comment_alone_is_about_the_next_line(comment: str) -> None:
    assert ignored(f"{comment}\nrun(x)\nrun(x)", at(HIT, 2), at(HIT, 3)) == ["B602"]


def test_a_comment_behind_code_is_not_about_the_next_line() -> None:
    assert ignored("x = 1  # labverse: ignore\nrun(x)", at(HIT, 2)) == []


def test_comments_of_others_are_about_their_own_line() -> None:
    for comment in ("# nosec", "# noqa", "# pragma: allowlist secret"):
        assert ignored(f"{comment}\nrun(x)", at(HIT, 2), at(RUFF, 2), at(SECRET, 2)) == []


def test_an_allowed_secret_on_the_next_line() -> None:
    assert ignored("# pragma: allowlist nextline secret\nkey", at(SECRET, 1), at(SECRET, 2), at(HIT, 2)) == [
        "AWS"
    ]


@pytest.mark.parametrize("line", [1, 4])
def test_a_hit_of_several_lines_is_ignored_on_its_first_or_last(line: int) -> None:
    lines = ["run("] + ["  x,"] * 2 + [")"]
    lines[line - 1] += "  # nosec"
    assert ignored("\n".join(lines), at(HIT, 1, 4)) == ["B602"]


def test_a_comment_in_the_middle_of_a_hit_is_not_about_it() -> None:
    assert ignored("run(\n  x,  # nosec\n)", at(HIT, 1, 3)) == []


def test_a_file_is_ignored_as_a_whole_only_from_its_head() -> None:
    head = "\n" * 9 + "# labverse: ignore-file[B602] generated\n"
    assert ignored(head + "\n" * 50, at(HIT, 40), at(SECRET, 40)) == ["B602"]
    assert ignored("// labverse: ignore-file\n", at(HIT, 40), at(SECRET, 40)) == ["B602", "AWS"]
    assert ignored("\n" + head, at(HIT, 40)) == []
    assert ignored("# labverse: ignore-files\n", at(HIT, 40)) == []


def test_ruff_is_ignored_for_a_whole_file() -> None:
    assert ignored("\n\n# ruff: noqa: E722\n", at(QUALITY, 40), at(RUFF, 40)) == ["E722"]
    assert ignored("# ruff: noqa\n", at(QUALITY, 40), at(SECRET, 40)) == ["E722"]
    assert ignored("x = 1  # ruff: noqa\n", at(QUALITY, 40)) == []


def test_the_same_weakness_elsewhere_still_counts() -> None:
    assert ignored("run(x)  # nosec B602\nrun(x)", HIT, at(HIT, 2), at(OWN, 2)) == ["B602"]


def test_the_reason_is_the_comment() -> None:
    (hit,) = mark_suppressed([HIT], {"a.py": "run(x)  # nosec B602 checked\r\n"})
    assert hit.suppressed == "# nosec B602 checked"
    (hit,) = mark_suppressed([HIT], {"a.py": "run(x)  # nosec " + "x" * 1000})
    assert len(hit.suppressed) < 200


def test_files_without_source_stay_as_they_are() -> None:
    assert mark_suppressed(ALL, {"b.py": "# nosec"}) == ALL


def test_a_comment_at_the_end_of_a_very_long_line_is_seen() -> None:
    assert ignored("x" * 3_000_000 + "  # nosec", HIT) == ["B602"]


@given(st.text(), st.integers(-5, 50), st.integers(-5, 50))
def test_any_text_is_read(text: str, line: int, end_line: int) -> None:
    hits = tuple(at(hit, line, end_line) for hit in ALL)
    marked = mark_suppressed(hits, {"a.py": text})
    assert [msgspec.structs.replace(hit, suppressed="") for hit in marked] == list(hits)
