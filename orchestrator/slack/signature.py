"""Whether a request comes from Slack: it is signed with the app's signing secret, a short while ago. Pure."""

import hashlib
import hmac
import re
from typing import Final

AGE_S_MAX: Final = 300
"""How far a request's time may be from ours, either way."""
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


def is_signed(secret: str, timestamp: str | None, signature: str | None, body: bytes, now_s: float) -> bool:
    """Whether `signature` is that of `body` at `timestamp`, and that is now.

    Args:
        timestamp, signature: headers `X-Slack-Request-Timestamp` (seconds since 1970) and `X-Slack-Signature`, as
            they came; None when they are missing.
        now_s: seconds since 1970.
    """
    if not secret or timestamp is None or signature is None or not _TIMESTAMP.fullmatch(timestamp):
        return False
    if abs(now_s - int(timestamp)) > AGE_S_MAX or not _is_text(body):
        return False
    expected = sign(secret, timestamp, body)
    # Bytes: comparing texts fails on what isn't ASCII.
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of `body` at `timestamp`: `v0=` and 64 hexadecimal digits."""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
