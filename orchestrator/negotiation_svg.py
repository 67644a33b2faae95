"""The picture of a negotiation as SVG: plain XML that any browser shows, without scripts, fonts or links.

Two agents: one against the other. Any other number: an axis for each agent and a line for each deal.
"""

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from orchestrator.fitting import shortened
from orchestrator.negotiation_picture import MarkKind, Picture, figure

WIDTH, HEIGHT = 720, 520
LEFT, RIGHT, TOP, BOTTOM = 90, 30, 50, 110
TITLE_CELLS: Final = 70
AXIS_CELLS: Final = 40
LEGEND_CELLS: Final = 34
LEGEND_COLUMNS: Final = 3
CHAR_PX: Final = 9.0
COLOURS: Final[dict[MarkKind, str]] = {
    "deal": "#c2410c",
    "nearest": "#c2410c",
    "concept": "#6d28d9",
    "shared": "#047857",
    "without": "#374151",
    "needs": "#b91c1c",
}
POINT_COLOUR: Final = "#60a5fa"
INK: Final = "#1f2937"
FAINT: Final = "#d1d5db"


def svg_of(picture: Picture) -> str:
    """The whole document. Pure."""
    body = _plane(picture) if len(picture.agents) == 2 else _axes(picture)
    title = escape(shortened(picture.name, TITLE_CELLS))
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(picture.name)}</title>",
        f"<desc>{escape(_described(picture))}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="28" font-size="16" font-weight="600">{title}</text>',
        *body,
        *_legend(picture),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _described(picture: Picture) -> str:
    said = [f"{mark.label}: {_worth(picture, mark.utilities)}" for mark in reversed(picture.marks)]
    return "; ".join([picture.legend, *said] if picture.legend else said)


def _worth(picture: Picture, utilities: tuple[float, ...]) -> str:
    return ", ".join(f"{agent} {figure(one)}" for agent, one in zip(picture.agents, utilities, strict=True))


def _plane(picture: Picture) -> Iterator[str]:
    across, upwards = picture.range_of(0), picture.range_of(1)
    right, low = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(utilities: tuple[float, ...]) -> tuple[float, float]:
        x = LEFT + (utilities[0] - across[0]) / (across[1] - across[0]) * (right - LEFT)
        return x, low - (utilities[1] - upwards[0]) / (upwards[1] - upwards[0]) * (low - TOP)

    yield f'<path d="M{LEFT} {TOP}V{low}H{right}" fill="none" stroke="{INK}"/>'
    for value, end, anchor in ((across[0], LEFT, "start"), (across[1], right, "end")):
        yield f'<text x="{end}" y="{low + 18}" text-anchor="{anchor}">{figure(value)}</text>'
    for value, edge in ((upwards[0], low), (upwards[1], TOP + 10)):
        yield f'<text x="{LEFT - 6}" y="{edge}" text-anchor="end">{figure(value)}</text>'
    yield _label(picture.agents[0], f'x="{(LEFT + right) / 2}" y="{low + 18}"', AXIS_CELLS)
    yield _label(picture.agents[1], f'transform="translate(24 {(TOP + low) / 2}) rotate(-90)"', AXIS_CELLS)
    for mark in picture.marks:
        if mark.kind in ("without", "needs"):
            x, y = place(mark.utilities)
            yield (
                f'<path d="M{x:.1f} {TOP}V{low}M{LEFT} {y:.1f}H{right}" '
                f'stroke="{COLOURS[mark.kind]}" stroke-dasharray="3 4" opacity="0.5"/>'
            )
    for point in picture.points:
        x, y = place(point)
        said = escape(_worth(picture, point))
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{POINT_COLOUR}"><title>{said}</title></circle>'
    for mark in picture.marks:
        x, y = place(mark.utilities)
        yield _sign(mark.kind, x, y, f"{mark.label}: {_worth(picture, mark.utilities)}")
        if mark.kind == "concept":
            yield _beside(mark.label, x, y)


def _beside(label: str, x: float, y: float) -> str:
    """Which concept it is, towards the middle of the picture."""
    is_left = x < WIDTH / 2
    where = (
        f'x="{x + 9 if is_left else x - 9:.1f}" y="{y - 8:.1f}" text-anchor="{"start" if is_left else "end"}"'
    )
    return f'<text {where} font-size="10">{escape(shortened(label, LEGEND_CELLS))}</text>'


def _axes(picture: Picture) -> Iterator[str]:
    count = len(picture.agents)
    low = HEIGHT - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / count
    ranges = [picture.range_of(at) for at in range(count)]

    def places(utilities: tuple[float, ...]) -> list[tuple[float, float]]:
        return [
            (LEFT + step * (at + 0.5), low - (one - ends[0]) / (ends[1] - ends[0]) * (low - TOP))
            for at, (one, ends) in enumerate(zip(utilities, ranges, strict=True))
        ]

    for at, agent in enumerate(picture.agents):
        x = LEFT + step * (at + 0.5)
        yield f'<path d="M{x:.1f} {TOP}V{low}" stroke="{FAINT}"/>'
        yield _label(agent, f'x="{x:.1f}" y="{low + 16}"', max(1, int(step / CHAR_PX)))
        if step >= CHAR_PX * 6:
            for value, edge in ((ranges[at][1], TOP + 2), (ranges[at][0], low)):
                yield f'<text x="{x + 4:.1f}" y="{edge}" font-size="10">{figure(value)}</text>'
    for point in picture.points:
        yield _line(places(point), POINT_COLOUR, 1.0, 0.35, _worth(picture, point))
    for mark in picture.marks:
        said = f"{mark.label}: {_worth(picture, mark.utilities)}"
        width = 3.0 if mark.kind in ("deal", "nearest") else 1.5
        yield _line(places(mark.utilities), COLOURS[mark.kind], width, 0.9, said)
        for x, y in places(mark.utilities):
            yield _sign(mark.kind, x, y, said)


def _line(places: list[tuple[float, float]], colour: str, width: float, opacity: float, said: str) -> str:
    at = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="{width}" opacity="{opacity}">'
        f"<title>{escape(said)}</title></polyline>"
    )


def _sign(kind: MarkKind, x: float, y: float, said: str) -> str:
    colour = COLOURS[kind]
    match kind:
        case "deal" | "nearest":
            shape = f'd="M0 -8L8 0L0 8L-8 0Z" fill="{colour}" stroke="#ffffff"'
        case "concept":
            shape = f'd="M5 0A5 5 0 1 1 -5 0A5 5 0 1 1 5 0Z" fill="none" stroke="{colour}" stroke-width="2"'
        case "shared":
            shape = f'd="M-6 0H6M0 -6V6" stroke="{colour}" stroke-width="2.5"'
        case _:
            shape = f'd="M-5 -5L5 5M-5 5L5 -5" stroke="{colour}" stroke-width="2"'
    title = f"<title>{escape(said)}</title>" if said else ""
    return f'<path transform="translate({x:.1f} {y:.1f})" {shape}>{title}</path>'


def _label(text: str, where: str, cells: int) -> str:
    return (
        f'<text {where} text-anchor="middle" font-weight="600" aria-label={quoteattr(text)}>'
        f"{escape(shortened(text, cells))}<title>{escape(text)}</title></text>"
    )


def _legend(picture: Picture) -> Iterator[str]:
    """What the points are on a row of its own, then the marks in columns."""
    marks: list[tuple[MarkKind | None, str]] = [(mark.kind, mark.label) for mark in reversed(picture.marks)]
    places = [divmod(number, LEGEND_COLUMNS) for number in range(len(marks))]
    if picture.legend:
        marks = [(None, picture.legend), *marks]
        places = [(0, 0), *((row + 1, column) for row, column in places)]
    column_px = (WIDTH - LEFT - RIGHT) / LEGEND_COLUMNS
    for (kind, label), (row, column) in zip(marks, places, strict=True):
        x = LEFT + column_px * column
        y = HEIGHT - BOTTOM + 44 + 18 * row
        if kind is None:
            yield f'<circle cx="{x:.1f}" cy="{y}" r="3.5" fill="{POINT_COLOUR}"/>'
        else:
            yield _sign(kind, x, y, "")
        yield f'<text x="{x + 14:.1f}" y="{y + 4}">{escape(shortened(label, LEGEND_CELLS))}</text>'
