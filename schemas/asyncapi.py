"""AsyncAPI 3.0.0 of everything that travels, so that a service in any language can take part.

One channel per event type. A command that starts a task has a second, shorter address: the task's id is enough,
because nothing caused it.
"""

from typing import Any, Final

import msgspec

from schemas.asyncapi_services import service_parts
from schemas.event import SUBJECT_ROOT, TOKEN_CHARS_MAX, tag_of
from schemas.examples import EVENT_ID, EXAMPLES, TASK_ID
from schemas.jsonschema import event_schemas, summary_of
from schemas.registry import STARTS_TASK
from schemas.services import SERVICES
from schemas.task import TaskCancelled

FROM_OUTSIDE: Final[frozenset[str]] = STARTS_TASK | {tag_of(TaskCancelled)}
"""What others may publish; the rest is published by Labverse alone and read by whoever likes."""

_NATS: Final = {"nats": {"bindingVersion": "0.1.0"}}
_TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

_INFO_TEXT: Final = """\
Typed events on NATS JetStream. Publish the plain JSON of a command to its subject, with any NATS client and \
nothing else: no header is needed, and the command that starts a task may end at the task id. A JetStream \
publish is acknowledged once the event is stored.

A few services answer requests over core NATS (`rpc.llm.complete`): send JSON with a reply subject.

Everything of one task can be read from `lv.*.*.*.<task_id>` and `lv.*.*.*.<task_id>.>`.

Evolution: a published field is never renamed, retyped or removed; a new one has a default; a new meaning is a \
new tag. So accept fields that you don't know.\
"""

_HEADERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "ce-specversion": ({"const": "1.0"}, "Version of CloudEvents."),
    "ce-id": ({}, "Id of the event. For information: the last token of the subject is what counts."),
    "ce-type": ({}, "Tag of the event. For information: the subject is what counts."),
    "ce-source": ({}, "Who published it."),
    "ce-time": ({"format": "date-time"}, "When it was published, as RFC 3339."),
    "ce-correlationid": (
        {},
        "The task that all this belongs to. For information: the subject is what counts.",
    ),
    "ce-causationid": ({}, "The event that directly caused this one; none for a task's first."),
    "ce-deadline": (
        {"format": "date-time"},
        "Until when it matters, as RFC 3339 with a zone: handled later it is dropped. None means always.",
    ),
    "ce-dataref": (
        {},
        "Object of the bus's object store that holds the payload, when it was too large to send.",
    ),
    "traceparent": (
        {"pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
        "W3C trace context, so that the work is on the sender's trace.",
    ),
    "Nats-Msg-Id": ({}, "Idempotency key: sent twice within two minutes, it is stored once."),
}


def asyncapi_document(version: str) -> dict[str, Any]:
    """The AsyncAPI 3.0.0 document as plain JSON values.

    Args:
        version: of the application, such as `1.4.0`.
    """
    schemas, names = event_schemas("#/components/schemas/{name}")
    schemas = {name: _draft_07(schema) for name, schema in schemas.items()}
    texts = {tag: schemas[name].get("description", "") for tag, name in names.items()}
    services = service_parts("#/components/schemas/{name}")
    schemas |= {name: _draft_07(schema) for name, schema in services["schemas"].items()}
    domains = {_domain(tag) for tag in names} | {_domain(service.name) for service in SERVICES}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:labverse:bus",
        "info": {
            "title": "Labverse",
            "version": version,
            "description": _INFO_TEXT,
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
            "tags": [{"name": domain} for domain in sorted(domains)],
        },
        "defaultContentType": "application/json",
        "servers": {"nats": _server()},
        "channels": {**_channels(texts), **services["channels"]},
        "operations": {**_operations(texts), **services["operations"]},
        "components": {
            "schemas": {**schemas, "Headers": _headers_schema()},
            "messages": {
                **{tag: _message(tag, names[tag], text) for tag, text in texts.items()},
                **services["messages"],
            },
            "parameters": _parameters(),
            "correlationIds": {
                "task": {
                    "description": "The task that all this belongs to.",
                    "location": "$message.header#/ce-correlationid",
                }
            },
            "securitySchemes": {
                "userPassword": {
                    "type": "userPassword",
                    "description": "User and password of the NATS server.",
                }
            },
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": "{host}:{port}",
        "protocol": "nats",
        "description": "nats-server 2.14 or newer with JetStream; events are kept in the stream LABVERSE.",
        "variables": {
            "host": {"default": "127.0.0.1", "description": "Host of the server."},
            "port": {"default": "4222", "description": "Port for clients."},
        },
        "security": [{"$ref": "#/components/securitySchemes/userPassword"}],
        "bindings": {"nats": {}},
    }


def _channels(texts: dict[str, str]) -> dict[str, Any]:
    channels = {}
    for tag, text in texts.items():
        channels[tag] = _channel(tag, text, "task_id", "event_id")
        if tag in STARTS_TASK:
            channels[_short(tag)] = _channel(tag, f"{text}\n\nThe address without an event id.", "task_id")
    return channels


def _channel(tag: str, text: str, *parameters: str) -> dict[str, Any]:
    return {
        "address": ".".join([SUBJECT_ROOT, tag, *(f"{{{name}}}" for name in parameters)]),
        "title": tag,
        "summary": summary_of(text),
        "description": text,
        "servers": [{"$ref": "#/servers/nats"}],
        "messages": {tag: {"$ref": f"#/components/messages/{tag}"}},
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in parameters},
        "tags": [{"name": _domain(tag)}],
        "bindings": {"nats": {}},
    }


def _operations(texts: dict[str, str]) -> dict[str, Any]:
    """What Labverse does: it sends every event, and receives what others may publish."""
    operations = {}
    for tag, text in texts.items():
        operations[f"send.{tag}"] = _operation("send", tag, tag, text)
        if tag in FROM_OUTSIDE:
            operations[f"receive.{tag}"] = _operation("receive", tag, tag, text)
        if tag in STARTS_TASK:
            operations[f"receive.{_short(tag)}"] = _operation("receive", _short(tag), tag, text)
    return operations


def _operation(action: str, channel: str, tag: str, text: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "title": f"{action} {tag}",
        "summary": summary_of(text),
        "description": text,
        "tags": [{"name": _domain(tag)}],
        "messages": [{"$ref": f"#/channels/{channel}/messages/{tag}"}],
        "bindings": _NATS,
    }


def _message(tag: str, name: str, text: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": tag,
        "title": name,
        "summary": summary_of(text),
        "description": text,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "correlationId": {"$ref": "#/components/correlationIds/task"},
        "tags": [{"name": _domain(tag)}],
        "bindings": {"nats": {}},
    }
    if example := EXAMPLES.get(tag):
        message["examples"] = [
            {
                "name": name,
                "summary": summary_of(text),
                "headers": _example_headers(tag),
                "payload": msgspec.json.decode(msgspec.json.encode(example)),
            }
        ]
    return message


def _example_headers(tag: str) -> dict[str, str]:
    starts = tag in STARTS_TASK
    headers = {
        "ce-specversion": "1.0",
        "ce-id": TASK_ID if starts else EVENT_ID,
        "ce-type": tag,
        "ce-source": "shop-backend" if tag in FROM_OUTSIDE else "labverse/reviewer-1",
        "ce-time": "2026-01-31T12:00:00.000000Z",
        "ce-correlationid": TASK_ID,
        "ce-deadline": "2026-01-31T12:02:00.000000Z",
        "traceparent": _TRACEPARENT,
    }
    return headers if starts else {**headers, "ce-causationid": TASK_ID}


def _headers_schema() -> dict[str, Any]:
    return {
        "title": "Headers",
        "type": "object",
        "description": (
            "The envelope, as CloudEvents headers of the NATS binding in binary mode. All of them may be left out."
        ),
        "properties": {
            name: {"type": "string", **rule, "description": about} for name, (rule, about) in _HEADERS.items()
        },
    }


def _parameters() -> dict[str, Any]:
    token = f"1 to {TOKEN_CHARS_MAX} characters of A-Z a-z 0-9 _ -"
    return {
        "task_id": {
            "description": f"The task: {token}. Whoever starts a task chooses it, a ULID for example.",
            "examples": [TASK_ID],
        },
        "event_id": {
            "description": f"The event within its task: {token}. New for each event, a ULID for example.",
            "examples": [EVENT_ID],
        },
    }


def _draft_07(schema: Any) -> Any:
    """The same schema in the dialect that AsyncAPI's own Schema Object extends, where tuples are spelt otherwise.

    Left as it is, `items: false` beside `prefixItems` would refuse every element there.
    """
    if isinstance(schema, list):
        return [_draft_07(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    # OpenAPI's discriminator is an object; AsyncAPI takes a property's name there, and the cases tell anyway.
    out = {key: _draft_07(value) for key, value in schema.items() if key != "discriminator"}
    if "prefixItems" in out:
        rest = out.pop("items", True)
        out |= {"items": out.pop("prefixItems"), "additionalItems": rest}
    return out


def _domain(tag: str) -> str:
    return tag.partition(".")[0]


def _short(tag: str) -> str:
    return f"{tag}.start"
