"""Domains from files: YAML or JSON, or a Genius domain with the profiles that lie beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from agents.negotiator.domain import Domain, from_text
from agents.negotiator.genius import from_genius
from agents.negotiator.genius_kinds import (
    fits,
    is_blank,
    is_domain,
    is_linear,
    is_named_alike,
    is_profile,
    is_uncertain,
)
from agents.negotiator.limits import AGENTS_MAX, FILE_BYTES_MAX, RefusedError
from agents.negotiator.xml_tree import Node, parse

FILES_MAX: Final = 256
FOLDER_BYTES_MAX: Final = 32_000_000
"""Of all XML beside a Genius domain."""
NAMED_MAX: Final = 3
"""Files that a warning names; also the agents that are taken without a word on how to choose them."""


def load_domain(path: Path, profiles: Sequence[Path] = ()) -> Domain:
    """The domain in a file or a folder, checked.

    Args:
        path: YAML, JSON or Genius XML; of a Genius domain, the folder, the domain file or one of the profiles.
        profiles: of a Genius domain, the agents' files in order; without any, those that the domain names and that
            lie beside it, or else all that lie beside it and fit. Left out are then profiles that can't be
            understood, and, where two others fit, those for uncertain agents, which mostly are copies.

    Raises:
        RefusedError: it can't be read, or not be negotiated as stated.
    """
    if path.is_dir() or path.suffix.lower() == ".xml":
        return _load_genius(path, profiles)
    try:
        return from_text(_read(path).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise RefusedError(f"{path}: not UTF-8 text") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            read = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None
    if len(read) > FILE_BYTES_MAX:
        raise RefusedError(f"{path}: more than {FILE_BYTES_MAX} bytes")
    return read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """A file, and what its XML says."""

    path: Path
    content: bytes
    root: Node


def _document(path: Path) -> Document:
    content = _read(path)
    return Document(path=path, content=content, root=parse(content, str(path)))


def _load_genius(path: Path, profiles: Sequence[Path]) -> Domain:
    folder = path if path.is_dir() else path.parent
    given = None if path.is_dir() else _document(path)
    warnings: list[str] = []
    if profiles:
        found = [_document(one) for one in profiles]
        domain = given or _domain_of(path, _beside(folder, []), found)
    else:
        beside = _beside(folder, warnings)
        domain = given or _domain_of(path, beside, [one for one in beside if is_profile(one.root)])
        found = _chosen(domain, beside, warnings)
    if domain is not None and is_profile(domain.root):
        if all(one.path != domain.path for one in found):
            found = [domain, *found]
        domain = None
    if not found:
        reasons = f" that can be used ({'; '.join(warnings[:2])})" if warnings else "; name them"
        raise RefusedError(f"{path}: no utility profiles beside it{reasons}")
    if len(found) > AGENTS_MAX:
        raise RefusedError(
            f"{path}: {len(found)} profiles beside it; at most {AGENTS_MAX}: name the ones to use"
        )
    loaded = from_genius(
        _by_agent(found), None if domain is None else domain.content, folder.resolve().name or "negotiation"
    )
    return msgspec.structs.replace(loaded, warnings=(*warnings, *loaded.warnings))


def _beside(folder: Path, warnings: list[str]) -> list[Document]:
    """The documents in a folder that have issues.

    Raises:
        RefusedError: the folder is too large to look at all of it.
    """
    found, read_bytes = [], 0
    paths = sorted(one for one in folder.glob("*") if one.suffix.lower() == ".xml")
    for path in paths:
        try:
            document = _document(path)
        except RefusedError as error:
            warnings.append(f"left out: {path.name} ({str(error).removeprefix(f'{path}: ')})")
            continue
        read_bytes += len(document.content)
        if len(paths) > FILES_MAX or read_bytes > FOLDER_BYTES_MAX:
            raise RefusedError(
                f"{folder}: more than {FILES_MAX} files or {FOLDER_BYTES_MAX} bytes of XML; "
                "name the domain file and its profiles"
            )
        if document.root.every("issue"):
            found.append(document)
    return found


def _domain_of(path: Path, beside: Sequence[Document], profiles: Sequence[Document]) -> Document | None:
    """The domain file in a folder that some of the profiles fit; None if there is none.

    Raises:
        RefusedError: there are several, for different negotiations.
    """
    domains = [one for one in beside if is_domain(one.root)]
    used = [one for one in domains if any(fits(profile.root, one.root) for profile in profiles)]
    for other in used[1:]:
        if not fits(other.root, used[0].root):
            raise RefusedError(f"{path}: has {used[0].path.name} and {other.path.name}; name one of them")
    return next(iter(used or domains), None)


def _chosen(domain: Document | None, beside: Sequence[Document], warnings: list[str]) -> list[Document]:
    """The profiles beside a domain to be negotiated."""
    said = [one for one in beside if is_profile(one.root)]
    filled = [one for one in said if not is_blank(one.root)]
    _warn_of_rest([one for one in said if one not in filled], "not filled in", warnings)
    stated = domain or next(iter(filled), None)
    if stated is None:
        return []
    fitting = [one for one in filled if fits(one.root, stated.root)]
    named = _named_in(stated.root, fitting)
    linear = [one for one in fitting if is_linear(one.root)]
    taken = named or linear or fitting
    alike = [one for one in taken if is_named_alike(one.root, stated.root)]
    plain = [one for one in taken if not is_uncertain(one.root)]
    for better, reason in ((alike, "other names for the issues"), (plain, "for uncertain agents")):
        kept = [one for one in taken if one in better]
        if not named and 1 < len(kept) < len(taken):
            _warn_of_rest([one for one in taken if one not in kept], reason, warnings)
            taken = kept
    if named:
        _warn_of_rest([one for one in fitting if one not in named], "the domain names others", warnings)
    elif linear:
        _warn_of_rest([one for one in fitting if one not in linear], "not linear additive", warnings)
    _warn_of_rest([one for one in filled if one not in fitting], "about other issues", warnings)
    if len(taken) > NAMED_MAX:
        warnings.append(
            f"all {len(taken)} profiles that fit negotiate; to choose, name them (--profile FILE)"
        )
    return taken


def _named_in(domain: Node, fitting: Sequence[Document]) -> list[Document]:
    """The profiles that a domain file names for its agents, if they are there; often the names are left over."""
    files = [PurePosixPath(agent.attributes.get("utility_space", "")).name for agent in domain.every("agent")]
    found = [one for name in dict.fromkeys(files) for one in fitting if one.path.name == name]
    return found if len(found) > 1 else []


def _warn_of_rest(rest: Sequence[Document], reason: str, warnings: list[str]) -> None:
    if rest:
        names = ", ".join(one.path.name for one in rest[:NAMED_MAX])
        more = f" and {len(rest) - NAMED_MAX} more" if len(rest) > NAMED_MAX else ""
        warnings.append(f"left out: {names}{more} ({reason})")


def _by_agent(found: Sequence[Document]) -> Mapping[str, bytes]:
    """The profiles by the names of their files, with the folder where files are called alike.

    Raises:
        RefusedError: a file is there twice.
    """
    stems = [one.path.stem for one in found]
    named = {}
    for one in found:
        is_alone = stems.count(one.path.stem) == 1
        name = one.path.stem if is_alone else f"{one.path.resolve().parent.name}/{one.path.stem}"
        if name in named:
            raise RefusedError(f"{one.path}: is given twice; an agent's profile is given once")
        named[name] = one.content
    return named
