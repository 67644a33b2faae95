"""The local model's process: real llama.cpp, what it answers, and how it says that it can't run."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from llamacpp import LlamaCpp

from orchestrator.local.child import ServerOptions, explain, model_name, port_is_taken
from orchestrator.local.supervisor import bundled_model

COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["teal", "ochre"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaCpp]:
    with LlamaCpp() as server:
        yield server


def post(model: LlamaCpp, **body: Any) -> bytes:
    data = json.dumps({"model": model.model, "temperature": 0, "max_tokens": 16, **body}).encode()
    request = urllib.request.Request(
        f"{model.base_url}/chat/completions", data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        body_bytes: bytes = answer.read()
        return body_bytes


def ask(model: LlamaCpp, text: str = "Say hello.", **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(post(model, messages=[{"role": "user", "content": text}], **body))
    return answer


def test_it_answers_a_question_and_tells_the_tokens(model: LlamaCpp) -> None:
    answer = ask(model)
    assert answer["model"] == model.model == "SmolLM2-135M-Instruct.Q4_1"
    assert len(answer["choices"][0]["message"]["content"]) > 3
    assert 1 <= answer["usage"]["completion_tokens"] <= 16


def test_an_answer_under_a_schema_satisfies_it(model: LlamaCpp) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": COLOUR}}
    answer = ask(model, "Tell me a story.", response_format=wanted, max_tokens=64)
    jsonschema.validate(json.loads(answer["choices"][0]["message"]["content"]), COLOUR)


def test_a_stream_comes_in_pieces_and_ends_with_the_usage(model: LlamaCpp) -> None:
    body = post(
        model,
        messages=[{"role": "user", "content": "Count to ten."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    events = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: ")]
    assert events[-1] == b"[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    texts = [c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"]]
    assert sum(bool(text) for text in texts) >= 5
    assert chunks[-1]["usage"]["completion_tokens"] <= 16


def test_a_prompt_over_the_context_is_refused_with_numbers(model: LlamaCpp) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(model, "word " * 3000)
    with caught.value as error:
        assert error.code == 400
        assert json.load(error)["error"]["n_ctx"] == 2048


def test_pages_of_other_origins_cannot_read_its_answers(model: LlamaCpp) -> None:
    request = urllib.request.Request(f"{model.base_url}/models", headers={"Origin": "https://evil.example"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers.get("Access-Control-Allow-Origin", "") == ""


def run_child(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator.local.child", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **more)


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_a_file_that_is_missing_is_named() -> None:
    assert one_line(run_child("/no/such.gguf")) == (
        "local model: /no/such.gguf doesn't exist: give the path of a GGUF file"
    )


def test_a_file_of_another_format_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04 a zip")
    line = one_line(run_child(str(tmp_path / "model.gguf")))
    assert "model.gguf is not a GGUF file (it starts with b'PK\\x03\\x04')" in line


def test_a_file_that_was_cut_is_called_damaged(tmp_path: Path) -> None:
    with bundled_model().open("rb") as file:
        (tmp_path / "cut.gguf").write_bytes(file.read(1_000_000))
    assert "cut.gguf is damaged or was not copied whole: fetch it again" in one_line(
        run_child(str(tmp_path / "cut.gguf"))
    )


def test_a_port_that_is_taken_is_said(model: LlamaCpp) -> None:
    port = model.base_url.split(":")[2].removesuffix("/v1")
    result = run_child(str(bundled_model()), "--port", port)
    assert result.returncode == 2
    # llama.cpp's own words, from a thread of its own, may come before or after it
    said = f"local model: port {port} of 127.0.0.1 is taken: choose another, or 0 for a free one"
    assert said in result.stderr.splitlines()


def test_a_port_is_taken_while_somebody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port_is_taken(port)
    assert not port_is_taken(port)


def test_a_taken_port_is_said_even_where_llama_cpp_says_something_else(tmp_path: Path) -> None:
    words = "class CommonParams: pass\ndef Server(_): raise RuntimeError('Failed to init server')\n"
    fake = words.replace("pass", "\n    def __getattr__(self, name):\n        return self.__class__()")
    (tmp_path / "xllamacpp.py").write_text(fake)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        line = one_line(run_child(str(bundled_model()), "--port", port, cwd=tmp_path))
    assert line == f"local model: port {port} of 127.0.0.1 is taken: choose another, or 0 for a free one"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS limits only there")
def test_too_little_memory_is_said() -> None:
    limited = [
        "sh",
        "-c",
        'ulimit -v 600000; exec "$@"',
        "sh",
        sys.executable,
        "-m",
        "orchestrator.local.child",
    ]
    result = subprocess.run(
        [*limited, str(bundled_model()), "--context", "16384"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "out of memory" in one_line(result)
    assert "take a smaller model or a smaller context" in result.stderr


def test_without_xllamacpp_the_extra_to_install_is_named(tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ModuleNotFoundError('gone', name='xllamacpp')")
    line = one_line(run_child(str(bundled_model()), cwd=tmp_path))
    assert line == "local model: xllamacpp is not installed: pip install xllamacpp"


def test_it_ends_cleanly_at_sigterm_in_the_middle_of_an_answer() -> None:
    command = [sys.executable, "-m", "orchestrator.local.child", str(bundled_model())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        data = json.dumps({"messages": [{"role": "user", "content": "Count."}], "stream": True}).encode()
        request = urllib.request.Request(
            f"{ready['base_url']}/chat/completions", data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.readline()
            process.terminate()
            before_s = time.monotonic()
            assert process.wait(10) == 0
            assert time.monotonic() - before_s < 2


@pytest.mark.parametrize(
    ("file", "name"),
    [("qwen2 7b (q4).gguf", "qwen2-7b-q4"), ("…\n.gguf", "model"), (f"{'x' * 300}.gguf", "x" * 100)],
)
def test_a_models_name_is_safe_everywhere(file: str, name: str) -> None:
    assert model_name(Path(file)) == name


def test_a_model_of_an_unknown_kind_asks_for_a_newer_llama_cpp() -> None:
    log = "0.00.1 E llama_model_load: error loading model: unknown model architecture: 'novel'\n0.1 E x: failed\n"
    said = explain(log, ServerOptions(path=Path("m.gguf")))
    assert said == "m.gguf is of a kind (novel) that this llama.cpp doesn't know: pip install -U xllamacpp"


def test_any_other_error_is_quoted_in_one_line() -> None:
    log = "0.00.1 W odd\n0.00.2 E llama_model_load: error loading model: no vocab\n"
    said = explain(log, ServerOptions(path=Path("m.gguf")))
    assert said == "llama.cpp can't serve m.gguf: llama_model_load: error loading model: no vocab"
