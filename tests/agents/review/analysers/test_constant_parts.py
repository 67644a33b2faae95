"""Which texts built at run time count as safe, seen through both analysers that report them."""

from pathlib import Path

import pytest

from agents.review.analysers import FLOW, analyse
from schemas.review import Severity


def severities(folder: Path, source: str, cwe: int) -> set[Severity]:
    """What analysers of text say; data flow has its own tests."""
    (folder / "a.py").write_text(source)
    hits = analyse("security", folder, ["a.py"]).hits
    return {hit.severity for hit in hits if hit.cwe == cwe and hit.analyser != FLOW}


@pytest.mark.parametrize(
    "source",
    [
        'TABLE = "users"\ndef f(db, n):\n    return db.execute(f"SELECT * FROM {TABLE} WHERE id = ?", (n,))\n',
        'def f(db):\n    table = "users"\n    return db.execute("SELECT * FROM " + table)\n',
        'def f(db, n):\n    return db.execute(f"SELECT * FROM users LIMIT {int(n)}")\n',
        'def f(db, ids):\n    marks = ",".join("?" for _ in ids)\n'
        '    return db.execute(f"SELECT * FROM users WHERE id IN ({marks})", ids)\n',
        'def f(db, ids):\n    marks = ",".join("?" * len(ids))\n'
        '    return db.execute("SELECT * FROM users WHERE id IN (%s)" % marks, ids)\n',
        'class A:\n    def f(self):\n        return self.db.execute("SELECT * FROM {}".format(self.TABLE))\n',
    ],
)
def test_sql_put_together_from_constants_is_a_low_finding(tmp_path: Path, source: str) -> None:
    assert severities(tmp_path, source, 89) == {Severity.LOW}


@pytest.mark.parametrize(
    "source",
    [
        'def f(db, table):\n    return db.execute("SELECT * FROM " + table)\n',
        'TABLE = "users"\ndef f(db, n):\n    return db.execute(f"SELECT * FROM {TABLE} WHERE id = {n}")\n',
        "def f(db):\n    name = input()\n    return db.execute(f\"SELECT * FROM users WHERE name = '{name}'\")\n",
        'def f(db):\n    name = "a"\n    for name in db.names():\n        db.execute(f"SELECT * FROM t WHERE n = \'{name}\'")\n',
        'def f(db):\n    q = "a"\n    q += input()\n    return db.execute(f"SELECT * FROM users WHERE name = \'{q}\'")\n',
        'def f(db):\n    a, b = input().split()\n    return db.execute("SELECT * FROM users WHERE a = %s" % a)\n',
        'def f(db, ids):\n    return db.execute("SELECT * FROM t WHERE id IN (%s)" % ",".join(ids))\n',
    ],
)
def test_sql_with_a_part_of_unknown_origin_stays_critical(tmp_path: Path, source: str) -> None:
    assert severities(tmp_path, source, 89) == {Severity.CRITICAL}


@pytest.mark.parametrize(
    ("command", "severity"),
    [
        ('"ls -l"', Severity.LOW),
        ("command", Severity.LOW),
        ('f"ls {FOLDER}"', Severity.LOW),
        ('f"ls {folder}"', Severity.CRITICAL),
        ("folder", Severity.CRITICAL),
    ],
)
@pytest.mark.parametrize("call", ["subprocess.run({}, shell=True)", "os.system({})"])
def test_a_constant_shell_command_is_a_low_finding(
    tmp_path: Path, call: str, command: str, severity: Severity
) -> None:
    source = (
        'import os\nimport subprocess\nFOLDER = "/tmp/x"\ncommand = "ls -l"\n\n\n'
        f"def f(folder):\n    {call.format(command)}\n"
    )
    assert severities(tmp_path, source, 78) == {severity}


def test_a_softened_hit_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('T = "t"\ndb.execute(f"SELECT * FROM {T}")\n')
    hits = [hit for hit in analyse("security", tmp_path, ["a.py"]).hits if hit.cwe == 89]
    assert len(hits) == 2
    assert all("constant" in hit.description for hit in hits)
    assert all(hit.confidence <= 0.3 for hit in hits)


@pytest.mark.parametrize(
    "text",
    [
        "select a file from {x}",
        "Select one of the rows from {x}",
        "Update the value of {x} and set it",
        "Delete the old one from {x}",
        "Insert the card into {x}",
    ],
)
def test_a_sentence_with_the_words_of_sql_is_at_most_a_low_finding(tmp_path: Path, text: str) -> None:
    assert severities(tmp_path, f'def f(x):\n    print(f"{text}")\n', 89) <= {Severity.LOW}


@pytest.mark.parametrize(
    "text",
    [
        "select * from users where n = '{x}'",
        "SELECT u.id, count(*) AS n, max(a, b) FROM users u WHERE n = '{x}'",
        "SELECT DISTINCT name FROM {x}",
        "insert into users (a) values ('{x}')",
        "UPDATE users SET name = '{x}'",
        "delete from users where n = '{x}'",
        "WITH a AS (SELECT 1) SELECT * FROM a WHERE b = {x}",
        "-- note\\nSELECT {x} FROM users",
    ],
)
def test_a_statement_stays_critical_wherever_it_is_kept(tmp_path: Path, text: str) -> None:
    source = f'def f(x):\n    statement = f"{text}"\n    return statement\n'
    assert severities(tmp_path, source, 89) <= {Severity.CRITICAL}
    assert severities(tmp_path, source, 89)


def test_an_odd_statement_that_is_run_stays_critical(tmp_path: Path) -> None:
    source = 'def f(db, x):\n    db.execute(f"select top something odd from {x}")\n'
    assert severities(tmp_path, source, 89) == {Severity.CRITICAL}


@pytest.mark.parametrize(
    "loader",
    [
        "loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)",
        "loader = yaml.CSafeLoader if fast else yaml.SafeLoader",
        "loader = SafeLoader",
        "one = yaml.SafeLoader\nloader = one",
    ],
)
def test_a_safe_yaml_loader_under_another_name_is_a_low_finding(tmp_path: Path, loader: str) -> None:
    source = f"import yaml\nfrom yaml import SafeLoader\n{loader}\nyaml.load(text, Loader=loader)\n"
    assert severities(tmp_path, source, 502) <= {Severity.LOW}


@pytest.mark.parametrize(
    "loader",
    [
        "loader = yaml.Loader",
        "loader = getattr(yaml, name, yaml.SafeLoader)",
        "loader = getattr(yaml, 'CSafeLoader', yaml.Loader)",
        "loader = yaml.SafeLoader\nif trusted:\n    loader = yaml.UnsafeLoader",
        "loader = loader if loader else loader",
        "def f(loader=None): pass\nloader = yaml.SafeLoader",
        "for loader in (yaml.SafeLoader, yaml.Loader): pass",
    ],
)
def test_a_yaml_loader_that_may_be_unsafe_stays_what_it_is(tmp_path: Path, loader: str) -> None:
    source = f"import yaml\n{loader}\nyaml.load(text, Loader=loader)\n"
    assert severities(tmp_path, source, 502) & {Severity.CRITICAL, Severity.HIGH}
