"""detect-secrets, in process: keys and passwords in any text.

Its detectors are called line by line. Its own way to read a file leaves out, in silence, whatever is not in the
locale's encoding, and parses YAML and INI a second time, which costs more than it finds.
"""

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Final, NamedTuple

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.secrets import (
    DESCRIPTION,
    FIX,
    TITLE,
    echoes_name,
    is_looked_up,
    is_private_key,
    may_be_secret,
)
from schemas.review import Hit, NotReviewed, Severity, Stage

SOURCE_BYTES_MAX: Final = 1_000_000
"""Larger texts take too long line by line; our own detector still reads them."""
LINE_CHARS_MAX: Final = 4_000
"""Longer lines are minified code or data: only their head is looked at, since some of the patterns take time in
proportion to the square of the length."""
FILE_SECONDS_MAX: Final = 5.0
HITS_MAX: Final = 200
DISTINCT_CHARS_MIN: Final = 6
"""In a provider's key; documentation fills the shape with x."""
KEYWORD: Final = "Secret Keyword"
BASIC_AUTH: Final = "Basic Auth Credentials"
"""`user:password@` in an address. Most of them in code are examples, `user:pass@host`."""
PRIVATE_KEY: Final = "Private Key"
PLUGINS: Final = (
    "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "IbmCloudIamDetector", "IbmCosHmacDetector", "JwtTokenDetector",
    "KeywordDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector",
    "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector",
    "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
"""All but the entropy detectors, which take every hash for a secret. None of them asks a network."""


# Most lines hold nothing that any detector could match, and these two are far cheaper than all of them.
_KEY_LIKE = re.compile(r"(?=[\w+/=-]*\d)[\w+/=-]{16,}|://|-----BEGIN")
_NAME_LIKE = re.compile(r"(?i)key|pass|pwd|secret|contrase")


class _Loaded(NamedTuple):
    providers: tuple[Any, ...]
    keyword: Any
    heuristic: Any


@lru_cache(maxsize=1)
def load() -> _Loaded:
    """Import detect-secrets, which takes a fifth of a second, and set it up for this process."""
    from detect_secrets.core.plugins import initialize
    from detect_secrets.filters import heuristic
    from detect_secrets.settings import get_settings

    settings = get_settings()
    settings.configure_plugins([{"name": name} for name in PLUGINS])
    settings.disable_filters(*list(settings.filters))  # among them the one that asks providers about a key
    plugins: list[Any] = [initialize.from_plugin_classname(name) for name in PLUGINS]
    return _Loaded(
        tuple(plugin for plugin in plugins if plugin.secret_type != KEYWORD),
        next(plugin for plugin in plugins if plugin.secret_type == KEYWORD),
        heuristic,
    )


class DetectSecrets:
    """Never raises for a bad source: what can't be read is named."""

    name = "detect-secrets"

    def version(self) -> str:
        return version_of("detect-secrets")

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """One hit for each line that holds a secret."""
        started = time.monotonic()
        hits: list[Hit] = []
        not_reviewed: list[NotReviewed] = []
        files = 0
        for path in paths:
            try:
                lines = _read(folder / path)
                found, reason = _scan(path, lines)
            except (OSError, ValueError) as error:
                reason = f"could not be read: {getattr(error, 'strerror', None) or error}"
            else:
                files += 1
                hits += found
            if reason:
                not_reviewed.append(NotReviewed(path=path, reason=reason, stage=self.name))
        stage = Stage(
            analyser=self.name, version=self.version(), files=files, seconds=time.monotonic() - started
        )
        return Analysis(hits=tuple(hits), stages=(stage,) if files else (), not_reviewed=tuple(not_reviewed))


def _read(path: Path) -> list[str]:
    """Lines of a file.

    Raises:
        OSError: it can't be read.
        ValueError: it is too large.
    """
    with path.open("rb") as file:
        raw = file.read(SOURCE_BYTES_MAX + 1)
    if len(raw) > SOURCE_BYTES_MAX:
        raise ValueError(f"larger than {SOURCE_BYTES_MAX} bytes")
    return raw.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _scan(path: str, lines: list[str]) -> tuple[list[Hit], str]:
    """Hits, and why a part of the lines was not looked at."""
    give_up_s = time.monotonic() + FILE_SECONDS_MAX
    hits: list[Hit] = []
    for number, line in enumerate(lines, 1):
        if time.monotonic() > give_up_s:
            return hits, f"gave up after {FILE_SECONDS_MAX:g} s, at line {number}"
        kind = _kind_of_secret(path, line[:LINE_CHARS_MAX]) if line else ""
        if kind and (kind != PRIVATE_KEY or is_private_key(lines, number)):
            hits.append(_hit(path, number, kind))
        if len(hits) >= HITS_MAX:
            return hits, f"stopped at line {number}, after {HITS_MAX} secrets"
    return hits, ""


def _kind_of_secret(path: str, line: str) -> str:
    """The kind of secret on a line, empty if there is none. A provider's key says more than a name."""
    loaded = load()
    plugins: list[Any] = [*(loaded.providers if _KEY_LIKE.search(line) else ())]
    if _NAME_LIKE.search(line):
        plugins.append(loaded.keyword)
    kinds = set()
    for plugin in plugins:
        for secret in plugin.analyze_line(filename=path, line=line):
            value = secret.secret_value or ""
            if secret.type == BASIC_AUTH and not may_be_secret(value):
                continue
            if _is_real(line, value, is_keyword=secret.type == KEYWORD):
                kinds.add(str(secret.type))
    return min(kinds, key=lambda kind: (kind == KEYWORD, kind), default="")


def _is_real(line: str, value: str, *, is_keyword: bool) -> bool:
    heuristic = load().heuristic
    if heuristic.is_templated_secret(value) or heuristic.is_prefixed_with_dollar_sign(value):
        return False
    if not is_keyword:
        # Of GitHub's tokens it gives away no more than `ghp`.
        return len(value) <= DISTINCT_CHARS_MIN or len(set(value)) >= DISTINCT_CHARS_MIN
    if heuristic.is_indirect_reference(line) or heuristic.is_potential_uuid(value):
        return False
    return may_be_secret(value) and not is_looked_up(line) and not echoes_name(line, value)


def _hit(path: str, line: int, kind: str) -> Hit:
    is_shape = kind != KEYWORD
    return Hit(
        analyser="detect-secrets",
        rule=kind,
        path=path,
        line=line,
        end_line=line,
        title=TITLE,
        severity=Severity.CRITICAL,
        confidence=0.85 if is_shape else 0.6,
        cwe=798,
        description=DESCRIPTION,
        fix=FIX,
    )
