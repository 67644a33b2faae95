"""Where the report of `labverse review` goes: to the terminal, a file, a baseline, the page of a GitHub run."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agents.review.baseline import BaselineError, write_baseline
from agents.review.dismissal_file import top_of
from agents.review.report import exit_code, render, summary_line
from agents.review.report.annotations import step_summary, to_annotations
from orchestrator.clean import clean
from orchestrator.review_actions import remember
from orchestrator.shell import UserError
from schemas.review import ReviewReport, Severity

if TYPE_CHECKING:
    from config.load import Loaded

WEAK: Final = ("critical", "never")
"""Settings of `review.fail_on` that are milder than the default, `high`."""


def deliver(args: argparse.Namespace, loaded: "Loaded", report: ReviewReport) -> int:
    """Write the report where it is wanted; returns the exit code.

    Raises:
        UserError: it can't be written.
    """
    remember(report, Path(args.path), loaded)
    if said := weakened(loaded):
        report = msgspec.structs.replace(report, notes=(*report.notes, said))
    form = "json" if args.json else args.format
    form = form or ("terminal" if sys.stdout.isatty() and not args.output else "markdown")
    try:
        if args.write_baseline:
            write_baseline(Path(args.write_baseline), report.findings, created=report.created_at)
        if form == "terminal":
            from orchestrator.terminal_report import print_report

            print_report(report, Path(args.output) if args.output else None)
        else:
            text = _annotated(report, Path(args.path)) if form == "github" else render(report, form)
            if args.output:
                Path(args.output).write_text(text, encoding="utf-8")
            else:
                sys.stdout.write(text)
    except BaselineError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(
            f"{error.filename or args.output or 'standard output'} can't be written: {error.strerror}"
        ) from None
    if args.output and not args.quiet:
        print(f"{clean(summary_line(report))} · {args.output}", file=sys.stderr)
    elif not report.files and form not in ("markdown", "terminal") and not args.quiet:
        print(f"labverse: there was nothing to review in {clean(args.path)}", file=sys.stderr)
    fail_on = loaded.settings.review.fail_on
    return exit_code(report, None if fail_on == "never" else Severity(fail_on))


def weakened(loaded: "Loaded") -> str:
    """That a settings file lets findings pass which fail a review otherwise; empty when none does.

    Such a file may have come with the code that is reviewed.
    """
    fail_on, source = loaded.settings.review.fail_on, loaded.sources["review.fail_on"]
    if not source.startswith("file ") or fail_on not in WEAK:
        return ""
    passing = "no finding makes" if fail_on == "never" else f"only findings that are {fail_on} make"
    return f"{passing} this review fail: review.fail_on is {fail_on} ({clean(source.removeprefix('file '))})"


def _annotated(report: ReviewReport, path: Path) -> str:
    """Workflow commands; the whole report goes to the page of the run, if there is one."""
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(file).open("a", encoding="utf-8") as page:  # to which the step may have written before
                page.write(step_summary(report))
        except OSError as error:  # the annotations say what matters
            reason = f"{clean(file)} can't be written ({error.strerror})"
            print(f"labverse: {reason}: the page of the run lacks the report", file=sys.stderr)
    return to_annotations(report, folder=folder_in_checkout(path, os.environ.get("GITHUB_WORKSPACE", "")))


def folder_in_checkout(path: Path, workspace: str) -> str:
    """Where the reviewed folder lies in its repository, with slashes; empty for the repository itself.

    Args:
        path: the folder or file that was reviewed.
        workspace: stands for the repository if there is no `.git`, as after a download; may be empty.
    """
    folder = (path if path.is_dir() else path.parent).resolve()
    top = top_of(folder)
    if not (top / ".git").exists() and workspace and folder.is_relative_to(Path(workspace).resolve()):
        top = Path(workspace).resolve()
    inner = folder.relative_to(top).as_posix()
    return "" if inner == "." else inner
