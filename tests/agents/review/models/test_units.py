"""Which code a model is shown at once."""

from hypothesis import given
from hypothesis import strategies as st

from agents.review.models.units import UNIT_LINES_MAX, shown, split, units_of

FUNCTION = "def f{n}(x):\n    y = x + {n}\n    return y * y\n\n\n"


def test_a_file_of_usual_length_is_one_unit() -> None:
    text = "".join(FUNCTION.format(n=n) for n in range(20))
    [unit] = units_of(0, {"a.py": text})
    assert unit.paths == ("a.py",)
    assert unit.lines == 100


def test_short_neighbours_are_shown_together_and_strangers_are_not() -> None:
    sources = {"app/a.py": "x = 1\n", "app/b.py": "y = 2\n", "web/c.js": "let z = 3\n"}
    assert [unit.paths for unit in units_of(0, sources)] == [("app/a.py", "app/b.py"), ("web/c.js",)]


def test_what_is_empty_or_no_program_is_in_no_unit() -> None:
    assert units_of(0, {"a.py": " \n", "b.yaml": "key: value\n", "c.md": "text"}) == []


def test_a_long_file_is_cut_between_functions() -> None:
    text = "".join(FUNCTION.format(n=n) for n in range(400))
    parts = split("a.py", text)
    lines = text.splitlines()
    assert len(parts) > 1
    assert all(lines[part.first - 1].startswith("def ") for part in parts)


def test_a_decorator_stays_with_its_function() -> None:
    text = "".join("@app.get('/')\n" + FUNCTION.format(n=n) for n in range(400))
    lines = text.splitlines()
    assert all(lines[part.first - 1].startswith("@") for part in split("a.py", text))


def test_code_is_shown_with_its_line_numbers() -> None:
    text = "".join(FUNCTION.format(n=n) for n in range(10))
    [unit] = units_of(0, {"a.py": text})
    first, *rest = shown(unit.parts, {"a.py": text}).splitlines()
    assert first == "=== a.py (lines 1-50)"
    assert rest[0] == "1| def f0(x):"
    assert rest[49] == "50| "


@given(
    st.lists(
        st.sampled_from(["def f():", "    x = 1", "", "@decorated", "y" * 5_000, "class A:"]), max_size=1_500
    ),
    st.integers(3_000, 24_000),
)
def test_the_parts_of_a_file_are_all_of_it_once(lines: list[str], chars_max: int) -> None:
    text = "\n".join(lines)
    parts = split("a.py", text, chars_max)
    numbers = [number for part in parts for number in range(part.first, part.last + 1)]
    assert numbers == list(range(1, max(len(text.splitlines()), 1) + 1))
    assert all(part.last - part.first < UNIT_LINES_MAX for part in parts)
