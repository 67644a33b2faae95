"""What is quoted from a file, and that no secret is."""

from pathlib import Path

import pytest

from agents.review.analysers.quote import CODE_LINES_MAX, finish_hits
from schemas.review import LINE_CHARS_MAX, Hit, Severity

SECRET = "Tr0ub4dor&3xyz"


def hit(line: int, **fields: object) -> Hit:
    values: dict[str, object] = {
        "analyser": "bandit",
        "rule": "B1",
        "path": "a.py",
        "line": line,
        "title": "A title",
        "severity": Severity.HIGH,
    }
    return Hit(**(values | fields))  # type: ignore[arg-type]


def finish(folder: Path, source: str, *hits: Hit) -> tuple[Hit, ...]:
    (folder / "a.py").write_text(source)
    return finish_hits(hits, folder)


def test_lines_are_quoted_from_first_to_last(tmp_path: Path) -> None:
    (done,) = finish(tmp_path, "a\n\tb\n c \nd\n", hit(2, end_line=3))
    assert (done.line, done.end_line, done.code) == (2, 3, "\tb\n c ")


def test_a_long_place_and_a_long_line_are_cut(tmp_path: Path) -> None:
    (done,) = finish(tmp_path, "x" * 5_000 + "\ny" * 50, hit(1, end_line=40))
    lines = done.code.split("\n")
    assert (done.end_line, len(lines), len(lines[0])) == (40, CODE_LINES_MAX, LINE_CHARS_MAX)


def test_the_last_line_is_never_before_the_first_nor_after_the_file(tmp_path: Path) -> None:
    ends = [done.end_line for done in finish(tmp_path, "a\nb\nc", hit(2, end_line=0), hit(3, end_line=99))]
    assert ends == [2, 3]


def test_a_hit_outside_the_file_or_in_a_file_that_is_gone_is_dropped(tmp_path: Path) -> None:
    assert finish(tmp_path, "a\n", hit(5), hit(0), hit(1, path="gone.py")) == ()


def test_the_same_finding_of_the_same_analyser_is_kept_once(tmp_path: Path) -> None:
    done = finish(tmp_path, "a\n", hit(1), hit(1, column=7), hit(1, rule="B2"), hit(1, analyser="ruff"))
    assert [(one.analyser, one.rule) for one in done] == [("bandit", "B1"), ("bandit", "B2"), ("ruff", "B1")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f'password = "{SECRET}"', 'password = "Tr0u…"'),
        (f"aws_secret_access_key = '{SECRET}'", "aws_secret_access_key = 'Tr0u…'"),
        (f'{{"password": "{SECRET}", "n": 1}}', '{"password": "Tr0u…", "n": 1}'),
        (f'config["password"] = "{SECRET}"', 'config["password"] = "Tr0u…"'),
        (f"DB_PASSWORD={SECRET}", "DB_PASSWORD=Tr0u…"),
        (f"  password: {SECRET}", "  password: Tr0u…"),
        (f"# don't: pw = '{SECRET}'", None),
        (f'x = f"{{y}}{SECRET}"', None),
        (f'"""{SECRET}"""', None),
        (f'password = "{SECRET}', None),
        (f"password=({SECRET})", None),
        ("x" * (LINE_CHARS_MAX - 20) + f' = "{SECRET}{SECRET}"', None),
        (f'"a" + b + "{SECRET}\\"{SECRET}"', None),
        ('k = "' + "q8Zr2LwX9vTn4KsB" * 30 + '"', 'k = "q8Zr…"'),
    ],
)
def test_nothing_on_the_line_of_a_secret_shows_it(tmp_path: Path, line: str, code: str | None) -> None:
    (done,) = finish(tmp_path, line + "\n", hit(1, cwe=798))
    assert SECRET not in done.code
    assert SECRET[:8] not in done.code
    if code is not None:
        assert done.code == code


def test_a_secret_is_cut_from_every_text_of_every_analyser(tmp_path: Path) -> None:
    said = f"Possible hardcoded password: '{SECRET}'"
    done = finish(
        tmp_path,
        f'login("app", password="{SECRET}")\n',
        hit(1, cwe=89, title=said, description=said, fix=said),
        hit(1, cwe=259, rule="B106"),
    )
    assert len(done) == 2
    assert SECRET not in repr(done)


def test_a_secret_is_cut_where_no_analyser_of_this_role_reports_it(tmp_path: Path) -> None:
    key = "AKIAIOSFODNN7EXAMPLQ"
    source = f'connect("{key}", verify=False, api_key="{SECRET}")\n'
    (done,) = finish(tmp_path, source, hit(1, cwe=295))
    assert done.code == 'connect("AKIA…", verify=False, api_key="Tr0u…")'


def test_code_without_secrets_stays_as_it_is(tmp_path: Path) -> None:
    source = 'db.execute(f"SELECT * FROM users WHERE password = {password_of_the_user_1234}")\n'
    (done,) = finish(tmp_path, source, hit(1, cwe=89))
    assert done.code == source.rstrip("\n")
