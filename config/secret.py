"""Values that must not be shown: passwords, tokens, and addresses that may carry them.

`str`, `repr`, format strings, rich, JSON made with `encode_hook` and pickles never contain the value;
`reveal()` is the one way to it, so that every use can be found by searching for that word.
"""

import re
from pathlib import PurePath
from typing import Any, Final, NoReturn

MASK: Final = "***"
PORT_MAX: Final = 65_535

_URL = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^\s/?#@:,]*)(?P<password>:[^\s/?#@,]*)?@)?)?"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#@,]*)?(?P<query>\?[^\s#@,]*)?",
    re.IGNORECASE,
)


class Secret:
    """A text that is never shown. Empty means not set, and is false."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def __str__(self) -> str:
        return MASK if self._value else ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and type(other) is type(self) and self._value == other._value

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret can't be pickled: it would be readable in the result")


class Url(Secret):
    """One or more addresses, separated by commas; shown without passwords, tokens and query strings.

    `nats://user:***@host`; a part that stands alone before the `@` is a NATS token: `nats://***@host`.
    What is no address is masked as a whole.
    """

    __slots__ = ()

    def __str__(self) -> str:
        parts = [_URL.fullmatch(url.strip()) for url in self._value.split(",")]
        return ",".join(MASK if part is None else _shown(part) for part in parts) if self._value else ""

    def is_valid(self, *schemes: str) -> bool:
        """Whether every address is of one of `schemes` (or names none), with a host and a port that can be."""
        for url in self._value.split(","):
            found = _URL.fullmatch(url.strip())
            if found is None or (found["scheme"] or schemes[0]).lower() not in schemes:
                return False
            if int(found["port"] or 1) not in range(1, PORT_MAX + 1):
                return False
        return True


def _shown(url: "re.Match[str]") -> str:
    scheme = f"{url['scheme']}://" if url["scheme"] else ""
    userinfo = ""
    if url["user"] is not None:
        userinfo = f"{url['user']}:{MASK}@" if url["password"] else f"{MASK}@"
    port = f":{url['port']}" if url["port"] else ""
    query = f"?{MASK}" if url["query"] else ""
    return f"{scheme}{userinfo}{url['host']}{port}{url['path'] or ''}{query}"


def encode_hook(value: Any) -> str:
    """`enc_hook` for msgspec encoders: secrets become what may be shown, paths text.

    Raises:
        NotImplementedError: `value` is of a type that neither msgspec nor this knows.
    """
    if isinstance(value, Secret | PurePath):
        return str(value)
    raise NotImplementedError(f"can't encode a {type(value).__name__}")
