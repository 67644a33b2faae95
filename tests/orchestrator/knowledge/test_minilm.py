"""The embedded embedder: its pieces of words, its file, and what it thinks alike."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.knowledge.embedding import EmbedderError
from orchestrator.knowledge.minilm import DIMENSION, MiniLm
from orchestrator.knowledge.wordpiece import PIECES_MAX, VOCABULARY, VocabularyError, WordPiece

WORDS = WordPiece()
MODEL = MiniLm()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I prevent SQL injection?", [101, 2129, 2079, 1045, 4652, 29296, 13341, 1029, 102]),
        (
            "na\xefve Gr\xf6\xdfe \u0130stanbul \u0391\u03a3",
            [101, 15743, 24665, 2080, 17499, 9960, 1155, 29733, 102],
        ),
        (
            "verify_jwt(token, key=None)  # CWE-347",
            [
                101,
                20410,
                1035,
                1046,
                26677,
                1006,
                19204,
                1010,
                3145,
                1027,
                3904,
                1007,
                1001,
                19296,
                2063,
                1011,
                4090,
                2581,
                102,
            ],
        ),
        ("\u6f22\u5b57 a\u0301\u200bb\t\xa0x\x00y", [101, 1904, 100, 11113, 1060, 2100, 102]),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa unaffable",
            [101, 100, 14477, 20961, 3468, 102],
        ),
        (
            "\u201cquoted\u201d \u2014 $5+3=8 ~`^",
            [101, 1523, 9339, 1524, 1517, 1002, 1019, 1009, 1017, 1027, 1022, 1066, 1036, 1034, 102],
        ),
    ],
)
def test_pieces_are_those_of_the_models_own_tokenizer(text: str, expected: list[int]) -> None:
    assert WORDS.numbers(text) == expected


@given(st.text(max_size=600))
def test_any_text_gives_a_bounded_row_between_its_begin_and_end(text: str) -> None:
    row = WORDS.numbers(text)
    assert 2 <= len(row) <= PIECES_MAX
    assert (row[0], row[-1]) == (101, 102)
    assert all(0 <= number < 30_522 for number in row)


def test_what_looks_like_a_special_piece_is_text() -> None:
    assert 102 not in WORDS.numbers("[SEP] [CLS]")[1:-1]


def test_a_vocabulary_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(VOCABULARY.read_bytes().replace(b"sql", b"sqm"))
    with pytest.raises(VocabularyError, match="has been changed"):
        WordPiece(path)
    with pytest.raises(VocabularyError, match="No such file"):
        WordPiece(tmp_path / "none")


def test_alike_in_meaning_is_near_and_each_vector_has_length_1() -> None:
    query = MODEL.embed_query("How do I keep attackers from injecting SQL?", timeout_s=30.0)
    texts = ["Use bound parameters in database statements.", "Bake the bread for forty minutes."]
    near, far = MODEL.embed_documents(texts, timeout_s=30.0)
    assert len(query) == len(near) == DIMENSION
    for vector in (query, near, far):
        assert sum(number * number for number in vector) == pytest.approx(1.0)
    assert dot(query, near) > dot(query, far) + 0.2


def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    texts = ["short", "a text that is a good deal longer than the others " * 3, "middling long text"]
    assert MODEL.embed_documents(texts, timeout_s=30.0) == [
        MODEL.embed_query(text, timeout_s=30.0) for text in texts
    ]


def test_the_time_bounds_it() -> None:
    MODEL.embed_query("warm", timeout_s=30.0)
    with pytest.raises(EmbedderError, match="0 of 2 texts"):
        MODEL.embed_documents(["some text"] * 2, timeout_s=-1.0)


def test_a_file_that_is_not_the_model_never_runs(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"anything")
    with pytest.raises(EmbedderError, match="isn't the model that it should be: install"):
        MiniLm(path).embed_query("x", timeout_s=1.0)
    with pytest.raises(EmbedderError, match="No such file"):
        MiniLm(tmp_path / "none").embed_query("x", timeout_s=1.0)


def dot(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
