"""Intake: files and folders of a user as documents.

Of a folder, files that end in one of SUFFIXES count, at any depth but in hidden folders; links are not followed. What
can't be read is named with its reason, and the rest is taken.

A document's id is what its front matter says, else the file's path below the folder that was given, or its name when it
was given by itself. A file that was added before keeps its id; a name that another document has gets a longer one.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from agents.knowledge.front_matter import FrontMatterError, document_from
from agents.knowledge.indexing import KnowledgeError
from schemas.knowledge import DOCUMENT_CHARS_MAX, ID_CHARS_MAX, Document

SUFFIXES: Final = (".md", ".markdown", ".txt", ".rst")
FILE_BYTES_MAX: Final = 4 * DOCUMENT_CHARS_MAX
FILES_MAX: Final = 5_000
TOTAL_BYTES_MAX: Final = 256_000_000
ENTRIES_MAX: Final = 200_000
"""Names looked at in a folder and all below it."""


@dataclass(slots=True)
class Taken:
    """What was read; `left_out` says why something wasn't, as (path, reason).

    `longer` are the ids that a document without an id of its own takes, by the one it has, when that is another's.
    """

    documents: list[Document] = field(default_factory=list)
    longer: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def take(path: Path, *, id: str = "") -> Taken:
    """The documents in a file or a folder.

    Args:
        id: of a single file's document; empty takes what its front matter says, else its name.

    Raises:
        KnowledgeError: there is nothing there, too much, or a single file that can't be taken.
    """
    taken = Taken()
    if path.is_dir():
        if id:
            raise KnowledgeError(f"{path} is a folder: --id is for one file")
        total = 0
        for file in _files(path):
            try:
                text = _read(file)
                taken.documents.append(_named(taken, text, file, path))
            except (KnowledgeError, FrontMatterError) as error:
                taken.left_out.append((str(file), str(error)))
                continue
            total += len(text)
            if len(taken.documents) > FILES_MAX or total > TOTAL_BYTES_MAX:
                raise KnowledgeError(
                    f"{path} holds more than {FILES_MAX} files or {TOTAL_BYTES_MAX} bytes: add a part"
                )
        return taken
    taken = Taken()
    try:
        text = _read(path)
        if id:
            document = from_text(text, id=id, source=str(path.absolute()), is_named=True)
        else:
            document = _named(taken, text, path, path.parent)
    except (KnowledgeError, FrontMatterError) as error:
        raise KnowledgeError(f"{path}: {error}") from error
    taken.documents.append(document)
    return taken


def with_ids(taken: Taken, known: Mapping[str, str]) -> list[Document]:
    """Core: the documents under ids that take nothing from another one.

    Args:
        known: the source of each document that is there, by its id.
    """
    by_source = {source: id for id, source in known.items() if source}
    documents = []
    for document in taken.documents:
        longer = taken.longer.get(document.id)
        if longer is not None:  # it has none of its own
            free = (id for id in (document.id, *longer) if id not in known)
            id = by_source.get(document.source) or next(free, longer[-1])
            document = msgspec.structs.replace(document, id=id)
        documents.append(document)
    return documents


def from_text(text: str, *, id: str, source: str = "", is_named: bool = False) -> Document:
    """The document in a text.

    Args:
        is_named: `id` counts, whatever the front matter says.

    Raises:
        KnowledgeError: the front matter or the id is wrong.
    """
    if not 0 < len(id) <= ID_CHARS_MAX:
        raise KnowledgeError(f"an id has 1 to {ID_CHARS_MAX} characters, not {len(id)}")
    try:
        document = document_from(text, id=id, source=source)
    except FrontMatterError as error:
        raise KnowledgeError(str(error)) from error
    return msgspec.structs.replace(document, id=id) if is_named else document


def _files(folder: Path) -> Iterator[Path]:
    """The files that count, by name; the same ones in the same order each time."""
    seen = 0
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(folders) + len(files)
        if seen > ENTRIES_MAX:
            raise KnowledgeError(f"{folder} has more than {ENTRIES_MAX} files and folders: add a part")
        for name in sorted(files):
            path = Path(place, name)
            if name.lower().endswith(SUFFIXES) and not name.startswith(".") and not path.is_symlink():
                yield path


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise KnowledgeError("there is no such file" if not path.exists() else "it is no file")
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KnowledgeError(f"it can't be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise KnowledgeError(f"it has more than {FILE_BYTES_MAX} bytes: add it in parts")
    return decoded(data)


def decoded(data: bytes) -> str:
    """The text in UTF-8.

    Raises:
        KnowledgeError: it is none, or there is nothing in it, or too much.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise KnowledgeError(f"it is no text in UTF-8 (byte {error.start})") from error
    if "\0" in text:
        raise KnowledgeError("it is no text: there are zero bytes in it")
    if not text.strip():
        raise KnowledgeError("it is empty")
    if len(text) > DOCUMENT_CHARS_MAX:
        raise KnowledgeError(f"it has more than {DOCUMENT_CHARS_MAX} characters: add it in parts")
    return text


def _named(taken: Taken, text: str, file: Path, folder: Path) -> Document:
    """The document in a file's text; `taken` learns what else it may be called.

    Raises:
        FrontMatterError: it is wrong.
    """
    whole = file.absolute()
    inner = file.relative_to(folder).as_posix()
    unique = f"{blake2b(os.fsencode(whole), digest_size=8).hexdigest()}/{file.name[-ID_CHARS_MAX // 2 :]}"
    ids = [inner, f"{folder.absolute().name}/{inner}", unique]
    first, *longer = (id for id in ids if len(id) <= ID_CHARS_MAX)
    document = document_from(text, id=first, source=str(whole))
    if document.id == first:
        taken.longer[first] = (*longer, unique)
    return document
