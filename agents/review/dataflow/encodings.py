"""Encodings that make a value harmless for as long as it stays encoded: base64, hex, quoting for addresses, JSON.

While it is encoded, a taint's `clean` holds a mark such as `=base64`; decoding takes the mark away, and with it the
harmlessness.
"""

from typing import Final

import msgspec

from agents.review.dataflow.library import Given, Special, taints_of
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.values import Value


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
    ("xss", "=html", "=text"): ("html.unescape", "xml.sax.saxutils.unescape"),
}
DECODER_SPECIALS: Final[dict[str, Special]] = {
    path: _decoded(*marks) for marks, paths in _DECODERS.items() for path in paths
}
