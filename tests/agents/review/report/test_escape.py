"""Untrusted text stays in its place: a Markdown parser is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agents.review.report.escape import FENCE_LINES_MAX, cell, clean, clean_lines, fence, prose, span
from schemas.review import LINE_CHARS_MAX

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = st.text(alphabet="`~|*_[]()<>!#&\\-+.1 \t\n\r\x1b\u202eab:/$", max_size=40)
PLAIN = NASTY.map(lambda text: text.replace("`", "'"))


@given(PLAIN)
def test_prose_means_itself(text: str) -> None:
    (_, inline, _) = MARKDOWN.parse(f"x {prose(text)}")
    children = inline.children or []
    assert [child.type for child in children if child.type not in ("text", "text_special")] == []
    assert "".join(child.content for child in children) == f"x {clean(text)}".rstrip()


@given(PLAIN)
def test_prose_at_the_start_of_a_line_starts_no_list_heading_or_rule(text: str) -> None:
    kinds = [token.type for token in MARKDOWN.parse(prose(text))]
    assert kinds in ([], ["paragraph_open", "inline", "paragraph_close"])


@given(NASTY)
def test_prose_holds_spans_of_code_and_nothing_else(text: str) -> None:
    for token in MARKDOWN.parse(f"x {prose(text)}")[1].children or []:
        assert token.type in ("text", "text_special", "code_inline")


@given(NASTY)
def test_a_span_is_one_span(text: str) -> None:
    (_, inline, _) = MARKDOWN.parse(f"a {span(text)} b")
    before, code, after = inline.children or []
    assert (before.content, code.type, after.content) == ("a ", "code_inline", " b")
    visible = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    assert code.content.strip() == visible.strip()


@given(NASTY, st.sampled_from(["python", ""]))
def test_a_fence_holds_the_code_as_it_stands(code: str, language: str) -> None:
    (token,) = MARKDOWN.parse("\n".join(fence(code, language)))
    assert (token.type, token.info) == ("fence", language)
    assert (
        token.content.splitlines() == [line.rstrip() for line in clean_lines(code.strip("\r\n"))]
        or not token.content
    )


@given(PLAIN, NASTY)
def test_a_cell_stays_in_its_column(text: str, path: str) -> None:
    table = f"| a | b | c |\n|---|---|---|\n| {cell(prose(text))} | {cell(span(path))} | last |"
    tokens = MARKDOWN.parse(table)
    assert [token.type for token in tokens].count("td_open") == 3
    assert [token.content for token in tokens if token.type == "inline"][-1] == "last"


@pytest.mark.parametrize("ticks", ["`", "```", "````", "`" * 40])
def test_backticks_in_the_code_do_not_end_the_fence(ticks: str) -> None:
    (token,) = MARKDOWN.parse("\n".join(fence(f"a\n{ticks}\n# b", "python")))
    assert token.content == f"a\n{ticks}\n# b\n"


def test_control_characters_and_direction_marks_are_shown() -> None:
    assert clean("a\x1b[31m\nb\u202ec\x00\t") == "a\\x1b[31m b\\u202ec\\x00"
    assert clean_lines("\ta\x1b\rb\r\nc\x85\ud800") == ["\ta\\x1b\\rb", "c\\x85\\ud800"]


def test_spans_in_prose_are_kept() -> None:
    assert prose("use `a * b`, not **") == "use `a * b`, not \\*\\*"
    assert prose("x <script> & y") == "x \\<script> & y"


def test_words_of_programmers_stay_readable() -> None:
    text = 'Set os.environ["API_KEY"] to x|y in C#, where a < b && c * d > 1; see #4 in C:\\new (or https://a.b/?c=d).'
    assert prose(text) == text.replace("#4", "\\#4")


@pytest.mark.parametrize(
    "text", ["---", "- - -", "***", "* x", "+ x", "> x", "# x", "1. x", "1) x", "___", "===", "~~~", "```"]
)
def test_a_line_that_would_be_something_else_is_text(text: str) -> None:
    kinds = [token.type for token in MARKDOWN.parse(f"{prose(text)}")]
    assert kinds == ["paragraph_open", "inline", "paragraph_close"]


def test_code_is_cut_when_it_is_long_or_wide() -> None:
    lines = fence("\n".join(["x" * (LINE_CHARS_MAX + 5)] * (FENCE_LINES_MAX + 7)), "")
    assert len(lines) == FENCE_LINES_MAX + 3
    assert lines[1] == "x" * LINE_CHARS_MAX + "…"
    assert lines[-2] == "… 7 more lines"
