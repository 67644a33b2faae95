"""The labelled applications: each label points at a line that exists, and there is enough to measure."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from reviewscoring import Label, read_labels

APPS = Path(__file__).parent / "apps"
LABELS = read_labels(APPS / "labels.csv")
NAMES = ("clinic", "dispatch", "shop")
VULNERABLE_MIN = 18
FILES_MIN = 12
COMMENT_WORDS = ("vulnerab", "insecure", "exploit", "cwe-", "nosec", "noqa")


def place(label: Label) -> list[str]:
    text = (APPS / label.app / label.path).read_text(encoding="utf-8")
    return text.splitlines()[label.line - 1 : label.end_line]


def test_every_label_points_at_lines_that_exist() -> None:
    for label in LABELS:
        lines = place(label)
        assert len(lines) == label.end_line - label.line + 1, label
        assert lines[0].strip(), label
        assert label.note, label


def test_no_place_is_labelled_twice_for_the_same_weakness() -> None:
    counts = Counter((label.app, label.path, label.line, label.family) for label in LABELS)
    assert [place for place, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("app", NAMES)
def test_an_application_has_enough_weaknesses_and_as_many_places_that_are_fine(app: str) -> None:
    counts = Counter(label.vulnerable for label in LABELS if label.app == app)
    assert counts[True] >= VULNERABLE_MIN
    assert counts[False] >= counts[True]


@pytest.mark.parametrize("app", NAMES)
def test_the_files_of_an_application_parse(app: str) -> None:
    sources = sorted((APPS / app).rglob("*.py"))
    assert len(sources) >= FILES_MIN
    for source in sources:
        ast.parse(source.read_text(encoding="utf-8"), filename=str(source))


def test_the_sources_do_not_tell_what_is_labelled() -> None:
    for source in (path for app in NAMES for path in (APPS / app).rglob("*") if path.is_file()):
        text = source.read_text(encoding="utf-8").lower()
        assert [word for word in COMMENT_WORDS if word in text] == [], source


def test_all_applications_are_labelled() -> None:
    assert {label.app for label in LABELS} == set(NAMES)
