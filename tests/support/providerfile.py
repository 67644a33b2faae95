"""Providers files for tests: stand-in servers as the models that `labverse` may call."""

import json
from pathlib import Path
from typing import Any, Final

from labverse import Labverse
from provider import Provider

KEY: Final = "sk-stand-in-0123456789-abcdefghijklmnop"
KEY_VARIABLE: Final = "MINE_API_KEY"
INPUT_USD: Final = 0.15
OUTPUT_USD: Final = 0.6
"""A million tokens."""
LATENCY_MS: Final = 5_000


def paid(provider: Provider, *models: str, **fields: Any) -> dict[str, Any]:
    """A row with prices, whose key stands in `KEY_VARIABLE`."""
    price = {"input": INPUT_USD, "output": OUTPUT_USD}
    rows = [{"name": name, "price": price} for name in models or ("m",)]
    return {"base_url": provider.base_url, "key_variable": KEY_VARIABLE, "models": rows, **fields}


def local(provider: Provider, *models: str, **fields: Any) -> dict[str, Any]:
    """A row of a server of our own."""
    rows = [{"name": name} for name in models or ("m",)]
    return {"base_url": provider.base_url, "local": True, "models": rows, **fields}


def use(
    labverse: Labverse,
    providers: dict[str, dict[str, Any]],
    *,
    primary: str = "mine/m",
    discover: bool = False,
    with_key: bool = True,
    **sections: Any,
) -> Path:
    """Have all commands of `labverse` call these providers alone; returns the providers file.

    Args:
        discover: look for local servers, also at the usual places.
        sections: more of the file: fallbacks, cost_control, routing, edge_local.
    """
    file = labverse.data.parent / "providers.yaml"
    content = {
        "primary": primary,
        "routing": {"max_latency_ms": LATENCY_MS},
        **sections,
        "providers": providers,
    }
    file.write_text(json.dumps(content, indent=1))  # JSON is YAML
    labverse.env |= {
        "LABVERSE_LLM__PROVIDERS_FILE": str(file),
        "LABVERSE_LLM__DISCOVER": str(discover).lower(),
    }
    labverse.env = {name: value for name, value in labverse.env.items() if not name.endswith("_API_KEY")}
    if with_key:
        labverse.env[KEY_VARIABLE] = KEY
    return file
