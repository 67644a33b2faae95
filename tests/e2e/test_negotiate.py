"""`labverse negotiate` as a process: the deal, its proof, the picture, who blocks, and what is refused."""

import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from labverse import Labverse
from negotiations import Brute, unhurried
from rich.cells import cell_len

from agents.negotiator.concepts import CONCEPTS
from agents.negotiator.loading import load_domain
from agents.negotiator.solve import Options, solve
from schemas.deal import Certificate

SYNDICATION = Path(__file__).parent / "domains" / "syndication.yaml"
COLUMNS = 80
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

STUBBORN = """
name: stubborn
issues:
  - {name: split, values: [20, 50, 80]}
agents:
  - {name: ann, threshold: 70, utilities: {split: [20, 50, 80]}}
  - {name: bo, threshold: 40, utilities: {split: [80, 50, 20]}}
"""

FOUR = """
name: four
issues:
  - {name: day, values: [monday, friday]}
  - {name: hour, values: [early, noon, late]}
agents:
  - {name: ann, utilities: {day: [1, 0], hour: [3, 2, 0]}}
  - {name: bo, utilities: {day: [0, 1], hour: [0, 2, 3]}}
  - {name: cy, weight: 2, utilities: {day: [0.5, 0], hour: [1, 0, 1]}}
  - name: di
    scenarios:
      - {probability: 0.5, utilities: {day: [4, 0], hour: [0, 1, 0]}}
      - {probability: 0.5, utilities: {day: [0, 1.5], hour: [0, 1, 0]}}
"""


def answer(labverse: Labverse, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    done = labverse.run("negotiate", "--json", "--deadline", "20", *arguments)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def written(folder: Path, text: str) -> Path:
    path = folder / "domain.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("concept", CONCEPTS)
def test_the_json_is_the_certificate_and_the_deal_the_best_by_brute_force(
    labverse: Labverse, concept: str
) -> None:
    found = answer(labverse, "--domain", SYNDICATION, "--concept", concept)
    brute = Brute.of(load_domain(SYNDICATION))
    assert found["type"] == "deal"
    assert found["value"] == pytest.approx(brute.best(concept))
    assert found["is_exact"]
    assert not brute.dominates(found["utilities"])
    certificate = msgspec.convert(found, Certificate)
    expected = solve(load_domain(SYNDICATION), unhurried, Options(concept=concept))  # type: ignore[arg-type]
    assert isinstance(expected, Certificate)
    assert (certificate.deal, certificate.by_concept) == (expected.deal, expected.by_concept)


def test_everything_that_a_person_needs_is_said(labverse: Labverse) -> None:
    found = answer(labverse, "--domain", SYNDICATION)
    done = labverse.run("negotiate", "--domain", SYNDICATION, "--deadline", "20")
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    for issue, value in found["deal"].items():
        assert re.search(rf"^{re.escape(issue)} +{re.escape(value)}$", said, re.M), said
    assert "Cross-platform content syndication: 2 agents, 4 issues, 180 outcomes" in said
    for words in ("proven best", "gap 0", "runner-up", "smallest flip", "false statements tried", "binds"):
        assert words in said, said
    assert "dominated      no, proven" in said
    for concept in ("regret", "Nash", "Kalai–Smorodinsky", "egalitarian", "utilitarian"):
        assert re.search(rf"^{concept} ", said, re.M), said
    assert re.search(r"^· \d+ undominated deals   ◆ the deal   \+ shared deal   x without a deal", said, re.M)
    assert len([line for line in said.splitlines() if "│" in line]) > 10


def test_every_line_fits_a_terminal_of_80_columns(labverse: Labverse, tmp_path: Path) -> None:
    for domain in (SYNDICATION, written(tmp_path, FOUR)):
        lines = on_terminal(labverse, "negotiate", "--domain", domain, "--deadline", "20")
        assert max(map(cell_len, lines)) <= COLUMNS, "\n".join(lines)
        assert any("proven best" in line for line in lines)


def test_more_than_two_agents_get_bars(labverse: Labverse, tmp_path: Path) -> None:
    domain = written(tmp_path, FOUR)
    said = labverse.run("negotiate", "--domain", domain).stdout
    bars = [line for line in said.splitlines() if "█" in line or "░" in line]
    assert [line.split()[0] for line in bars] == ["ann", "bo", "cy", "di"]
    assert "weight 2" in said
    picture = tmp_path / "four.svg"
    labverse.run("negotiate", "--domain", domain, "--picture", picture)
    assert drawn(picture)["polyline"] >= 3


def test_the_picture_is_an_svg_with_every_undominated_deal(labverse: Labverse, tmp_path: Path) -> None:
    picture = tmp_path / "frontier.svg"
    done = labverse.run("negotiate", "--domain", SYNDICATION, "--deadline", "20", "--picture", picture)
    assert done.returncode == 0
    assert done.stderr == f"picture: {picture}\n"
    (count,) = re.findall(r"· (\d+) undominated deals", done.stdout)
    assert drawn(picture)["circle"] == int(count) + 1  # and the legend's
    asked = labverse.run("negotiate", "--domain", SYNDICATION, "--json", "--picture", picture)
    assert json.loads(asked.stdout)["type"] == "deal"


def test_no_deal_names_who_blocks(labverse: Labverse, tmp_path: Path) -> None:
    domain, picture = written(tmp_path, STUBBORN), tmp_path / "none.svg"
    found = answer(labverse, "--domain", domain, code=1)
    assert found["type"] == "no_deal"
    assert [one["agent"] for one in found["blockers"]] == ["ann", "bo"]
    done = labverse.run("negotiate", "--domain", domain, "--picture", picture)
    assert done.returncode == 1
    assert "no deal: none of 3 outcomes is accepted by everybody: ann needs 70" in done.stdout
    assert re.search(r"^ann +70 +50 +20 +blocks$", done.stdout, re.M), done.stdout
    assert "◆ the nearest outcome   n accepted from here   x without a deal" in done.stdout
    assert drawn(picture)["text"] > 0


def test_risk_and_regret_change_the_answer(labverse: Labverse, tmp_path: Path) -> None:
    domain = written(tmp_path, FOUR)
    neutral = answer(labverse, "--domain", domain, "--risk-aversion", "0")
    averse = [
        answer(labverse, "--domain", domain, "--risk", risk, "--risk-aversion", "1")
        for risk in ("semideviation", "cvar", "cara")
    ]
    ideals = [one["ideal"]["di"] for one in (neutral, *averse)]
    assert neutral["ideal"]["di"] == pytest.approx(3.0)
    assert len(set(ideals)) == 4
    assert max(ideals) == ideals[0]
    absolute = answer(labverse, "--domain", domain, "--regret", "absolute")
    assert absolute["regret"] == "absolute"
    assert absolute["value"] != answer(labverse, "--domain", domain)["value"]


def test_a_genius_folder_loads_with_its_warnings(labverse: Labverse, tmp_path: Path) -> None:
    for name, worth in (("ann", (1, 4)), ("bo", (4, 2))):
        (tmp_path / f"{name}.xml").write_text(
            '<utility_space><objective index="0" name="o" type="objective">'
            '<issue index="1" name="Harbour" type="discrete" vtype="discrete">'
            f'<item index="1" value="North" evaluation="{worth[0]}"/>'
            f'<item index="2" value="South" evaluation="{worth[1]}"/></issue>'
            '<weight index="1" value="1"/></objective><discount_factor value="0.9"/></utility_space>'
        )
    done = labverse.run("negotiate", "--domain", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Harbour  South" in done.stdout
    assert "note: profile 'ann': discount factor 0.9 is ignored" in done.stdout
    one = answer(labverse, "--domain", tmp_path, "--profile", tmp_path / "bo.xml")
    assert (one["deal"], list(one["utilities"])) == ({"Harbour": "North"}, ["bo"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--domain", "missing.yaml"], "missing.yaml: No such file or directory"),
        (["--domain", "nan.yaml"], "is not a number (NaN)"),
        (["--domain", "broken.yaml"], "not YAML or JSON"),
        (["--domain", "ok.yaml", "--risk-aversion", "7"], "risk aversion is 7"),
        (["--domain", "ok.yaml", "--deadline", "0"], "--deadline is 0"),
        (["--domain", "ok.yaml", "--deadline", "nan"], "--deadline is nan"),
        (["--domain", "ok.yaml", "--picture", "x.png"], "only .svg can be drawn"),
        (["--domain", "ok.yaml", "--picture", "nowhere/x.svg"], "nowhere/x.svg can't be written"),
        (["--domain", "ok.yaml", "--profile", "a.xml"], "--profile goes with a Genius domain"),
        (["--domain", "ok.yaml", "--concept", "shapley"], "invalid choice: 'shapley'"),
        (["--domain", "x" * 400], "File name too long"),
        (["--domain", "."], "no utility profiles beside it"),
        ([], "--domain"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    labverse: Labverse, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "ok.yaml").write_text(FOUR)
    (tmp_path / "nan.yaml").write_text(FOUR.replace("[3, 2, 0]", "[3, .nan, 0]"))
    (tmp_path / "broken.yaml").write_text("issues: [")
    # The checkout's own packages, from another folder.
    path = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = labverse.run("negotiate", *arguments, cwd=tmp_path, env=path)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_the_deadline_is_kept_and_the_gap_is_said(labverse: Labverse, tmp_path: Path) -> None:
    values = 10
    issues = [{"name": f"i{at}", "values": [str(one) for one in range(values)]} for at in range(14)]
    agents = [
        {
            "name": f"agent-{number}",
            "utilities": {
                issue["name"]: [((at + 3) * (one + 7) * (number + 11)) % 97 / 97 for one in range(values)]
                for at, issue in enumerate(issues)
            },
        }
        for number in range(5)
    ]
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"issues": issues, "agents": agents}))
    done = labverse.run("negotiate", "--domain", path, "--deadline", "0.1")
    assert done.returncode == 0, done.stderr
    assert "1.0e+14 outcomes" in done.stdout
    assert re.search(r"^bound +(the best found in time|proven best)", done.stdout, re.M), done.stdout
    found = json.loads(labverse.run("negotiate", "--domain", path, "--json", "--deadline", "0.1").stdout)
    assert found["route"] == "search"
    assert set(found["deal"]) == {issue["name"] for issue in issues}


def test_what_c_code_prints_stays_out_of_stdout() -> None:
    code = (
        "import ctypes, os\n"
        "from orchestrator.negotiation_solving import quiet_stdout\n"
        "libc = ctypes.CDLL(None)\n"
        "print('before')\n"
        "with quiet_stdout():\n"
        "    libc.printf(b'noise of C\\n')\n"
        "    os.write(1, b'noise of the kernel\\n')\n"
        "print('after')\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout == "before\nafter\n"
    assert sorted(done.stderr.splitlines()) == ["noise of C", "noise of the kernel"]


def drawn(picture: Path) -> dict[str, int]:
    """How many elements of each kind there are."""
    counts: dict[str, int] = {}
    for element in ElementTree.parse(picture).iter():
        kind = element.tag.rpartition("}")[2]
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def on_terminal(labverse: Labverse, *arguments: str | Path) -> list[str]:
    """The lines that a command leaves on a terminal of its own."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    env = {name: value for name, value in labverse.env.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        labverse.command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    assert process.wait(30) == 0, shown
    return ESCAPES.sub("", shown.decode()).replace("\r\n", "\n").splitlines()
