"""Quoting the source in hits: the lines as they stand in the file, without the secrets in them."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from agents.review.analysers.secrets import values_in
from agents.review.cwe import HOLD_SECRETS, family_of
from schemas.review import LINE_CHARS_MAX, Hit

CODE_LINES_MAX: Final = 10
KEPT_CHARS: Final = 4
"""Of a secret, so that its owner knows which it is."""
SHORTEST_SECRET: Final = 6

_LITERAL = re.compile(
    r"""(?P<quote>["'`])(?P<value>(?:\\.|(?!(?P=quote)).)*)(?P=quote)(?P<key>\s*[:\]]|\s*=>)?"""
)
_BARE = re.compile(r"""(?<=[=:])(?P<space>[\s"'`(\[{]*)(?P<value>[^\s"'`,;{}()\[\]]+)""")
_RUN = re.compile(r"""(?<=["'`])(?=[^\s"'`]*\d)[^\s"'`]{6,}(?=["'`])""")
"""What stands between two quotes, for lines where an apostrophe before shifts the literals."""
_KEY_LIKE = re.compile(r"(?=[\w+/.-]*\d)[\w+/.-]{16,}={0,2}")


def finish_hits(hits: Sequence[Hit], folder: Path) -> tuple[Hit, ...]:
    """Hits with `code` quoted from the files, each said once of a line, and no secret in any of their texts.

    Hits for lines that the file doesn't have are dropped: nobody could look at them.
    """
    by_path: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        by_path[hit.path].append(hit)
    finished: list[Hit] = []
    for path, group in by_path.items():
        lines = _read_lines(folder / path)
        named = {
            number
            for hit in group
            if family_of(hit.cwe) in HOLD_SECRETS
            for number in range(hit.line, max(hit.line, hit.end_line) + 1)
        }
        seen: set[tuple[str, str, int, str]] = set()
        for hit in group:
            key = (hit.analyser, hit.rule, hit.line, hit.description)
            if 1 <= hit.line <= len(lines) and key not in seen:
                seen.add(key)
                finished.append(_finish(hit, lines, named))
    return tuple(finished)


def _finish(hit: Hit, lines: list[str], named: set[int]) -> Hit:
    end = min(max(hit.line, hit.end_line), len(lines))
    code: list[str] = []
    secrets: dict[str, str] = {}
    for number in range(hit.line, min(end, hit.line + CODE_LINES_MAX - 1) + 1):
        line = lines[number - 1]
        found = {value: shortened(value) for value in values_in(line)}
        if number in named:
            line = _without_literals(line, found)
        code.append(_replaced(line, found)[:LINE_CHARS_MAX])
        secrets |= found
    return msgspec.structs.replace(
        hit,
        end_line=end,
        code="\n".join(code),
        title=_replaced(hit.title, secrets),
        description=_replaced(hit.description, secrets),
        fix=_replaced(hit.fix, secrets),
        trace=tuple(msgspec.structs.replace(step, what=_replaced(step.what, secrets)) for step in hit.trace),
    )


def without_secrets(text: str, named: Collection[int] = ()) -> str:
    """A file's text as it may be shown to others: every secret that rules know is shortened, and on the lines `named`
    (1-based), of which an analyser says that they hold one, everything that could be it."""
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        found = {value: shortened(value) for value in values_in(line)}
        if number in named:
            line = _without_literals(line, found)
        lines.append(_replaced(line, found) if found else line)
    return "\n".join(lines)


def shortened(secret: str) -> str:
    """The first characters of a secret and an ellipsis."""
    return f"{secret[:KEPT_CHARS]}…"


def _replaced(text: str, secrets: Mapping[str, str]) -> str:
    """`text` without the secrets, longest first, since one may be a part of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, secrets[secret])
    return text


def _without_literals(line: str, found: dict[str, str]) -> str:
    """A line of which an analyser says that it holds a secret, without anything that could be it.

    Keys of dictionaries and names stay readable. Literals that were cut are added to `found` if they are long
    enough to be looked for in other texts.
    """
    cut = False

    def shorten(match: re.Match[str]) -> str:
        nonlocal cut
        value = match["value"]
        if len(value) < SHORTEST_SECRET or match["key"]:
            return match[0]
        cut = True
        if _KEY_LIKE.search(value):
            found[value] = shortened(value)
        return f"{match['quote']}{shortened(value)}{match['quote']}"

    line = _LITERAL.sub(shorten, line)
    if not cut:
        line = _BARE.sub(
            lambda match: (
                match["space"]
                + (match["value"] if len(match["value"]) < SHORTEST_SECRET else shortened(match["value"]))
            ),
            line,
        )
    line = _RUN.sub(lambda match: shortened(match[0]), line)
    return _KEY_LIKE.sub(lambda match: shortened(match[0]), line)


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return []
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
