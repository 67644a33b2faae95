"""Which local model servers run, and what they serve: asks each candidate for its list of models.

What listens at a candidate's port may be anything. Only an answer in the OpenAI protocol's shape counts, and
everything about it is bounded: whatever else is there, the outcome is "nothing found", in time.
"""

import asyncio
import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from schemas.llm import TOKEN_CHARS_MAX

log = logging.getLogger("labverse.local")

TIMEOUT_S: Final = 0.5
CANDIDATES_MAX: Final = 64
HEAD_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 1024 * 1024
MODELS_MAX: Final = 200
CONTEXT_TOKENS_MAX: Final = 100_000_000
HTTP_OK: Final = 200
HTTP_UNAVAILABLE: Final = 503
LOADING: Final = b"Loading model"
"""In llama.cpp's answer 503 until its model is read: it is there, and calls to it wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """A model that a server lists; `context_tokens` is None when the server doesn't tell."""

    name: str
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A server that answers, and its models in its own order; there may be none.

    Attributes:
        is_loading: it says that it reads its model and can't tell yet which.
    """

    provider: str
    base_url: str
    models: tuple[FoundModel, ...]
    is_loading: bool = False


class LoadingError(Exception):
    """Raised when a server says that it is loading its model."""


class _Model(msgspec.Struct):
    """One row of the list: what llama.cpp (`meta`), vLLM (`max_model_len`) and others tell beyond the id."""

    id: str
    meta: object = None
    max_model_len: object = None
    context_length: object = None
    max_context_length: object = None


class _Models(msgspec.Struct):
    object: str
    data: list[_Model] | None


async def discover(rows: Iterable[tuple[str, str]], *, timeout_s: float = TIMEOUT_S) -> list[Found]:
    """The servers that answer `GET {base_url}/models` as the OpenAI protocol wants, all asked at once.

    Args:
        rows: provider's name and base_url (`http://127.0.0.1:11434/v1`); of several with the same address the
            first counts, and at most `CANDIDATES_MAX` are asked.
        timeout_s: for each of them, from name look-up to the last byte.
    """
    candidates: dict[str, tuple[str, str]] = {}
    for provider, base_url in rows:
        if (key := address_key(base_url)) and len(candidates) < CANDIDATES_MAX:
            candidates.setdefault(key, (provider, base_url))
    answers = await asyncio.gather(*(_ask(*row, timeout_s=timeout_s) for row in candidates.values()))
    return [found for found in answers if found is not None]


async def _ask(provider: str, base_url: str, *, timeout_s: float) -> Found | None:
    try:
        async with asyncio.timeout(timeout_s):
            models = parse_models(await _get(f"{base_url.rstrip('/')}/models"))
    except LoadingError:
        return Found(provider=provider, base_url=base_url, models=(), is_loading=True)
    except TimeoutError:
        reason = f"no answer within {timeout_s:g} s"
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        reason = str(error) or type(error).__name__
    else:
        return Found(provider=provider, base_url=base_url, models=models)
    log.debug("no models at %s: %.200s", base_url, reason)
    return None


async def _get(url: str) -> bytes:
    """The body of one answer 200.

    Raises:
        OSError, EOFError, asyncio.LimitOverrunError: nothing there, it went away, or its header is too large.
        ValueError: the answer is not HTTP, not 200, or too large.
        LoadingError: the server isn't ready yet.
    """
    parts = urlsplit(url)
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=HEAD_BYTES_MAX)
    try:
        # 1.0: the server neither sends chunks nor keeps the connection.
        writer.write(
            f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
            "User-Agent: labverse\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        status, length = parse_head(await reader.readuntil(b"\r\n\r\n"))
        if status not in (HTTP_OK, HTTP_UNAVAILABLE):
            raise ValueError(f"HTTP {status}")
        body = await _body(reader, length)
        if status == HTTP_OK:
            return body
        raise LoadingError if LOADING in body else ValueError(f"HTTP {status}")
    finally:
        writer.transport.abort()  # at once: a peer that doesn't read must not hold us


async def _body(reader: asyncio.StreamReader, length: int | None) -> bytes:
    if length is not None and length <= BODY_BYTES_MAX:
        return await reader.readexactly(length)
    body = bytearray()
    while length is None and (piece := await reader.read(64 * 1024)):
        body += piece
        if len(body) > BODY_BYTES_MAX:
            length = len(body)
    if length is not None:
        raise ValueError(f"answer of {length} bytes or more exceeds {BODY_BYTES_MAX}")
    return bytes(body)


def address_key(base_url: str) -> str:
    """What two spellings of one address have in common; empty for what can't be asked. Pure.

    That is anything but http(s), and an address with a password in it, which would end up in logs.
    """
    try:
        base_url.encode("ascii")
        parts = urlsplit(base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        return ""
    if not base_url.isprintable() or " " in base_url:
        return ""
    host = "127.0.0.1" if parts.hostname in ("localhost", "::1") else parts.hostname
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


def parse_head(head: bytes) -> tuple[int, int | None]:
    """Status and Content-Length of an HTTP answer. Pure.

    Raises:
        ValueError: it is no HTTP answer, or its body comes in a coding that HTTP/1.0 doesn't have.
    """
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("not an HTTP answer")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
    }
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        raise ValueError("chunks in an answer to HTTP/1.0")
    length = headers.get(b"content-length", b"")
    return int(rest[:3]), int(length) if length.isdigit() else None


def parse_models(body: bytes) -> tuple[FoundModel, ...]:
    """The models of a `/models` answer; those whose name is too long, unprintable or double are left out. Pure.

    Raises:
        ValueError: it is not `{"object": "list", "data": [{"id": …}]}`.
    """
    try:
        listed = msgspec.json.decode(body, type=_Models)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if listed.object != "list":
        raise ValueError(f"object is {listed.object[:40]!r}, not 'list'")
    models: dict[str, FoundModel] = {}
    for row in listed.data or ():  # Ollama without models says null
        if len(models) >= MODELS_MAX:
            break
        if row.id.strip() and row.id.isprintable() and len(row.id) <= TOKEN_CHARS_MAX:
            models.setdefault(row.id, FoundModel(name=row.id, context_tokens=_context_tokens(row)))
    return tuple(models.values())


def _context_tokens(row: _Model) -> int | None:
    """What the server was started with rather than what the model was trained for."""
    meta = row.meta if isinstance(row.meta, dict) else {}
    served = (meta.get("n_ctx"), row.max_model_len, row.context_length, row.max_context_length)
    told = (*served, meta.get("n_ctx_train"))
    return next((n for n in told if type(n) is int and 0 < n <= CONTEXT_TOKENS_MAX), None)
