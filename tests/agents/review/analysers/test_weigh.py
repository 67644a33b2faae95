"""What is harmless where it stands is told as `info`; what is not keeps its severity."""

from pathlib import Path

import pytest

from agents.review.analysers.bandit import Bandit
from agents.review.analysers.ruff import Ruff
from agents.review.analysers.weigh import weigh_hits
from schemas.review import Hit, Severity


def weighed(folder: Path, source: str, path: str = "app.py") -> list[Hit]:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(source)
    hits = [hit for one in (Bandit(), Ruff()) for hit in one.run("security", folder, [path]).hits]
    assert {hit.analyser for hit in hits} >= {"bandit"}
    return weigh_hits(hits, folder)


@pytest.mark.parametrize(
    "source",
    [
        "import hashlib\ndef etag(body):\n    return hashlib.md5(body).hexdigest()\n",
        "import random\ndef pause():\n    return random.uniform(1, 2)\n",
        "from django.utils.safestring import mark_safe\nNOTE = mark_safe('<b>new</b>')\n",
        "from markupsafe import Markup, escape\ndef show(a):\n    return Markup(escape(a))\n",
        "from urllib.request import urlopen\nurlopen(RELEASES_URL)\n",
        "import os\nos.chmod('socket', 0o660)\n",
        "import requests\nrequests.get(url)\n",
        "import socket\nserver.bind(('0.0.0.0', 80))\n",
    ],
)
def test_harmless_uses_are_told_as_info(tmp_path: Path, source: str) -> None:
    hits = weighed(tmp_path, source)
    assert {hit.severity for hit in hits} == {Severity.INFO}
    assert max(hit.confidence for hit in hits) <= 0.3


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        (
            "import hashlib\ndef keep(password):\n    return hashlib.md5(password).hexdigest()\n",
            Severity.MEDIUM,
        ),
        ("import hashlib\ndef digest(a):\n    return hashlib.md5(a).hexdigest()\n", Severity.LOW),
        ("import random\ndef reset_token():\n    return str(random.random())\n", Severity.LOW),
        ("import subprocess\ndef f(a):\n    subprocess.run('ls ' + a, shell=True)\n", Severity.CRITICAL),
        ("import os\nos.chmod('socket', 0o666)\n", Severity.MEDIUM),
        ('def f(db, a):\n    db.execute("SELECT a FROM b WHERE c = \'" + a + "\'")\n', Severity.CRITICAL),
    ],
)
def test_what_counts_keeps_its_severity(tmp_path: Path, source: str, severity: Severity) -> None:
    assert min((hit.severity for hit in weighed(tmp_path, source)), key=lambda one: one.rank) is severity


def test_in_tests_everything_is_info(tmp_path: Path) -> None:
    source = "import subprocess\ndef f(a):\n    subprocess.run('ls ' + a, shell=True)\n"
    assert {hit.severity for hit in weighed(tmp_path, source, "tests/test_f.py")} == {Severity.INFO}


def test_only_severity_and_confidence_change(tmp_path: Path) -> None:
    source = "import random\ndef pause():\n    return random.uniform(1, 2)\n"
    (tmp_path / "app.py").write_text(source)
    (before,) = Bandit().run("security", tmp_path, ["app.py"]).hits
    (after,) = weigh_hits([before], tmp_path)
    assert (after.rule, after.line, after.title, after.cwe) == (
        before.rule,
        before.line,
        before.title,
        before.cwe,
    )


def test_a_hit_in_a_file_that_is_gone_stays(tmp_path: Path) -> None:
    hit = Hit(
        analyser="bandit",
        rule="B324",
        path="gone.py",
        line=3,
        title="t",
        severity=Severity.MEDIUM,
        confidence=0.7,
        cwe=327,
    )
    (after,) = weigh_hits([hit], tmp_path)
    assert (after.path, after.line) == ("gone.py", 3)
