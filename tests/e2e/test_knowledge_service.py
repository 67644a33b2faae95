"""The librarian of a running `labverse up`, asked over the bus."""

import json

from labverse import Labverse


def test_services_and_the_command_line_find_the_same(labverse: Labverse) -> None:
    labverse.start("up", "--agents", "1", ready="labverse is up")
    status = labverse.run("status", "--detailed", "--json")
    assert "librarian" in status.stdout
    assert "model-reviewer" in status.stdout
    done = labverse.run("knowledge", "search", "shell injection in subprocess", "--json", "-k", "3")
    assert done.returncode == 0, done.stderr
    hits = json.loads(done.stdout)["hits"]
    assert hits[0]["document_id"] == "os-command-injection"


def test_there_are_52_documents(labverse: Labverse) -> None:
    done = labverse.run("knowledge", "list", "--json")
    assert len(json.loads(done.stdout)["documents"]) == 52
