"""The flag `--local-model`, of every command that can run a router."""

import argparse
from pathlib import Path

BUNDLED = ""


def add_local_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--local-model",
        nargs="?",
        const=BUNDLED,
        metavar="GGUF",
        help="serve a model from a child process of ours: this GGUF file, or the small bundled one "
        "(needs the extra local)",
    )


def own_model(args: argparse.Namespace) -> Path | bool:
    """What the flag asks for, as `orchestrator.models` takes it."""
    if args.local_model is None:
        return False
    return True if args.local_model == BUNDLED else Path(args.local_model)
