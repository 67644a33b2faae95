"""Sources, sinks, cleaners and checks, as the YAML files beside this one say.

A path names what a value is. `sqlite3.connect` is that function, `sqlite3.connect()` what a call of it returns,
`x[]` an item of `x`. Names in capitals, such as `DbCursor`, stand for all paths that `library.yaml` lists for them.
`?.cursor()` is a method `cursor` of anything that no table knows better.

`when` of a sink names a condition on the call, see `conditions.py`. Its `arguments` are positions and names of those
that matter, `self` for what the method belongs to.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
import msgspec.yaml

from schemas.review import Severity

PATH_CHARS_MAX: Final = 160
"""Of the path of a value; longer ones are of nothing that a table knows."""
_FOLDER: Final = Path(__file__).parent
_Entry = TypeVar("_Entry")


class Sink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls that do harm when certain arguments come from outside."""

    calls: tuple[str, ...]
    arguments: tuple[str, ...] = ("0",)
    when: str = ""


class Flaw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of harm, and what we say about it.

    Attributes:
        flaw: the kind that cleaners and checks speak of.
        severity: when the value comes from the network.
        local: when whoever runs the program gives it; empty if that is no matter.
        confidence: at most this, for flaws that are often none.
        yields: only said if the same outside value does no more harm of this kind anywhere.
    """

    id: str
    flaw: str
    cwe: int
    severity: Severity
    title: str
    description: str
    fix: str
    local: Severity | None = None
    confidence: float = 1.0
    yields: bool = False
    sinks: tuple[Sink, ...] = ()


class WeakCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls that are weak by themselves. Keys such as `0|name` are an argument's position and name.

    Attributes:
        given: only with one of these constants (lower case).
        kinds: only with one of these paths.
        unless: not with one of these constants.
        lacks: only if the argument isn't there, or is a constant other than these.
        about: only if this constant argument matches the regular expression.
        needs: only if one of these arguments is given.
    """

    paths: tuple[str, ...]
    given: dict[str, tuple[str, ...]] = {}
    kinds: dict[str, tuple[str, ...]] = {}
    unless: dict[str, tuple[bool | str, ...]] = {}
    lacks: dict[str, tuple[bool | str, ...]] = {}
    about: dict[str, str] = {}
    needs: str = ""


class Weakness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What we say about calls that are weak by themselves."""

    id: str
    cwe: int
    severity: Severity
    title: str
    description: str
    fix: str
    calls: tuple[WeakCall, ...]


class _Kinds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: frozenset[str]
    calls: tuple[str, ...]


class _Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: frozenset[str]
    names: str


class _Library(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: dict[str, tuple[str, ...]]
    cleaners: tuple[_Kinds, ...]
    checks: tuple[_Kinds, ...]
    lookups: str
    promises: tuple[_Promise, ...]


class _Sources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    trust: str
    paths: tuple[str, ...]


class ByPath(Generic[_Entry]):
    """Entries by exact path, and by the last name of a path for those that begin with `?.`."""

    def __init__(self) -> None:
        self._exact: dict[str, list[_Entry]] = {}
        self._last: dict[str, list[_Entry]] = {}

    def put(self, path: str, entry: _Entry) -> None:
        if path.startswith("?."):
            self._last.setdefault(path[2:], []).append(entry)
        else:
            self._exact.setdefault(path, []).append(entry)

    def get(self, path: str) -> list[_Entry]:
        """Entries of a path; those for any receiver only if nothing is said of this one."""
        found = self._exact.get(path)
        if found is None:
            _, dot, last = path.rpartition(".")
            found = self._last.get(last) if dot else None
        return found or []


class Tables:
    """All of it, ready for looking things up."""

    def __init__(
        self,
        library: _Library,
        sources: tuple[_Sources, ...],
        flaws: tuple[Flaw, ...],
        weaknesses: tuple[Weakness, ...],
    ) -> None:
        self.sources = {path: source.trust for source in sources for path in source.paths}
        self.lookups = frozenset(library.lookups.split())
        self._promises = [(re.compile(f"(?i:{one.names})"), one.kinds) for one in library.promises]
        self.cleaners: ByPath[frozenset[str]] = ByPath()
        self.checks: ByPath[frozenset[str]] = ByPath()
        self.sinks: ByPath[tuple[Flaw, Sink]] = ByPath()
        self.weak: ByPath[tuple[Weakness, WeakCall]] = ByPath()
        self._kinds: dict[str, str] = {}
        for kind, paths in library.kinds.items():
            self._kinds |= dict.fromkeys(paths, kind)
            self._kinds.setdefault(f"{kind}()", kind)
        for table, entries in ((self.cleaners, library.cleaners), (self.checks, library.checks)):
            for entry in entries:
                for path in entry.calls:
                    table.put(self.canonical(path), entry.kinds)
        for flaw in flaws:
            for sink in flaw.sinks:
                for path in sink.calls:
                    self.sinks.put(self.canonical(path), (flaw, sink))
        for weakness in weaknesses:
            for call in weakness.calls:
                for path in call.paths:
                    self.weak.put(self.canonical(path), (weakness, call))

    def promised(self, name: str) -> frozenset[str]:
        """Kinds of flaw that a function holds off if it does what its name says."""
        return frozenset().union(
            *(kinds for names, kinds in self._promises if names.fullmatch(name.lstrip("_")))
        )

    def canonical(self, path: str) -> str:
        """The name that tables use for a path; empty for one that is too long to be of interest."""
        known = self._kinds.get(path)
        if known is not None:
            return known
        owner, dot, last = path.rpartition(".")
        if dot and owner in self._kinds:
            path = f"{self._kinds[owner]}.{last}"
            return self._kinds.get(path, path)
        if dot and last.endswith("()"):
            known = self._kinds.get(f"?.{last}")
            if known is not None:
                return known
        return path if len(path) <= PATH_CHARS_MAX else ""


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """The tables, read once.

    Raises:
        msgspec.ValidationError: a file doesn't have the form that the classes above describe.
    """
    return Tables(
        msgspec.yaml.decode((_FOLDER / "library.yaml").read_bytes(), type=_Library),
        msgspec.yaml.decode((_FOLDER / "sources.yaml").read_bytes(), type=tuple[_Sources, ...]),
        msgspec.yaml.decode((_FOLDER / "sinks.yaml").read_bytes(), type=tuple[Flaw, ...]),
        msgspec.yaml.decode((_FOLDER / "calls.yaml").read_bytes(), type=tuple[Weakness, ...]),
    )
