"""`labverse ask` as a process: answers, streams, schemas, limits, interruption, secrets and mistakes."""

import base64
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from labverse import Labverse
from provider import Provider, Reply
from providerfile import KEY, KEY_VARIABLE, local, paid, use

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(Reply(text="Because of Rayleigh."), key=KEY) as provider:
        yield provider


@pytest.fixture
def asking(labverse: Labverse, provider: Provider) -> Labverse:
    """`labverse` with one paid model."""
    use(labverse, {"mine": paid(provider)})
    return labverse


def only_line(text: str) -> str:
    (line,) = text.strip().splitlines()
    return line


def wait_for(condition: Callable[[], object], within_s: float = 20.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_answer_goes_to_stdout_and_what_it_took_to_stderr(asking: Labverse, provider: Provider) -> None:
    done = asking.run("ask", "why is the sky blue?", "--system", "Be brief.")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Because of Rayleigh.\n"
    line = only_line(done.stderr)
    assert "mine/m (cloud)" in line
    assert "tokens" in line
    assert "$0.0" in line
    (request,) = provider.requests
    assert request.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "why is the sky blue?"},
    ]
    assert request.body["max_tokens"] >= 1


def test_the_question_may_come_from_stdin(asking: Labverse, provider: Provider) -> None:
    done = subprocess.run(
        asking.command("ask", "-"),
        input="from a pipe: ä",
        capture_output=True,
        text=True,
        env=asking.env,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert provider.requests[0].body["messages"][-1]["content"] == "from a pipe: ä"


@pytest.mark.parametrize("by_up", [False, True], ids=["by itself", "by up"])
def test_pieces_are_printed_before_the_answer_ends(asking: Labverse, provider: Provider, by_up: bool) -> None:
    if by_up:
        asking.start("up", "--agents", "1", ready="labverse is up")
    provider.behaviour = Reply(text="one two three four five.", token_delay_s=0.3)
    process = asking.start("ask", "count", "--stream")
    assert process.stdout is not None
    came: list[tuple[float, bytes]] = []
    while piece := os.read(process.stdout.fileno(), 4096):
        came.append((time.monotonic(), piece))
    assert b"".join(piece for _, piece in came) == b"one two three four five.\n"
    assert came[-1][0] - came[0][0] > 0.9
    assert process.wait(10) == 0
    assert process.stderr is not None
    assert "first token after" in process.stderr.read()


def test_with_a_schema_stdout_is_valid_json_and_nothing_else(
    asking: Labverse, provider: Provider, tmp_path: Path
) -> None:
    provider.behaviour = [Reply(text="Sure! The answer is 41."), Reply(text='```json\n{"answer": 42}\n```')]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    done = asking.run("ask", "what is it?", "--schema", schema)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"answer": 42}
    provider.behaviour = Reply(text='{"answer": 43}', token_delay_s=0.01)
    streamed = asking.run("ask", "what is it now?", "--schema", schema, "--stream")
    assert json.loads(streamed.stdout) == {"answer": 43}


def test_an_answer_that_never_satisfies_the_schema_fails_and_prints_none(
    asking: Labverse, provider: Provider, tmp_path: Path
) -> None:
    provider.behaviour = Reply(text='{"answer": "forty-two"}')
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    done = asking.run("ask", "what is it?", "--schema", schema)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "OffSchema" in only_line(done.stderr)
    assert "answer" in done.stderr


def test_an_image_is_shown_to_the_model(asking: Labverse, provider: Provider, tmp_path: Path) -> None:
    image = tmp_path / "dot.png"
    image.write_bytes(PNG)
    done = asking.run("ask", "what is this?", "--image", image)
    assert done.returncode == 0, done.stderr
    assert "whether it sees images is unknown" in only_line(done.stderr)
    text, shown = provider.requests[0].body["messages"][-1]["content"]
    assert text == {"type": "text", "text": "what is this?"}
    assert shown["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def test_a_question_whose_router_is_killed_is_asked_again_and_what_it_may_cost_is_said(
    asking: Labverse, provider: Provider
) -> None:
    up = asking.start("up", "--agents", "1", ready="labverse is up")
    provider.behaviour = Reply(hangs=True)
    ask = asking.start("ask", "why?", "--deadline", "60", "--max-cost", "0.5")
    wait_for(lambda: provider.running)
    provider.behaviour = Reply(text="At last.")
    killed_s = time.monotonic()
    up.kill()
    printed, said = ask.communicate(timeout=60)
    assert printed == "At last.\n", said
    assert time.monotonic() - killed_s < 40
    footer, note = said.strip().splitlines()
    assert "answered by" not in footer
    assert f"the router of `labverse up` (pid {up.pid}) ended before the answer was there" in note
    assert "may have been sent, and is billed up to $0.0" in note
    assert provider.calls == 2


def test_text_that_came_before_its_router_was_killed_is_not_asked_for_again(
    asking: Labverse, provider: Provider
) -> None:
    up = asking.start("up", "--agents", "1", ready="labverse is up")
    provider.behaviour = Reply(text="one two three four", hangs_after=2)
    ask = asking.start("ask", "count", "--stream", "--deadline", "60")
    assert ask.stdout is not None
    assert select.select([ask.stdout], [], [], 20)[0]
    up.kill()
    printed, said = ask.communicate(timeout=30)
    assert ask.returncode == 2
    assert printed == "one two \n"
    assert "StreamCut" in said
    assert f"(pid {up.pid}) ended before the answer was there" in said
    assert provider.calls == 1


def test_local_only_never_reaches_the_cloud(asking: Labverse, provider: Provider) -> None:
    refused = asking.run("ask", "a secret", "--local-only")
    assert refused.returncode == 2
    assert "mine/m: not local" in only_line(refused.stderr)
    with Provider(Reply(status=500)) as own:
        use(asking, {"mine": paid(provider), "own": local(own)}, edge_local=[{"own": "m"}])
        failed = asking.run("ask", "a secret", "--local-only", "--deadline", "8")
        assert failed.returncode == 2, failed.stdout
        assert own.calls
        own.behaviour = Reply(text="Between us.")
        done = asking.run("ask", "a secret", "--local-only")
        assert done.stdout == "Between us.\n", done.stderr
        assert "(local)" in done.stderr
    assert provider.calls == 0


def test_a_cost_limit_that_is_too_small_refuses_before_anything_is_sent(
    asking: Labverse, provider: Provider
) -> None:
    done = asking.run("ask", "why?", "--max-cost", "0.00001")
    assert done.returncode == 2
    line = only_line(done.stderr)
    assert "costs at least $" in line
    assert "over the limit of $0.00001" in line
    assert provider.calls == 0


def test_a_spent_month_refuses_with_the_figures_and_when_it_resets(
    asking: Labverse, provider: Provider
) -> None:
    use(asking, {"mine": paid(provider)}, cost_control={"monthly_ai_budget_usd": 0.00001})
    done = asking.run("ask", "why?")
    assert done.returncode == 2
    line = only_line(done.stderr)
    assert "BudgetExhausted" in line
    assert "$0.00001" in line
    assert "resets at" in line
    assert provider.calls == 0


@pytest.mark.parametrize("arguments", [["--deadline", "4"], ["--deadline", "4", "--stream"]])
def test_a_deadline_holds_against_a_provider_that_hangs(
    asking: Labverse, provider: Provider, arguments: list[str]
) -> None:
    provider.behaviour = Reply(hangs=True)
    asking.start("up", "--agents", "1", ready="labverse is up")
    done = asking.run("ask", "are you there?", *arguments)
    took_s = time.monotonic() - provider.requests[0].at_s
    assert done.returncode == 2
    assert "DeadlineExceeded" in only_line(done.stderr)
    assert took_s < 4 + 1
    assert provider.wait_idle()


def test_explain_shows_what_was_estimated_and_what_happened(asking: Labverse, provider: Provider) -> None:
    with Provider(Reply(status=500)) as broken:
        rows = {
            "bad": paid(broken),
            "mine": paid(provider),
            "nokey": {**paid(broken), "key_variable": "NO_KEY"},
        }
        use(asking, rows, primary="bad/m", fallbacks=["mine/m", "nokey/m"])
        done = asking.run("ask", "why?", "--explain")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Because of Rayleigh.\n"
    rows_shown = [line.split() for line in done.stderr.splitlines()]
    assert any(row[:3] == ["1", "bad/m", "cloud"] for row in rows_shown)
    assert any(row[:3] == ["2", "mine/m", "cloud"] for row in rows_shown)
    assert any(row[:2] == ["-", "nokey/m"] and row[-3:] == ["key:", "set", "NO_KEY"] for row in rows_shown)
    assert any("bad/m" in row and "failed" in row for row in rows_shown)
    assert any("mine/m" in row and "answered" in row for row in rows_shown)
    assert "500" in done.stderr


def test_json_tells_completion_cost_and_explanation(asking: Labverse, provider: Provider) -> None:
    done = asking.run("ask", "why?", "--json")
    assert done.returncode == 0
    assert done.stderr == ""
    reply = json.loads(done.stdout)
    assert set(reply) == {"completion", "refusal", "explanation"}
    completion = reply["completion"]
    assert completion["text"] == "Because of Rayleigh."
    assert completion["model"] == "mine/m"
    assert [(completion["usage"]["input_tokens"], completion["usage"]["output_tokens"])] == provider.billed
    assert completion["cost_nusd"] > 0
    assert reply["explanation"]["attempts"][0]["outcome"] == "answered"
    refused = asking.run("ask", "why?", "--json", "--local-only")
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["refusal"]["kind"] == "NoModelAvailable"


def test_a_running_router_answers_with_its_own_keys(asking: Labverse, provider: Provider) -> None:
    up = asking.start("up", "--agents", "1", ready="labverse is up")
    del asking.env[KEY_VARIABLE]
    done = asking.run("ask", "why?")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Because of Rayleigh.\n"
    assert f"answered by the router of `labverse up` (pid {up.pid})" in only_line(done.stderr)
    again = asking.run("ask", "why?")
    assert "from the cache" in again.stderr
    cached = json.loads(asking.run("ask", "why?", "--json").stdout)
    assert cached["explanation"]["notes"] == ["the answer is from the cache: no model was chosen"]
    assert cached["explanation"]["attempts"] == []
    assert provider.calls == 1


def test_without_its_key_a_model_is_passed_over_or_the_variable_is_named(
    asking: Labverse, provider: Provider
) -> None:
    use(asking, {"mine": paid(provider)}, with_key=False)
    done = asking.run("ask", "why?")
    assert done.returncode == 2
    assert f"set {KEY_VARIABLE}" in only_line(done.stderr)
    with Provider(Reply(text="I can.")) as other:
        rows = {"mine": paid(provider), "open": {**paid(other), "key_variable": ""}}
        use(asking, rows, fallbacks=["open/m"], with_key=False)
        done = asking.run("ask", "why?")
    assert done.stdout == "I can.\n", done.stderr
    assert provider.calls == 0


@pytest.mark.parametrize("by_up", [False, True], ids=["by itself", "by up"])
@pytest.mark.parametrize("arguments", [[], ["--stream"]], ids=["whole", "stream"])
def test_ctrl_c_stops_the_model_at_once(
    asking: Labverse, provider: Provider, arguments: list[str], by_up: bool
) -> None:
    if by_up:
        asking.start("up", "--agents", "1", ready="labverse is up")
    provider.behaviour = Reply(text="never ends" * 50, delay_s=0 if arguments else 30, token_delay_s=0.5)
    process = asking.start("ask", "go on", *arguments)
    wait_for(lambda: provider.running)
    if arguments:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 20)[0]  # the first piece is there
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=10)
    assert bool(printed) == bool(arguments)
    assert process.returncode == 130
    assert only_line(said) == "labverse: interrupted"
    if printed:  # the shell's prompt, or whatever comes next, begins a line of its own
        assert printed.endswith("\n")
    assert provider.wait_idle(2)
    assert provider.disconnected == 1


def test_the_key_is_never_told(asking: Labverse, provider: Provider) -> None:
    """Not by -vv, not by an error that quotes it, not in the bus's files, not in the settings."""
    provider.key = "another"  # so that the provider's error quotes what it got
    up = asking.start("up", "--agents", "1", "-vv", ready="labverse is up")
    outputs = [
        asking.run(*command)
        for command in (
            ["ask", "why?", "-vv", "--explain"],
            # By then the provider's breaker is open, which is waited for to the deadline.
            ["ask", "why?", "-vv", "--json", "--stream", "--deadline", "3"],
            ["providers", "--check", "-vv"],
            ["providers", "--check", "--json", "-vv"],
            ["config", "show"],
        )
    ]
    assert provider.requests[0].authorization == f"Bearer {KEY}"
    assert outputs[0].returncode == 2
    up.send_signal(signal.SIGTERM)
    said, logged = up.communicate(timeout=20)
    told = "".join(done.stdout + done.stderr for done in outputs) + said + logged
    assert KEY not in told
    files = [path for path in asking.data.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def test_without_up_the_key_is_never_told_either(asking: Labverse, provider: Provider) -> None:
    provider.key = "another"
    done = asking.run("ask", "why?", "-vv", "--explain")
    assert done.returncode == 2
    assert provider.requests[0].authorization == f"Bearer {KEY}"
    assert KEY not in done.stdout + done.stderr
    for path in asking.data.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([" "], "there is no question"),
        (["x", "--schema", "/no/such/file"], "/no/such/file can't be read"),
        (["x", "--schema", "{bad}"], "is not JSON"),
        (["x", "--schema", "{list}"], "expected an object"),
        (["x", "--schema", "{wrong}"], "schema"),
        (["x", "--image", "{bad}"], "is no PNG, JPEG, GIF or WebP"),
        (["x", "--task", "a b"], "'a b' is no task id"),
        (["x", "--deadline", "nan"], "--deadline must be"),
        (["x", "--deadline", "soon"], "--deadline"),
        (["x", "--max-cost", "nan"], "--max-cost must be"),
        (["x", "--max-tokens", "0"], "--max-tokens must be"),
        (["x", "--tenant", "a" * 65], "is no tenant's name: use 1 to 64 of A-Z a-z 0-9 _ -"),
        (["x", "--tenant", "acme corp"], "--tenant 'acme corp' is no tenant's name"),
        (["x", "--model", "m" * 200], "--model"),
        (["x", "--model", "mine/other"], "mine/other"),
        (["x", "--local-model", "/no/such.gguf"], "/no/such.gguf"),
        (["x", "--local-model", "{bad}"], "GGUF"),
    ],
)
def test_a_mistake_is_said_in_one_line(
    asking: Labverse, provider: Provider, tmp_path: Path, arguments: list[str], said: str
) -> None:
    files = {"bad": "{", "list": "[1]", "wrong": '{"type": "integre"}'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = {f"{{{name}}}": str(tmp_path / name) for name in files}
    done = asking.run("ask", *(paths.get(one, one) for one in arguments))
    assert done.returncode == 2
    assert said in only_line(done.stderr)
    assert done.stdout == ""
    assert provider.calls == 0


def test_a_question_that_is_no_text_is_refused(asking: Labverse, provider: Provider) -> None:
    done = subprocess.run(
        asking.command("ask", "-"),
        input=bytes(range(256)),
        capture_output=True,
        timeout=60,
        env=asking.env,
        check=False,
    )
    assert done.returncode == 2
    assert b"no UTF-8 text" in done.stderr
    assert not provider.requests
