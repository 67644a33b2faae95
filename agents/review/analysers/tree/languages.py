"""Sources as syntax trees: which grammar reads which file, and the parts of a Vue component.

A `.vue` file holds several languages. Its template is read by the grammar `vue`; each `<script>` is parsed in
place by the grammar of its `lang`, so that rows and columns are those of the file.
"""

import time
from functools import cache
from pathlib import PurePosixPath
from typing import Final, NamedTuple, cast

from tree_sitter import Language, Node, Parser, Point, Range, Tree
from tree_sitter_language_pack import SupportedLanguage, get_language

GRAMMARS: Final[dict[str, str]] = {
    ".js": "javascript",
    ".jsx": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "tsx",
    ".vue": "vue",
    ".swift": "swift",
    ".dart": "dart",
    ".py": "python",
}
"""Grammar by file suffix (lower case)."""

SCRIPT_GRAMMARS: Final[dict[str, str]] = {"ts": "typescript", "tsx": "tsx"}
"""Grammar by the `lang` of a `<script>`; anything else is JavaScript."""

READ_BYTES: Final = 64 * 1024
"""How much of a source the parser is handed at once; it asks for leave to go on in between."""

SCRIPTS_MAX: Final = 8
"""`<script>` elements that are looked at in one Vue file; a component has one or two."""


class Unparsable(Exception):
    """Raised when nothing of a file could be parsed, or not in time; says why."""


class Region(NamedTuple):
    """A part of a file in one language."""

    grammar: str
    tree: Tree


def grammar_of(path: str) -> str:
    """The grammar for a file, or "" if we have none."""
    return GRAMMARS.get(PurePosixPath(path).suffix.lower(), "")


@cache
def language_of(grammar: str) -> Language:
    """The loaded grammar; the first call costs some milliseconds."""
    return get_language(cast(SupportedLanguage, grammar))


def parse(source: bytes, grammar: str, *, deadline_s: float) -> list[Region]:
    """The file's regions, with positions counted from the start of the file.

    Args:
        source: UTF-8.
        deadline_s: on the clock of `time.monotonic`.

    Raises:
        Unparsable: no part of it fits the grammar, or the deadline passed.
    """
    whole = Region(grammar, _tree_of(source, grammar, deadline_s))
    if not _fits(whole.tree.root_node, source):
        raise Unparsable(f"could not be parsed as {grammar}")
    if grammar != "vue":
        return [whole]
    scripts = [node for node in whole.tree.root_node.named_children if node.type == "script_element"]
    regions = [whole]
    for script in scripts[:SCRIPTS_MAX]:
        for body in script.named_children:
            if body.type == "raw_text":
                script_grammar = SCRIPT_GRAMMARS.get(_script_lang(script), "javascript")
                regions.append(
                    Region(script_grammar, _tree_of(source, script_grammar, deadline_s, within=body))
                )
    return regions


def _tree_of(source: bytes, grammar: str, deadline_s: float, within: Node | None = None) -> Tree:
    """Parse all of `source`, or only what stands in `within`."""
    parser = Parser(language_of(grammar))
    if within is not None:
        parser.included_ranges = [
            Range(within.start_point, within.end_point, within.start_byte, within.end_byte)
        ]

    def read(offset: int, _: Point) -> bytes:
        return source[offset : offset + READ_BYTES]

    def is_late(_offset: int, _has_error: bool) -> bool:
        return time.monotonic() > deadline_s

    try:
        return parser.parse(read, progress_callback=is_late)
    except ValueError as error:  # what the binding raises when it is told to stop
        raise Unparsable("gave up: parsing took too long") from error


def _fits(root: Node, source: bytes) -> bool:
    """Whether anything of a source was understood; an empty one or one of comments is."""
    if not root.has_error or not source.strip():
        return True
    return any(not (child.is_error or child.has_error) for child in root.named_children[:200]) or any(
        not child.is_error for child in root.named_children[:200]
    )


def _script_lang(script: Node) -> str:
    """The `lang` attribute of a `<script>`, or ""."""
    tag = script.named_child(0)
    for attribute in tag.named_children if tag is not None else ():
        name, _, value = (attribute.text or b"").decode(errors="replace").partition("=")
        if name.strip() == "lang":
            return value.strip().strip("\"'")
    return ""
