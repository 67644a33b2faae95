"""The adapter to providers: requests of the router in, the OpenAI protocol out.

The one place that imports openai, httpx2 and aiohttp. Importing this package imports none of them: they take
0.8 s, so `OpenAIUpstream.warm` or the first request loads them.
"""

from orchestrator.upstream.adapter import OpenAIUpstream
from orchestrator.upstream.endpoint import Endpoint

__all__ = ["Endpoint", "OpenAIUpstream"]
