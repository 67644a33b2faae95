"""All analysers of all roles together: what a user sees of a file."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from agents.review import analysers
from agents.review.analysers import Analysis, analyse
from agents.review.roles import ROLES
from schemas.review import Hit, NotReviewed, Severity

SQL = {
    "f-string": "f\"SELECT * FROM users WHERE username = '{username}'\"",
    "percent": "\"SELECT * FROM users WHERE username = '%s'\" % username",
    "sum": '"SELECT * FROM users WHERE username = \'" + username + "\'"',
    "format": "\"SELECT * FROM users WHERE username = '{}'\".format(username)",
}
COMMANDS = {
    "run": 'return subprocess.run(f"ping -c 1 {host}", shell=True)',
    "call": 'return subprocess.call("ping -c 1 " + host, shell=True)',
    "popen": 'return subprocess.Popen("ping -c 1 %s" % host, shell=True)',
    "check_output": 'return subprocess.check_output("ping {}".format(host), shell=True)',
    "system": 'return os.system(f"ping -c 1 {host}")',
    "os.popen": 'return os.popen("ping -c 1 " + host)',
}
KEYS = {
    "openai": ('API_KEY = "sk-proj-1234567890abcdefghijklmnop"', "1234567890abcdefghijklmnop"),
    "short": ('API_KEY = "sk-1234567890abcdef"', "1234567890abcdef"),
    "lower": ('api_key = "abc123secretkey456"', "abc123secretkey456"),
    "dict": ('CONFIG = {"host": "db", "api_key": "abc123secretkey456"}', "abc123secretkey456"),
    "default": ('def call(api_key="abc123secretkey456"): ...', "abc123secretkey456"),
    "annotated": ('DB_PASSWORD: str = "Tr0ub4dor&3"', "Tr0ub4dor&3"),
    "keyword": ('client = Client(password="Tr0ub4dor&3")', "Tr0ub4dor&3"),
    "aws": ('KEY = "AKIAIOSFODNN7EXAMPLQ"', "AKIAIOSFODNN7EXAMPLQ"),
    "url": ('DSN = "postgres://app:Tr0ub4dor3x@db.shop.com/app"', "Tr0ub4dor3x"),
}
CLASSICS = """\
import {module}
import sqlite3

def get_user(username):
    conn = sqlite3.connect("users.db")
    query = {sql}
    return conn.execute(query).fetchone()


{key}

def ping(host):
    {command}
"""


def all_roles(folder: Path, paths: list[str]) -> Analysis:
    parts = [analyse(role, folder, paths) for role in ROLES]
    return Analysis(
        hits=tuple(itertools.chain.from_iterable(part.hits for part in parts)),
        stages=tuple(itertools.chain.from_iterable(part.stages for part in parts)),
        not_reviewed=tuple(itertools.chain.from_iterable(part.not_reviewed for part in parts)),
    )


def review(folder: Path, source: str, name: str = "app.py") -> Analysis:
    (folder / name).write_text(source)
    return all_roles(folder, [name])


def bad_places(hits: Iterable[Hit]) -> set[tuple[int, int, str]]:
    return {
        (hit.line, hit.cwe, hit.severity.value)
        for hit in hits
        if hit.severity in (Severity.CRITICAL, Severity.HIGH)
    }


@pytest.mark.parametrize("sql", SQL)
@pytest.mark.parametrize("command", COMMANDS)
def test_three_classics_are_the_three_critical_places(tmp_path: Path, sql: str, command: str) -> None:
    source = CLASSICS.format(
        module="os" if COMMANDS[command].startswith("return os") else "subprocess",
        sql=SQL[sql],
        key=KEYS["openai"][0],
        command=COMMANDS[command],
    )
    analysis = review(tmp_path, source)
    assert bad_places(analysis.hits) == {(6, 89, "critical"), (10, 798, "critical"), (13, 78, "critical")}
    assert analysis.not_reviewed == ()
    assert [stage.error for stage in analysis.stages if stage.error] == []


@pytest.mark.parametrize("name", KEYS)
def test_a_hard_coded_key_is_found_and_never_shown(tmp_path: Path, name: str) -> None:
    line, secret = KEYS[name]
    analysis = review(tmp_path, f"\n{line}\n")
    found = [hit for hit in analysis.hits if hit.cwe == 798]
    assert {hit.line for hit in found} == {2}
    assert {hit.severity for hit in found} == {Severity.CRITICAL}
    assert secret not in repr(analysis)
    assert all("…" in hit.code for hit in found)


@pytest.mark.parametrize(
    "line",
    [
        'API_KEY = os.environ["API_KEY"]',
        'password = os.getenv("DB_PASSWORD", "")',
        'PASSWORD_FIELD = "password"',
        'password = "changeme"',
        'api_key = "your-api-key-here"',
        'token_url = "https://auth.shop.com/oauth2/token"',
        'SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
        'url = "postgres://app:${DB_PASSWORD}@db/app"',
        'secret_name = "projects/shop/secrets/db"',
        'PATTERN = re.compile(r"sk-[A-Za-z0-9]{20,}")',
        'css_class = "sk-folding-cube-animation-large"',
    ],
)
def test_a_look_up_or_placeholder_is_no_secret(tmp_path: Path, line: str) -> None:
    analysis = review(tmp_path, f"import os\nimport re\n{line}\n")
    assert [hit for hit in analysis.hits if hit.cwe == 798] == []


def test_each_classic_comes_with_a_fix_to_copy(tmp_path: Path) -> None:
    source = CLASSICS.format(
        module="subprocess", sql=SQL["f-string"], key=KEYS["openai"][0], command=COMMANDS["run"]
    )
    hits = {hit.cwe: hit for hit in review(tmp_path, source).hits}
    assert "execute(" in hits[89].fix
    assert "?" in hits[89].fix
    assert "os.environ[" in hits[798].fix
    assert "subprocess.run([" in hits[78].fix


def test_code_is_quoted_as_it_stands_in_the_file(tmp_path: Path) -> None:
    source = "import os\n\n\ndef f(a):\n\tos.system(\n\t\t'ls ' +\n\t\ta\n\t)\n"
    hits = review(tmp_path, source).hits
    assert hits
    lines = source.split("\n")
    for hit in hits:
        assert 1 <= hit.line <= hit.end_line <= len(lines)
        assert hit.code == "\n".join(lines[hit.line - 1 : hit.end_line])


def test_nothing_is_said_twice_by_the_same_analyser(tmp_path: Path) -> None:
    analysis = review(tmp_path, "eval(input()) + eval(input())\ntry:\n    pass\nexcept:\n    pass\n")
    said = [(hit.analyser, hit.rule, hit.line) for hit in analysis.hits]
    assert said
    assert len(said) == len(set(said))


def test_a_sound_file_is_left_alone(tmp_path: Path) -> None:
    source = (
        '"""Users."""\nimport os\nimport sqlite3\nimport subprocess\n\nAPI_KEY = os.environ["API_KEY"]\n\n\n'
        "def get_user(db: sqlite3.Connection, name: str) -> object:\n"
        '    assert name\n    return db.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()\n\n\n'
        "def ping(host: str) -> None:\n"
        '    subprocess.run(["ping", "-c", "1", "--", host], check=True, timeout=5)\n'
    )
    assert review(tmp_path, source).hits == ()


def test_the_answer_survives_the_way_between_processes(tmp_path: Path) -> None:
    analysis = review(tmp_path, "eval(input())\n")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(analysis), type=Analysis) == analysis


def test_an_analyser_that_breaks_is_a_stage_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, role: str, folder: Path, paths: object) -> Analysis:
            raise RuntimeError("out of order")

    monkeypatch.setitem(analysers._made, "bandit", Broken())
    (tmp_path / "app.py").write_text("eval(input())\n")
    analysis = analyse("security", tmp_path, ["app.py"])
    assert {stage.analyser: stage.error for stage in analysis.stages}[
        "bandit"
    ] == "RuntimeError: out of order"
    assert {hit.rule for hit in analysis.hits if hit.analyser == "ruff"} == {"S307"}


def test_a_role_leaves_files_alone_that_are_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("eval(input())\n")
    analysis = analyse("accessibility", tmp_path, ["app.py"])
    assert (analysis.hits, analysis.not_reviewed) == ((), ())


def test_a_file_that_is_gone_is_named_by_every_analyser(tmp_path: Path) -> None:
    analysis = analyse("security", tmp_path, ["gone.py"])
    assert {entry.stage for entry in analysis.not_reviewed} >= {"bandit", "ruff"}
    assert all(isinstance(entry, NotReviewed) and entry.path == "gone.py" for entry in analysis.not_reviewed)
    assert str(tmp_path) not in repr(analysis.not_reviewed)
