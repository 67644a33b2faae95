"""Show the models that can be called: reachable or not, keys, prices, breakers, how quick they are, what they cost.

Local servers are asked now; cloud providers only with --check, which needs no money.
"""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.providers_view import ProviderLine

HELP = "show models: reachable, price, breaker, speed, spend"

WIDTH_IN_PIPES = 200
MONTH_CHARS = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also models that are only called by name")
    parser.add_argument(
        "--check", action="store_true", help="ask cloud providers for their models, with the key"
    )
    parser.add_argument(
        "--probe", action="store_true", help="find out what each local model can (some seconds)"
    )
    parser.add_argument(
        "--json", action="store_true", help="answer in JSON; prices are nano-USD a million tokens"
    )


async def run(args: argparse.Namespace) -> int:
    import os

    import msgspec

    from orchestrator.models import models_for
    from orchestrator.providers_view import lines, print_lines
    from orchestrator.shell import bus_for, load_settings

    loaded = load_settings(args)
    async with (
        bus_for(loaded, role="cli", source="labverse/providers") as bus,
        models_for(loaded.settings, os.environ) as models,
    ):
        if args.probe:
            await _probe(models)
        reached = await _reached(models) if args.check else {}
        found: list[ProviderLine] = await lines(bus, models, reached, everything=args.all)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
        return 0
    print_lines(found, models.providers.file, WIDTH_IN_PIPES)
    return 0


async def _probe(models: "object") -> None:
    from rich.console import Console

    from orchestrator.models import Models

    assert isinstance(models, Models)
    with Console(stderr=True).status("asking local models what they can …"):
        for offer in models.offers():
            if offer.is_local:
                await models.probe(offer)
        await models.refresh()


async def _reached(models: "object") -> dict[str, str]:
    """Why each cloud provider with a key can't be used; empty when it can."""
    from rich.console import Console

    from orchestrator.models import Models

    assert isinstance(models, Models)
    with Console(stderr=True).status("asking providers …"):
        return await models.check_cloud()
