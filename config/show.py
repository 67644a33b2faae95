"""Shows the settings in force and where each comes from. Secrets are masked by their own type."""

from typing import Any, Final

import msgspec

from config.keys import keys
from config.load import Loaded
from config.secret import encode_hook

HEAD: Final = ("key", "value", "source")


def show(loaded: Loaded, *, as_json: bool) -> str:
    """A table of key, value and source; or JSON: `{"bus.url": {"value": …, "source": …}, …}`.

    Fit for a log or a bug report: no password, token, or part of an address that may be one.
    """
    values = {name: _value(loaded, name) for name in keys()}
    if as_json:
        rows = {dotted: {"value": values[dotted], "source": loaded.sources[dotted]} for dotted in values}
        return msgspec.json.format(msgspec.json.encode(rows, enc_hook=encode_hook).decode(), indent=2)
    table = [HEAD, *((dotted, _text(values[dotted]), loaded.sources[dotted]) for dotted in values)]
    widths = [max(len(row[column]) for row in table) for column in (0, 1)]
    return "\n".join(
        f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}".rstrip() for key, value, source in table
    )


def _value(loaded: Loaded, name: str) -> Any:
    section, field = name.split(".")
    return getattr(getattr(loaded.settings, section), field)


def _text(value: object) -> str:
    match value:
        case None | () | "":
            return "-"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value) or "-"
