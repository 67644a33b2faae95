"""What people say of findings: `labverse review dismiss`, `dismissals` and `undismiss`."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agents.review.dismissals import (
    FILE,
    DismissalError,
    add_dismissals,
    key_of,
    read_dismissals,
    remove_dismissals,
    resolve,
    top_of,
)
from agents.review.report.wording import counted
from bus.envelope import now_text
from orchestrator.clean import clean
from orchestrator.shell import UserError
from schemas.review import REASON_CHARS_MAX, Dismissal, Finding, ReviewReport

if TYPE_CHECKING:
    from config.load import Loaded

ACTIONS: Final = ("dismiss", "dismissals", "undismiss")
LAST_FILE: Final = "last_review.json"
LAST_FINDINGS_MAX: Final = 10_000


def is_action(args: argparse.Namespace) -> bool:
    """Whether the first word names an action; a folder of that name is reviewed as `./dismiss`."""
    return args.path in ACTIONS


def act(args: argparse.Namespace, loaded: "Loaded") -> int:
    """Do what the first word says.

    Raises:
        UserError: it can't be done.
    """
    top = top_of(Path(args.repository))
    try:
        if args.path == "dismissals":
            _list(read_dismissals(top), as_json=args.json)
        elif not args.ids:
            raise UserError(
                f"which findings? Give the fingerprints that the report shows: review {args.path} ID …"
            )
        elif args.path == "dismiss":
            _dismiss(args, top, _last_findings(loaded))
        else:
            for one in remove_dismissals(top, args.ids):
                print(f"{one.fingerprint} counts again: {clean(one.path)} {clean(one.title)}".rstrip())
    except DismissalError as error:
        raise UserError(str(error)) from None
    return 0


def remember(report: ReviewReport, loaded: "Loaded") -> None:
    """Keep what a dismissal must know of the findings that people have just been shown."""
    file = loaded.settings.bus.data_dir / LAST_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(report.findings[:LAST_FINDINGS_MAX]))
    except OSError as error:
        print(f"labverse: {file} can't be written ({error.strerror}): dismiss by whole ids", file=sys.stderr)


def _last_findings(loaded: "Loaded") -> tuple[Finding, ...]:
    file = loaded.settings.bus.data_dir / LAST_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=tuple[Finding, ...])
    except (OSError, msgspec.MsgspecError):
        return ()


def _dismiss(args: argparse.Namespace, top: Path, last: tuple[Finding, ...]) -> None:
    reason = " ".join((args.reason or "").split())
    if not reason:
        raise UserError('say why: --reason "the id comes from our own table"')
    if len(reason) > REASON_CHARS_MAX:
        raise UserError(f"--reason has {len(reason)} characters, and may have {REASON_CHARS_MAX}")
    findings = {finding.fingerprint: finding for finding in last}
    new = []
    for fingerprint in resolve(args.ids, last):
        finding = findings.get(fingerprint)
        new.append(_dismissal(fingerprint, reason, finding))
        what = f": {clean(finding.path)}:{finding.line} {clean(finding.title)}" if finding else ""
        print(f"{fingerprint} dismissed{what}")
    add_dismissals(top, new)
    print(f"kept in {clean(str(top / FILE))}: commit it, so that it holds for all", file=sys.stderr)


def _dismissal(fingerprint: str, reason: str, finding: Finding | None) -> Dismissal:
    plain = Dismissal(fingerprint=fingerprint, reason=reason, by=_who(), at=now_text())
    if finding is None:
        return plain
    kind, code = key_of(finding)
    return msgspec.structs.replace(
        plain, path=finding.path, line=finding.line, title=finding.title, kind=kind, code=code
    )


def _who() -> str:
    try:
        return getpass.getuser()[:200]
    except (KeyError, OSError):  # a user without a name
        return ""


def _list(dismissals: tuple[Dismissal, ...], *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(dismissals)).decode())
        return
    for one in dismissals:
        where = f" {clean(one.path)}:{one.line} {clean(one.title)}" if one.path else ""
        print(f"{one.fingerprint}{where}\n    {clean(one.reason)} ({clean(one.by)} {one.at[:10]})")
    print(counted(len(dismissals), "dismissal"), file=sys.stderr)
