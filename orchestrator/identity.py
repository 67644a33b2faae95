"""Who sits at the command line, as approvals know people."""

import re
from typing import Final

from config.policy import user

USER_CHARS_MAX: Final = 100

_UNFIT = re.compile(r"[\s:,\x00-\x1f\x7f]")


def cli_identity() -> str:
    """`cli:` and the name of the operating system's user that this process belongs to."""
    return identity_of(user())


def identity_of(name: str) -> str:
    """Core: `cli:` and the name; what no identity may hold is an underscore."""
    return f"cli:{_UNFIT.sub('_', name)[:USER_CHARS_MAX]}"
