"""Front matter: what is known is read, what is odd is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.knowledge.front_matter import FRONT_CHARS_MAX, FrontMatterError, document_from

WHOLE = """---
id: sql-injection
title: SQL injection
area: Security
cwe: [89, CWE-564, cwe-0943]
tags: [Injection, database]
languages: python, Go
sources:
  - https://example.org
---

# Other title

Text.
"""


def test_all_known_fields_are_read_and_the_rest_is_left() -> None:
    document = document_from(WHOLE, id="file", source="somewhere")
    assert (document.id, document.title, document.area) == ("sql-injection", "SQL injection", "security")
    assert document.cwes == ("CWE-89", "CWE-564", "CWE-943")
    assert document.tags == ("injection", "database")
    assert document.languages == ("python", "go")
    assert document.text == "# Other title\n\nText.\n"
    assert document.source == "somewhere"


def test_without_front_matter_the_first_heading_is_the_title() -> None:
    document = document_from("\ufeffSome words.\r\n\r\n# The title #\r\n", id="notes/a.md")
    assert (document.id, document.title) == ("notes/a.md", "The title")
    assert "\r" not in document.text


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    text = "---\nno end here"
    assert document_from(text, id="a").text == text


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("title: [a, b", "no YAML"),
        ("- one\n- two", "no mapping"),
        ("title: {a: 1}", "`title`"),
        ("tags: [{a: 1}]", "`tags`"),
        (f"area: {'x' * 101}", "101 characters"),
        (f"tags: [{', '.join(f't{n}' for n in range(65))}]", "65 entries"),
        (f"id: {'x' * 201}", "201 characters"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(front: str, said: str) -> None:
    with pytest.raises(FrontMatterError, match=said) as caught:
        document_from(f"---\n{front}\n---\ntext", id="a")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=400), st.text(max_size=200))
def test_any_text_gives_a_document_or_an_error_of_ours(front: str, body: str) -> None:
    try:
        document = document_from(f"---\n{front}\n---\n{body}", id="a")
    except FrontMatterError:
        return
    assert 0 < len(document.id) <= 200
    assert document.title


def test_an_endless_front_matter_is_text() -> None:
    text = "---\n" + "a: b\n" * FRONT_CHARS_MAX + "---\ntext"
    assert document_from(text, id="a").text == text
