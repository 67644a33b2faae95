"""Encodings that make a value harmless for as long as it stays encoded: base64, hex, quoting for addresses, JSON.

While it is encoded, a taint's `clean` holds a mark such as `=base64`; decoding takes the mark away, and with it the
harmlessness.
"""

from typing import Final

import msgspec

from agents.review.dataflow.library import Given, Special, taints_of
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.values import Value

_LETTERS: Final = frozenset(
    {"xss", "sql", "path", "redirect", "ssrf", "command", "header", "log", "xpath", "ldap"}
)
_MEANS: Final[dict[str, frozenset[str]]] = {
    "=json": frozenset({"xss"}),
    "=base64": frozenset({"xss", "sql", "command", "header", "log", "xpath", "ldap", "redirect"}),
    "=hex": _LETTERS | {"code", "template"},
    "=quoted": _LETTERS,
    "=url": _LETTERS - {"path", "ldap"},
}
"""What a value in this encoding can't cause."""


def is_clean(clean: frozenset[str], flaw: str) -> bool:
    """Whether a taint that is clean in these ways can't cause a flaw."""
    return flaw in clean or any(flaw in _MEANS[mark] for mark in clean if mark in _MEANS)


def _decoded(*marks: str) -> Special:
    gone = frozenset(marks)

    def decode(machine: Machine, frame: Frame, call: Given) -> Value:
        taints = tuple(
            msgspec.structs.replace(taint, clean=taint.clean - gone) if taint.clean & gone else taint
            for taint in taints_of(frame, call.everything)
        )
        return Value(taints=taints)

    return decode


_DECODERS: Final = {
    ("=json",): (
        "json.loads",
        "json.load",
        "orjson.loads",
        "simplejson.loads",
        "ujson.loads",
        "flask.json.loads",
    ),
    ("=base64",): (
        "base64.b64decode",
        "base64.urlsafe_b64decode",
        "base64.standard_b64decode",
        "base64.b32decode",
        "base64.decodebytes",
        "binascii.a2b_base64",
    ),
    ("=hex",): (
        "binascii.unhexlify",
        "base64.b16decode",
        "builtins.bytes.fromhex",
        "builtins.bytearray.fromhex",
    ),
    ("=url", "=quoted"): (
        "urllib.parse.unquote",
        "urllib.parse.unquote_plus",
        "urllib.parse.unquote_to_bytes",
        "urllib.unquote",
        "urllib.parse.parse_qs",
        "urllib.parse.parse_qsl",
    ),
    ("xss",): ("html.unescape", "xml.sax.saxutils.unescape"),
}
DECODER_SPECIALS: Final[dict[str, Special]] = {
    path: _decoded(*marks) for marks, paths in _DECODERS.items() for path in paths
}
