"""Structured answers: how a schema is asked for, and how an answer is read, repaired a little, and checked.

HTTP 200 is no proof that an answer satisfies the schema, not even with `json_schema`: every answer is checked
here. `pattern` and `format` are not (patterns from elsewhere can take forever to match); other words that we
don't know are refused before anything is asked.
"""

from typing import Any, Final

import msgspec

from agents.router.checks import strip_thinking
from agents.router.json_found import json_values
from agents.router.json_words import short
from agents.router.off_schema import OffSchemaError
from agents.router.offers import Capability
from agents.router.schema_check import accepted
from agents.router.schema_normal import normal_schema
from agents.router.upstream import Format

__all__ = ["OffSchemaError", "complaint", "decode_answer", "ladder", "normal_schema", "schema_prompt"]

ANSWER_CHARS_MAX: Final = 4_000_000
COMPLAINT_CHARS_MAX: Final = 600


def ladder(can: dict[Capability, bool]) -> tuple[Format, ...]:
    """The forms in which structure may be asked for, best first: all that the model isn't known to lack."""
    rungs: list[Format] = []
    if can.get(Capability.JSON_SCHEMA) is not False:
        rungs.append("json_schema")
    if can.get(Capability.JSON_OBJECT) is not False:
        rungs.append("json_object")
    return (*rungs, "text")


def schema_prompt(schema: dict[str, Any], name: str) -> str:
    """What goes into the prompt in every form: llama.cpp constrains the answer by the schema, but does not show it
    to the model, and other servers know no schema at all."""
    text = msgspec.json.encode(schema).decode()
    return (
        f'Answer with one JSON value named "{name}" that satisfies this JSON Schema, and with nothing else: no '
        f"explanation, no Markdown.\n{text}"
    )


def complaint(error: OffSchemaError) -> str:
    """What to tell the model before it tries again."""
    text = f"Your answer does not satisfy the JSON Schema. At {error.path}: {error.message}."
    return (
        short(text, COMPLAINT_CHARS_MAX)
        + " Answer again with the whole corrected JSON value, and nothing else."
    )


def decode_answer(text: str, schema: dict[str, Any]) -> Any:
    """The value in an answer, which satisfies the schema.

    Thinking, Markdown fences and text around the value are left out. Where the schema wants another type that
    says the same, it is converted: "3" or 3.0 to 3, "true" to true, a single value to a list of one.

    Args:
        schema: as `normal_schema` gives it.

    Raises:
        OffSchemaError: there is no JSON value, or none that satisfies the schema.
    """
    if len(text) > ANSWER_CHARS_MAX:
        raise OffSchemaError("$", f"the answer has {len(text)} characters, more than {ANSWER_CHARS_MAX}")
    first_error: OffSchemaError | None = None
    for value in json_values(strip_thinking(text).strip()):
        try:
            return accepted(value, schema)
        except OffSchemaError as error:
            first_error = first_error or error
    raise first_error or OffSchemaError("$", "there is no JSON value in the answer")
