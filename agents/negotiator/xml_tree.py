"""XML from strangers as a tree of elements.

Documents that declare a document type or entities are refused: these can make a parser fetch files or fill the memory.
Slips that are common in negotiation domains, and that the tools which write them read over, are mended: something
before the XML declaration, no space between attributes, a bare & or <, an encoding that is not stated.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from agents.negotiator.limits import FILE_BYTES_MAX, RefusedError

DEPTH_MAX: Final = 64
NODES_MAX: Final = 200_000

DECLARATION: Final = re.compile(r"<\?xml\b[^>]*\?>")
AMPERSAND: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)")
ATTRIBUTE: Final = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')""")


@dataclass(slots=True)
class Node:
    """An element: its attributes and children; text says nothing in this form."""

    tag: str
    attributes: dict[str, str]
    children: list["Node"] = field(default_factory=list)

    def every(self, tag: str) -> list["Node"]:
        """All elements below that have the tag, in order."""
        found, waiting = [], list(reversed(self.children))
        while waiting:
            node = waiting.pop()
            if node.tag == tag:
                found.append(node)
            waiting.extend(reversed(node.children))
        return found

    def children_of(self, tag: str) -> list["Node"]:
        """The elements directly below that have the tag, in order."""
        return [child for child in self.children if child.tag == tag]


def parse(document: bytes, where: str) -> Node:
    """The elements of an XML document.

    Raises:
        RefusedError: it is too large, too deep, not XML, or declares a document type or entities.
    """
    if len(document) > FILE_BYTES_MAX:
        raise RefusedError(f"{where}: {len(document)} bytes; at most {FILE_BYTES_MAX}")
    failed: Exception
    try:
        return _parsed(document, where, encoding=None)
    except RefusedError:
        raise
    except (
        expat.ExpatError,
        LookupError,
        ValueError,
    ) as error:  # the latter two: of the encoding that it states
        failed = error
    for text in (_text(document), _mended(_text(document))):
        try:
            return _parsed(text.encode("utf-8", "replace"), where, encoding="utf-8")
        except expat.ExpatError:
            continue
    raise RefusedError(f"{where}: not XML: {failed}")


def _text(document: bytes) -> str:
    """Old files are often in an encoding of Windows and do not say so."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return document.decode(encoding)
        except UnicodeDecodeError:
            continue
    return document.decode("latin-1")


def _mended(text: str) -> str:
    text = AMPERSAND.sub("&amp;", DECLARATION.sub("", text, count=1).strip())
    return ATTRIBUTE.sub(lambda found: found[0].replace("<", "&lt;") + " ", text)


def _parsed(document: bytes, where: str, *, encoding: str | None) -> Node:
    top = Node("", {})
    path, count = [top], 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(path) > DEPTH_MAX or count > NODES_MAX:
            raise RefusedError(f"{where}: more than {NODES_MAX} elements, or nested deeper than {DEPTH_MAX}")
        node = Node(tag, attributes)
        path[-1].children.append(node)
        path.append(node)

    def end(_: str) -> None:
        path.pop()

    def refuse(*_: object) -> None:
        raise RefusedError(
            f"{where}: declares a document type or entities, which are refused; remove <!DOCTYPE …>"
        )

    parser = expat.ParserCreate(encoding)
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(document, True)
    return top.children[0]
