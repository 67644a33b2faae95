"""Request: an `UpstreamCall` as the body of `POST /chat/completions`.

Pure core: no await, no clock, no randomness.
"""

from typing import Any

import msgspec

from agents.router.offers import Capability
from agents.router.upstream import UpstreamCall
from schemas.llm import ImagePart, Message, TextPart, Tool

NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}

_encoder = msgspec.json.Encoder()


def body_of(call: UpstreamCall, *, is_stream: bool) -> bytes:
    """JSON as the protocol wants it."""
    offer = call.offer
    body: dict[str, Any] = {
        "model": offer.model,
        "messages": [_message(message) for message in call.messages],
        offer.max_tokens_field: call.max_tokens,
    }
    if offer.can.get(Capability.TEMPERATURE) is not False:
        body["temperature"] = call.temperature
    if call.tools:
        body["tools"] = [_tool(tool) for tool in call.tools]
    if call.format == "json_schema":
        wanted = call.schema or {}
        schema = {"name": call.schema_name, "strict": is_strict(wanted), "schema": wanted}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif call.format == "json_object":
        body["response_format"] = {"type": "json_object"}
    if is_stream:
        body["stream"] = True
        if offer.can.get(Capability.STREAM_USAGE) is not False:
            body["stream_options"] = {"include_usage": True}
    return _encoder.encode(body)


def is_strict(schema: Any) -> bool:
    """Whether a schema is of the kind that OpenAI guarantees: objects list all their properties as required and
    forbid others. Towards others `strict` would be an error of ours, not a lack of the model's."""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(
            properties
        ):
            return False
    elif schema.get("type") == "object":
        return False
    return all(map(is_strict, schema.values()))


def has_images(call: UpstreamCall) -> bool:
    """Whether any message carries an image."""
    return any(
        isinstance(part, ImagePart)
        for message in call.messages
        if not isinstance(message.content, str)
        for part in message.content
    )


def _message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.tool_calls:
        wire["content"] = wire["content"] or None
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Text as a string wherever it can be: several servers take no parts."""
    if isinstance(message.content, str):
        return message.content
    texts = [part.text for part in message.content if isinstance(part, TextPart)]
    if len(texts) == len(message.content):
        return "\n".join(texts)
    return [_part(part) for part in message.content]


def _part(part: TextPart | ImagePart) -> dict[str, Any]:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text}
        case ImagePart(url=url):
            return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters or NO_PARAMETERS}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}
