"""What a hit is worth where it stands: most rules of Bandit and Ruff report every use of a function, and on real code
most uses are harmless: MD5 of a file's contents, `random` for a colour, `mark_safe` of a constant, anything in tests.

Such hits stay, as `info` with little confidence, since whoever changes the line should know. What is left of them
keeps its severity. Weights were set on half a million lines of web applications and frameworks. This is a judgement on
the lines of a hit and the name of the function around them, not data flow.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agents.review.analysers.web.source import is_test_path
from schemas.review import Hit, Severity

TEST_CONFIDENCE: Final = 0.1
HARMLESS_CONFIDENCE: Final = 0.1
SOURCE_BYTES_MAX: Final = 2_000_000
LINES_LOOKED_AT: Final = 12
TEXT_CHARS_MAX: Final = 4_000
FUNCTION_LINES_MAX: Final = 400
"""Above a hit that are searched for the function around it."""

_IN_PLACES_NOT_SERVED = re.compile(r"(?i)(?:^|/)(?:migrations|alembic|versions|benchmarks?|docs?)/")
_COMMAND_LINE = re.compile(
    r"(?i)(?:^|/)(?:cli|commands|management|scripts?|tools|bin|setup\.py|manage\.py|cli\.py|__main__\.py|fabfile\.py|tasks\.py)(?:/|$)"
)
_DEF = re.compile(r"^(?P<indent>\s*)(?:async\s+)?def\s+(?P<name>\w+)")

_SECRETIVE = re.compile(
    r"(?i)passw|pwd|token|secret|(?<![a-z])sign|auth(?!or)|session|credential|login|api_?key|otp|nonce|salt|csrf|cookie|captcha|remember|reset|invite|verif|(?<![a-z])pin(?![a-z])|hmac"
)
_FINGERPRINT = re.compile(
    r"(?i)etag|cache|checksum|fingerprint|gravatar|avatar|libravatar|content|file|\.read\(|body|snapshot|previous|thumb|dedup|bucket"
    r"|shard|revision|version|digest_of|short|slug|unique|color|colour|filename|path|url|identifier|data_hash|_md5\b|\[:\d+\]"
)
_CASUAL = re.compile(
    r"(?i)colou?r|jitter|delay|sleep|timeout|backoff|shuffle|sample\(|uniform|wait|retry|demo|fake|dice|game|position|offset|interval"
)
_ESCAPED = re.compile(
    r"(?i)escape\(|format_html|bleach|sanitize|nh3|clean\(|render|conditional_escape|gettext|_\(|ugettext|json_script|json\.dumps"
)
_CONSTANT_ARGUMENT = re.compile(
    r"""\(\s*(?:[rbu]?(?P<quote>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|_\(|[A-Z][A-Z0-9_]{2,}|(?:\w+\.)+[A-Z][A-Z0-9_]{2,})\s*[,)]"""
)
_OCTAL = re.compile(r"0o?(?P<mode>[0-7]{3,4})\b")


@dataclass(frozen=True, slots=True)
class _Place:
    """The lines of a hit, and the name of the function around them."""

    text: str
    function: str
    path: str


Weight = tuple[Severity, float] | None
"""Severity and confidence at most; None leaves a hit as it is."""

INFO: Final = (Severity.INFO, HARMLESS_CONFIDENCE)


def _hash(place: _Place) -> Weight:
    about = f"{place.text} {place.function}"
    if _SECRETIVE.search(about):
        return None
    return INFO if _FINGERPRINT.search(about) else (Severity.LOW, 0.4)


def _random(place: _Place) -> Weight:
    if _SECRETIVE.search(f"{place.text} {place.function}") and not _CASUAL.search(place.text):
        return None
    return INFO if _CASUAL.search(f"{place.text} {place.function}") else (Severity.INFO, 0.2)


def _markup(place: _Place) -> Weight:
    if _CONSTANT_ARGUMENT.search(place.text) or _ESCAPED.search(place.text):
        return INFO
    return Severity.LOW, 0.35


def _address(place: _Place) -> Weight:
    return INFO if _CONSTANT_ARGUMENT.search(place.text) else (Severity.LOW, 0.3)


def _code(place: _Place) -> Weight:
    if _CONSTANT_ARGUMENT.search(place.text):
        return INFO
    if "compile(" in place.text or _COMMAND_LINE.search(place.path):
        return Severity.LOW, 0.3
    return Severity.HIGH, 0.6


def _command(place: _Place) -> Weight:
    return (Severity.MEDIUM, 0.4) if _COMMAND_LINE.search(place.path) else None


def _statement(place: _Place) -> Weight:
    return (Severity.LOW, 0.25) if _COMMAND_LINE.search(place.path) else None


def _mode(place: _Place) -> Weight:
    match = _OCTAL.search(place.text)
    return INFO if match is not None and not int(match["mode"][-1], 8) & 2 else None


def _always(severity: Severity, confidence: float) -> Weight:
    return severity, confidence


_BY_RULE: Final[dict[str, Callable[[_Place], Weight]]] = {
    **dict.fromkeys(("324", "303"), _hash),
    "311": _random,
    **dict.fromkeys(("308", "703", "704"), _markup),
    "310": _address,
    **dict.fromkeys(("307", "102"), _code),
    **dict.fromkeys(("602", "604", "605"), _command),
    "608": _statement,
    "103": _mode,
    "113": lambda _: _always(Severity.INFO, 0.3),  # a matter of reliability, which nobody exploits
    # Since 3.7.1 the parsers of the standard library read no external entities, and expat 2.4.1 stops bombs.
    **dict.fromkeys(("313", "314", "315", "316", "317", "318", "319"), lambda _: _always(Severity.LOW, 0.25)),
    "104": lambda _: _always(Severity.INFO, 0.25),  # every container listens so; a firewall decides
    "108": lambda _: _always(Severity.LOW, 0.3),
    "301": lambda _: _always(Severity.MEDIUM, 0.45),  # the data flow tells of those that read from outside
    "610": lambda _: _always(Severity.LOW, 0.3),
    "701": lambda _: _always(Severity.MEDIUM, 0.5),  # text and mail are made of templates, too
}
"""By the number that Bandit and Ruff share."""
_NUMBERED = re.compile(r"[BS](?P<number>\d{3})")


def weigh_hits(hits: Sequence[Hit], folder: Path) -> list[Hit]:
    """The same hits, those that are harmless where they stand as such."""
    texts: dict[str, list[str]] = {}
    weighed = []
    for hit in hits:
        if hit.path not in texts:
            texts[hit.path] = _lines(folder / hit.path)
        weighed.append(_weighed(hit, texts[hit.path]))
    return weighed


def _weighed(hit: Hit, lines: list[str]) -> Hit:
    if is_test_path(hit.path) and not hit.by_model and (hit.cwe or _NUMBERED.fullmatch(hit.rule)):
        return _at_most(hit, (Severity.INFO, TEST_CONFIDENCE))
    match = _NUMBERED.fullmatch(hit.rule)
    if match is None or hit.analyser not in ("bandit", "ruff"):
        return hit
    if _IN_PLACES_NOT_SERVED.search(hit.path):
        return _at_most(hit, INFO)
    judge = _BY_RULE.get(match["number"])
    weight = judge(_place(hit, lines)) if judge is not None else None
    return _at_most(hit, weight) if weight is not None else hit


def _at_most(hit: Hit, weight: tuple[Severity, float]) -> Hit:
    severity, confidence = weight
    return msgspec.structs.replace(
        hit,
        severity=max(hit.severity, severity, key=lambda one: one.rank),
        confidence=min(hit.confidence, confidence),
    )


def _place(hit: Hit, lines: list[str]) -> _Place:
    last = min(max(hit.line, hit.end_line), hit.line + LINES_LOOKED_AT)
    own = lines[hit.line - 1 : last]
    indent = len(own[0]) - len(own[0].lstrip()) if own else 0
    function = ""
    for line in reversed(lines[max(0, hit.line - 1 - FUNCTION_LINES_MAX) : hit.line]):
        match = _DEF.match(line)
        if match is not None and len(match["indent"]) < max(indent, 1):
            function = match["name"]
            break
    return _Place(" ".join(own)[:TEXT_CHARS_MAX], function, hit.path)


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            raw = file.read(SOURCE_BYTES_MAX)
    except (OSError, ValueError):
        return []
    return raw.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
