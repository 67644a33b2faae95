"""The keys as a flat table, and how a value given for one becomes what the setting holds, or an error.

Made from the structs of `config.settings`, so that a key is declared once.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from config.errors import shown
from config.secret import Secret, Url
from config.settings import TEXT_CHARS_MAX, Settings, home

SECTIONS: Final = Settings.__struct_fields__

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    Attributes:
        name: `section.field`.
        annotation: its type with bounds, as `Annotated` in the struct.
        kind: the bare type: bool, int, float, str, tuple, Path, Secret, Url, or Literal.
        is_optional: whether an empty text means None.
    """

    name: str
    annotation: Any
    kind: Any
    is_optional: bool

    @property
    def variable(self) -> str:
        """Its environment variable, such as `LABVERSE_BUS__PORT`."""
        return f"LABVERSE_{self.name.replace('.', '__').upper()}"


class ValueRefusedError(ValueError):
    """Raised for a value that a key can't hold; the text says what was found and what was expected."""


@cache
def keys() -> Mapping[str, Key]:
    """All keys by name, in the order in which they are declared."""
    out: dict[str, Key] = {}
    for section in msgspec.structs.fields(Settings):
        for name, annotation in get_type_hints(section.type, include_extras=True).items():
            bare = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
            options = [option for option in get_args(bare) if option is not NoneType]
            is_optional = NoneType in get_args(bare)
            kind = options[0] if is_optional else get_origin(bare) or bare
            out[f"{section.name}.{name}"] = Key(f"{section.name}.{name}", annotation, kind, is_optional)
    return out


def from_text(key: Key, text: str) -> Any:
    """What the text of an environment variable or a flag stands for: still to be checked by `checked`."""
    try:
        if key.kind is bool:
            return _BOOLEANS.get(text.strip().lower(), text)
        if key.kind in (int, float):
            return key.kind(text)
    except ValueError:
        return text
    if key.kind is tuple:
        return [part for part in text.split(os.pathsep) if part]
    return text


def checked(key: Key, value: Any, *, base: Path, env: Mapping[str, str]) -> Any:
    """`value` as the setting holds it; relative paths count from `base`.

    Raises:
        ValueRefusedError: wrong type, out of range, or no URL.
    """
    if key.is_optional and value == "":
        return None

    def decode(kind: type, raw: Any) -> Any:
        if not isinstance(raw, str) or len(raw) > TEXT_CHARS_MAX:
            raise ValueError("not a text, or too long")
        if kind is Path:
            return _path(raw, base, env)
        return kind(raw)

    try:
        out = msgspec.convert(value, key.annotation, dec_hook=decode)
    except (msgspec.ValidationError, RuntimeError, OverflowError):  # RuntimeError: `~`, and there is no home
        raise ValueRefusedError(f"found {_found(key, value)}, expected {expected(key)}") from None
    if isinstance(out, Url) and out and not out.is_valid("nats", "tls"):
        raise ValueRefusedError(f"found {out}, expected {expected(key)}")
    return out


def _path(raw: str, base: Path, env: Mapping[str, str]) -> Path:
    if not raw or "\0" in raw:
        raise ValueError("no path")
    if raw == "~" or raw.startswith("~/"):
        return home(env) / raw[2:]
    return base / raw


def _found(key: Key, value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "keys below it"
    if key.kind in (Secret, Url):
        return f"a text of {len(value)} characters" if isinstance(value, str) else "something that is no text"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{shown(value)}'" if value else "an empty text"
    return shown(f"{value}")


def _plain(bound: float) -> str:
    """1, 3,600 or 0.1: `Annotated` caches equal bounds, so that 1 and 1.0 may come as either."""
    return f"{int(bound):,}" if float(bound).is_integer() else f"{bound:,}"


def expected(key: Key) -> str:
    """What the key takes, in words."""
    if key.kind is Literal:
        *first, last = (str(option) for option in get_args(key.annotation))
        return f"{', '.join(first)} or {last}"
    if key.kind in (int, float):
        noun = "a whole number" if key.kind is int else "a number"
        bounds = key.annotation.__metadata__[0]
        return f"{noun} from {_plain(bounds.ge)} to {_plain(bounds.le)}"
    if key.kind is tuple:
        return f"a list of at most {key.annotation.__metadata__[0].max_length} folders"
    bounds = key.annotation.__metadata__[0] if hasattr(key.annotation, "__metadata__") else None
    length = f"{bounds.min_length} to" if bounds and bounds.min_length else "at most"
    length_max = bounds.max_length if bounds else TEXT_CHARS_MAX
    return {
        bool: "true or false",
        Path: "a path",
        Url: "nats://host:port or tls://host:port, several with commas between",
    }.get(key.kind, f"a text of {length} {length_max:,} characters (a number needs quotes)")
