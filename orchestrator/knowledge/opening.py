"""Which store and which embedder: from settings and environment to a collection.

The embedder is named `minilm`, `ollama/MODEL`, `openai/MODEL`, `cohere/MODEL`, or `none`; `auto` takes the embedded one
where it is installed. A provider that costs money is only taken when it is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.knowledge.builtin import builtin_documents
from agents.knowledge.collection import Collection
from agents.knowledge.embedding import Embedder
from agents.knowledge.indexing import KnowledgeError
from agents.knowledge.store import Store
from config.secret import Secret, Url

AUTO: Final = "auto"
NONE: Final = "none"
MINILM: Final = "minilm"
MODELS: Final = {
    "ollama": "nomic-embed-text",
    "openai": "text-embedding-3-small",
    "cohere": "embed-v4.0",
}
"""What each provider's model is when only the provider is named."""
OLLAMA_URL: Final = "http://localhost:11434"
OPENAI_URL: Final = "https://api.openai.com/v1"
COHERE_URL: Final = "https://api.cohere.com"
OLLAMA_PORT: Final = 11434
COLLECTION: Final = "labverse-knowledge"
SERVER_S_MAX: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeOptions:
    """Where knowledge is kept, and who makes vectors.

    Attributes:
        folder: for the embedded store, and for the cache of vectors.
        embedder: as the module says.
        qdrant_url: of a server; empty means embedded.
        collection: its name on the server.
    """

    folder: Path
    embedder: str = AUTO
    qdrant_url: Url = field(default_factory=Url)
    qdrant_key: Secret = field(default_factory=Secret)
    collection: str = COLLECTION
    ollama_url: str = field(default=OLLAMA_URL, repr=False)
    openai_url: str = field(default=OPENAI_URL, repr=False)
    openai_key: Secret = field(default_factory=Secret)
    cohere_url: str = field(default=COHERE_URL, repr=False)
    cohere_key: Secret = field(default_factory=Secret)


def options_from(data_dir: Path, env: Mapping[str, str], *, embedder: str = AUTO) -> KnowledgeOptions:
    """The options that the environment asks for: QDRANT_URL, QDRANT_API_KEY, OLLAMA_HOST, OPENAI_API_KEY,
    OPENAI_BASE_URL, COHERE_API_KEY.
    """
    return KnowledgeOptions(
        folder=data_dir / "knowledge",
        embedder=embedder,
        qdrant_url=Url(env.get("QDRANT_URL", "").strip()),
        qdrant_key=Secret(env.get("QDRANT_API_KEY", "")),
        ollama_url=_ollama_url(env.get("OLLAMA_HOST", "").strip()),
        openai_url=env.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL,
        openai_key=Secret(env.get("OPENAI_API_KEY", "")),
        cohere_key=Secret(env.get("COHERE_API_KEY", "")),
    )


def collection_of(options: KnowledgeOptions) -> Collection:
    """The collection, not opened yet.

    Raises:
        KnowledgeError: an option is wrong, or what it needs isn't installed.
        StoreError: the store can't be had.
    """
    embedder = embedder_of(options)
    if embedder is not None:
        from orchestrator.knowledge.shipped import FILE
        from orchestrator.knowledge.vector_cache import CachedEmbedder

        embedder = CachedEmbedder(embedder, options.folder / "vectors.db", FILE)
    return Collection(store=_store(options), embedder=embedder, builtin=builtin_documents())


def embedder_of(options: KnowledgeOptions) -> Embedder | None:
    """The embedder that is asked for; None for none.

    Raises:
        KnowledgeError: there is none of this name, or it lacks a key or what it needs.
    """
    name, _, model = options.embedder.strip().partition("/")
    if name == NONE:
        return None
    if name in (AUTO, MINILM):
        from orchestrator.knowledge.minilm import INSTALL, MiniLm, is_installed

        if is_installed():
            return MiniLm()
        if name == AUTO:
            return None
        raise KnowledgeError(f"the embedder {MINILM} isn't there: {INSTALL}")
    if name not in MODELS:
        choices = ", ".join((AUTO, NONE, MINILM, *(f"{one}/MODEL" for one in MODELS)))
        raise KnowledgeError(f"no embedder {options.embedder[:80]!r}: choose one of {choices}")
    return _remote(name, model or MODELS[name], options)


def _remote(name: str, model: str, options: KnowledgeOptions) -> Embedder:
    from orchestrator.knowledge.remote import Cohere, Ollama, OpenAi

    key = {"openai": options.openai_key, "cohere": options.cohere_key}.get(name)
    if key is not None and not key:
        raise KnowledgeError(f"the embedder {name}/{model} needs a key: set {name.upper()}_API_KEY")
    url = {"ollama": options.ollama_url, "openai": options.openai_url, "cohere": options.cohere_url}[name]
    if not Url(url).is_valid("http", "https"):
        raise KnowledgeError(f"the address of {name} is no http address: {Url(url)}")
    if key is None:
        return Ollama(model=model, base_url=url)
    return (OpenAi if name == "openai" else Cohere)(model=model, base_url=url, key=key)


def _store(options: KnowledgeOptions) -> Store:
    if not options.qdrant_url:
        try:
            from orchestrator.knowledge.edge import EdgeStore
        except ImportError as error:
            raise KnowledgeError(
                "the embedded store isn't there: run `pip install qdrant-edge-py`"
            ) from error
        return EdgeStore(options.folder)
    if not options.qdrant_url.is_valid("http", "https"):
        raise KnowledgeError(f"QDRANT_URL is no http address: {options.qdrant_url}")
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise KnowledgeError("QDRANT_URL needs `pip install 'labverse[qdrant]'`") from error
    from orchestrator.knowledge.server import ServerStore

    client = QdrantClient(
        url=options.qdrant_url.reveal(),
        api_key=options.qdrant_key.reveal() or None,
        timeout=SERVER_S_MAX,
        check_compatibility=False,
    )
    return ServerStore(client, options.collection)


def _ollama_url(host: str) -> str:
    """OLLAMA_HOST as an address: it may be a host, a host with a port, or an address."""
    if not host:
        return OLLAMA_URL
    url = host if "://" in host else f"http://{host}"
    scheme, _, rest = url.partition("://")
    place = rest.rstrip("/")
    place = place if ":" in place.rpartition("]")[2] else f"{place}:{OLLAMA_PORT}"
    return f"{scheme}://{place.replace('0.0.0.0', '127.0.0.1')}"
