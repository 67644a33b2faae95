"""The report of a review, in every format, from the one value that holds all of it."""

from collections.abc import Callable
from typing import Final

import msgspec

from agents.review.report.annotations import to_annotations
from agents.review.report.markdown import to_markdown
from agents.review.report.outcome import exit_code, summary_line
from agents.review.report.sarif import to_sarif
from schemas.review import ReviewReport

__all__ = ["FORMATS", "exit_code", "render", "summary_line", "to_json", "to_markdown", "to_sarif"]


def to_json(report: ReviewReport) -> str:
    """The report as indented JSON, from which `ReviewReport` can be read again."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


FORMATS: Final[dict[str, Callable[[ReviewReport], str]]] = {
    "markdown": to_markdown,
    "json": to_json,
    "sarif": to_sarif,
    "github": to_annotations,
}


def render(report: ReviewReport, format: str) -> str:
    """The report as `markdown`, `json`, `sarif` or `github`, ending in a newline.

    Raises:
        ValueError: there is no such format.
    """
    if format not in FORMATS:
        raise ValueError(f"there is no report format {format!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[format](report)
