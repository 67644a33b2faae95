"""What plain web servers give to programs: the parameters of WSGI applications, the environment of CGI scripts."""

from typing import Final

ENVIRON: Final = ("environ", "env")
START: Final = "wsgi.start_response"


def is_application(names: list[str]) -> bool:
    """Whether parameters are those of a WSGI application, or of its method `__call__`."""
    given = [name for name in names if name not in ("self", "cls")]
    return len(given) == 2 and given[0].lstrip("_") in ENVIRON and given[1].startswith("start_resp")


def from_request(name: str) -> bool:
    """Whether a web server puts part of the request into this variable of the environment."""
    return name in _OF_REQUEST or (name.startswith("HTTP_") and name not in _NOT_HEADERS)


_OF_REQUEST: Final = frozenset(
    {"QUERY_STRING", "PATH_INFO", "REQUEST_URI", "PATH_TRANSLATED", "CONTENT_TYPE"}
)
_NOT_HEADERS: Final = frozenset(
    {"HTTP_PROXY", "HTTP_PORT", "HTTP_HOST_PORT", "HTTP_TIMEOUT", "HTTP_PROXY_HOST"}
)
