"""The description of all endpoints says what they do."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from gatewaylab import gateway_lab

from bus import Bus
from orchestrator.gateway.app import ENDPOINTS, all_routes
from orchestrator.gateway.endpoint import Endpoint, Problem
from orchestrator.gateway.parts import Parts


async def test_every_endpoint_stands_in_the_description(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        document = (await lab.get("/openapi.json")).json
        assert document["openapi"].startswith("3.1")
        described = {(path, method) for path, ways in document["paths"].items() for method in ways}
        parts = Parts(bus=bus, settings=lab.settings, version="1")
        declared = {(route.path, route.method.lower()) for route in all_routes(parts)}  # type: ignore[attr-defined]
        assert described == declared
        assert ("/health", "get") in described
        ids = [way["operationId"] for ways in document["paths"].values() for way in ways.values()]
        assert len(ids) == len(set(ids))
        assert document["paths"]["/health"]["get"]["security"] == []
        assert document["paths"]["/api/v1/tasks"]["post"]["security"]


async def test_references_lead_somewhere_and_answers_are_what_is_described(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.get("/openapi.json")
        document = answer.json
        names = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.body.decode()))
        assert names <= document["components"]["schemas"].keys()
        for path in ("/health", "/api/v1/approvals"):
            _check(document, path, "get", 200, (await lab.get(path)).json)
        _check(document, "/api/v1/approvals", "get", 400, (await lab.get("/api/v1/approvals?limit=x")).json)
        wrong = await lab.post("/api/v1/approvals/a1", {})
        _check(document, "/api/v1/approvals/{approval_id}", "post", wrong.status, wrong.json)


def _check(document: dict[str, Any], path: str, method: str, status: int, value: Any) -> None:
    schema = document["paths"][path][method]["responses"][str(status)]["content"]["application/json"][
        "schema"
    ]
    jsonschema.validate(value, {**schema, "components": document["components"]})


async def test_every_endpoint_says_who_may_use_it(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        parts = Parts(bus=bus, settings=lab.settings, version="1")
        routes = [route for module in ENDPOINTS for route in module.routes(parts)]
        assert all(isinstance(route, Endpoint) for route in routes)
        assert {route.path for route in routes if route.needs is None} == {"/health", "/slack/interactions"}


def test_a_problem_has_its_three_fields() -> None:
    assert msgspec.to_builtins(Problem(code="a", message="b")) == {"code": "a", "message": "b", "path": ""}
