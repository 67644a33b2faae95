"""API keys of the HTTP gateway: made once, shown once, kept as hashes. A running gateway sees changes at once.

labverse key new ops --scope approve
labverse key list
labverse key revoke ops
"""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HELP = "make, list and revoke API keys of the HTTP gateway"

SCOPES = ("read", "approve", "all")


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", parents=[common], help="make a key and show it, once")
    listing = actions.add_parser("list", parents=[common], help="names, scopes and dates of all keys")
    revoke = actions.add_parser("revoke", parents=[common], help="make a key worthless")
    for action in (new, revoke):
        action.add_argument("name", help="whose key it is: approvals are counted as key:NAME")
    new.add_argument(
        "--scope",
        choices=SCOPES,
        default="read",
        help="what it is good for: read; approve, which may also decide; all, which may also start tasks "
        "(default: read)",
    )
    for action in (new, listing, revoke):
        action.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    import os

    from orchestrator.gateway.keys import keys_path
    from orchestrator.shell import load_settings

    path = keys_path(load_settings(args).settings.gateway, os.environ)
    if args.action == "new":
        _new(path, args.name, args.scope, as_json=args.json)
    elif args.action == "list":
        _list(path, as_json=args.json)
    else:
        _revoke(path, args.name, as_json=args.json)
    return 0


def _new(path: "Path", name: str, scope: str, *, as_json: bool) -> None:
    import sys

    import msgspec

    from bus.envelope import now_text
    from orchestrator.gateway.endpoint import Scope
    from orchestrator.gateway.keys import KEYS_MAX, NAME_CHARS_MAX, KeyRow, changing_keys, hash_of, new_key
    from orchestrator.shell import UserError
    from schemas.event import is_token

    if not is_token(name) or len(name) > NAME_CHARS_MAX:
        raise UserError(f"name {name[:80]!r}: use 1 to {NAME_CHARS_MAX} characters of A-Z a-z 0-9 _ -")
    key = new_key()
    with changing_keys(path) as rows:
        if any(row.name == name for row in rows):
            raise UserError(
                f"there is a key {name} already: choose another name, or `labverse key revoke {name}`"
            )
        if len(rows) >= KEYS_MAX:
            raise UserError(f"there are {KEYS_MAX} keys already: revoke one first")
        rows.append(KeyRow(name=name, sha256=hash_of(key), scope=Scope(scope), created_at=now_text()))
    if as_json:
        print(msgspec.json.encode({"name": name, "scope": scope, "key": key}).decode())
        return
    print(key)
    print(
        f"key {name} of scope {scope}: it is shown this once and kept nowhere; send it as "
        "`Authorization: Bearer …`",
        file=sys.stderr,
    )


def _list(path: "Path", *, as_json: bool) -> None:
    import msgspec

    from orchestrator.clean import clean
    from orchestrator.gateway.keys import read_keys

    rows = read_keys(path)
    if as_json:
        told = [{"name": row.name, "scope": row.scope, "created_at": row.created_at} for row in rows]
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    for row in rows:
        print(f"{row.name:<32}  {row.scope:<8}  {clean(row.created_at)[:19].replace('T', ' ')}")
    if not rows:
        print("no API keys: make one with `labverse key new NAME`")


def _revoke(path: "Path", name: str, *, as_json: bool) -> None:
    import msgspec

    from orchestrator.clean import clean
    from orchestrator.gateway.keys import changing_keys
    from orchestrator.shell import UserError

    with changing_keys(path) as rows:
        left = [row for row in rows if row.name != name]
        if len(left) == len(rows):
            raise UserError(f"there is no key {clean(name)[:80]!r}: `labverse key list` shows them")
        rows[:] = left
    print(
        msgspec.json.encode({"revoked": name}).decode() if as_json else f"key {name} is worthless from now on"
    )
