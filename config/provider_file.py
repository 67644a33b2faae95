"""Checks a providers file against `config.provider_rows`, and says where it is wrong, what was found and what to do.

API keys don't belong into the file: text that looks like one is refused before anything else is looked at, and is
never shown.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

from config.errors import ConfigError, shown
from config.provider_rows import ProviderRow, ProvidersFile
from config.typed_yaml import decode, line_of
from config.yaml_file import read_text
from config.yaml_lines import Node, parse_nodes

_KEY_SHAPES = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-[A-Za-z0-9_-]{6,}|xai-[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,}|eyJ[A-Za-z0-9_-]{16,}|[Bb]earer\s+[A-Za-z0-9._~+/-]{8,}"
    r")"
)
"""How keys look that say what they are."""
_RANDOM = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,}")
"""And those that don't: 32 letters and digits in a row. Addresses may hold such, as the number of an account."""
_ADDRESS = re.compile(r"https?://\S+")
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def read_file(path: Path) -> tuple[ProvidersFile, Node]:
    """The file as written, and as nodes, for the lines.

    Raises:
        ConfigError: it can't be read, is no YAML, holds a key, or says something that can't be.
    """
    text = read_text(path)
    for number, line in enumerate(text.splitlines(), 1):
        _refuse_key(path, number, line)
    node = parse_nodes(path, text)
    for key, below in node.walk():
        # Once more, for what escapes in quotes hid from the first look.
        for part in (key, below.value):
            if isinstance(part, str):
                _refuse_key(path, below.line, part)
    # A section with nothing below it is as good as none.
    told = node.value.items() if isinstance(node.value, dict) else ()
    node = Node({key: below for key, below in told if below.value is not None}, node.line)
    file = decode(path, node, ProvidersFile)
    for name in file.providers:
        _check_row(path, node, name, file.providers[name])
    return file, node


def _refuse_key(path: Path, line: int, text: str) -> None:
    if _KEY_SHAPES.search(text) or _RANDOM.search(_ADDRESS.sub("", text)):
        raise ConfigError(
            f"{path} line {line}: found what looks like an API key (it is not shown); keys come from environment "
            "variables alone: remove it here, and set it as OPENAI_API_KEY or what `key_variable` names"
        )


def _check_row(path: Path, node: Node, name: str, row: ProviderRow) -> None:
    line = line_of(node, ("providers", name))
    if not _PROVIDER.fullmatch(name):
        raise ConfigError(
            f"provider `{shown(name)}` in {path} line {line}: expected a name of letters, digits and ._-"
        )
    if row.base_url and (wrong := _wrong_url(row.base_url)):
        where = line_of(node, ("providers", name, "base_url"))
        raise ConfigError(
            f"`providers.{name}.base_url` in {path} line {where}: {wrong}, expected http(s)://host:port/v1"
        )
    for index, model in enumerate(row.models):
        steps = ("providers", name, "models", index)
        if any(model.name == other.name for other in row.models[:index]):
            raise ConfigError(
                f"model `{model.name}` stands twice in {path} line {line_of(node, steps)}; remove one"
            )
        starts = [tier.from_input_tokens for tier in model.price.tiers] if model.price else []
        if starts != sorted(set(starts)):
            raise ConfigError(
                f"price of `{model.name}` in {path} line {line_of(node, (*steps, 'price', 'tiers'))}: expected "
                "tiers by ascending `from_input_tokens`"
            )


def _wrong_url(url: str) -> str:
    """What is wrong with an address; never the address itself, which may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
    except ValueError:
        return "found no URL"
    if "@" in url or parts.query or parts.fragment:
        return "found credentials, a query or a fragment (keys come from environment variables alone)"
    if not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        return "found a character that no URL has"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "found no http:// or https:// with a host"
    return ""
