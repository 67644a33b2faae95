"""No process that labverse starts sees a secret that stands in its environment."""

import time
from pathlib import Path

from labverse import Labverse
from running import descendants, environment_of

SECRETS = {
    "OPENAI_API_KEY": "sk-secret-1",
    "HF_TOKEN": "hf-secret-2",
    "AWS_SECRET_ACCESS_KEY": "secret-3",
    "MY_PASSWORD": "secret-4",
    "WHATEVER_THE_FILE_NAMES": "secret-5",
    "DATABASE_URL": "postgres://me:secret-6@db/x",
    "UV_PUBLISH_TOKEN": "secret-7",
    "UV_INDEX_URL": "https://me:secret-8@index.example/simple",
    "PYTHON_SOMETHING_KEY": "secret-9",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret-10",
}
KINDS = {
    "nats-server -c": "the server",
    "warden.py": "its warden",
    "anyio.to_process": "an analyser",
    "orchestrator.local.child": "the local model",
}


def test_server_warden_analysers_and_the_local_model_get_no_secret(labverse: Labverse) -> None:
    labverse.env |= SECRETS | {
        "LABVERSE_LLM__DISCOVER": "false",
        "LC_TIME": "C",
        "COVERAGE_PROCESS_X": "kept",
    }
    up = labverse.start("up", "--agents", "1", "--local-model", ready="labverse is up")
    until = time.monotonic() + 20
    found: dict[str, int] = {}
    while len(found) < len(KINDS):
        assert time.monotonic() < until, found
        for pid, command in descendants(up.pid).items():
            found |= {kind: pid for part, kind in KINDS.items() if part in command}
    for kind, pid in found.items():
        environment = environment_of(pid)
        assert "secret" not in str(environment), (kind, environment)
        assert not set(SECRETS) & set(environment), kind
        for name in ("PATH", "HOME", "LC_TIME", "COVERAGE_PROCESS_X"):
            assert environment.get(name) == labverse.env.get(name), (kind, name)


def test_a_review_without_secrets_in_its_analysers_finds_what_it_always_found(
    labverse: Labverse, headline: Path
) -> None:
    labverse.env |= SECRETS
    done = labverse.run("review", headline)
    assert done.returncode == 1, done.stderr
    assert "SQL" in done.stdout
