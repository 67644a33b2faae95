"""Domains from files: YAML or JSON, or a Genius domain with the profiles that lie beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agents.negotiator.domain import Domain, from_text
from agents.negotiator.genius import from_genius, is_profile
from agents.negotiator.limits import AGENTS_MAX, FILE_BYTES_MAX, RefusedError
from agents.negotiator.xml_tree import Node, parse

FILES_MAX: Final = 256


def load_domain(path: Path, profiles: Sequence[Path] = ()) -> Domain:
    """The domain in a file or a folder, checked.

    Args:
        path: YAML, JSON or Genius XML; of a Genius domain, the folder or the domain file.
        profiles: of a Genius domain, the agents' files in order; without any, all that lie beside it and fit.

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


def _load_genius(path: Path, profiles: Sequence[Path]) -> Domain:
    folder = path if path.is_dir() else path.parent
    domain_path = None if path.is_dir() else path
    if profiles:
        found = {one: _read(one) for one in profiles}
    else:
        beside = sorted(folder.glob("*.xml"))[:FILES_MAX]
        read = {one: _read(one) for one in beside}
        if domain_path is None:
            domain_path = next((one for one in beside if _is_domain(read[one], one)), None)
        found = _fitting(read, None if domain_path is None else read.get(domain_path) or _read(domain_path))
    if domain_path is not None and is_profile(parse(_read(domain_path), str(domain_path))):
        found = {domain_path: _read(domain_path), **found} if profiles else found
        domain_path = None
    if not found:
        raise RefusedError(f"{path}: no utility profiles beside it; name them")
    if len(found) > AGENTS_MAX:
        raise RefusedError(
            f"{path}: {len(found)} profiles beside it; at most {AGENTS_MAX}: name the ones to use"
        )
    return from_genius(
        {one.stem: document for one, document in found.items()},
        None if domain_path is None else _read(domain_path),
        folder.name or "negotiation",
    )


def _is_domain(document: bytes, path: Path) -> bool:
    try:
        root = parse(document, str(path))
    except RefusedError:
        return False
    return bool(root.every("issue")) and not is_profile(root)


def _fitting(read: dict[Path, bytes], domain: bytes | None) -> dict[Path, bytes]:
    """The profiles that speak of the domain's issues, or of the first profile's where there is no domain."""
    wanted = None if domain is None else _issue_names(parse(domain, "domain file"))
    found = {}
    for path, document in read.items():
        try:
            root = parse(document, str(path))
        except RefusedError:
            continue
        if not is_profile(root) or not root.every("issue"):
            continue
        wanted = wanted or _issue_names(root)
        if _issue_names(root) == wanted:
            found[path] = document
    return found


def _issue_names(root: Node) -> frozenset[str]:
    return frozenset(node.attributes.get("name", "").strip() for node in root.every("issue"))
