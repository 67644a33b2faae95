"""The house: names, version, sizes, and a README whose commands work."""

import ast
import importlib
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from labverse import HEADLINE, Labverse

from orchestrator.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("orchestrator", "agents", "bus", "config", "schemas")
FUNCTION_LINES_MAX = 70


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_is_this_checkouts(name: str) -> None:
    """Others install packages of these names too: `openai-agents` brings a top-level `agents`."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_top_level_folders_are_those_of_the_layout() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in listed.splitlines() if "/" in line}
    assert folders <= {*PACKAGES, "deploy", "tests", ".ci", ".github"}


def test_no_function_is_longer_than_a_screen() -> None:
    long = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert long == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def readme_commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return [
        line.removeprefix("$ ")
        for block in blocks
        for line in block.splitlines()
        if line.startswith("$ labverse")
    ]


@pytest.mark.timeout(180)
def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    commands = readme_commands()
    assert len(commands) >= 10
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "app.py").write_text(HEADLINE)
    (folder / "colour.json").write_text('{"type": "object", "properties": {"colour": {"type": "string"}}}')
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    labverse = Labverse(tmp_path / "data")
    for command in commands:
        done = labverse.run(*shlex.split(command)[1:], cwd=folder)
        assert done.returncode in (0, 1), f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_links_in_the_documents_lead_somewhere() -> None:
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md"):
        path = ROOT / name
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{name}: {target}"
