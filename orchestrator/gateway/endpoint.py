"""One endpoint: its route, who may use it, and what it takes and gives, all declared beside its handler.

A handler takes Starlette's `Request` and returns a `Response`, mostly made by `answer`; it raises `ApiError` for
whoever asked wrongly. An endpoint without a scope needs no API key, and says so by `scope=None`.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

T = TypeVar("T")

Handler = Callable[[Request], Awaitable[Response]]
Method = Literal["GET", "POST", "PUT", "DELETE"]

CALLER: Final = "labverse.caller"
"""Where the ASGI scope holds whose request it is."""
JSON_TYPE: Final = "application/json"


class Scope(enum.StrEnum):
    """What a key is good for; each includes those before it."""

    READ = "read"
    APPROVE = "approve"
    ALL = "all"

    def covers(self, wanted: "Scope") -> bool:
        """Whether a key of this scope may do what wants `wanted`."""
        ranks = list(Scope)
        return ranks.index(self) >= ranks.index(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose key a request came with."""

    name: str
    scope: Scope

    @property
    def identity(self) -> str:
        return f"key:{self.name}"


class ApiError(Exception):
    """Raised when a request can't be served; answered as JSON.

    Args:
        code: for programs, such as `not_found`.
        message: for people, in one line: what is wrong and what to do.
        path: where in the body, such as `$.digest`; empty when the body is not to blame.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        path: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.path = path
        self.headers = dict(headers or {})


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong.

    Attributes:
        code: for programs, such as `not_found`.
        message: for people, in one line.
        path: where in the body, such as `$.digest`; empty when the body is not to blame.
    """

    code: str
    message: str
    path: str = ""


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is an error."""

    error: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter or a header, as the documentation shows it."""

    name: str
    about: str
    place: Literal["query", "header"] = "query"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


class Endpoint(Route):
    """One method of one path.

    Args:
        handle: what answers.
        scope: that a key must have; None: no key is needed.
        summary: one line for the documentation.
        takes: type of the JSON body; None: there is none, or none that we document.
        gives: type of the JSON answer.
        status: of an answer that is no error.
        errors: what other statuses mean here.
        parameters: query parameters and headers.
    """

    def __init__(
        self,
        path: str,
        handle: Handler,
        *,
        method: Method,
        scope: Scope | None,
        summary: str,
        takes: Any = None,
        gives: Any = None,
        status: int = 200,
        errors: Mapping[int, str] | None = None,
        parameters: tuple[Parameter, ...] = (),
    ) -> None:
        super().__init__(path, handle, methods=[method])
        self.method = method
        self.needs = scope
        self.summary = summary
        self.takes = takes
        self.gives = gives
        self.status = status
        self.errors = dict(errors or {})
        self.parameters = parameters


def caller_of(request: Request) -> Caller:
    """Whose request it is, at an endpoint that needs a key."""
    caller = request.scope.get(CALLER)
    if not isinstance(caller, Caller):
        raise TypeError(f"{request.url.path} lets everybody in, and asks who it is: give it a scope")
    return caller


def answer(value: Any, status: int = 200) -> Response:
    """`value` as JSON."""
    return Response(msgspec.json.encode(value), status, media_type=JSON_TYPE)


def error_answer(error: ApiError) -> Response:
    """`error` in the one shape that all errors have."""
    problem = Problem(code=error.code, message=error.message, path=error.path)
    body = msgspec.json.encode(ErrorBody(error=problem))
    return Response(body, error.status, headers=error.headers, media_type=JSON_TYPE)


async def body_of(request: Request, kind: type[T]) -> T:
    """The JSON body, checked against `kind`.

    Raises:
        ApiError: 400 it is no JSON; 422 it is something else than `kind`, with the path of the first mistake.
    """
    return decoded(await request.body(), kind)


def decoded(data: bytes, kind: type[T]) -> T:
    """`data` as JSON of `kind`.

    Raises:
        ApiError: as `body_of`.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        message, path = split_path(str(error))
        raise ApiError(422, "invalid", message, path=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "not_json", f"the body is no JSON: {error}") from None
    except RecursionError:
        raise ApiError(400, "too_deep", "the body is nested too deeply") from None


def split_path(text: str) -> tuple[str, str]:
    """Message and path of msgspec's ``Expected `str`, got `int` - at `$.name` ``."""
    message, found, path = text.partition(" - at `")
    return (message, path.rstrip("`")) if found else (text, "$")
