"""Tables fit any terminal, and lose no figure for it."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.fitting import NAME_CELLS_LEAST, Column, fit, print_table, shortened

COLUMNS = (
    Column("model", "name"),
    Column("part", "bar", rank=6),
    Column("cost"),
    Column("tokens in", rank=3),
    Column("out", rank=3, under="tokens out"),
    Column("why not", "text", rank=4, under="why not:"),
)
NAMES = st.text("abcdefgh/-模型", min_size=1, max_size=80)
FIGURES = st.integers(0, 10**9).map(lambda number: f"{number:,}")


def shown(width: int, rows: list[tuple[str, ...]], *, terminal: bool = True) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None, highlight=False)
    print_table(console, "models", COLUMNS, rows)
    return out.getvalue()


ROWS = st.lists(
    st.tuples(
        NAMES, st.just("███"), FIGURES, FIGURES, FIGURES, st.sampled_from(["", "no key: set MINE_API_KEY"])
    ),
    min_size=1,
    max_size=4,
)


@given(ROWS, st.integers(40, 200))
def test_every_figure_is_whole_at_every_width(rows: list[tuple[str, ...]], width: int) -> None:
    text = shown(width, rows)
    words = text.split()
    for _, _, *figures, _ in rows:
        for figure in figures:
            assert figure in words, text
    plain = Console(width=width)
    assert all(plain.measure(line).maximum <= width for line in text.splitlines()), text


@given(ROWS, st.integers(20, 200))
def test_a_pipe_gets_every_name_whole(rows: list[tuple[str, ...]], width: int) -> None:
    text = shown(width, rows, terminal=False)
    assert all(row[0] in text for row in rows), text


@given(NAMES, st.integers(0, 90))
def test_a_name_is_shortened_in_its_middle_alone(name: str, cells: int) -> None:
    short = shortened(name, cells)
    if short == name:
        return
    assert Console().measure(short or " ").maximum <= max(cells, 1)
    head, _, tail = short.partition("…")
    assert name.startswith(head)
    assert name.endswith(tail)


def test_what_does_not_fit_beside_stands_under_its_row_with_its_heading() -> None:
    row = ("some-provider/some-model", "███", "$12.30", "1,234,567", "89,000", "no key: set MINE_API_KEY")
    assert shown(48, [row]).splitlines() == [
        "models",
        "model                       cost",
        "some-provider/some-model  $12.30",
        "    tokens in 1,234,567 · tokens out 89,000",
        "    why not: no key: set MINE_API_KEY",
    ]


def test_columns_move_by_rank_and_names_keep_what_is_left() -> None:
    columns = dict(enumerate(COLUMNS))
    widths = {0: 60, 1: 12, 2: 9, 3: 11, 4: 9, 5: 40}
    assert fit(columns, widths, 300) == widths
    assert fit(columns, widths, 100) == {0: 23, 2: 9, 3: 11, 4: 9, 5: 40}
    assert fit(columns, widths, 80) == {0: 80 - 9 - 11 - 9 - 6, 2: 9, 3: 11, 4: 9}
    assert fit(columns, widths, 40) == {0: 29, 2: 9}
    assert fit(columns, widths, 10) == {0: NAME_CELLS_LEAST, 2: 9}
