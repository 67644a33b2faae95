import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.paths import SHOWN_CHARS_MAX, UnsafePathError, check_path, shown, why


@pytest.mark.parametrize(
    "path", ["a.py", "a/b/c.py", " a ", "..a/b..", "ü/日本.py", "a\nb", "-x", "C:x", "a\\b"]
)
def test_relative_paths_pass(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/./b",
        "a\0b",
        "\ud800",
        "a/" * 600 + "b",
        "n" * 256,
    ],
)
def test_paths_that_could_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(UnsafePathError):
        check_path(path)


@given(st.text(alphabet=st.characters(codec=None), max_size=400))
def test_any_text_can_be_shown_in_one_line_of_utf_8(text: str) -> None:
    line = shown(text)
    line.encode()
    assert line.isprintable()
    assert len(line) <= SHOWN_CHARS_MAX + 1


def test_bytes_that_are_no_utf_8_are_shown_as_such() -> None:
    assert shown(os.fsdecode(b"caf\xe9\n")) == "caf\\xe9\\n"


def test_reasons_have_no_numbers() -> None:
    assert why(OSError(errno.EACCES, "x", "/path")) == "permission denied"
    assert why(OSError("odd")) == "odd"
    assert why(ValueError("embedded null byte")) == "embedded null byte"
