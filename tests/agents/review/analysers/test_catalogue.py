"""One voice for several analysers: the table of weaknesses, and what Bandit and Ruff make of the same lines."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from agents.review.analysers import analyse, catalogue
from agents.review.analysers.bandit import LEFT_OUT, load
from agents.review.analysers.catalogue import Weakness
from agents.review.analysers.ruff import binary
from agents.review.cwe import NAMES
from schemas.review import Severity

WEAKNESSES = msgspec.yaml.decode(
    (Path(catalogue.__file__).parent / "catalogue.yaml").read_bytes(), type=list[Weakness]
)
EACH = pytest.mark.parametrize("weakness", WEAKNESSES, ids=[one.id for one in WEAKNESSES])

# Source, rules of Bandit and Ruff without their letter, severity, CWE.
BOTH = [
    ("eval(input())", "307", "high", 95),
    ("exec(input())", "102", "high", 95),
    ("pickle.loads(data)", "301", "high", 502),
    ("yaml.load(text)", "506", "high", 502),
    ("hashlib.md5(data)", "324", "medium", 327),
    ("random.random()", "311", "low", 330),
    ("requests.get(url, verify=False, timeout=1)", "501", "high", 295),
    ("requests.get(url)", "113", "low", 400),
    ("tempfile.mktemp()", "306", "medium", 377),
    ("os.chmod('x', 0o777)", "103", "medium", 732),
    ("ssl._create_unverified_context()", "323", "high", 295),
    ("xml.etree.ElementTree.parse(path)", "314", "medium", 611),
    ("os.system('ls -l')", "605", "low", 78),
    ("os.system(command)", "605", "critical", 78),
    ("subprocess.run('ls', shell=True)", "602", "low", 78),
    ("subprocess.run(command, shell=True)", "602", "critical", 78),
    ("db.execute('SELECT * FROM t WHERE a = ' + a)", "608", "critical", 89),
    ("jinja2.Environment()", "701", "high", 79),
]
IMPORTS = "import hashlib, os, pickle, random, requests, ssl, subprocess, tempfile, yaml, xml.etree.ElementTree, jinja2\n"


@EACH
def test_a_weakness_says_what_is_wrong_and_what_to_do(weakness: Weakness) -> None:
    assert 0 < len(weakness.title) <= 60
    assert not weakness.title.endswith(".")
    assert len(weakness.description) >= 30
    assert len(weakness.fix) >= 10
    assert weakness.harmless.rank >= weakness.severity.rank
    assert weakness.cwe == 0 or weakness.cwe in NAMES


def test_every_rule_has_one_meaning_and_exists() -> None:
    load()
    from bandit.core.extension_loader import MANAGER

    counts = Counter(rule for weakness in WEAKNESSES for rule in weakness.rules)
    assert [rule for rule, count in counts.items() if count > 1] == []
    listed = subprocess.run(
        [binary(), "rule", "--all", "--output-format", "json"], capture_output=True, check=True
    )
    known = {str(rule["code"]) for rule in json.loads(listed.stdout) if "Removed" not in rule["status"]}
    known |= {*MANAGER.plugins_by_id, *MANAGER.blacklist_by_id}
    assert sorted({*counts, *LEFT_OUT} - known) == []  # of what Ruff is told to select, it checks that itself
    assert sorted(set(counts) & LEFT_OUT) == []


@pytest.mark.parametrize(("source", "rule", "severity", "cwe"), BOTH, ids=[row[0] for row in BOTH])
def test_bandit_and_ruff_say_the_same(
    tmp_path: Path, source: str, rule: str, severity: str, cwe: int
) -> None:
    (tmp_path / "a.py").write_text(f"{IMPORTS}{source}\n")
    hits = [hit for hit in analyse("security", tmp_path, ["a.py"]).hits if hit.rule[1:] == rule]
    assert [(hit.analyser, hit.rule) for hit in hits] == [("bandit", f"B{rule}"), ("ruff", f"S{rule}")]
    assert {(hit.line, hit.cwe) for hit in hits} == {(2, cwe)}
    [weighed] = {hit.severity for hit in hits}
    assert weighed.rank >= Severity(severity).rank  # where it stands can make it milder, never worse
    assert len({(hit.title, hit.description, hit.fix) for hit in hits}) == 1


def test_matters_of_taste_and_noise_are_not_reported(tmp_path: Path) -> None:
    source = (
        "import subprocess, pickle, os\nimport json\nfrom typing import List\n\n"
        "def f( x ):\n    assert x, 'needed'\n    '''doc'''\n"
        f"    long_line = {'x' * 150!r}\n    return subprocess.run(['ls', x])\n"
    )
    (tmp_path / "a.py").write_text(source)
    for role in ("security", "quality", "performance", "testing"):
        assert analyse(role, tmp_path, ["a.py"]).hits == (), role


@pytest.mark.parametrize(
    ("role", "source", "rule"),
    [
        ("quality", "def f(a=[]): ...\n", "B006"),
        ("quality", "print(undefined)\n", "F821"),
        ("quality", "try:\n    f = 1\nexcept Exception:\n    pass\n", "S110"),
        ("quality", "try:\n    f = 1\nexcept:\n    print(f)\n", "E722"),
        ("quality", "x = 1\nif x is 'a': ...\n", "F632"),
        ("performance", "import time\nasync def f(): time.sleep(1)\n", "ASYNC251"),
        ("testing", "import pytest\ndef test_a():\n    assert False\n", "PT015"),
    ],
)
def test_a_rule_of_ruff_is_reported_in_its_role_alone(
    tmp_path: Path, role: str, source: str, rule: str
) -> None:
    (tmp_path / "test_a.py").write_text(source)
    found = {
        one: [hit.rule for hit in analyse(one, tmp_path, ["test_a.py"]).hits if hit.analyser == "ruff"]
        for one in ("security", "quality", "performance", "testing")
    }
    assert {one for one, rules in found.items() if rule in rules} == {role}


def test_comments_that_silence_bandit_and_ruff_are_left_to_us(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("# ruff: noqa\neval(input())  # nosec B307  # noqa: S307\n")
    hits = analyse("security", tmp_path, ["a.py"]).hits
    assert {(hit.analyser, hit.rule) for hit in hits} >= {("bandit", "B307"), ("ruff", "S307")}


def test_bandit_neither_prints_nor_logs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    names = [f"f{number}.py" for number in range(60)]
    for name in names:
        (tmp_path / name).write_text("x = '\\d'\nyaml.load(a)\n")
    (tmp_path / "wrong.py").write_text("def f(:\n")
    (tmp_path / "deep.py").write_text("x = " + "+".join(["a"] * 2_500))
    analysis = analyse("security", tmp_path, [*names, "wrong.py", "deep.py"])
    assert {entry.path for entry in analysis.not_reviewed if entry.stage == "bandit"} == {
        "wrong.py",
        "deep.py",
    }
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name.startswith("bandit")] == []


def test_ruff_tells_which_name_is_meant_and_how_to_fix_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "f = 1\nprint(undefined_thing, other_thing)\nif hasattr(f, '__call__'): ...\n"
    )
    found = analyse("quality", tmp_path, ["a.py"]).hits
    hits = {hit.rule: hit for hit in found}
    assert [hit.description.split(".")[0] for hit in found if hit.rule == "F821"] == [
        "Undefined name undefined_thing",
        "Undefined name other_thing",
    ]
    assert hits["B004"].title == 'Using hasattr(x, "__call__") to test if x is callable is unreliable'
    assert "callable" in hits["B004"].fix
