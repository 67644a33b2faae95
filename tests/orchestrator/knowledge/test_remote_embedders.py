"""Embedders over HTTP, against a real server on loopback that answers well or badly."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agents.knowledge.embedding import EmbedderError
from config.secret import Secret
from orchestrator.knowledge import http_json
from orchestrator.knowledge.remote import TEXT_CHARS_MAX, Cohere, Ollama, OpenAi

KEY = "sk-very-secret-0123456789"


class Server:
    """Answers each request with what `reply` makes of it: (status, body); remembers what came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.reply: Callable[[Any], tuple[int, bytes]] = lambda body: (200, b"{}")
        self.location = ""
        self.delay_s = 0.0
        self.dribble_s = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append((self.path, dict(self.headers), body))
                time.sleep(outer.delay_s)
                status, data = outer.reply(body)
                self.send_response(status)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self._send(data)
                except OSError:
                    pass  # who asked has gone

            def _send(self, data: bytes) -> None:
                step = 1 if outer.dribble_s else len(data) or 1
                for first in range(0, len(data), step):
                    self.wfile.write(data[first : first + step])
                    time.sleep(outer.dribble_s)

            def log_message(self, *_: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def rows(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0, 0.0] for text in texts]


def as_ollama(body: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"embeddings": rows(body["input"])}).encode()


def as_openai(body: Any) -> tuple[int, bytes]:
    data = [{"index": index, "embedding": row} for index, row in enumerate(rows(body["input"]))]
    return 200, json.dumps({"data": data[::-1], "model": body["model"]}).encode()


def as_cohere(body: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"embeddings": {"float": rows(body["texts"])}}).encode()


def openai(server: Server) -> OpenAi:
    return OpenAi(model="text-embedding-3-small", base_url=f"{server.url}/v1", key=Secret(KEY))


def test_ollama_is_asked_for_several_at_once_and_nomic_is_told_what_they_are(server: Server) -> None:
    server.reply = as_ollama
    embedder = Ollama(model="nomic-embed-text:v1.5", base_url=server.url)
    first, second = embedder.embed_documents(["a", "bcd"], timeout_s=5.0)
    assert first != second
    assert sum(number * number for number in first) == pytest.approx(1.0)
    embedder.embed_query("what?", timeout_s=5.0)
    (path, headers, body), (_, _, query) = server.seen
    assert path == "/api/embed"
    assert "Authorization" not in headers
    assert body["input"] == ["search_document: a", "search_document: bcd"]
    assert query["input"] == ["search_query: what?"]
    assert embedder.id == "ollama/nomic-embed-text:v1.5"


def test_other_models_of_ollama_get_the_text_as_it_is(server: Server) -> None:
    server.reply = as_ollama
    Ollama(model="all-minilm", base_url=server.url).embed_query("what?", timeout_s=5.0)
    assert server.seen[0][2]["input"] == ["what?"]


def test_openai_gets_the_key_and_its_vectors_are_put_in_order(server: Server) -> None:
    server.reply = as_openai
    short, long = openai(server).embed_documents(["a", "b" * 50], timeout_s=5.0)
    assert short[0] < long[0]
    path, headers, body = server.seen[0]
    assert (path, headers["Authorization"]) == ("/v1/embeddings", f"Bearer {KEY}")
    assert body["model"] == "text-embedding-3-small"


def test_cohere_is_told_whether_it_is_a_query(server: Server) -> None:
    server.reply = as_cohere
    embedder = Cohere(model="embed-v4.0", base_url=server.url, key=Secret(KEY))
    embedder.embed_documents(["a"], timeout_s=5.0)
    embedder.embed_query("b", timeout_s=5.0)
    assert [(path, body["input_type"]) for path, _, body in server.seen] == [
        ("/v2/embed", "search_document"),
        ("/v2/embed", "search_query"),
    ]


def test_a_long_text_is_cut(server: Server) -> None:
    server.reply = as_openai
    openai(server).embed_query("x" * (TEXT_CHARS_MAX + 1), timeout_s=5.0)
    assert len(server.seen[0][2]["input"][0]) == TEXT_CHARS_MAX


@pytest.mark.parametrize(
    ("status", "said", "is_passing"),
    [
        (401, "refuses the key", False),
        (403, "refuses the key", False),
        (400, "HTTP 400", False),
        (404, "HTTP 404", False),
        (429, "HTTP 429", True),
        (503, "HTTP 503", True),
        (301, "HTTP 301", False),
    ],
)
def test_statuses_say_whether_to_try_again_and_never_the_key(
    server: Server, status: int, said: str, is_passing: bool
) -> None:
    server.location = "http://127.0.0.1:9/elsewhere"
    server.reply = lambda _: (status, f'{{"error": "your key {KEY} is odd\\n"}}'.encode())
    with pytest.raises(EmbedderError, match=said) as caught:
        openai(server).embed_query("x", timeout_s=5.0)
    assert caught.value.is_passing is is_passing
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(server.seen) == 1


def test_a_model_that_ollama_lacks_is_said_with_the_remedy(server: Server) -> None:
    server.reply = lambda _: (404, b'{"error": "model not found"}')
    with pytest.raises(EmbedderError, match="run `ollama pull all-minilm`"):
        Ollama(model="all-minilm", base_url=server.url).embed_query("x", timeout_s=5.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": null}',
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": [0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": ["a"]}]}',
        b'{"data": [{"index": 0, "embedding": [1e400]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]}',
    ],
)
def test_an_answer_that_is_no_vectors_is_refused(server: Server, body: bytes) -> None:
    server.reply = lambda _: (200, body)
    with pytest.raises(EmbedderError, match="openai/text-embedding-3-small answers with") as caught:
        openai(server).embed_query("x", timeout_s=5.0)
    assert not caught.value.is_passing


def test_vectors_of_different_length_are_refused(server: Server) -> None:
    server.reply = lambda _: (200, b'{"embeddings": [[1, 2], [1, 2, 3]]}')
    with pytest.raises(EmbedderError, match="something else than vectors"):
        Ollama(model="m", base_url=server.url).embed_documents(["a", "b"], timeout_s=5.0)


def test_an_answer_without_end_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_json, "ANSWER_BYTES_MAX", 1_000)
    server.reply = lambda _: (200, b" " * 100_000)
    with pytest.raises(EmbedderError, match="more than 1000 bytes"):
        openai(server).embed_query("x", timeout_s=5.0)


def test_the_time_bounds_a_server_that_says_nothing_and_one_that_dribbles(server: Server) -> None:
    server.reply = as_openai
    server.delay_s = 1.0
    begun_s = time.monotonic()
    with pytest.raises(EmbedderError, match=r"no answer within 0\.2 s") as caught:
        openai(server).embed_query("x", timeout_s=0.2)
    assert caught.value.is_passing
    server.delay_s, server.dribble_s = 0.0, 0.05
    with pytest.raises(EmbedderError, match=r"no answer within 0\.2 s"):
        openai(server).embed_query("x", timeout_s=0.2)
    assert time.monotonic() - begun_s < 2.0


def test_a_server_that_is_not_there_is_said_without_what_may_be_secret() -> None:
    embedder = OpenAi(model="m", base_url="http://user:hidden@127.0.0.1:9/v1?token=hidden", key=Secret(KEY))
    with pytest.raises(EmbedderError, match="can't be reached") as caught:
        embedder.embed_query("x", timeout_s=2.0)
    assert caught.value.is_passing
    assert "hidden" not in str(caught.value)
    assert "hidden" not in repr(embedder)
    assert KEY not in repr(embedder)


def test_a_key_that_no_header_can_carry_is_said(server: Server) -> None:
    with pytest.raises(EmbedderError, match="copy it again"):
        OpenAi(model="m", base_url=server.url, key=Secret("sk-\u2013abc")).embed_query("x", timeout_s=2.0)
    assert server.seen == []
