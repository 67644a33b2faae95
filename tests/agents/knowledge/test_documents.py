"""The built-in documents keep the form that reviewers and the search rely on.

A code block that shows a fault stands under a line `Bad:`, one that shows the remedy under a line `Good:`; nothing but
blank lines is between that line and the fence. Blocks fenced as ```python must parse. Words are counted as `wc -w`
counts them, below the front matter, code included.
"""

import ast
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec.yaml
import pytest

from agents.knowledge.builtin import FOLDER, builtin_documents
from agents.knowledge.chunks import chunks_of
from agents.knowledge.front_matter import document_from

AREAS: Final = {"security", "reliability", "performance", "ui", "accessibility", "testing", "scalability"}
ROLES: Final = {"security", "secrets", "quality", "performance", "testing", "accessibility"}
LANGUAGES: Final = {"python", "javascript", "typescript", "swift", "dart", "vue"}
WORDS_MIN: Final = 300
WORDS_MAX: Final = 800
QUESTION_WORDS_MAX: Final = 60
GRADES: Final = (0.0, 1.0)

PATHS: Final = sorted(FOLDER.glob("*.md"))
QUESTION_FILES: Final = sorted(FOLDER.parent.glob("questions*.yaml"))

_BLOCK: Final = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?P<language>[\w+-]*)[ \t]*\n(?P<code>.*?)^(?P=fence)[ \t]*$", re.M | re.S
)
_LABEL: Final = re.compile(r"(?:^|\n)(?P<label>Bad|Good):[ \t]*\n\s*\Z")
_KEBAB: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Block(NamedTuple):
    """A fenced block; `label` is Bad, Good or nothing."""

    label: str
    language: str
    code: str
    line: int


def blocks_of(text: str) -> Iterator[Block]:
    for match in _BLOCK.finditer(text):
        label = _LABEL.search(text[: match.start()])
        line = text.count("\n", 0, match.start()) + 1
        yield Block(label["label"] if label else "", match["language"], match["code"], line)


def front_of(path: Path) -> dict[str, Any]:
    found = msgspec.yaml.decode(path.read_text("utf-8").split("---\n")[1])
    assert isinstance(found, dict)
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    found = msgspec.yaml.decode(path.read_bytes())
    rows = found["questions"] if isinstance(found, dict) else found
    assert isinstance(rows, list)
    return rows


every_document = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
every_questions_file = pytest.mark.parametrize("path", QUESTION_FILES, ids=lambda path: path.stem)


def test_there_are_documents_and_questions() -> None:
    assert len(builtin_documents()) == len(PATHS) > 0
    assert QUESTION_FILES


@every_document
def test_a_document_says_what_it_is(path: Path) -> None:
    document = document_from(path.read_text("utf-8"), id="")
    assert document.id == path.stem
    assert _KEBAB.fullmatch(document.id)
    assert document.title
    assert document.area in AREAS
    assert ROLES & set(document.tags), f"its tags name none of the roles {sorted(ROLES)}"
    assert document.languages
    assert set(document.languages) <= LANGUAGES
    assert all(re.fullmatch(r"CWE-\d+", cwe) for cwe in document.cwes)


@every_document
def test_a_document_names_its_sources(path: Path) -> None:
    sources = front_of(path).get("sources")
    assert isinstance(sources, list)
    assert sources
    assert all(isinstance(source, str) and source.strip() for source in sources)


@every_document
def test_a_document_is_neither_a_note_nor_a_book(path: Path) -> None:
    words = len(document_from(path.read_text("utf-8"), id="").text.split())
    assert WORDS_MIN <= words <= WORDS_MAX, f"{words} words"


@every_document
def test_a_document_shows_the_fault_and_the_remedy(path: Path) -> None:
    labels = {block.label for block in blocks_of(path.read_text("utf-8"))}
    assert {"Bad", "Good"} <= labels


@every_document
def test_python_in_a_document_parses(path: Path) -> None:
    for block in blocks_of(path.read_text("utf-8")):
        if block.language == "python":
            try:
                ast.parse(textwrap.dedent(block.code))
            except SyntaxError as error:
                pytest.fail(f"{path.name}, block at line {block.line}: {error}")


@every_document
def test_no_block_is_left_open(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"^(`{3,}|~{3,})", _BLOCK.sub("", text), re.M)


@every_document
def test_sections_have_headings_so_that_a_chunk_found_alone_says_what_it_is_about(path: Path) -> None:
    text = document_from(path.read_text("utf-8"), id="").text
    assert len(re.findall(r"^## \S", text, re.M)) >= 3
    assert all(chunk.headings for chunk in chunks_of(text))


def test_no_two_documents_share_a_title() -> None:
    titles = Counter(document.title.casefold() for document in builtin_documents())
    assert [title for title, count in titles.items() if count > 1] == []


@every_questions_file
def test_questions_are_answered_by_documents_that_exist(path: Path) -> None:
    known = {document.id for document in builtin_documents()}
    named = {id for row in rows_of(path) for id in row["relevant"]}
    assert named - known == set()


@every_questions_file
def test_questions_are_short_and_graded_and_the_best_answer_gets_one(path: Path) -> None:
    for row in rows_of(path):
        assert 1 <= len(row["question"].split()) <= QUESTION_WORDS_MAX, row["question"]
        grades = row["relevant"].values()
        assert max(grades) == GRADES[1], row["question"]
        assert all(GRADES[0] < grade <= GRADES[1] for grade in grades), row["question"]


def test_no_question_is_asked_twice() -> None:
    asked = Counter(row["question"].casefold() for path in QUESTION_FILES for row in rows_of(path))
    assert [question for question, count in asked.items() if count > 1] == []
