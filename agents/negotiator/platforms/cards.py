"""Rate cards from folders of YAML files; a later folder's card takes the place of an earlier one's of the same name."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card, CardError, check_card
from schemas.negotiation import HOUSE

SHIPPED: Final = Path(__file__).parent / "cards"
"""The cards that come along."""
FILE_BYTES_MAX: Final = 65_536
FILES_MAX: Final = 200
"""In one folder."""
DEPTH_MAX: Final = 6
REASON_CHARS_MAX: Final = 200

_PATH: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_OPENS: Final = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSES: Final = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_cards(folders: Sequence[Path] = (SHIPPED,)) -> dict[str, Card]:
    """All cards by name.

    Args:
        folders: the first one's cards hold unless a later folder has its own of the same name.

    Raises:
        RefusedError: with file, line and what is wrong first.
    """
    cards: dict[str, Card] = {}
    for folder in folders:
        cards.update(_of_folder(folder))
    if HOUSE not in cards:
        raise RefusedError(f"no card of kind house in {', '.join(map(str, folders)) or 'no folder'}; add one")
    return cards


def _of_folder(folder: Path) -> dict[str, Card]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise RefusedError(
            f"{folder}: {error.strerror or error}; rate cards are read from this folder"
        ) from None
    if len(paths) > FILES_MAX:
        raise RefusedError(f"{folder}: {len(paths)} rate cards; at most {FILES_MAX}")
    cards: dict[str, Card] = {}
    files: dict[str, Path] = {}
    for path in paths:
        card = read_card(_text(path), str(path))
        if card.name in cards:
            raise RefusedError(f"{path}: {files[card.name].name} is a card of {card.name!r} too; remove one")
        cards[card.name], files[card.name] = card, path
    return cards


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            read = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None
    if len(read) > FILE_BYTES_MAX:
        raise RefusedError(f"{path}: more than {FILE_BYTES_MAX} bytes; a rate card is smaller")
    try:
        return read.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedError(f"{path}: not UTF-8 text") from None


def read_card(text: str, where: str) -> Card:
    """The card that a YAML text states, checked.

    Raises:
        RefusedError: with `where`, the line and what is wrong first.
    """
    stated, lines = _yaml(text, where)
    if not isinstance(stated, Mapping):
        raise RefusedError(f"{where}: not a rate card; state at least name, version and rates")
    try:
        return check_card(msgspec.convert(stated, Card))
    except msgspec.ValidationError as error:
        message = str(error)
        found = _PATH.search(message)
        key = found["path"] if found else ""
        what = _PATH.sub("", message)
        raise RefusedError(f"{_at(where, lines, key)}: {f'{key}: ' if key else ''}{what}") from None
    except CardError as error:
        raise RefusedError(f"{_at(where, lines, error.key)}: {error}") from None


def _at(where: str, lines: Mapping[str, int], key: str) -> str:
    """`file:line` of a key, or of the nearest one above it."""
    while key:
        if key in lines:
            return f"{where}:{lines[key]}"
        key = key.rpartition(".")[0]
    return where


def _yaml(text: str, where: str) -> tuple[object, dict[str, int]]:
    """Plain data, and the line on which each key stands, by its dotted path."""
    try:
        depth = 0
        for token in yaml.scan(text, Loader=_LOADER):
            # A few aliases of aliases unfold to billions of nodes.
            if isinstance(token, yaml.AliasToken):
                raise RefusedError(f"{where}: uses YAML aliases (*name); write things out")
            depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
            if depth > DEPTH_MAX:
                raise RefusedError(f"{where}: nested deeper than {DEPTH_MAX} levels; a rate card isn't")
        node = yaml.compose(text, Loader=_LOADER)
        if node is None:
            raise RefusedError(f"{where}: empty; state at least name, version and rates")
        lines: dict[str, int] = {}
        _find_lines(node, "", lines, where)
        return yaml.load(text, Loader=_LOADER), lines  # a safe loader
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())[:REASON_CHARS_MAX]
        raise RefusedError(f"{where}: not YAML: {reason}") from None
    except (RecursionError, ValueError, TypeError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(f"{where}: YAML that can't be read: a broken number, date or key") from None


def _find_lines(node: yaml.Node, path: str, lines: dict[str, int], where: str) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        dotted = f"{path}.{key.value}" if path else str(key.value)
        line = key.start_mark.line + 1
        if dotted in lines:
            raise RefusedError(f"{where}:{line}: {dotted} stands here a second time; remove one")
        lines[dotted] = line
        _find_lines(value, dotted, lines, where)
