"""Takes secrets out of texts that travel: error messages in dead letters, logs and traces."""

import re
from typing import Final

ERROR_CHARS_MAX: Final = 300

_RULES: Final = (
    (re.compile(r"(?<=://)[^/\s:@]*:\S+(?=@)"), "***:***"),  # to the last @: a password may hold one
    (re.compile(r"(?<=://)[^/\s:@]+(?=@)"), "***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"), r"\1 ***"),
    (re.compile(r"\b(sk|pk|rk|lvk|xox[abprs]|gh[pousr]|glpat|AKIA|AIza)[-_A-Za-z0-9]{8,}"), r"\1***"),
    (
        re.compile(
            r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key)[\w-]*)(['\"]?\s*[=:]\s*)(['\"]?)[^\s'\",;&]+"
        ),
        r"\1\2\3***",
    ),
)


def redact(text: str) -> str:
    """`text` without what looks like a credential."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def error_text(error: BaseException) -> str:
    """One redacted line that names the error; never longer than `ERROR_CHARS_MAX`."""
    message = " ".join(str(error).split())
    line = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return redact(line)[:ERROR_CHARS_MAX]
