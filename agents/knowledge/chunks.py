"""Chunks: a document cut into slices that are each worth reading alone.

A slice ends where a heading, a paragraph or a fenced block does, as long as those aren't too long themselves. No
character but blank ones is left out, and none is in two chunks, so that `text[start:end]` is what a chunk says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

TOKENS_GOAL: Final = 200
"""A chunk with as many is closed by the next heading."""
TOKENS_MAX: Final = 400
CHARS_MAX: Final = 6_000
"""Of a chunk. Bounds what counts as few tokens but is long: a base64 text, a minified file."""
CHUNKS_MAX: Final = 2_000
HEADINGS_DEPTH: Final = 6
HEADING_CHARS_MAX: Final = 200

_TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LONG_WORD: Final = 6


class TooManyChunksError(ValueError):
    """Raised for a document that makes more than CHUNKS_MAX chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A slice of a document.

    Attributes:
        start, end: characters of the document's text; neither end is blank.
        headings: that it stands under, outermost first.
        tokens: roughly, as models count.
    """

    text: str
    start: int
    end: int
    headings: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A heading, a paragraph or a fenced block, with the blank lines after it."""

    start: int
    end: int
    tokens: int
    headings: tuple[str, ...]
    is_heading: bool


def token_count(text: str) -> int:
    """Roughly how many tokens a model makes of `text`: one for each word and sign, more for a long word."""
    return sum(1 + (len(token) - 1) // _LONG_WORD for token in _TOKEN.findall(text))


def chunks_of(text: str) -> list[Chunk]:
    """The chunks of a document, in order; none for a blank one.

    Raises:
        TooManyChunksError: there are more than CHUNKS_MAX.
    """
    out: list[Chunk] = []
    for group in _groups(text):
        out += _chunk(text, group)
        if len(out) > CHUNKS_MAX:
            raise TooManyChunksError(f"it makes more than {CHUNKS_MAX} chunks: add it in parts")
    return out


def _groups(text: str) -> Iterator[list[_Block]]:
    """Neighbouring blocks that make a chunk together. A heading stays with what it heads."""
    group: list[_Block] = []
    tokens = chars = 0
    for block in (small for large in _blocks(text) for small in _cut(text, large)):
        is_full = tokens + block.tokens > TOKENS_MAX or chars + block.end - block.start > CHARS_MAX
        if group and (is_full or (block.is_heading and tokens >= TOKENS_GOAL)):
            held = [group.pop()] if is_full and group[-1].is_heading and len(group) > 1 else []
            yield group
            group = held
            tokens, chars = sum(one.tokens for one in group), sum(one.end - one.start for one in group)
        group.append(block)
        tokens, chars = tokens + block.tokens, chars + block.end - block.start
    if group:
        yield group


def _chunk(text: str, group: list[_Block]) -> list[Chunk]:
    piece = text[group[0].start : group[-1].end]
    start = group[0].start + len(piece) - len(piece.lstrip())
    piece = piece.strip()
    if not piece:
        return []
    return [
        Chunk(
            text=piece,
            start=start,
            end=start + len(piece),
            headings=_common([block.headings for block in group]),
            tokens=sum(block.tokens for block in group),
        )
    ]


def _common(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """What all of them stand under; the first one's when that is nothing."""
    depth = 0
    while all(len(path) > depth and path[depth] == paths[0][depth] for path in paths):
        depth += 1
    return paths[0][:depth] or paths[0]


def _blocks(text: str) -> Iterator[_Block]:
    """All of `text`, block by block."""
    headings: list[tuple[int, str]] = []
    fence, start, position, was_blank = "", 0, 0, False
    for line in text.splitlines(keepends=True):
        begins = not fence and (
            was_blank or _HEADING.match(line) is not None or _FENCE.match(line) is not None
        )
        if begins and position > start and line.strip():
            yield _block(text, start, position, headings)
            start = position
        if not fence and (heading := _HEADING.match(line.rstrip("\r\n"))):
            level = len(heading[1])
            headings = [one for one in headings if one[0] < level]
            headings.append((level, heading[2][:HEADING_CHARS_MAX]))
        fence, ended = _after(line, fence)
        was_blank = not line.strip() or ended or (not fence and _HEADING.match(line) is not None)
        position += len(line)
    if position > start:
        yield _block(text, start, position, headings)


def _block(text: str, start: int, end: int, headings: list[tuple[int, str]]) -> _Block:
    piece = text[start:end]
    path = tuple(title for _, title in headings)
    return _Block(
        start, end, token_count(piece), path, _HEADING.match(piece.split("\n", 1)[0].rstrip()) is not None
    )


def _after(line: str, fence: str) -> tuple[str, bool]:
    """The fence that is open after this line, and whether the line closed one."""
    mark = _FENCE.match(line)
    if mark is None:
        return fence, False
    if not fence:
        return mark[1], False
    closes = mark[1].startswith(fence) and not line[mark.end() :].strip()
    return ("", True) if closes else (fence, False)


def _cut(text: str, block: _Block) -> Iterator[_Block]:
    """A block too large for a chunk, in parts: at the ends of lines, then of words, then anywhere."""
    start, end = block.start, block.end
    while start < end:
        stop = _end_of_part(text, start, end)
        tokens = block.tokens if (start, stop) == (block.start, block.end) else token_count(text[start:stop])
        yield _Block(start, stop, tokens, block.headings, block.is_heading and start == block.start)
        start = stop


def _end_of_part(text: str, start: int, end: int) -> int:
    limit = min(end, start + CHARS_MAX)
    tokens, last = 0, start
    for token in _TOKEN.finditer(text, start, limit):
        tokens += 1 + (len(token[0]) - 1) // _LONG_WORD
        if tokens > TOKENS_MAX:
            limit = max(token.start(), last)
            break
        last = token.end()
    if limit == end:
        return end
    if limit <= start:  # one word with more tokens than a chunk may have
        return min(end, start + TOKENS_MAX * _LONG_WORD)
    for mark in ("\n", " "):
        if (at := text.rfind(mark, start + (limit - start) // 2, limit)) >= 0:
            return at + 1
    return limit
