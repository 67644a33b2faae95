"""The documents that come with the program, in `documents/`."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from agents.knowledge.front_matter import document_from
from schemas.knowledge import Document

FOLDER: Final = Path(__file__).parent / "documents"


@lru_cache(maxsize=1)
def builtin_documents() -> tuple[Document, ...]:
    """All of them, by id. Read once."""
    documents = [
        document_from(path.read_text("utf-8"), id=path.stem, source=f"labverse:{path.stem}")
        for path in sorted(FOLDER.glob("*.md"))
    ]
    return tuple(sorted(documents, key=lambda document: document.id))
