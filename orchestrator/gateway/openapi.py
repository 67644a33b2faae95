"""`GET /openapi.json`: all endpoints as OpenAPI 3.1, from what they declare themselves."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.gateway.endpoint import JSON_TYPE, Endpoint, ErrorBody, Scope
from orchestrator.gateway.parts import Parts
from schemas.jsonschema import describe

OPENAPI: Final = "3.1.0"
_REF: Final = "#/components/schemas/{name}"
_PLACEHOLDER = re.compile(r"\{(\w+)(?::\w+)?\}")
_ALL_WITH_KEY: Final = {
    401: "There is no valid API key.",
    403: "The key's scope is too small.",
}
_ALL_WITH_BODY: Final = {
    400: "The body is no JSON.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    422: "The body is not what it should be; `error.path` says where.",
}
_ALL: Final = {
    429: "Too many requests: `Retry-After` says when to come again.",
    503: "The bus or this gateway is too busy or away.",
}


def routes(parts: Parts, others: Sequence[Route]) -> list[Route]:
    """`GET /openapi.json` about `others` and itself."""
    document = b""

    async def show(_: Request) -> Response:
        nonlocal document
        document = document or msgspec.json.encode(openapi_document(documented, parts.version))
        return Response(document, media_type=JSON_TYPE)

    own = Endpoint(
        "/openapi.json",
        show,
        method="GET",
        scope=Scope.READ,
        summary="This description",
        gives=dict[str, Any],
    )
    documented = [route for route in (*others, own) if isinstance(route, Endpoint)]
    return [own]


def openapi_document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The description of `endpoints`."""
    types = [kind for one in endpoints for kind in (one.takes, one.gives) if kind is not None]
    unique = list(dict.fromkeys((*types, ErrorBody)))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    # msgspec leaves Python tuples among the defaults; a round trip makes it the plain JSON that it stands for.
    plain: dict[str, dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(components))
    for schema in plain.values():
        describe(schema)
    by_type = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        path = _PLACEHOLDER.sub(r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, by_type)
    return {
        "openapi": OPENAPI,
        "info": {"title": "Labverse", "version": version},
        "paths": paths,
        "components": {
            "schemas": plain,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(one: Endpoint, schemas: dict[Any, Any]) -> dict[str, Any]:
    said = {**_ALL, **({} if one.needs is None else _ALL_WITH_KEY)}
    said |= {} if one.takes is None else _ALL_WITH_BODY
    said |= one.errors
    error = {"content": {JSON_TYPE: {"schema": schemas[ErrorBody]}}}
    good: dict[str, Any] = {"description": one.summary}
    if one.gives is not None:
        good["content"] = {JSON_TYPE: {"schema": schemas[one.gives]}}
    operation: dict[str, Any] = {
        "operationId": f"{one.endpoint.__module__.rpartition('.')[2]}_{one.name}",
        "summary": one.summary,
        "responses": {
            str(one.status): good,
            **{str(status): {"description": about, **error} for status, about in sorted(said.items())},
        },
        "security": [] if one.needs is None else [{"bearer": []}, {"header": []}],
    }
    if one.needs is not None:
        operation["description"] = f"Needs a key of scope `{one.needs}`."
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACEHOLDER.findall(one.path)
    ]
    parameters += [
        {"name": each.name, "in": each.place, "description": each.about, "schema": dict(each.schema)}
        for each in one.parameters
    ]
    if parameters:
        operation["parameters"] = parameters
    if one.takes is not None:
        operation["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": schemas[one.takes]}}}
    return operation
