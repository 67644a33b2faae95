"""WordPiece: texts as the numbers that MiniLM (and BERT, uncased) was trained on.

The vocabulary, `minilm_vocabulary.txt`, is that of `bert-base-uncased` by Google, under Apache-2.0: one piece a line,
whose number is its line's, from 0. What is here gives the same numbers as the tokenizer that ships with the model.
"""

import string
import unicodedata
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

VOCABULARY: Final = Path(__file__).parent / "minilm_vocabulary.txt"
VOCABULARY_SHA256: Final = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
PIECES_MAX: Final = 256
"""Of a text, with the two that begin and end it: the model was made for no more. What follows isn't looked at."""
WORD_CHARS_MAX: Final = 100
CHARS_A_PIECE: Final = 24
"""So much of a text is looked at for each piece wanted."""
CHARACTERS_CACHED: Final = 4_096

_UNSEEN: Final = ("Cc", "Cf", "Co")
_SIGNS: Final = frozenset(string.punctuation)
_IDEOGRAPHS: Final = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class VocabularyError(Exception):
    """Raised when the vocabulary isn't the one that the model was trained with."""


class WordPiece:
    """Reads the vocabulary once.

    Raises:
        VocabularyError: it isn't there, or has been changed.
    """

    def __init__(self, path: Path = VOCABULARY) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise VocabularyError(f"{path}: {error.strerror}; install Labverse again") from error
        if sha256(data).hexdigest() != VOCABULARY_SHA256:
            raise VocabularyError(f"{path} has been changed; install Labverse again")
        pieces = data.decode("utf-8").split("\n")[:-1]
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        self._unknown = self._numbers["[UNK]"]
        self._begin, self._end = self._numbers["[CLS]"], self._numbers["[SEP]"]

    def numbers(self, text: str, *, pieces_max: int = PIECES_MAX) -> list[int]:
        """The numbers of a text's pieces, between those for its begin and its end; at most `pieces_max`."""
        out = [self._begin]
        for word in _words(text[: pieces_max * CHARS_A_PIECE]):
            if not word:
                continue
            out += self._pieces(word)
            if len(out) >= pieces_max - 1:
                break
        return [*out[: pieces_max - 1], self._end]

    def _pieces(self, word: str) -> list[int]:
        """The longest piece that the word begins with, and so on; one unknown when that leads nowhere."""
        if len(word) > WORD_CHARS_MAX:
            return [self._unknown]
        out: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._numbers.get(prefix + word[start:end])
                if number is not None:
                    out.append(number)
                    start = end
                    break
            else:
                return [self._unknown]
        return out


def _words(text: str) -> list[str]:
    """Words and single signs, in lower case, without accents."""
    spaced = "".join(map(_spaced, text))
    plain = (one.lower() for one in unicodedata.normalize("NFD", spaced) if unicodedata.category(one) != "Mn")
    return "".join(map(_apart, "".join(plain))).split(" ")


@lru_cache(maxsize=CHARACTERS_CACHED)
def _spaced(character: str) -> str:
    """The character: nothing of one that can't be seen, a blank for any white space, blanks around an ideograph."""
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character == "\ufffd" or unicodedata.category(character) in _UNSEEN:
        return ""
    number = ord(character)
    return f" {character} " if any(first <= number <= last for first, last in _IDEOGRAPHS) else character


@lru_cache(maxsize=CHARACTERS_CACHED)
def _apart(character: str) -> str:
    """A sign with blanks around it; anything else as it is."""
    is_sign = character in _SIGNS or unicodedata.category(character).startswith("P")
    return f" {character} " if is_sign else character
