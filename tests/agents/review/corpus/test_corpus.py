"""The labelled Python corpus is whole: a label for every case, and numbers that mean something.

Measuring analysers happens elsewhere; here only the material is checked, so that a measurement can trust it.
"""

import ast
import csv
import sys
from collections import Counter
from pathlib import Path

import pytest
from tree_sitter import Parser
from tree_sitter_language_pack import get_language

CORPUS = Path(__file__).parent
CASES = CORPUS / "cases"
LABELS = CORPUS / "labels.csv"
COLUMNS = ["file", "cwe", "vulnerable", "line", "note"]
CWES = {22, 78, 79, 89, 90, 94, 328, 330, 501, 502, 601, 611, 614, 643, 1336}
OF_EACH_MIN = 150
OF_EACH_PER_CWE_MIN = 10
CASE_LINES_MIN = 10
CASE_LINES_MAX = 60
NEWER_SYNTAX_MAX = 10
"""Cases that Python 3.11 can't compile; meant to be few, so that they don't decide a comparison."""


def labels() -> list[dict[str, str]]:
    with LABELS.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def source(name: str) -> str:
    return (CASES / name).read_text(encoding="utf-8")


def test_every_case_has_one_label_and_every_label_a_case() -> None:
    files = [label["file"] for label in labels()]

    assert Counter(files).most_common(1)[0][1] == 1
    assert set(files) == {path.name for path in CASES.iterdir() if path.is_file()}


def test_labels_hold_what_the_readme_says() -> None:
    assert LABELS.read_text(encoding="utf-8").splitlines()[0].split(",") == COLUMNS
    for label in labels():
        assert int(label["cwe"]) in CWES, label
        assert label["vulnerable"] in ("true", "false"), label
        assert label["note"].strip(), label
        assert None not in label, f"a comma too many: {label}"


def test_the_line_of_a_vulnerable_case_is_code_within_its_file() -> None:
    for label in labels():
        lines = source(label["file"]).splitlines()
        line = int(label["line"])
        if label["vulnerable"] == "false":
            assert line == 0, label
            continue
        assert 1 <= line <= len(lines), label
        assert lines[line - 1].strip(), label
        assert not lines[line - 1].lstrip().startswith(("#", "import ", "from ")), label


def test_there_are_enough_cases_of_each_kind() -> None:
    counts = Counter((int(label["cwe"]), label["vulnerable"]) for label in labels())

    for verdict in ("true", "false"):
        assert sum(count for (_, held), count in counts.items() if held == verdict) >= OF_EACH_MIN
        few = {cwe: counts[cwe, verdict] for cwe in CWES if counts[cwe, verdict] < OF_EACH_PER_CWE_MIN}
        assert not few, f"vulnerable={verdict}: fewer than {OF_EACH_PER_CWE_MIN} cases of {few}"


def test_the_readme_counts_the_cases_as_they_are() -> None:
    counts = Counter((int(label["cwe"]), label["vulnerable"]) for label in labels())
    readme = (CORPUS / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in readme.splitlines() if "|" in line]
    stated = {int(row[0]): (int(row[2]), int(row[3])) for row in rows if row[0].isdigit()}

    assert stated == {cwe: (counts[cwe, "true"], counts[cwe, "false"]) for cwe in CWES}


def test_every_case_parses_without_an_error() -> None:
    parser = Parser(get_language("python"))
    broken = [path.name for path in CASES.iterdir() if parser.parse(path.read_bytes()).root_node.has_error]

    assert not broken


def test_only_a_few_cases_need_a_newer_python_than_ours() -> None:
    refused = []
    for path in sorted(CASES.iterdir()):
        try:
            ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError:
            refused.append(path.name)

    if sys.version_info >= (3, 12):
        assert not refused
    else:
        assert 1 <= len(refused) <= NEWER_SYNTAX_MAX, refused


def test_no_two_cases_are_the_same_and_none_is_long_or_a_snippet() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in CASES.iterdir()}

    assert len(set(texts.values())) == len(texts)
    for name, text in texts.items():
        assert CASE_LINES_MIN <= len(text.splitlines()) <= CASE_LINES_MAX, name


@pytest.mark.parametrize("word", ["vulnerab", "malicious", "attacker", "exploit", "tainted", "insecure"])
def test_no_case_says_what_it_is(word: str) -> None:
    telling = [path.name for path in CASES.iterdir() if word in path.read_text(encoding="utf-8").lower()]

    assert not telling
