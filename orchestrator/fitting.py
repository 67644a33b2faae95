"""Tables that fit the terminal: no figure is ever cut, whatever the width.

Where the columns don't fit side by side, the least important ones move under their row, each with its heading;
names are then shortened in the middle, and only there. What goes into a pipe keeps its names whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

GAP: Final = 2
INDENT: Final = 4
NAME_CELLS_MIN: Final = 22
"""Columns move under their rows before names get shorter than this."""
NAME_CELLS_LEAST: Final = 8
SEPARATOR: Final = " · "
NOTHING: Final = ("", "-")

Kind = Literal["name", "number", "text", "bar"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        kind: only a `name` is ever shortened; a `number` is right-aligned; a `text` may be long and is wrapped
            when it stands under its row; a `bar` is left out instead of standing there.
        rank: the higher, the earlier it moves under its row; 0 stays to the last.
        under: what it is called there; empty takes the heading.
    """

    heading: str
    kind: Kind = "number"
    rank: int = 0
    under: str = ""


def print_table(
    console: "Console", title: str, columns: Sequence[Column], rows: "Sequence[Sequence[str | Text]]"
) -> None:
    """Print rows in the width that `console` has; columns without any content are left out.

    Args:
        rows: cells in the order of `columns`, the first of which is the row's name or its number.
    """
    from rich.padding import Padding
    from rich.text import Text

    cells = [[_text(cell) for cell in row] for row in rows]
    kept = [at for at in range(len(columns)) if any(row[at].plain.strip() for row in cells)]
    widths = {at: max((_cells(columns[at].heading), *(row[at].cell_len for row in cells))) for at in kept}
    beside = fit(
        {at: columns[at] for at in kept}, widths, console.width, shortens=console.is_terminal or not cells
    )
    console.print(Text(title), style="italic", soft_wrap=True)
    headings = [Text(column.heading, style="dim") for column in columns]
    for row in (headings, *cells):
        console.print(_line(row, columns, beside), soft_wrap=True)
        if row is headings:
            continue
        below = [at for at in kept if at not in beside and columns[at].kind != "bar"]
        pieces = [_under(columns[at], row[at]) for at in below if row[at].plain.strip() not in NOTHING]
        for line in joined(pieces, max(1, console.width - INDENT)):
            console.print(Padding(line, (0, 0, 0, INDENT), expand=False))


def fit(
    columns: dict[int, Column], widths: dict[int, int], width: int, *, shortens: bool = True
) -> dict[int, int]:
    """The columns that stand beside one another, with their widths in cells; the others go under their rows. Pure.

    Args:
        columns, widths: by position; widths of their widest content.
        shortens: whether names may be shortened.
    """
    beside = dict(widths)
    if _total(beside) > width:
        beside = {at: cells for at, cells in beside.items() if columns[at].kind != "bar"}
    names = [at for at in beside if columns[at].kind == "name"]
    floors = {at: min(widths[at], NAME_CELLS_MIN) if shortens else widths[at] for at in names}
    for rank in sorted({columns[at].rank for at in beside} - {0}, reverse=True):
        if _total({**beside, **floors}) <= width:
            break
        beside = {at: cells for at, cells in beside.items() if columns[at].rank != rank}
    for at in names:
        others = _total({other: cells for other, cells in beside.items() if other != at}) + GAP
        least = NAME_CELLS_LEAST if shortens else widths[at]
        beside[at] = min(widths[at], max(least, width - others))
    return beside


def shortened(text: str, cells: int) -> str:
    """`text` in so many terminal cells, with `…` for what its middle loses. Pure."""
    if _cells(text) <= cells:
        return text
    if cells <= 1:
        return "…"[:cells]
    tail_cells = (cells - 1) // 2
    head = _taken(text, cells - 1 - tail_cells)
    return f"{head}…{_taken(text[::-1], tail_cells)[::-1]}"


def _taken(text: str, cells: int) -> str:
    """As much of the beginning as fits."""
    end, used = 0, 0
    for char in text:
        used += _cells(char)
        if used > cells:
            break
        end += 1
    return text[:end]


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + GAP * max(0, len(widths) - 1)


def _line(row: "Sequence[Text]", columns: Sequence[Column], beside: dict[int, int]) -> "Text":
    from rich.text import Text

    line = Text()
    last = max(beside)
    for at, cells in sorted(beside.items()):
        cell = row[at]
        if cell.cell_len > cells:
            cell = Text(shortened(cell.plain, cells), style=cell.style)
        blank = " " * (cells - cell.cell_len)
        if columns[at].kind == "number":
            line.append(blank).append_text(cell)
        else:
            line.append_text(cell)
            line.append(blank if at != last else "")
        line.append(" " * GAP if at != last else "")
    line.rstrip()
    return line


def _under(column: Column, cell: "Text") -> "Text":
    from rich.text import Text

    piece = Text()
    if heading := column.under or column.heading:
        piece.append(f"{heading} ", style="dim")
    return piece.append_text(cell)


def joined(pieces: "Sequence[Text]", cells: int) -> "list[Text]":
    """Lines of pieces; none is broken that fits a line by itself."""
    from rich.text import Text

    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + len(SEPARATOR) + piece.cell_len <= cells:
            lines[-1].append(SEPARATOR, style="dim").append_text(piece)
        else:
            lines.append(Text().append_text(piece))
    return lines


def _text(cell: "str | Text") -> "Text":
    from rich.text import Text

    return Text(cell) if isinstance(cell, str) else cell


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
