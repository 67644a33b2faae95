"""Conditions on calls that tables name with `when`: only then the call is what it looks like."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from agents.review.dataflow.machine import Frame
from agents.review.dataflow.values import Value, beginning, text_constant, truth

Given = Mapping[str, Value]

_SQL = re.compile(
    r"(?is)^[\s(;]*(?:--[^\n]*\n\s*)*(?:explain\s+|with\s+)?"
    r"(?:select|insert|update|delete|replace|create|alter|drop|truncate|grant|merge|call|exec|execute|pragma|set|with|show|attach|use|vacuum)\b"
)
_XPATH = re.compile(r"^\(?\.{0,2}/|\[@|::|^\./|\[text\(\)")
_LDAP = re.compile(r"\(\s*[&|!]?\s*\(?\s*[\w;-]+\s*[~<>]?=|^(?:uid|cn|ou|dc)=", re.IGNORECASE)


def holds(name: str, frame: Frame, given: Given) -> bool:
    """Whether the condition of this name is met."""
    return _CONDITIONS[name](frame, given)


def _first(given: Given, *names: str) -> Value | None:
    return next((given[name] for name in names if name in given), None)


def _sql(frame: Frame, given: Given) -> bool:
    """The text begins like a statement."""
    value = _first(given, "0", "sql", "query", "statement", "operation")
    return value is not None and _SQL.match(beginning(value)) is not None


def _command(frame: Frame, given: Given) -> bool:
    """Through a shell, or with a program that isn't known: a list is looked at item by item elsewhere."""
    return True


def _ldap(frame: Frame, given: Given) -> bool:
    return any(_LDAP.search(beginning(given[name])) for name in ("0", "1", "search_filter") if name in given)


def _ldap_name(frame: Frame, given: Given) -> bool:
    value = _first(given, "user", "1")
    return value is not None and _LDAP.search(beginning(value)) is not None


def _xpath(frame: Frame, given: Given) -> bool:
    value = _first(given, "0", "path")
    return value is not None and _XPATH.search(beginning(value)) is not None


def _template(frame: Frame, given: Given) -> bool:
    """Not in a sandbox."""
    return "Sandbox" not in given["(path)"].kind


def _shell(frame: Frame, program: Value | None) -> bool:
    text = text_constant(program) if program is not None else None
    return text is not None and text.rsplit("/", 1)[-1] in _SHELLS


def _shell_arguments(frame: Frame, given: Given) -> bool:
    """`create_subprocess_exec("sh", "-c", …)`: what follows the program is run by a shell."""
    if not _shell(frame, given.get("0")):
        return False
    for flag, script in (("1", "2"), ("2", "3")):
        if _is_flag(given.get(flag)):  # what follows a script that is known is `$0`, `$1`, … of it
            return script not in given or given[script].constants is None
    return False


def _shell_list(frame: Frame, given: Given) -> bool:
    """`os.execvp("sh", ["sh", "-c", …])`"""
    thing = frame.state.the_thing(given["1"]) if "1" in given else None
    return thing is not None and _shell(frame, given.get("0")) and _is_flag(thing.fields.get(1))


def _shell_spawned(frame: Frame, given: Given) -> bool:
    """`os.spawnlp(mode, "sh", "sh", "-c", …)`"""
    return _shell(frame, given.get("1")) and _is_flag(given.get("3"))


def _is_flag(*values: Value | None) -> bool:
    return any(
        value is not None and text_constant(value) in ("-c", "-lc", "-ec", "/c", "/C") for value in values
    )


_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ksh", "cmd", "cmd.exe", "python", "python3"})


def _allow_pickle(frame: Frame, given: Given) -> bool:
    value = _first(given, "allow_pickle", "2")
    return value is not None and truth(value) is not False


def _not_weights_only(frame: Frame, given: Given) -> bool:
    value = given.get("weights_only")
    return value is None or truth(value) is not True


def _file(frame: Frame, given: Given) -> bool:
    """An upload is kept under a name: `upload.save(path)`."""
    owner = given.get("self")
    if owner is None or "0" not in given:
        return False
    return bool(frame.state.taints(owner)) or owner.kind in ("PIL.Image.open()", "UploadFile")


def _no_filter(frame: Frame, given: Given) -> bool:
    stated = given.get("filter")
    if stated is not None and (text_constant(stated) == "fully_trusted" or stated.kind in _TRUSTING):
        return True
    return stated is None and "members" not in given


_TRUSTING: Final = frozenset({"tarfile.fully_trusted_filter"})


def _html(frame: Frame, given: Given) -> bool:
    """The answer is a page, unless it says that it is something else."""
    stated = _stated_type(frame, given)
    return stated is None or "html" in stated or "svg" in stated


def _html_stated(frame: Frame, given: Given) -> bool:
    stated = _stated_type(frame, given)
    return stated is not None and "html" in stated


def _stated_type(frame: Frame, given: Given) -> str | None:
    value = _first(given, "mimetype", "content_type", "media_type")
    if value is not None:
        return beginning(value).lower()
    headers = given.get("headers")
    if headers is not None:
        for key in ("Content-Type", "content-type"):
            stated = frame.state.field(headers, key)
            if stated is not None:
                return beginning(stated).lower()
    return None


def _html_handler(frame: Frame, given: Given) -> bool:
    """A handler that said that it sends something else than a page."""
    names = frame.state.names
    thing = frame.state.the_thing(given["0"]) if "0" in given else None
    if thing is not None and thing.kind == "dict":  # sent as JSON
        return False
    this = names.get("self")
    stated = frame.state.field(this, CONTENT_TYPE) if this is not None else None
    return stated is None or "html" in beginning(stated).lower() or not beginning(stated)


CONTENT_TYPE: Final = "(content type)"
"""Field under which a handler's stated type is kept; no attribute has such a name."""


def _yaml(frame: Frame, given: Given) -> bool:
    """The loader makes any object, or can't be told."""
    loader = _first(given, "1", "Loader")
    owner = given.get("self")
    if owner is not None and owner.kind == "ruamel.yaml.YAML()":
        kind = frame.state.field(owner, "typ")
        return kind is not None and text_constant(kind) == "unsafe"
    if loader is None:
        return True
    return not loader.kind.endswith(("SafeLoader", "BaseLoader", "FullLoader"))


def _xml(frame: Frame, given: Given) -> bool:
    """The parser resolves external entities: lxml's does unless it is told not to, others only if they are told."""
    stated = given.get("resolve_entities")
    if stated is not None:
        return truth(stated) is not False
    parser = _first(given, "1", "parser")
    owner = given.get("self")
    if parser is None and owner is not None and frame.state.the_thing(owner) is not None:
        parser = owner
    if parser is None or parser.constants == (None,):
        return given["(path)"].kind.startswith("lxml.")
    resolves = frame.state.field(parser, RESOLVES)
    return resolves is not None and truth(resolves) is not False


RESOLVES: Final = "(resolves entities)"
"""Field under which a parser's setting is kept."""

_CONDITIONS: Final[dict[str, Callable[[Frame, Given], bool]]] = {
    "sql": _sql,
    "command": _command,
    "ldap": _ldap,
    "ldap_name": _ldap_name,
    "xpath": _xpath,
    "file": _file,
    "template": _template,
    "shell_arguments": _shell_arguments,
    "shell_list": _shell_list,
    "shell_spawned": _shell_spawned,
    "allow_pickle": _allow_pickle,
    "not_weights_only": _not_weights_only,
    "no_filter": _no_filter,
    "html": _html,
    "html_stated": _html_stated,
    "html_handler": _html_handler,
    "yaml": _yaml,
    "xml": _xml,
}
