"""One JSON request over HTTP, from a thread, with a bound on its time and its answer.

No redirect is followed: it would carry the key to wherever it leads. Servers on this machine are asked without the
proxy of the environment.
"""

import http.client
import time
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from agents.knowledge.embedding import EmbedderError
from bus.redact import redact
from config.secret import Secret

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
ERROR_BYTES_MAX: Final = 16 * 1024
ERROR_CHARS_MAX: Final = 200
READ_BYTES: Final = 64 * 1024
PASSING: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1"))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def post(who: str, url: str, body: object, *, key: Secret, timeout_s: float, missing: str = "") -> Any:
    """The answer to a POST of `body`, decoded.

    Args:
        who: for errors.
        key: sent as a bearer token; an empty one isn't.
        missing: what to do when the server doesn't know what is asked for (404).

    Raises:
        EmbedderError: no answer in time, another status than 200, or an answer that is no JSON or too large.
    """
    until_s = time.monotonic() + timeout_s
    request = urllib.request.Request(url, msgspec.json.encode(body), _headers(who, key), method="POST")
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if urlsplit(url).hostname in LOCAL:
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=max(0.001, timeout_s)) as response:
            data = _read(who, response, until_s)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(who, error, key, missing) from None
    except TimeoutError as error:
        raise EmbedderError(f"{who}: no answer within {timeout_s:.1f} s", is_passing=True) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise EmbedderError(f"{who}: no answer within {timeout_s:.1f} s", is_passing=True) from error
        raise EmbedderError(f"{who} can't be reached at {_place(url)}: {reason}", is_passing=True) from error
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise EmbedderError(f"{who} answers with something that is no JSON", is_passing=False) from error


def _headers(who: str, key: Secret) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "labverse"}
    plain = key.reveal().strip()
    if not (plain.isascii() and plain.isprintable()):
        raise EmbedderError(
            f"{who}: its key has characters that no header can carry; copy it again", is_passing=False
        )
    if plain:
        headers["Authorization"] = f"Bearer {plain}"
    return headers


def _read(who: str, response: Any, until_s: float) -> bytes:
    data = bytearray()
    while piece := response.read1(READ_BYTES):
        data += piece
        if len(data) > ANSWER_BYTES_MAX:
            raise EmbedderError(f"{who} answers with more than {ANSWER_BYTES_MAX} bytes", is_passing=False)
        if time.monotonic() > until_s:
            raise TimeoutError
    return bytes(data)


def _refusal(who: str, error: urllib.error.HTTPError, key: Secret, missing: str) -> EmbedderError:
    try:
        said = error.read(ERROR_BYTES_MAX).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        said = ""  # the status is what counts
    if plain := key.reveal().strip():
        said = said.replace(plain, "…")
    said = redact(" ".join(said.split()))[:ERROR_CHARS_MAX]
    if error.code in (401, 403):
        return EmbedderError(f"{who} refuses the key (HTTP {error.code}): check it", is_passing=False)
    if error.code == 404 and missing:
        return EmbedderError(f"{who} isn't there: {missing}", is_passing=False)
    return EmbedderError(
        f"{who}: HTTP {error.code}{f': {said}' if said else ''}", is_passing=error.code in PASSING
    )


def _place(url: str) -> str:
    """The address without anything that may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
