"""`labverse review` as its user runs it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from labverse import HEADLINE, Labverse

ROOT = Path(__file__).resolve().parents[2]


def findings_of(out: str) -> list[tuple[str, int, str]]:
    return [(one["path"], one["line"], one["severity"]) for one in json.loads(out)["findings"]]


def test_the_headline_is_found_and_nothing_else_of_weight(labverse: Labverse, headline: Path) -> None:
    started = time.monotonic()
    done = labverse.run("review", headline, "--json")
    print(f"the whole command took {time.monotonic() - started:.2f} s")
    assert done.returncode == 1, done.stderr
    heavy = [one for one in findings_of(done.stdout) if one[2] in ("critical", "high")]
    assert heavy == [("app.py", 6, "critical"), ("app.py", 10, "critical"), ("app.py", 13, "critical")]
    assert "1234567890abcdef" not in done.stdout
    assert done.stderr == ""


def test_a_clean_file_is_exit_0(labverse: Labverse, tmp_path: Path) -> None:
    (tmp_path / "clean.py").write_text(
        '"""Nothing wrong here."""\n\n\ndef add(a: int, b: int) -> int:\n    return a + b\n'
    )
    done = labverse.run("review", tmp_path / "clean.py")
    assert done.returncode == 0, done.stdout
    assert "No findings" in done.stdout


def test_fail_on_decides_the_exit_code(labverse: Labverse, headline: Path) -> None:
    assert labverse.run("review", headline, "--fail-on", "never").returncode == 0
    assert labverse.run("review", headline, "--fail-on", "critical").returncode == 1


def test_the_same_review_twice_gives_the_same_findings(labverse: Labverse, code_base: Path) -> None:
    first, second = (json.loads(labverse.run("review", code_base, "--json").stdout) for _ in range(2))
    prints = [[one["fingerprint"] for one in report["findings"]] for report in (first, second)]
    assert prints[0] == prints[1]
    assert len(set(prints[0])) == len(prints[0]) >= 200


def test_two_reviews_at_once_do_not_disturb_one_another(
    labverse: Labverse, headline: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "clean.py").write_text("x = 1\n")
    running = [
        subprocess.Popen(
            labverse.command("review", folder, "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=labverse.env,
        )
        for folder in (headline, other, headline)
    ]
    outs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [1, 0, 1], outs
    assert [len(findings_of(out)) for out, _ in outs] == [3, 0, 3]


def test_a_baseline_marks_what_was_known(labverse: Labverse, headline: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    assert labverse.run("review", headline, "--write-baseline", baseline).returncode == 1
    again = labverse.run("review", headline, "--baseline", baseline, "--json")
    assert again.returncode == 0
    assert {one["status"] for one in json.loads(again.stdout)["findings"]} == {"baseline"}
    (headline / "app.py").write_text("\n\n" + HEADLINE + "eval(input())\n")
    third = labverse.run("review", headline, "--baseline", baseline, "--json")
    assert third.returncode == 1
    new = [one for one in json.loads(third.stdout)["findings"] if one["status"] == "new"]
    assert [one["cwe"] for one in new] == [95]


def test_a_comment_suppresses_and_is_shown(labverse: Labverse, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import os\n\n\ndef run(x):\n    os.system(x)  # labverse: ignore[CWE-78] by design\n"
    )
    done = labverse.run("review", tmp_path / "a.py", "--json")
    assert done.returncode == 0
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["status"] == "suppressed"
    assert "by design" in finding["status_reason"]


def test_diff_reports_only_changed_lines(labverse: Labverse, headline: Path) -> None:
    git = ["git", "-C", str(headline), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    assert labverse.run("review", headline, "--diff", "HEAD").returncode == 0
    (headline / "app.py").write_text(HEADLINE + "eval(input())\n")
    done = labverse.run("review", headline, "--diff", "HEAD", "--json")
    assert done.returncode == 1, done.stderr
    assert [line for _, line, _ in findings_of(done.stdout)] == [15]


def test_output_goes_to_a_file_in_any_format(labverse: Labverse, headline: Path, tmp_path: Path) -> None:
    for form, start in (
        ("markdown", "# Code review"),
        ("json", "{"),
        ("sarif", "{"),
        ("terminal", "CRITICAL"),
    ):
        path = tmp_path / f"report.{form}"
        done = labverse.run("review", headline, "--format", form, "--output", path)
        assert done.returncode == 1
        assert done.stdout == ""
        assert str(path) in done.stderr
        assert path.read_text().startswith(start)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/path"], "/no/such/path"),
        ([".", "--roles", "wizard"], "no role 'wizard'"),
        ([".", "--agents", "1000"], "100"),
        ([".", "--diff", "no-such-revision"], "no-such-revision"),
        ([".", "--baseline", "/no/such/file"], "/no/such/file"),
        ([".", "--fail-on", "sometimes"], "--fail-on"),
        ([".", "--output", "/no/such/folder/report.md"], "/no/such/folder"),
    ],
)
def test_a_mistake_is_said_in_one_line(
    labverse: Labverse, headline: Path, arguments: list[str], said: str
) -> None:
    subprocess.run(["git", "init", "-q", str(headline)], check=True)
    done = labverse.run("review", *arguments, cwd=headline)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_odd_files_are_named_and_never_crash(labverse: Labverse, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "empty.py").write_text("")
    (folder / "binary.py").write_bytes(b"\x00\x01\x02" * 100)
    (folder / "latin.py").write_bytes('name = "caf\xe9"\n'.encode("latin-1"))
    (folder / "broken.py").write_text("def broken(:\n")
    (folder / "newer.py").write_text('type Alias[T] = list[T]\nx = f"{"nested"}"\n')
    (folder / "huge.py").write_bytes(b"x = 1\n" * 9_000_000)
    (folder / "two words.py").write_text("eval(input())\n")
    (folder / "new\nline.py").write_text("eval(input())\n")
    (folder / "-rf.py").write_text("eval(input())\n")
    (folder / "loop").symlink_to(folder)
    (folder / "outside.py").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe.py")
    (folder / "deep.py").write_text("x = " + "(" * 5_000 + "1" + ")" * 5_000 + "\n")
    if os.getuid() != 0:
        (folder / "secret.py").write_text("x = 1\n")
        (folder / "secret.py").chmod(0)
    done = labverse.run("review", folder, "--json", "--fail-on", "never")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {one["path"] for one in report["findings"]} >= {"two words.py", "new\nline.py", "-rf.py"}
    left_out = {one["path"]: one["reason"] for one in report["not_reviewed"]}
    for name in (
        "binary.py",
        "latin.py",
        "broken.py",
        "newer.py",
        "huge.py",
        "outside.py",
        "pipe.py",
        "deep.py",
        "loop",
    ):
        assert name in left_out, name
    if sys.version_info < (3, 12):
        assert "3.11" in left_out["newer.py"]


def test_an_empty_folder_says_that_there_was_nothing(labverse: Labverse, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = labverse.run("review", tmp_path / "empty")
    assert done.returncode == 0
    assert "No findings" in done.stdout
    assert "0 files" in done.stdout
    assert "there was nothing to review" in done.stdout
    as_sarif = labverse.run("review", tmp_path / "empty", "--format", "sarif")
    assert "there was nothing to review" in as_sarif.stderr
    assert json.loads(as_sarif.stdout)["runs"][0]["results"] == []


def test_a_settings_file_that_lets_everything_pass_is_named_in_the_report(
    labverse: Labverse, headline: Path
) -> None:
    (headline / "labverse.yaml").write_text("review: {fail_on: never}\n")
    env = {"PYTHONPATH": str(ROOT)}
    done = labverse.run("review", ".", "--format", "terminal", cwd=headline, env=env)
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    assert "no finding makes this review fail: review.fail_on is never (labverse.yaml" in said
    strict = labverse.run("review", ".", "--fail-on", "high", cwd=headline, env=env)
    assert strict.returncode == 1
    assert "review.fail_on" not in strict.stdout


def test_a_folder_that_is_gone_is_said_in_one_line(labverse: Labverse, tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec {' '.join(labverse.command('review', '.'))}"
    done = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        env=labverse.env | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_ctrl_c_cancels_the_task(labverse: Labverse, code_base: Path) -> None:
    import signal

    process = labverse.start("review", code_base, "--agents", "1", "-v")
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    tasks = json.loads(labverse.run("status", "--json").stdout)["tasks"]
    assert all(task["state"] in ("cancelled", "completed", "queued", "running") for task in tasks)


def test_help_answers_at_once_without_heavy_imports(labverse: Labverse) -> None:
    script = (
        "import sys, time; started = time.perf_counter()\n"
        "from orchestrator.main import build_parser\nbuild_parser().format_help()\n"
        "heavy = {'nats', 'bandit', 'rich', 'opentelemetry', 'detect_secrets', 'tree_sitter', 'yaml', 'anyio', 'msgspec'}\n"
        "print(sorted(heavy & set(sys.modules)), time.perf_counter() - started)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=labverse.env
    )
    assert done.stdout.startswith("[] "), done.stdout
    assert float(done.stdout.split()[1]) < 1.0
    assert labverse.run("--help").returncode == 0
