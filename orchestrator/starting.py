"""Commands that start a task, from JSON that a person or another program wrote."""

from typing import Final

import msgspec

from schemas.event import Event
from schemas.registry import BY_TAG, STARTS_TASK

SHOWN_CHARS_MAX: Final = 80


class CommandError(ValueError):
    """Raised when JSON is no command: one line that says what is wrong.

    Attributes:
        path: where, such as `$.goal`; empty when it isn't known.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


def command_from(tag: str, body: bytes) -> Event:
    """The command of type `tag` that `body` says. Fields that the type hasn't are refused: the bus takes them, from
    the future, but a person who types one has misspelt it.

    Raises:
        CommandError: no task starts with this type, or the body isn't one of it.
    """
    if tag not in STARTS_TASK:
        raise CommandError(
            f"{tag[:SHOWN_CHARS_MAX]!r} starts no task: use one of {', '.join(sorted(STARTS_TASK))}",
            path="$.type",
        )
    try:
        command = msgspec.json.decode(body, type=BY_TAG[tag])
        given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"not a {tag}: {error}", path="$.body") from None
    except RecursionError:
        raise CommandError(f"not a {tag}: it is nested too deeply", path="$.body") from None
    fields = {"type", *command.__struct_fields__}
    if unknown := sorted(set(given) - fields):
        raise CommandError(
            f"{tag} has no field {unknown[0][:SHOWN_CHARS_MAX]!r}: there are {', '.join(sorted(fields))}",
            path="$.body",
        )
    return command
