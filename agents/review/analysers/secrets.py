"""Our own detector of secrets: shapes of providers' keys, and literals given to names that hold secrets.

It sees what detect-secrets misses (an `api_key` keyword argument, a connection string with a password) and looks
at the value too, so that placeholders and look-ups don't count.
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.tree.secrets import is_secret_name, is_secret_value
from agents.review.languages import language_of
from schemas.review import Hit, NotReviewed, Severity, Stage

TITLE: Final = "Hard-coded secret"
DESCRIPTION: Final = (
    "A password, key or token stands in the source. Whoever can read the repository, its history or a build "
    "of it can use it, and it can't be changed without a release."
)
FIX: Final = (
    'Revoke this value, then read it at run time: os.environ["API_KEY"] in Python, process.env.API_KEY in Node, '
    "or a secret manager. Rotate it, since it stays in the history."
)
LINE_CHARS_MAX: Final = 4_000
"""Longer lines are minified code or data; they are searched for provider shapes only."""
HITS_MAX: Final = 200
SHAPE_CONFIDENCE: Final = 0.9
NAME_CONFIDENCE: Final = 0.7

_BY_TREE = frozenset({"javascript", "typescript", "tsx", "vue", "swift", "dart"})
"""Languages in which tree-sitter rules find literals given to secret names, and know a string from a comment."""
_UNQUOTED = frozenset({"env", "ini", "properties", "yaml", "dockerfile", "shell"})

_SHAPES: Final = (
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{50,}\b")),
    ("GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}\b")),
    ("Slack token", re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{20,}\b")),
    ("Slack webhook", re.compile(r"https://hooks\.slack\.com/services/T\w+/B\w+/\w{16,}")),
    ("Stripe key", re.compile(r"\b[sr]k_live_[0-9A-Za-z]{16,}\b")),
    ("OpenAI or Anthropic key", re.compile(r"\bsk-(?=[a-z_-]*[0-9A-Z])[A-Za-z0-9_-]{20,}")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("JSON Web Token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ("SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("PyPI token", re.compile(r"\bpypi-[A-Za-z0-9_-]{50,}")),
)
_CONNECTION = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'{}$%<>]{1,64}:(?P<value>[^\s:/@\"'{}$%<>]{4,128})@[\w.-]+"
)
_ASSIGNED = re.compile(
    r"""(?P<name>["']?[A-Za-z_][\w.\-]{1,60}["']?)\]?\s*"""
    r"""(?::\s*[\w\[\], |.]{1,40}\s*=|:=|=>|=(?!=)|:)\s*"""  # with or without a type: name: str = "…"
    r"""[rbu]?(?P<quote>["'])(?P<value>[^"'\n]{6,400})(?P=quote)"""
)
_SETTING = re.compile(
    r"^\s*(?:export\s+|-\s+|ENV\s+|ARG\s+)?(?P<name>[A-Za-z_][\w.-]{1,60})\s*[=:]\s*(?P<value>[^\s#\"'$<{]\S{5,400})\s*(?:#.*)?$"
)
_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{40,}")
_PATTERN = re.compile(r"\[\^|\(\?|\\[wdsbWDS]|[*+]\)|\.\*|\][*+{]")
"""A regular expression, which says what a token looks like and is none."""
_NO_SECRET = re.compile(
    r"(?i)\d+/[\w/,;]+|(?:argon2|bcrypt|pbkdf2|scrypt|sha\d|md5|hs256|rs256|plaintext)\w*|[a-z]+(?:\.[a-z_]+){2,}"
)
"""A rate (`5/m`), a method of hashing, the path of a class: what stands where a secret would, and is none."""
_TYPED = re.compile(r"(?i)(?:1234567|abcdefg|qwerty)(?=\w{5,})")
"""Typed along the keyboard, with more behind it: no random key, but people do commit such ones."""
_SHORT = re.compile(r"(?=.*\d)(?=.*[A-Za-z])\S{6,7}")
_LOOKED_UP = re.compile(
    r"(?i)environ|getenv|get_secret|getpass|input\(|vault|secretsmanager|config\[|settings\."
)


class Secrets:
    """Reports as the analyser `labverse`, like all our own rules."""

    name = "labverse"

    def version(self) -> str:
        return "1"

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """One hit for each line that holds a secret."""
        started = time.monotonic()
        hits: list[Hit] = []
        not_reviewed: list[NotReviewed] = []
        for path in paths:
            try:
                text = (folder / path).read_text(encoding="utf-8", errors="replace")
            except (OSError, ValueError) as error:
                reason = f"could not be read: {getattr(error, 'strerror', None) or error}"
                not_reviewed.append(NotReviewed(path=path, reason=reason, stage=self.name))
                continue
            found = find_secrets(text, language_of(path))
            if len(found) > HITS_MAX:
                reason = f"{len(found) - HITS_MAX} of {len(found)} secrets were cut"
                not_reviewed.append(NotReviewed(path=path, reason=reason, stage=self.name))
            hits += [_hit(path, line, what, confidence) for line, what, confidence in found[:HITS_MAX]]
        stage = Stage(
            analyser="labverse secrets",
            version=self.version(),
            files=len(paths),
            seconds=time.monotonic() - started,
        )
        return Analysis(hits=tuple(hits), stages=(stage,) if paths else (), not_reviewed=tuple(not_reviewed))


def find_secrets(text: str, language: str) -> list[tuple[int, str, float]]:
    """(line, kind of secret, confidence) for each line that holds one; the surest kind of a line."""
    found = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        shape = next((name for name, pattern in _SHAPES if pattern.search(line)), "")
        if shape == "private key" and not is_private_key(lines, number):
            continue
        if shape:
            found.append((number, shape, SHAPE_CONFIDENCE))
        elif len(line) <= LINE_CHARS_MAX and _is_given(line, language):
            found.append((number, "secret", NAME_CONFIDENCE))
    return found


def _is_given(line: str, language: str) -> bool:
    """Whether a line gives a literal to a name that holds secrets, or holds a connection string with one."""
    if any(is_secret_value(match["value"]) for match in _CONNECTION.finditer(line)):
        return True
    if language in _BY_TREE or is_looked_up(line):
        return False
    if any(
        is_secret_name(match["name"])
        and may_be_secret(match["value"])
        and not echoes_name(line, match["value"])
        for match in _ASSIGNED.finditer(line)
    ):
        return True
    setting = _SETTING.match(line) if language in _UNQUOTED else None
    return setting is not None and is_secret_name(setting["name"]) and may_be_secret(setting["value"])


def echoes_name(line: str, value: str) -> bool:
    """Whether a value only says again what its name says: `PASSWORD_RESET_BY_CODE = "password_reset_code"`."""
    words = value.lower().replace("-", "_").split("_")
    if len(words) < 2 or not all(word.isalpha() for word in words):
        return False
    before = line.lower().partition(value.lower())[0]
    return all(word in before for word in words)


def values_in(line: str) -> list[str]:
    """The secrets on a line, as far as they can be told without its language."""
    line = line[:LINE_CHARS_MAX]
    values = [match[0] for _, pattern in _SHAPES for match in pattern.finditer(line)]
    values += [match["value"] for match in _CONNECTION.finditer(line)]
    values += [match["value"] for match in _ASSIGNED.finditer(line) if is_secret_name(match["name"])]
    return [value for value in values if may_be_secret(value)]


def is_looked_up(line: str) -> bool:
    """Whether what a line gives comes from somewhere else, such as the environment."""
    name, sign, value = line.partition("=")
    return _LOOKED_UP.search(value if sign else name) is not None


def is_private_key(lines: Sequence[str], number: int) -> bool:
    """Whether the key that begins on line `number` (1-based) is there, and not only spoken of."""
    rest = lines[number - 1].split("-----BEGIN", 1)[-1].split("-----", 1)[-1] + "".join(
        lines[number : number + 3]
    )
    return _KEY_BODY.search(rest.replace("\\n", "")) is not None


def may_be_secret(value: str) -> bool:
    """Whether a value that stands where a secret would is one, rather than a placeholder, a word or a pattern."""
    if _PATTERN.search(value) or _NO_SECRET.fullmatch(value):
        return False
    if is_secret_value(value):
        return True
    if _SHORT.fullmatch(value):
        return is_secret_value(f"{value}{value}")
    return _TYPED.search(value) is not None and is_secret_value(_TYPED.sub("k7w", value))


def _hit(path: str, line: int, what: str, confidence: float) -> Hit:
    return Hit(
        analyser="labverse",
        rule=f"LV-SECRET {what}",
        path=path,
        line=line,
        end_line=line,
        title=TITLE if what == "secret" else f"{TITLE}: {what}",
        severity=Severity.CRITICAL,
        confidence=confidence,
        cwe=798,
        description=DESCRIPTION,
        fix=FIX,
    )
