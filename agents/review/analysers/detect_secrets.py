"""detect-secrets, in process: keys and passwords in any text."""

import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Final

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.secrets import DESCRIPTION, FIX, TITLE, placeholder_line
from schemas.review import Hit, NotReviewed, Severity, Stage

SOURCE_BYTES_MAX: Final = 1_000_000
"""Larger texts take too long line by line; our own detector still reads them."""
PLUGINS: Final = (
    "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "IbmCloudIamDetector", "IbmCosHmacDetector", "JwtTokenDetector",
    "KeywordDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector",
    "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector",
    "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
"""All but the entropy detectors, which take every hash for a secret. None of them asks a network."""
FILTERS: Final = (
    "is_indirect_reference", "is_likely_id_string", "is_lock_file", "is_not_alphanumeric_string",
    "is_potential_uuid", "is_prefixed_with_dollar_sign", "is_sequential_string", "is_swagger_file",
    "is_templated_secret",
)  # fmt: skip


@lru_cache(maxsize=1)
def load() -> Any:
    """Import detect-secrets, which takes a fifth of a second, and set it up for this process."""
    from detect_secrets.core import scan
    from detect_secrets.settings import get_settings

    settings = get_settings()
    settings.configure_plugins([{"name": name} for name in PLUGINS])
    settings.disable_filters(*settings.filters)
    settings.configure_filters([{"path": f"detect_secrets.filters.heuristic.{name}"} for name in FILTERS])
    return scan


class DetectSecrets:
    name = "detect-secrets"

    def version(self) -> str:
        return version_of("detect-secrets")

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """One hit for each line that holds a secret."""
        started = time.monotonic()
        scan = load()
        hits: list[Hit] = []
        not_reviewed: list[NotReviewed] = []
        files = 0
        for path in paths:
            file = folder / path
            try:
                if file.stat().st_size > SOURCE_BYTES_MAX:
                    reason = f"larger than {SOURCE_BYTES_MAX} bytes"
                    not_reviewed.append(NotReviewed(path=path, reason=reason, stage=self.name))
                    continue
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                found = list(scan.scan_file(str(file)))
            except OSError as error:
                reason = f"could not be read: {error.strerror}"
                not_reviewed.append(NotReviewed(path=path, reason=reason, stage=self.name))
                continue
            files += 1
            kinds = {
                secret.line_number: str(secret.type)
                for secret in sorted(found, key=lambda one: str(one.type))
            }
            hits += [
                _hit(path, number, kind)
                for number, kind in sorted(kinds.items())
                if not (kind == "Secret Keyword" and placeholder_line(lines[number - 1]))
            ]
        stage = Stage(
            analyser=self.name, version=self.version(), files=files, seconds=time.monotonic() - started
        )
        return Analysis(hits=tuple(hits), stages=(stage,) if files else (), not_reviewed=tuple(not_reviewed))


def _hit(path: str, line: int, kind: str) -> Hit:
    is_shape = kind != "Secret Keyword"
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
