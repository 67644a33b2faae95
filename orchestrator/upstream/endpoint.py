"""Endpoint: where a provider listens, and the key it wants."""

from collections.abc import Callable
from dataclasses import dataclass

from config.secret import Secret, Url


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One provider's address.

    Attributes:
        base_url: up to and with `/v1` or what the provider has instead; `/chat/completions` comes after it.
        key: sent as bearer token; empty sends none.
        is_local: on this machine or network: no proxy of the environment stands in between.
        is_kept: whether it is started again when nobody is there: asked after each failure to reach it.
    """

    base_url: str
    key: Secret = Secret()  # noqa: RUF009 - immutable
    is_local: bool = False
    is_kept: Callable[[], bool] = _never

    def __repr__(self) -> str:
        return f"Endpoint(base_url={str(Url(self.base_url))!r}, key={self.key!r}, is_local={self.is_local})"
