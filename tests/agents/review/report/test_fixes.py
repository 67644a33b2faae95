from hypothesis import given
from hypothesis import strategies as st

from agents.review.report.fixes import PASSAGE_LINES_MAX, passages


def split(text: str) -> list[tuple[str, bool]]:
    return [(passage.text, passage.is_code) for passage in passages(text)]


def test_one_line_is_prose() -> None:
    assert split("Use `secrets.token_hex()` instead.\n") == [("Use `secrets.token_hex()` instead.", False)]
    assert split("x = 1") == [("x = 1", False)]
    assert split("") == []


def test_lines_of_a_paragraph_are_joined() -> None:
    assert split("Pass the values\nas parameters.\n\nThen it holds.") == [
        ("Pass the values as parameters.", False),
        ("Then it holds.", False),
    ]


def test_indented_lines_are_code() -> None:
    text = "Pass parameters:\n\n    run(\n        x,\n\n    )\n\nThat is all."
    assert split(text) == [
        ("Pass parameters:", False),
        ("    run(\n        x,\n\n    )", True),
        ("That is all.", False),
    ]


def test_fences_are_code_and_are_taken_off() -> None:
    assert split("So:\n```python\nAny words here\n```\nDone now.") == [
        ("So:", False),
        ("Any words here", True),
        ("Done now.", False),
    ]


def test_what_looks_like_code_is_code() -> None:
    code = "\n".join(
        [
            "import subprocess",
            "from os import path",
            "const x = await run(a);",
            "result = cursor.execute(query, (name,))",
            'subprocess.run(["ls", path], check=True)',
            "with open(path) as file:",
            "if (x) {",
            "}",
            "@decorator",
            "# a comment",
        ]
    )
    assert split(code) == [(code, True)]


def test_sentences_are_no_code() -> None:
    text = "Use the x (or y).\nIf it fails: try again.\nFor each of them, do so.\nfrom then on it holds."
    assert [is_code for _, is_code in split(text)] == [False]


def test_very_many_lines_are_cut() -> None:
    assert split("x = 1\n" * (PASSAGE_LINES_MAX + 5))[-1] == ("… 5 more lines", False)


@given(st.text(alphabet="ab \n\t`=({:.A'\"#", max_size=60))
def test_no_word_is_lost(text: str) -> None:
    words = [word for word in text.split() if not set(word) <= {"`"} and not word.startswith("```")]
    kept = " ".join(part for part, _ in split(text)).split()
    assert [word for word in kept if word in words] == [word for word in words if word in kept]


@given(st.text())
def test_any_text_can_be_split(text: str) -> None:
    assert all(passage.text.strip() for passage in passages(text))
