"""Front matter: a Markdown file's text and what stands above it between two lines of `---`.

Known fields are id, title, area, cwe, tags, languages; others are for people. A file needs none of them: its first
heading is its title then, and its path its id.
"""

import re
from typing import Any, Final

import msgspec
import msgspec.yaml

from schemas.knowledge import ID_CHARS_MAX, LABEL_CHARS_MAX, LABELS_MAX, TITLE_CHARS_MAX, Document

FRONT_CHARS_MAX: Final = 20_000

_FENCE: Final = "---"
_TITLE = re.compile(r"^ {0,3}#[ \t]+(\S.*?)[ \t]*#*[ \t]*$", re.M)
_CWE = re.compile(r"(?:cwe[-_ ]?)?0*(\d{1,5})", re.I)


class FrontMatterError(ValueError):
    """Raised for front matter that can't be read; the text says what is wrong and where."""


def document_from(text: str, *, id: str, source: str = "") -> Document:
    """The document in a file's text.

    Args:
        id: when the front matter names none.

    Raises:
        FrontMatterError: it is no mapping, or a field has the wrong type or is too long.
    """
    front, body = _split(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    fields = _fields(front)
    heading = _TITLE.search(body)
    title = _text(fields, "title") or (heading[1] if heading else "") or id
    return Document(
        id=_bounded(_text(fields, "id") or id, "id", ID_CHARS_MAX),
        text=body,
        title=title[:TITLE_CHARS_MAX],
        area=_bounded(_text(fields, "area").lower(), "area", LABEL_CHARS_MAX),
        cwes=tuple(_cwe(label) for label in _labels(fields, "cwe", "cwes")),
        tags=tuple(label.lower() for label in _labels(fields, "tag", "tags")),
        languages=tuple(label.lower() for label in _labels(fields, "language", "languages")),
        source=source,
    )


def _split(text: str) -> tuple[str, str]:
    lines = text.split("\n", 1)
    if lines[0].rstrip() != _FENCE or len(lines) == 1:
        return "", text
    end = re.search(r"^---[ \t]*$", lines[1][:FRONT_CHARS_MAX], re.M)
    if end is None:  # a rule above a text without front matter
        return "", text
    return lines[1][: end.start()], lines[1][end.end() :].lstrip("\n")


def _fields(front: str) -> dict[str, Any]:
    try:
        fields = msgspec.yaml.decode(front) if front.strip() else {}
    except msgspec.DecodeError as error:
        raise FrontMatterError(
            f"its front matter is no YAML: {' '.join(str(error).split())[:200]}"
        ) from error
    if not isinstance(fields, dict):
        raise FrontMatterError("its front matter is no mapping: write lines such as `title: …`")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise FrontMatterError(f"`{name}` in its front matter is {type(value).__name__}: write one text")
    return " ".join(str(value).split())


def _labels(fields: dict[str, Any], *names: str) -> tuple[str, ...]:
    """The labels under the first name that is there: a list, or a text with commas."""
    name = next((name for name in names if fields.get(name) is not None), "")
    value = fields.get(name, ())
    parts = (
        value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    )
    labels = []
    for part in parts:
        if not isinstance(part, str | int | float):
            raise FrontMatterError(f"`{name}` in its front matter holds {type(part).__name__}: write texts")
        labels.append(_bounded(" ".join(str(part).split()), name, LABEL_CHARS_MAX))
    if len(labels) > LABELS_MAX:
        raise FrontMatterError(
            f"`{name}` in its front matter has {len(labels)} entries: {LABELS_MAX} are possible"
        )
    return tuple(dict.fromkeys(label for label in labels if label))


def _cwe(label: str) -> str:
    """`CWE-89`, however it is written."""
    match = _CWE.fullmatch(label)
    return f"CWE-{match[1]}" if match else label


def _bounded(text: str, name: str, chars_max: int) -> str:
    if len(text) > chars_max:
        raise FrontMatterError(
            f"`{name}` in its front matter has {len(text)} characters: {chars_max} are possible"
        )
    return text
