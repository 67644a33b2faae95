"""The providers in force: the catalogue that ships, what the operator's file adds and overrides, and which models
that file prefers.

Nobody's file is taken from the current folder: it could send keys and prompts to a stranger's address.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from config.errors import ConfigError, did_you_mean, shown
from config.provider_file import read_file
from config.provider_rows import (
    NAME_PATTERN,
    Capabilities,
    CostControl,
    Dollars,
    ModelRow,
    PriceRow,
    PriceTierRow,
    ProviderRow,
    ProvidersFile,
    Routing,
    Temperatures,
)
from config.settings import LlmSettings, configured_file
from config.typed_yaml import line_of
from config.yaml_lines import Node

__all__ = [
    "Capabilities",
    "ConfigError",
    "CostControl",
    "Dollars",
    "Listed",
    "ModelRow",
    "PriceRow",
    "PriceTierRow",
    "ProviderRow",
    "Providers",
    "ProvidersFile",
    "Routing",
    "Temperatures",
    "find_providers_file",
    "load_providers",
]

SHIPPED_FILE: Final = Path(__file__).with_name("ai_providers.yaml")
CATALOGUE_FILE: Final = Path(__file__).with_name("provider_catalogue.yaml")

Struct = TypeVar("Struct", bound=msgspec.Struct)
Role = Literal["primary", "fallback", "edge_local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A model that the file prefers.

    Attributes:
        entry: as it is written there; `where` is its file and line.
    """

    provider: str
    model: str
    role: Role
    entry: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """All that is known of providers and money.

    Attributes:
        file: the operator's, or the one that ships.
        rows: by name; addresses end without a slash.
        where: file and line of each row.
        listed: in the operator's order, each model once: primary, fallbacks, local ones.
        own_models: (provider, model) that the operator's file describes itself.
    """

    file: Path
    rows: Mapping[str, ProviderRow]
    where: Mapping[str, str]
    listed: tuple[Listed, ...]
    own_models: frozenset[tuple[str, str]]
    routing: Routing
    cost_control: CostControl

    @property
    def task_limit_nusd(self) -> int:
        """What one task may cost: the smaller of the two keys that say so."""
        limits = (self.routing.max_cost_usd_per_task, self.cost_control.per_task_usd_limit)
        return min(limit.limit_nusd for limit in limits)

    def model(self, provider: str, name: str) -> ModelRow | None:
        """The row of a model by its name or alias, if there is one."""
        row = self.rows.get(provider)
        return None if row is None else _model(row, name)


def find_providers_file(settings: LlmSettings, env: Mapping[str, str]) -> Path | None:
    """`llm.providers_file`, else $XDG_CONFIG_HOME/labverse/ai_providers.yaml if it is there, else None: the shipped."""
    return settings.providers_file or configured_file("ai_providers.yaml", env)


def load_providers(path: Path | None) -> Providers:
    """The catalogue with the operator's file upon it; None takes the file that ships.

    Raises:
        ConfigError: the file can't be read or says something that can't be: one line with file, line number
            and what to do. No key is ever in it.
    """
    catalogue, catalogue_node = read_file(CATALOGUE_FILE)
    file_path = path or SHIPPED_FILE
    file, node = read_file(file_path)
    rows = {**catalogue.providers}
    where = {name: _where(CATALOGUE_FILE, catalogue_node, ("providers", name)) for name in rows}
    for name, row in file.providers.items():
        where[name] = _where(file_path, node, ("providers", name))
        rows[name] = _merged(rows.get(name), row, _written(node, name))
        if not rows[name].base_url:
            raise ConfigError(
                f"provider `{name}` in {where[name]}: add its `base_url:`, such as http://10.0.0.5:9000/v1"
            )
    rows = {
        name: msgspec.structs.replace(row, base_url=row.base_url.rstrip("/")) for name, row in rows.items()
    }
    return Providers(
        file=file_path,
        rows=rows,
        where=where,
        listed=_unique(_listed(file_path, file, node, rows)),
        own_models=frozenset(
            (name, model.name) for name, row in file.providers.items() for model in row.models
        ),
        routing=file.routing,
        cost_control=file.cost_control,
    )


def _where(path: Path, node: Node, steps: tuple[str | int, ...]) -> str:
    return f"{path} line {line_of(node, steps)}"


def _written(node: Node, name: str) -> dict[str, Any]:
    providers = node.get("providers")
    row = providers.get(name) if providers else None
    plain = row.plain() if row else None
    return plain if isinstance(plain, dict) else {}


def _merged(known: ProviderRow | None, row: ProviderRow, written: Mapping[str, Any]) -> ProviderRow:
    """`known` with the fields that were `written` replaced, and its models added to or changed by name."""
    if known is None:
        return row
    models = {model.name: model for model in known.models}
    for model, fields in zip(row.models, written.get("models") or (), strict=True):
        before = models.get(model.name)
        models[model.name] = model if before is None else _with(before, model, fields)
    fields = {name: value for name, value in written.items() if name != "models"}
    return msgspec.structs.replace(_with(known, row, fields), models=tuple(models.values()))


def _with(known: Struct, new: Struct, fields: Iterable[str]) -> Struct:
    return msgspec.structs.replace(known, **{name: getattr(new, name) for name in fields})


def _listed(path: Path, file: ProvidersFile, node: Node, rows: Mapping[str, ProviderRow]) -> Iterable[Listed]:
    entries: list[tuple[Role, str, tuple[str | int, ...]]] = []
    if file.primary:
        entries.append(("primary", file.primary, ("primary",)))
    entries += [("fallback", entry, ("fallbacks", index)) for index, entry in enumerate(file.fallbacks)]
    for role, entry, steps in entries:
        found = resolve(entry, rows)
        where = _where(path, node, steps)
        if found is None:
            raise ConfigError(
                f"unknown model `{shown(entry)}` in `{steps[0]}`, {where}{did_you_mean(entry, names(rows))}; "
                "write provider-model, and add the model below `providers:` if the catalogue lacks it"
            )
        yield Listed(provider=found[0], model=found[1], role=role, entry=entry, where=where)
    for index, pairs in enumerate(file.edge_local):
        for provider, model in pairs.items():
            where = _where(path, node, ("edge_local", index, provider))
            row = rows.get(provider)
            if row is None or not row.local:
                problem = "unknown provider" if row is None else "not a local provider:"
                local = [name for name, row in rows.items() if row.local]
                raise ConfigError(
                    f"{problem} `{shown(provider)}` in `edge_local`, {where}{did_you_mean(provider, local)}; "
                    f"write one of {', '.join(local)}, or add it with `local: true` below `providers:`"
                )
            known = _model(row, model)
            name = known.name if known else model
            yield Listed(
                provider=provider, model=name, role="edge_local", entry=f"{provider}: {model}", where=where
            )


def _unique(listed: Iterable[Listed]) -> tuple[Listed, ...]:
    out: dict[tuple[str, str], Listed] = {}
    for one in listed:
        out.setdefault((one.provider, one.model), one)
    return tuple(out.values())


def resolve(entry: str, rows: Mapping[str, ProviderRow]) -> tuple[str, str] | None:
    """(provider, model) of an entry: `provider/model`, `provider-model`, or a model whose name starts with its
    provider's, such as `moonshot-v1-8k`. Models of local servers need not be known.
    """
    by_length = sorted(rows, key=len, reverse=True)
    ways = [
        (name, entry[len(name) + 1 :]) for name in by_length if entry.startswith((f"{name}/", f"{name}-"))
    ]
    ways += [(name, entry) for name in by_length if entry.startswith(name)]
    for name, rest in ways:
        if known := _model(rows[name], rest):
            return name, known.name
    for name, rest in ways:
        if rows[name].local and rest != entry and re.search(NAME_PATTERN, rest):
            return name, rest
    return None


def names(rows: Mapping[str, ProviderRow]) -> Iterable[str]:
    """Every entry that could be written, as `provider-model`."""
    for provider, row in rows.items():
        for model in row.models:
            for name in (model.name, *model.aliases):
                yield name if name.startswith(f"{provider}-") else f"{provider}-{name}"


def _model(row: ProviderRow, name: str) -> ModelRow | None:
    exact = next((model for model in row.models if model.name == name), None)
    return exact or next((model for model in row.models if name in model.aliases), None)
