"""What child processes get of our environment: what programs need to run, and nothing that could be a secret.

Keys of providers, tokens and passwords stand in the environment of whoever starts us. A list of what is let
through is safer than one of what is held back: nobody can know how all secrets are called.
"""

import re
from collections.abc import Mapping
from typing import Final

NAMES: Final = frozenset(
    {"HOME", "LANG", "LANGUAGE", "PATH", "TZ", "USER", "LOGNAME", "VIRTUAL_ENV", "UV", "NO_COLOR"}
    | {"TMPDIR", "TEMP", "TMP", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    | {"GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG"}
    | {"SYSTEMROOT", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "PATHEXT", "COMSPEC"}
)
PREFIXES: Final = ("LC_", "LD_", "DYLD_", "PYTHON", "UV_", "COV_", "COVERAGE", "XDG_", "RUFF_")
_SECRET_NAME: Final = re.compile(
    r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH)$", re.IGNORECASE
)
_SECRET_VALUE: Final = re.compile(r"://[^/\s@]+@")
"""An address with a password in it."""


def child_environment(environment: Mapping[str, str], more_prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """The variables that a child process may see. Pure.

    Args:
        more_prefixes: of variables that this kind of child needs too.
    """
    return {
        name: value
        for name, value in environment.items()
        if (name in NAMES or name.startswith((*PREFIXES, *more_prefixes)))
        and not _SECRET_NAME.search(name)
        and not _SECRET_VALUE.search(value)
    }
