"""Embedding: texts as vectors that lie close when they mean much the same.

The port that embedders stand behind, and what holds for all of them.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Protocol

TEXTS_MAX: Final = 32
"""In one call."""
DIMENSION_MAX: Final = 8_192
KEY_BYTES: Final = 20

Vector = tuple[float, ...]


class EmbedderError(Exception):
    """Raised when there are no vectors to be had; one line, without any key.

    Attributes:
        is_passing: whether it may work a little later.
    """

    def __init__(self, message: str, *, is_passing: bool) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class Embedder(Protocol):
    """Makes vectors. Safe to call from several threads.

    Attributes:
        id: of embedder and model; vectors with the same id can be compared, others can't.
    """

    @property
    def id(self) -> str: ...

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        """One vector of length 1 for each of at most TEXTS_MAX texts.

        Raises:
            EmbedderError: no vectors, or not in time.
        """
        ...

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        """The vector to compare documents' with.

        Raises:
            EmbedderError: no vector, or not in time.
        """
        ...


def vector_key(embedder_id: str, text: str) -> bytes:
    """What a text's vector is kept under, KEY_BYTES long: another embedder's has another key."""
    hashed = blake2b(digest_size=KEY_BYTES, key=blake2b(embedder_id.encode()).digest())
    hashed.update(text.encode("utf-8", "surrogatepass"))
    return hashed.digest()


def unit(numbers: Sequence[float]) -> Vector:
    """The vector of length 1 in the same direction.

    Raises:
        EmbedderError: it has no direction, a number that is none, or more than DIMENSION_MAX numbers.
    """
    if not 0 < len(numbers) <= DIMENSION_MAX:
        message = f"a vector of {len(numbers)} numbers: 1 to {DIMENSION_MAX} are possible"
        raise EmbedderError(message, is_passing=False)
    length = math.sqrt(math.fsum(number * number for number in numbers))
    if not math.isfinite(length) or length == 0.0:
        raise EmbedderError("a vector of zeros, or with a number that is none", is_passing=False)
    return tuple(number / length for number in numbers)
