"""What people say of findings: `labverse review dismiss`, `dismissals` and `undismiss`."""

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agents.review.baseline import replace_file
from agents.review.dismissal_file import (
    FILE,
    DismissalError,
    add_dismissals,
    read_dismissals,
    remove_dismissals,
    resolve,
    top_of,
)
from agents.review.dismissals import counts, key_of
from agents.review.report.wording import counted
from bus.envelope import now_text
from orchestrator.clean import clean
from orchestrator.shell import UserError
from schemas.review import REASON_CHARS_MAX, Dismissal, Finding, ReviewReport

if TYPE_CHECKING:
    from config.load import Loaded

ACTIONS: Final = ("dismiss", "dismissals", "undismiss")
IDS_MAX: Final = 1_000
LAST_FILE: Final = "last_review.json"
LAST_FINDINGS_MAX: Final = 10_000
LAST_BYTES_MAX: Final = 64_000_000
WHO_CHARS_MAX: Final = 200


class LastReview(msgspec.Struct, frozen=True, kw_only=True):
    """The findings that people have been shown last, of the repository at `top`."""

    top: str
    findings: tuple[Finding, ...] = ()


def is_action(args: argparse.Namespace) -> bool:
    """Whether the first word names an action; a folder of that name is reviewed as `./dismiss`."""
    return args.path in ACTIONS


def act(args: argparse.Namespace, loaded: "Loaded") -> int:
    """Do what the first word says.

    Raises:
        UserError: it can't be done.
    """
    folder = Path("." if args.top is None else args.top)
    if not folder.exists():
        raise UserError(f"there is no {clean(str(folder))}: check --path")
    top = top_of(folder)
    try:
        if args.path == "dismissals":
            if args.ids:
                raise UserError("`review dismissals` lists all of them, and takes no ids")
            _list(read_dismissals(top), as_json=args.json)
        elif not args.ids:
            raise UserError(
                f"which findings? Give the fingerprints that the report shows: review {args.path} ID … "
                f"(a folder of this name is ./{args.path})"
            )
        elif len(args.ids) > IDS_MAX:
            raise UserError(f"{len(args.ids):,} ids are over the limit of {IDS_MAX:,} at once")
        elif args.path == "dismiss":
            _dismiss(args, top, _last_findings(top, loaded))
        else:
            for one in remove_dismissals(top, args.ids):
                print(f"{one.fingerprint} counts again{_where(one)}")
    except DismissalError as error:
        raise UserError(str(error)) from None
    return 0


def remember(report: ReviewReport, path: Path, loaded: "Loaded") -> None:
    """Keep what a dismissal must know of the findings that people have just been shown.

    A review is none the worse if this can't be written; dismissing then needs whole ids.
    """
    file = loaded.settings.bus.data_dir / LAST_FILE
    findings = tuple(
        msgspec.structs.replace(finding, description="", fix="", trace=(), dismissed=None)
        for finding in report.findings[:LAST_FINDINGS_MAX]
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, msgspec.json.encode(LastReview(top=_name(top_of(path)), findings=findings)))
    except OSError as error:
        print(f"labverse: {file} can't be written ({error.strerror}): dismiss by whole ids", file=sys.stderr)


def _last_findings(top: Path, loaded: "Loaded") -> tuple[Finding, ...]:
    """Those of the last review, if it was of this repository."""
    file = loaded.settings.bus.data_dir / LAST_FILE
    try:
        with file.open("rb") as opened:
            last = msgspec.json.decode(opened.read(LAST_BYTES_MAX), type=LastReview)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ()
    return last.findings if last.top == _name(top) else ()


def _name(top: Path) -> str:
    """A path as JSON can hold it, whatever bytes are in it."""
    return os.fsencode(top).decode("utf-8", "backslashreplace")


def _dismiss(args: argparse.Namespace, top: Path, last: Sequence[Finding]) -> None:
    reason = clean(" ".join((args.reason or "").split()))
    if not reason:
        raise UserError('say why: --reason "the id comes from our own table"')
    if len(reason) > REASON_CHARS_MAX:
        raise UserError(f"--reason has {len(reason)} characters, and may have {REASON_CHARS_MAX}")
    findings = {finding.fingerprint: finding for finding in last}
    known = {one.fingerprint: one for one in read_dismissals(top)}
    said = Dismissal(fingerprint="0" * 16, reason=reason, by=_who(), at=now_text())
    new = []
    for fingerprint in dict.fromkeys(resolve(args.ids, [*last, *known.values()])):
        one = msgspec.structs.replace(known.get(fingerprint, said), reason=reason, by=said.by, at=said.at)
        one = msgspec.structs.replace(one, fingerprint=fingerprint)
        new.append(_about(one, findings[fingerprint]) if fingerprint in findings else one)
    add_dismissals(top, new)
    for one in new:
        print(f"{one.fingerprint} dismissed{_where(one) or ': not in the last review of this repository'}")
    print(f"kept in {clean(str(top / FILE))}: commit it, so that it holds for all", file=sys.stderr)


def _about(one: Dismissal, finding: Finding) -> Dismissal:
    """With what the finding was, by which others like it are known."""
    kind, code = key_of(finding)
    return msgspec.structs.replace(
        one, path=finding.path, line=finding.line, title=finding.title, kind=kind, code=code
    )


def _who() -> str:
    try:
        name = clean(getpass.getuser()).strip()
    except (KeyError, OSError):  # a user without a name, as in containers
        name = ""
    return name[:WHO_CHARS_MAX] or f"user {os.getuid()}"


def _where(one: Dismissal) -> str:
    return f": {clean(one.path)}:{one.line} {clean(one.title)}" if one.path else ""


def _list(dismissals: Sequence[Dismissal], *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(dismissals)).decode())
        return
    for one in dismissals:
        signed = f"{clean(one.by)}, {clean(one.at)[:10]}" if counts(one) else "without effect: unsigned"
        print(f"{one.fingerprint}{_where(one)}\n    {clean(one.reason)} ({signed})")
    print(counted(len(dismissals), "dismissal"), file=sys.stderr)
