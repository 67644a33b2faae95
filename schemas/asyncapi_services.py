"""The part of the AsyncAPI document about services: requests over core NATS, with their replies."""

from typing import Any, Final

import msgspec

from schemas.jsonschema import describe, summary_of
from schemas.services import SERVICES, ServiceType

_HEADERS_TEXT: Final = (
    "Headers of a request, all of which may be left out: `ce-deadline` (RFC 3339; without it the server gives up "
    "after a minute), `ce-correlationid` (the task that pays), `traceparent`. The last message of an answer has the "
    "header `lv-end`; instead of an answer `lv-error` and `lv-message` may come."
)


def service_parts(template: str) -> dict[str, dict[str, Any]]:
    """Channels, operations, messages and schemas of all services, by those names.

    Args:
        template: how schemas refer to one another, with `{name}`.
    """
    types = list(dict.fromkeys(kind for one in SERVICES for kind in (one.request, one.reply)))
    _, components = msgspec.json.schema_components(types, ref_template=template)
    schemas: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(components))
    for schema in schemas.values():
        describe(schema)
    parts: dict[str, dict[str, Any]] = {
        "channels": {},
        "operations": {},
        "messages": {kind.__name__: _message(kind, schemas[kind.__name__]) for kind in types},
        "schemas": schemas,
    }
    for service in SERVICES:
        request, reply = service.subject, f"{service.subject}.reply"
        parts["channels"][request] = _channel(service, service.request, service.subject)
        parts["channels"][reply] = _channel(service, service.reply, None)
        parts["operations"][f"serve.{service.subject}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{request}"},
            "title": f"serve {service.name}",
            "summary": service.about,
            "description": f"{service.about} {_HEADERS_TEXT}",
            "tags": [{"name": service.name.partition(".")[0]}],
            "messages": [{"$ref": f"#/channels/{request}/messages/{service.request.__name__}"}],
            "reply": {
                "channel": {"$ref": f"#/channels/{reply}"},
                "messages": [{"$ref": f"#/channels/{reply}/messages/{service.reply.__name__}"}],
            },
            "bindings": {"nats": {"bindingVersion": "0.1.0"}},
        }
    return parts


def _channel(service: ServiceType, kind: type[msgspec.Struct], address: str | None) -> dict[str, Any]:
    what = "Requests" if address else "Answers, to the inbox that the request names"
    pieces = " Several messages make one answer." if service.in_pieces and not address else ""
    return {
        "address": address,
        "title": f"{service.name} {'request' if address else 'reply'}",
        "summary": service.about,
        "description": f"{what}: {service.about}{pieces}",
        "servers": [{"$ref": "#/servers/nats"}],
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
        "tags": [{"name": service.name.partition(".")[0]}],
        "bindings": {"nats": {}},
    }


def _message(kind: type[msgspec.Struct], schema: dict[str, Any]) -> dict[str, Any]:
    text = schema.get("description", "")
    return {
        "name": kind.__name__,
        "title": kind.__name__,
        "summary": summary_of(text),
        "description": text,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "bindings": {"nats": {}},
    }
