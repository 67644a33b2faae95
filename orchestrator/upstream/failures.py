"""Failures: what an HTTP status, its headers and its body say about why there is no answer.

Providers agree on little but the status, so the words of their messages are read as well. Pure core: no await,
no clock (`now_s` is passed in), no randomness.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from agents.router.offers import Capability
from agents.router.upstream import FailureKind, UpstreamCall, UpstreamError
from orchestrator.upstream.request import has_images

MESSAGE_CHARS_MAX: Final = 300
RETRY_AFTER_S_MAX: Final = 86_400.0
READ_CHARS_MAX: Final = 4_000
MASK: Final = "***"

_KEY_LIKE = re.compile(
    r"\b(?:sk|xai|gsk)[-_][\w*.-]{6,}[\w*]|\bAIza[\w-]{10,}|(?<=Bearer )[\w*.~+/=-]*[\w*~+/=-]"
)
_RETRY_TEXT = re.compile(
    r"(?:try again|retry) (?:in|after) (\d{1,6}(?:\.\d{1,9})?) ?(ms|s|m)(?![a-z]*h)", re.IGNORECASE
)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}

_NO_CREDIT_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "exceeded_current_quota_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "arrearage",
    }
)
_NO_CREDIT = re.compile(
    r"credit balance|insufficient (?:balance|credit|quota)|insufficient_quota|any credits|arrear|overdue",
    re.I,
)
_BAD_KEY = re.compile(
    r"(?:incorrect|invalid|missing) api[ _-]?key|api[ _-]?key (?:not valid|is invalid|expired)", re.I
)
_CONTENT_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "data_inspection_failed", "datainspectionfailed"}
)
_CONTENT = re.compile(
    r"content (?:management |usage )?polic|responsible ?ai|inappropriate content|safety system|considered high risk",
    re.IGNORECASE,
)
_TOO_LONG_CODES: Final = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size|limit)|maximum context|too many (?:input )?tokens|range of input length"
    r"|(?:prompt|input|request)\b.{0,60}\b(?:is |are )?too (?:long|large)",
    re.IGNORECASE,
)
_NO_MODEL_CODES: Final = frozenset(
    {"model_not_found", "model_not_exist", "invalid_model", "model_not_available"}
)
_NO_MODEL = re.compile(
    r"\bmodels?\b.{0,100}(?:not (?:be )?found|(?:does |do )?not exist)|(?:invalid|unknown|no such) model",
    re.IGNORECASE,
)
_FEATURES: Final = (
    ("format", re.compile(r"response_format|json_schema|json_object|json mode|structured output", re.I)),
    (Capability.TOOLS, re.compile(r"\btools?\b|tool_choice|function call", re.I)),
    (Capability.VISION, re.compile(r"image|vision|multi-?modal|mmproj", re.I)),
    (Capability.STREAM_USAGE, re.compile(r"stream_options|include_usage", re.I)),
    ("temperature", re.compile(r"temperature", re.I)),
    ("max_tokens", re.compile(r"max_tokens|max_completion_tokens|max_output_tokens|completion tokens", re.I)),
)
_LOADING = re.compile(
    r"\bloading (?:the )?model\b|\bmodel (?:is )?(?:still |currently )?(?:being loaded|loading|starting up)",
    re.I,
)
"""llama.cpp, and what gateways and hosted endpoints say while a model gets ready."""
_UNSUPPORTED = re.compile(
    r"not support|unsupported|requires?\b|not implemented|not available|not enabled", re.I
)

_WORDS_COUNT: Final = frozenset({400, 403, 413, 422, 429, 500, 501})
"""Statuses under which providers send more than one kind of failure, so that their words count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the error object says; empty where it says nothing."""

    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""

    @property
    def codes(self) -> frozenset[str]:
        return frozenset({self.code.lower(), self.type.lower()}) - {""}


def failure_of(
    call: UpstreamCall,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_s: float,
    secrets: Iterable[str] = (),
) -> UpstreamError:
    """The error for an answer whose status isn't 200.

    Args:
        headers: by lower-case name.
        now_s: seconds since 1970, for Retry-After as a date.
        secrets: texts that must not come into the message.
    """
    told = _told(body)
    retry_after_s = retry_after(headers, told.message, now_s=now_s)
    kind, feature = _kind(call, status, told, asks_to_wait=retry_after_s is not None)
    words = told.message or body[:READ_CHARS_MAX].decode(errors="replace") or "no reason told"
    if 300 <= status < 400:
        words = (
            f"redirects to {headers.get('location', 'nowhere')}; set the provider's base_url to where it is"
        )
    message = shown(f"{call.offer.name}: HTTP {status}: {words}", secrets)
    return UpstreamError(
        kind,
        message,
        status=status,
        retry_after_s=retry_after_s,
        was_sent=kind is not FailureKind.UNREACHABLE,
        feature=feature,
    )


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` on one line of at most MESSAGE_CHARS_MAX characters, without `secrets` and what looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    line = " ".join(_KEY_LIKE.sub(MASK, text).split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= MESSAGE_CHARS_MAX else line[: MESSAGE_CHARS_MAX - 1] + "…"


def retry_after(headers: Mapping[str, str], message: str = "", *, now_s: float) -> float | None:
    """Seconds to wait, from 0 to RETRY_AFTER_S_MAX; None when nothing readable is told.

    `retry-after-ms`, else `retry-after` as seconds or a date, else words such as "try again in 20s".
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _clamped(milliseconds / 1_000)
    told = headers.get("retry-after", "").strip()
    seconds = _number(told)
    if seconds is not None:
        return _clamped(seconds)
    if told:
        try:
            return _clamped(parsedate_to_datetime(told).timestamp() - now_s)
        except (ValueError, OverflowError, OSError):
            pass  # nonsense is as good as nothing
    found = _RETRY_TEXT.search(message)
    return _clamped(float(found[1]) * _UNIT_S[found[2].lower()]) if found is not None else None


def _kind(call: UpstreamCall, status: int, told: _Told, *, asks_to_wait: bool) -> tuple[FailureKind, str]:
    if status in _WORDS_COUNT:
        kind, feature = _kind_by_words(call, status, told)
        if kind is not None:
            return kind, feature
    match status:
        case 429:
            return FailureKind.RATE_LIMITED, ""
        case 503 if _LOADING.search(told.message[:READ_CHARS_MAX]):
            return FailureKind.LOADING, ""
        case 503 | 529 if asks_to_wait:
            return FailureKind.RATE_LIMITED, ""
        case 402:
            return FailureKind.OUT_OF_CREDIT, ""
        case 401 | 403:
            return FailureKind.BAD_KEY, ""
        case 404 | 405 | 410:  # no such model, or no such address: either way there is none to be had here
            return FailureKind.NO_SUCH_MODEL, ""
        case 408 | 504:
            return FailureKind.TIMEOUT, ""
        case 413:
            return FailureKind.CONTEXT_TOO_LONG, ""
    if status >= 500:
        return FailureKind.SERVER_ERROR, ""
    if status >= 400:
        return FailureKind.BAD_REQUEST, ""
    # A redirect isn't followed: the request, with its prompt and key, would go where nobody configured it.
    return (FailureKind.UNREACHABLE if status >= 300 else FailureKind.GARBAGE), ""


def _kind_by_words(call: UpstreamCall, status: int, told: _Told) -> tuple[FailureKind | None, str]:
    text = told.message[:READ_CHARS_MAX]
    if told.codes & _NO_CREDIT_CODES or _NO_CREDIT.search(text):
        return FailureKind.OUT_OF_CREDIT, ""
    if status == 429:
        return None, ""
    if _BAD_KEY.search(text):
        return FailureKind.BAD_KEY, ""
    if told.codes & _CONTENT_CODES or _CONTENT.search(text):
        return FailureKind.CONTENT_REFUSED, ""
    feature = _feature(call, told.param)
    if feature:
        return FailureKind.UNSUPPORTED, feature
    if told.codes & _TOO_LONG_CODES or _TOO_LONG.search(text):
        return FailureKind.CONTEXT_TOO_LONG, ""
    if told.codes & _NO_MODEL_CODES or _NO_MODEL.search(text):
        return FailureKind.NO_SUCH_MODEL, ""
    feature = _feature(call, text)
    if feature and (status < 500 or _UNSUPPORTED.search(text)):
        return FailureKind.UNSUPPORTED, feature
    return None, ""


def _feature(call: UpstreamCall, text: str) -> str:
    """The feature that `text` is about, of those that `call` uses."""
    uses = {
        "format": call.format != "text",
        Capability.TOOLS: bool(call.tools),
        Capability.VISION: has_images(call),
    }
    for feature, pattern in _FEATURES:
        if uses.get(feature, True) and pattern.search(text):
            return call.format if feature == "format" else str(feature)
    return ""


def _told(body: bytes) -> _Told:
    """The error object: `{"error": {…}}`, `{"error": "…"}`, `[{"error": …}]`, `{"message": …}`, `{"detail": …}`."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Told()
    if isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, dict):
        return _Told()
    error = found.get("error") or found
    if not isinstance(error, dict):
        return _Told(message=str(error))
    message = error.get("message") or error.get("detail") or found.get("detail") or found.get("message") or ""
    code, kind, param = (error.get(name) or "" for name in ("code", "type", "param"))
    return _Told(message=str(message), code=str(code), type=str(kind), param=str(param))


def _number(text: str) -> float | None:
    """A plain decimal number: `float` would take `nan`, `inf` and `1e9` too."""
    return float(text) if re.fullmatch(r"\s*-?\d{1,15}(?:\.\d{1,15})?\s*", text, re.ASCII) else None


def _clamped(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX)
