"""Quoting the source in hits: the lines as they stand in the file, without the secrets in them."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from schemas.review import LINE_CHARS_MAX, Hit

CODE_LINES_MAX: Final = 10
SECRET_CWES: Final = frozenset({259, 321, 522, 798})
KEPT_CHARS: Final = 4
"""Of a secret, so that its owner knows which it is."""
SHORTEST_SECRET: Final = 6

_LITERAL = re.compile(r"""(["'`])((?:\\.|(?!\1).)*)\1""")
_BARE = re.compile(r"(?<=[=:])\s*[^\s\"'`,;{}()\[\]]+")
_KEY_LIKE = re.compile(r"[A-Za-z0-9+/=_.-]{16,}")


def finish_hits(hits: Sequence[Hit], folder: Path) -> tuple[Hit, ...]:
    """Hits with `code` quoted from the files, each once, and no secret in any text of theirs.

    Hits for lines that the file doesn't have are dropped: nobody could look at them.
    """
    by_path: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        by_path[hit.path].append(hit)
    finished: dict[Hit, None] = {}
    for path, group in by_path.items():
        lines = _read_lines(folder / path)
        secret_lines = {
            number
            for hit in group
            if hit.cwe in SECRET_CWES
            for number in range(hit.line, max(hit.line, hit.end_line) + 1)
        }
        for hit in group:
            if 1 <= hit.line <= len(lines):
                finished[_finish(hit, lines, secret_lines)] = None
    return tuple(finished)


def _finish(hit: Hit, lines: list[str], secret_lines: set[int]) -> Hit:
    end = min(max(hit.line, hit.end_line), len(lines))
    quoted = range(hit.line, min(end, hit.line + CODE_LINES_MAX - 1) + 1)
    secrets = sorted(
        {secret for number in quoted if number in secret_lines for secret in secrets_in(lines[number - 1])},
        key=len,
        reverse=True,
    )
    code = "\n".join(lines[number - 1][:LINE_CHARS_MAX] for number in quoted)
    texts = {"code": code, "title": hit.title, "description": hit.description, "fix": hit.fix}
    for secret in secrets:
        texts = {name: text.replace(secret, f"{secret[:KEPT_CHARS]}…") for name, text in texts.items()}
    return msgspec.structs.replace(hit, end_line=end, **texts)


def secrets_in(line: str) -> list[str]:
    """What may be a secret value on a line of which an analyser says that it holds one."""
    found = [match[2] for match in _LITERAL.finditer(line)]
    found += [match[0].strip() for match in _BARE.finditer(line)]
    found += _KEY_LIKE.findall(line)
    return [text for text in found if len(text) >= SHORTEST_SECRET]


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return []
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
