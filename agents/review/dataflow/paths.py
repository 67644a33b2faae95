"""Paths and addresses: put together, resolved, taken apart, and whether they lie inside a folder."""

from typing import Final

from agents.review.dataflow.checks import OTHER_PART, RESOLVED, facts_about
from agents.review.dataflow.library import Given, Special, taints_of
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.values import (
    BOOLEAN,
    UNKNOWN,
    Thing,
    Value,
    changed,
    constant,
    is_one,
)


def _path_join(machine: Machine, frame: Frame, call: Given) -> Value:
    if call.positional and all(is_one(value) for value in call.positional) and not call.named:
        parts = [str(value.constants[0]) for value in call.positional if value.constants]
        return constant(
            "/".join(part.rstrip("/") for part in parts[:-1]) + f"/{parts[-1]}"
            if len(parts) > 1
            else parts[0]
        )
    return Value(taints=taints_of(frame, call.everything), kind="str")


def _resolved(machine: Machine, frame: Frame, call: Given) -> Value:
    value = call.argument(0)
    return Value(taints=frame.state.taints(value), kind="str", marks=frozenset({RESOLVED}))


def _split_extension(machine: Machine, frame: Frame, call: Given) -> Value:
    value = Value(taints=frame.state.taints(call.argument(0)), kind="str")
    end = changed(value, marks=frozenset({OTHER_PART}))
    return frame.state.put(Thing("tuple", {0: value, 1: end}, None, 2))


def _make_path(machine: Machine, frame: Frame, call: Given) -> Value:
    taints = taints_of(
        frame,
        [*call.positional, *((call.owner,) if call.owner is not None and call.owner.kind == "Path" else ())],
    )
    return Value(taints=taints, kind="Path")


def _resolve_path(machine: Machine, frame: Frame, call: Given) -> Value:
    owner = call.owner if call.owner is not None else UNKNOWN
    return Value(taints=owner.taints, kind="Path", marks=frozenset({RESOLVED}))


def _is_relative(machine: Machine, frame: Frame, call: Given) -> Value:
    owner = call.owner if call.owner is not None else UNKNOWN
    if RESOLVED not in owner.marks:
        return BOOLEAN
    return changed(BOOLEAN, yes=facts_about(frame, owner, frozenset({"path"})))


def _relative(machine: Machine, frame: Frame, call: Given) -> Value:
    """Raises unless the path lies inside."""
    owner = call.owner if call.owner is not None else UNKNOWN
    if RESOLVED in owner.marks:
        frame.state.learn(facts_about(frame, owner, frozenset({"path"})))
    return Value(taints=frame.state.taints(owner), kind="Path")


def _url_parts(machine: Machine, frame: Frame, call: Given) -> Value:
    return Value(taints=frame.state.taints(call.argument(0, "url")), kind=f"{call.path}()")


PATH_SPECIALS: Final[dict[str, Special]] = {
    "os.path.join": _path_join,
    "posixpath.join": _path_join,
    "os.path.realpath": _resolved,
    "os.path.abspath": _resolved,
    "os.path.normpath": _resolved,
    "os.path.splitext": _split_extension,
    "Path": _make_path,
    "Path.joinpath": _make_path,
    "Path.with_suffix": _make_path,
    "Path.with_name": _make_path,
    "Path.expanduser": _make_path,
    "Path.absolute": _make_path,
    "Path.resolve": _resolve_path,
    "?.resolve": _resolve_path,
    "Path.is_relative_to": _is_relative,
    "?.is_relative_to": _is_relative,
    "Path.relative_to": _relative,
    "?.relative_to": _relative,
    "urllib.parse.urlparse": _url_parts,
    "urllib.parse.urlsplit": _url_parts,
    "urlparse.urlparse": _url_parts,
    "werkzeug.urls.url_parse": _url_parts,
    "yarl.URL": _url_parts,
    "httpx.URL": _url_parts,
}
