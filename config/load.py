"""The one reader of settings files and of the environment.

Later ones win: defaults, file, environment, flags. The file is FILE of `--config`, else `$LABVERSE_CONFIG`,
else `./labverse.yaml`, else `$XDG_CONFIG_HOME/labverse/config.yaml`; files are not combined. Every key has an
environment variable `LABVERSE_SECTION__KEY`, and some have a name that other programs know too.

Nothing is ignored in silence: an unknown key or variable is an error that names the likely one.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from config.consistency import contradiction
from config.errors import ConfigError, did_you_mean, shown
from config.keys import SECTIONS, Key, ValueRefusedError, checked, from_text, keys
from config.settings import Settings, default_data_dir, home
from config.yaml_file import read_yaml

__all__ = ["ConfigError", "Loaded", "load"]

COMMON_VARIABLES: Final = {
    "NATS_URL": "bus.url",
    "LABVERSE_DATA": "bus.data_dir",
    "SLACK_BOT_TOKEN": "slack.bot_token",
    "SLACK_SIGNING_SECRET": "slack.signing_secret",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "telemetry.endpoint",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "telemetry.protocol",
    "OTEL_EXPORTER_OTLP_HEADERS": "telemetry.headers",
    "OTEL_SERVICE_NAME": "telemetry.service_name",
    "OTEL_TRACES_SAMPLER_ARG": "telemetry.sample_ratio",
}
"""Names that mean the same to other programs; empty counts as not set, and the LABVERSE_ name wins."""

FOUND_HERE: Final = Path("labverse.yaml")

NOT_SETTINGS: Final = ("LABVERSE_CONFIG", "LABVERSE_DATA", "LABVERSE_LOG")

_KUBERNETES = re.compile(
    r"LABVERSE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes puts into every pod beside a service named `labverse…`."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each key where its value came from.

    Attributes:
        sources: by dotted key: "default", "file labverse.yaml line 3", "environment NATS_URL" or "flag".
        file: the settings file in use, if any.
    """

    settings: Settings
    sources: Mapping[str, str]
    file: Path | None


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as somebody gave it: `where` is for errors, `base` is what its relative paths count from."""

    value: Any
    source: str
    where: str
    base: Path


POWERS: Final = ("review.roots", "review.models", "review.max_cost_usd")
"""What a file must not set that merely lies in the current folder."""


def load(
    *, file: Path | None = None, env: Mapping[str, str], flags: Mapping[str, object] = MappingProxyType({})
) -> Loaded:
    """Settings from everywhere.

    Args:
        file: FILE of `--config`.
        flags: value by dotted key; texts are read as in an environment variable.

    Raises:
        ConfigError: a file can't be read, a key is unknown, a value doesn't fit, or two contradict each
            other; in one line, with no secret in it.
    """
    path = _find_file(file, env)
    given: dict[str, _Given] = {}
    if path is not None:
        given.update(_from_file(path))
        if path == FOUND_HERE and file is None:
            _refuse_powers(given, path)
    given.update(_from_environment(env))
    given.update(_from_flags(flags))

    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, one in given.items():
        try:
            value = checked(keys()[name], one.value, base=one.base, env=env)
        except ValueRefusedError as error:
            raise ConfigError(f"`{name}` {one.where}: {error}") from None
        section, field = name.split(".")
        values[section][field] = value
    if "data_dir" not in values["bus"]:
        values["bus"]["data_dir"] = _default_data_dir(env)

    settings = Settings(
        **{field.name: field.type(**values[field.name]) for field in msgspec.structs.fields(Settings)}
    )
    sources = {name: given[name].source if name in given else "default" for name in keys()}
    if found := contradiction(settings):
        raise ConfigError(f"`{found.key}` ({sources[found.key]}): {found.text}")
    return Loaded(settings, MappingProxyType(sources), path)


def _find_file(named: Path | None, env: Mapping[str, str]) -> Path | None:
    if named is not None:
        return _existing(named, "--config")
    if variable := env.get("LABVERSE_CONFIG"):
        return _existing(Path(variable).expanduser(), "LABVERSE_CONFIG")
    places = [FOUND_HERE]
    folder = Path(env.get("XDG_CONFIG_HOME", ""))
    try:
        places.append(
            (folder if folder.is_absolute() else home(env) / ".config") / "labverse" / "config.yaml"
        )
    except RuntimeError:
        pass  # a user without a home folder has no settings there
    return next((place for place in places if os.path.exists(place)), None)


def _existing(path: Path, asked_by: str) -> Path:
    if not os.path.exists(path):
        raise ConfigError(f"settings file {path} ({asked_by}) doesn't exist")
    return path


def _default_data_dir(env: Mapping[str, str]) -> Path:
    try:
        return default_data_dir(env)
    except RuntimeError:
        raise ConfigError(
            "there is no home folder to keep data in; name a folder with LABVERSE_DATA"
        ) from None


def _from_file(path: Path) -> dict[str, _Given]:
    out: dict[str, _Given] = {}
    base = path.absolute().parent
    for name, given in read_yaml(path).items():
        where = f"in {path} line {given.line}"
        if name in SECTIONS:
            if given.value is not None:
                raise ConfigError(f"`{name}` {where}: expected keys below it, such as `{_first_of(name)}`")
        elif name not in keys():
            raise ConfigError(f"unknown key `{shown(name)}` {where}{did_you_mean(name, _alike(name))}")
        else:
            value = None if given.value == "" and name == "bus.data_dir" else given.value
            if value is not None or name != "bus.data_dir":
                out[name] = _Given(value, f"file {path} line {given.line}", where, base)
    return out


def _refuse_powers(given: Mapping[str, _Given], path: Path) -> None:
    """A file that merely lies in the current folder may be a stranger's, come with the code under review: it
    must not say where that code, or a trace of it, is sent, what may be spent, nor which folders others may have
    reviewed."""
    for name, one in given.items():
        if not name.startswith("review.") or name in POWERS:
            raise ConfigError(
                f"`{name}` {one.where}: a file that is only found here may set review.* without {', '.join(POWERS)}; "
                f"if it is yours, say so with --config {path}, or move it to ~/.config/labverse/config.yaml"
            )


def _alike(name: str) -> tuple[str, ...]:
    return (*keys(),) if "." in name else (*keys(), *SECTIONS)


def _first_of(section: str) -> str:
    return next(name for name in keys() if name.startswith(f"{section}."))


def _from_environment(env: Mapping[str, str]) -> dict[str, _Given]:
    out: dict[str, _Given] = {}
    for variable, name in COMMON_VARIABLES.items():
        if (text := env.get(variable)) and not (
            name == "telemetry.sample_ratio" and not _is_ratio_sampler(env)
        ):
            out[name] = _from_variable(variable, keys()[name], text)
    by_variable = {key.variable: key for key in keys().values()}
    for variable, text in env.items():
        if not variable.startswith("LABVERSE_") or variable in NOT_SETTINGS:
            continue
        if variable in by_variable:
            key = by_variable[variable]
            out[key.name] = _from_variable(variable, key, text)
        elif not _is_of_kubernetes(variable, text):
            hint = did_you_mean(variable, [*by_variable, *NOT_SETTINGS])
            raise ConfigError(f"unknown environment variable {shown(variable)}{hint or '; unset it'}")
    return out


def _from_variable(variable: str, key: Key, text: str) -> _Given:
    source = f"environment {variable}"
    return _Given(from_text(key, text), source, f"from {source}", Path.cwd())


def _is_ratio_sampler(env: Mapping[str, str]) -> bool:
    """OTEL_TRACES_SAMPLER_ARG is a ratio for these samplers only; others give it another meaning."""
    return env.get("OTEL_TRACES_SAMPLER") in (None, "", "traceidratio", "parentbased_traceidratio")


def _is_of_kubernetes(variable: str, text: str) -> bool:
    # LABVERSE_BUS_PORT=4222 is somebody's LABVERSE_BUS__PORT; theirs is a URL.
    is_port = variable.endswith("_PORT") and text.startswith(("tcp://", "udp://"))
    return is_port or _KUBERNETES.fullmatch(variable) is not None


def _from_flags(flags: Mapping[str, object]) -> dict[str, _Given]:
    out: dict[str, _Given] = {}
    for name, value in flags.items():
        if name not in keys():
            raise ConfigError(f"unknown key `{shown(name)}` on the command line{did_you_mean(name, keys())}")
        if isinstance(value, Path):
            value = str(value)
        elif isinstance(value, list | tuple):
            value = [str(item) for item in value]
        if isinstance(value, str):
            value = from_text(keys()[name], value)
        out[name] = _Given(value, "flag", "on the command line", Path.cwd())
    return out
