"""Loads nats-py without its websocket transport, which we don't offer.

nats-py imports aiohttp for it whenever that is installed (model calls need it), and every command would take
0.2 s longer to start. Imported first of all of `bus`.
"""

import importlib
import sys

if "aiohttp" not in sys.modules and "nats" not in sys.modules:
    sys.modules["aiohttp"] = None  # type: ignore[assignment] # an import of it now fails, as if it weren't installed
    try:
        importlib.import_module("nats.aio.transport")
    finally:
        del sys.modules["aiohttp"]
