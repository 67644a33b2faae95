"""Chunks: every character that counts, once, in slices that can be looked up in the document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.knowledge.chunks import (
    CHARS_MAX,
    CHUNKS_MAX,
    TOKENS_GOAL,
    TOKENS_MAX,
    TooManyChunksError,
    chunks_of,
    token_count,
)

LINES = st.sampled_from(
    (
        *("# One", "## Two", "### Three #", "", "", "```python", "# no heading here", "```", "~~~", "#no"),
        *("a word or two", "x" * 700, "word " * 90, "- item", "    indented", "漢字" * 40, "_ " * 300),
        *("\t", "…", "\r", "\x0b", "\u2028"),
    )
)
DOCUMENTS = st.one_of(st.text(max_size=2_000), st.lists(LINES, max_size=60).map("\n".join))


@given(DOCUMENTS)
def test_chunks_are_slices_in_order_that_leave_out_only_blanks(text: str) -> None:
    position = 0
    for chunk in chunks_of(text):
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        assert not text[position : chunk.start].strip()
        position = chunk.end
    assert not text[position:].strip()


@given(DOCUMENTS)
def test_no_chunk_is_larger_than_a_model_reads(text: str) -> None:
    for chunk in chunks_of(text):
        assert token_count(chunk.text) <= TOKENS_MAX
        assert len(chunk.text) <= CHARS_MAX


@given(DOCUMENTS)
def test_headings_are_those_of_the_document(text: str) -> None:
    for chunk in chunks_of(text):
        for heading in chunk.headings:
            assert heading in text


def test_a_section_that_is_large_enough_is_a_chunk_of_its_own() -> None:
    text = "".join(f"# Part {number}\n\n{'word ' * TOKENS_GOAL}\n\n" for number in range(3))
    chunks = chunks_of(text)
    assert [chunk.headings for chunk in chunks] == [("Part 0",), ("Part 1",), ("Part 2",)]
    assert [chunk.text.splitlines()[0] for chunk in chunks] == ["# Part 0", "# Part 1", "# Part 2"]


def test_small_sections_go_together_under_what_they_share() -> None:
    [chunk] = chunks_of("# All\n\n## One\n\nfirst\n\n## Two\n\nsecond\n")
    assert chunk.headings == ("All",)


def test_a_heading_stays_with_what_it_heads() -> None:
    text = f"# A\n\n{'word ' * 150}\n\n## B\n\n{'word ' * 380}\n"
    first, second = chunks_of(text)
    assert first.text.endswith("word")
    assert second.text.startswith("## B")
    assert second.headings == ("A", "B")


def test_code_in_a_fence_is_kept_together_and_its_comments_are_no_headings() -> None:
    code = "```python\n# a comment\n\ndef f():\n\n    return 1\n```"
    text = f"# A\n\n{'word ' * 396}\n\n{code}\n\nafter\n"
    chunks = chunks_of(text)
    assert len(chunks) == 2
    assert chunks[1].text.startswith(code)
    assert {chunk.headings for chunk in chunks} == {("A",)}


def test_a_longer_fence_is_not_closed_by_a_shorter_one() -> None:
    [chunk] = chunks_of("````\n```\n# still code\n````\n\n# Heading\n\ntext\n")
    assert chunk.headings == ("Heading",) or "still code" not in chunk.headings


def test_a_long_paragraph_is_cut_between_words() -> None:
    text = "abc " * 1_000
    chunks = chunks_of(text)
    assert len(chunks) > 2
    assert {word for chunk in chunks for word in chunk.text.split()} == {"abc"}


def test_a_document_of_too_many_chunks_is_refused() -> None:
    with pytest.raises(TooManyChunksError, match=f"more than {CHUNKS_MAX} chunks"):
        chunks_of("word " * TOKENS_MAX * (CHUNKS_MAX + 10))


def test_a_blank_document_has_no_chunks() -> None:
    assert chunks_of(" \n\t\n") == []
