"""Where reviews happen: before a commit, beside changed lines, while files change; and findings that are dismissed."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from threading import Thread

import pytest
from labverse import Labverse

SECRET_FREE = "def run(x):\n    return eval(x)\n"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=30,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "app.py").write_text(SECRET_FREE)
    return folder


def only_finding(labverse: Labverse, folder: Path) -> dict[str, str]:
    done = labverse.run("review", folder, "--json", "--models", "none")
    [finding] = json.loads(done.stdout)["findings"]
    return dict(finding)


class TestDismissing:
    def test_a_dismissed_finding_is_marked_and_counts_no_more(
        self, labverse: Labverse, repository: Path
    ) -> None:
        finding = only_finding(labverse, repository)
        said = labverse.run(
            "review", "dismiss", finding["fingerprint"][:7], "--reason", "an own calculator", cwd=repository
        )
        assert said.returncode == 0, said.stderr
        assert "app.py:2" in said.stdout
        done = labverse.run("review", repository, "--models", "none", "--json")
        assert done.returncode == 0
        [marked] = json.loads(done.stdout)["findings"]
        assert marked["status"] == "suppressed"
        assert "an own calculator" in marked["status_reason"]
        sarif = json.loads(labverse.run("review", repository, "--format", "sarif").stdout)
        [result] = sarif["runs"][0]["results"]
        assert result["suppressions"][0]["kind"] == "external"
        assert "1 dismissed" in labverse.run("review", repository).stdout

    def test_the_report_says_how_many_and_by_which_file(self, labverse: Labverse, repository: Path) -> None:
        finding = only_finding(labverse, repository)
        labverse.run("review", "dismiss", finding["fingerprint"], "--reason", "ours", "--path", repository)
        report = json.loads(labverse.run("review", repository, "--json").stdout)
        assert any("dismissed by labverse-dismissals.json" in note for note in report["notes"])
        [marked] = report["findings"]
        assert marked["dismissed"]["reason"] == "ours"
        assert marked["dismissed"]["by"]
        for form in ("markdown", "terminal"):
            assert "labverse-dismissals.json" in labverse.run("review", repository, "--format", form).stdout

    def test_an_unsigned_dismissal_that_comes_with_the_code_hides_nothing(
        self, labverse: Labverse, repository: Path
    ) -> None:
        row = {"fingerprint": only_finding(labverse, repository)["fingerprint"], "reason": "trust me"}
        file = repository / "labverse-dismissals.json"
        file.write_text(json.dumps({"version": 1, "dismissals": [row]}))
        done = labverse.run("review", repository)
        assert done.returncode == 1
        assert "1 of the dismissals in labverse-dismissals.json without effect" in done.stdout

    def test_a_pipe_in_the_place_of_the_file_holds_nobody_up(
        self, labverse: Labverse, repository: Path
    ) -> None:
        os.mkfifo(repository / "labverse-dismissals.json")
        done = labverse.run("review", repository, timeout_s=30)
        assert done.returncode == 2
        assert "a named pipe" in done.stderr

    def test_a_beginning_means_a_finding_of_this_repository_alone(
        self, labverse: Labverse, repository: Path, tmp_path: Path
    ) -> None:
        fingerprint = only_finding(labverse, repository)["fingerprint"]
        (tmp_path / "other" / ".git").mkdir(parents=True)
        done = labverse.run("review", "dismiss", fingerprint[:8], "--reason", "x", cwd=tmp_path / "other")
        assert done.returncode == 2
        assert "no finding that is known here" in done.stderr
        assert not (tmp_path / "other" / "labverse-dismissals.json").exists()

    def test_a_folder_with_the_name_of_an_action_is_reviewed_by_its_path(
        self, labverse: Labverse, tmp_path: Path
    ) -> None:
        (tmp_path / "dismiss").mkdir()
        (tmp_path / "dismiss" / "app.py").write_text(SECRET_FREE)
        assert "./dismiss" in labverse.run("review", "dismiss", cwd=tmp_path).stderr
        done = labverse.run("review", "./dismiss", cwd=tmp_path)
        assert (done.returncode, "app.py:2" in done.stdout) == (1, True)

    def test_what_is_taken_back_counts_again(self, labverse: Labverse, repository: Path) -> None:
        fingerprint = only_finding(labverse, repository)["fingerprint"]
        labverse.run("review", "dismiss", fingerprint, "--reason", "x", cwd=repository)
        assert fingerprint in labverse.run("review", "dismissals", cwd=repository).stdout
        assert labverse.run("review", "undismiss", fingerprint[:8], cwd=repository).returncode == 0
        assert json.loads(labverse.run("review", "dismissals", "--json", cwd=repository).stdout) == []
        assert labverse.run("review", repository).returncode == 1

    def test_the_same_line_elsewhere_is_less_sure_after_that(
        self, labverse: Labverse, repository: Path
    ) -> None:
        finding = only_finding(labverse, repository)
        labverse.run("review", "dismiss", finding["fingerprint"], "--reason", "fine", cwd=repository)
        (repository / "other.py").write_text(SECRET_FREE)
        report = json.loads(labverse.run("review", repository, "--json").stdout)
        [other] = [one for one in report["findings"] if one["path"] == "other.py"]
        assert other["status"] == "new"
        assert other["confidence"] < float(finding["confidence"])
        assert "was dismissed by" in other["description"]

    def test_many_dismiss_at_once_and_none_is_lost(self, labverse: Labverse, repository: Path) -> None:
        ids = [f"{number:016x}" for number in range(8)]
        running = [
            subprocess.Popen(
                labverse.command("review", "dismiss", one, "--reason", "x"), cwd=repository, env=labverse.env
            )
            for one in ids
        ]
        assert [process.wait(60) for process in running] == [0] * len(ids)
        kept = json.loads((repository / "labverse-dismissals.json").read_text())
        assert sorted(one["fingerprint"] for one in kept["dismissals"]) == ids

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["dismiss"], "which findings?"),
            (["dismiss", "0123456789abcdef"], "say why"),
            (["dismiss", "xyz", "--reason", "x"], "is no finding's id"),
            (["dismiss", "abcdef1", "--reason", "x"], "no finding that is known here"),
            (["undismiss", "abcdef1"], "no finding that is known here"),
            (["dismiss", "0123456789abcdef", "--reason", "x" * 600], "--reason has 600 characters"),
            (["dismiss", "0123456789abcdef", "--reason", " \n\x1b "], "say why"),
            (["undismiss", "0123456789abcdef"], "is not dismissed"),
            (["dismissals", "0123456789abcdef"], "takes no ids"),
            (["dismissals", "--path", "/no/such/folder"], "check --path"),
            ([".", "0123456789abcdef"], "one folder or file can be reviewed"),
            ([".", "--path", "."], "one folder or file can be reviewed"),
            ([".", "--watch", "--staged"], "leave --staged"),
            ([".", "--watch", "--format", "sarif"], "it can't print sarif"),
        ],
    )
    def test_what_can_not_be_done_is_said_in_one_line(
        self, labverse: Labverse, repository: Path, arguments: list[str], said: str
    ) -> None:
        done = labverse.run("review", *arguments, cwd=repository)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert said in line

    def test_a_broken_file_of_dismissals_stops_the_review_and_is_named(
        self, labverse: Labverse, repository: Path
    ) -> None:
        (repository / "labverse-dismissals.json").write_text("[")
        done = labverse.run("review", repository)
        assert done.returncode == 2
        assert "labverse-dismissals.json can't be read" in done.stderr


class TestStaged:
    def test_what_is_staged_is_reviewed_and_not_what_lies_in_the_folder(
        self, labverse: Labverse, repository: Path
    ) -> None:
        git(repository, "add", "app.py")
        (repository / "app.py").write_text("x = 1\n")
        report = json.loads(labverse.run("review", repository, "--staged", "--json").stdout)
        assert [one["path"] for one in report["findings"]] == ["app.py"]

    def test_only_lines_that_the_commit_changes_count(self, labverse: Labverse, repository: Path) -> None:
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", "one")
        assert labverse.run("review", repository, "--staged").returncode == 0
        (repository / "app.py").write_text(SECRET_FREE + "\n\ndef other(y):\n    return eval(y)\n")
        git(repository, "add", ".")
        report = json.loads(labverse.run("review", repository, "--staged", "--json").stdout)
        assert [one["line"] for one in report["findings"]] == [6]

    def test_one_file_of_a_folder_can_be_named(self, labverse: Labverse, repository: Path) -> None:
        (repository / "src").mkdir()
        for name in ("a.py", "b.py"):
            (repository / "src" / name).write_text(SECRET_FREE)
        git(repository, "add", ".")
        for where, paths in (("src", ["a.py", "b.py"]), ("src/b.py", ["b.py"])):
            report = json.loads(labverse.run("review", repository / where, "--staged", "--json").stdout)
            assert [one["path"] for one in report["findings"]] == paths

    def test_a_file_over_the_limit_is_named(self, labverse: Labverse, repository: Path) -> None:
        (repository / "huge.py").write_bytes(b"x = 1\n" * 500_000)
        git(repository, "add", ".")
        report = json.loads(labverse.run("review", repository, "--staged", "--json").stdout)
        [left] = [one for one in report["not_reviewed"] if one["path"] == "huge.py"]
        assert "over the limit" in left["reason"]
        assert [one["path"] for one in report["findings"]] == ["app.py"]

    def test_a_hook_keeps_a_commit_back(self, labverse: Labverse, repository: Path) -> None:
        hook = repository / ".git" / "hooks" / "pre-commit"
        command = " ".join(labverse.command("review", "--staged", "--models", "none", "--quiet"))
        hook.write_text(f"#!/bin/sh\nexec {command}\n")
        hook.chmod(0o755)
        arguments = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "one"]
        git(repository, "add", ".")
        root = str(Path(__file__).resolve().parents[2])
        env = labverse.env | {"PYTHONPATH": root}
        refused = subprocess.run(
            arguments, cwd=repository, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert refused.returncode == 1
        assert "eval" in refused.stdout + refused.stderr
        (repository / "app.py").write_text("x = 1\n")
        done = subprocess.run(
            arguments, cwd=repository, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_what_the_definition_for_pre_commit_runs_does_what_it_is_for(
        self, labverse: Labverse, repository: Path
    ) -> None:
        import msgspec.yaml

        file = Path(__file__).resolve().parents[2] / ".pre-commit-hooks.yaml"
        [hook] = msgspec.yaml.decode(file.read_bytes())
        assert (hook["language"], hook["pass_filenames"]) == ("python", False)
        git(repository, "add", ".")
        _, *arguments = hook["entry"].split()
        refused = labverse.run(*arguments, cwd=repository)
        assert (refused.returncode, "eval" in refused.stdout) == (1, True)
        git(repository, "commit", "-qm", "one")
        assert labverse.run(*arguments, cwd=repository).returncode == 0

    def test_outside_of_a_repository_it_is_said(self, labverse: Labverse, headline: Path) -> None:
        done = labverse.run("review", headline, "--staged")
        assert done.returncode == 2
        assert "what is staged can't be told" in done.stderr


def test_annotations_stand_beside_the_lines(labverse: Labverse, headline: Path) -> None:
    done = labverse.run("review", headline, "--format", "github")
    lines = done.stdout.splitlines()
    assert sum(line.startswith("::error file=app.py,line=") for line in lines) == 3
    assert lines[-1].startswith("::notice title=Labverse::3 findings (3 critical)")


def test_annotations_name_the_file_in_the_repository_and_the_page_gets_the_report(
    labverse: Labverse, repository: Path, tmp_path: Path
) -> None:
    (repository / "src").mkdir()
    (repository / "app.py").rename(repository / "src" / "app.py")
    page = tmp_path / "summary.md"
    page.write_text("earlier\n")
    env = {"GITHUB_STEP_SUMMARY": str(page), "GITHUB_WORKSPACE": str(tmp_path)}
    for _ in range(2):
        done = labverse.run("review", repository / "src", "--format", "github", env=env)
        assert done.stdout.startswith("::error file=src/app.py,line=2,")
    assert page.read_text().startswith("earlier\n# Code review")
    assert page.read_text().count("# Code review of src") == 2
    labverse.run("review", repository, "--format", "markdown", env=env)
    assert page.read_text().count("# Code review") == 2
    without = labverse.run(
        "review", repository, "--format", "github", env={"GITHUB_STEP_SUMMARY": "/no/such/folder/page"}
    )
    assert without.returncode == 1
    assert without.stdout.startswith("::error file=src/app.py")
    assert "/no/such/folder/page can't be written" in without.stderr


class Reader(Thread):
    """Collects the lines of a process that goes on."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__(daemon=True)
        self.process = process
        self.lines: list[str] = []
        self.start()

    def run(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def wait(self, count: int) -> None:
        until = time.monotonic() + 60
        while len(self.lines) < count:
            assert time.monotonic() < until, self.lines
            time.sleep(0.05)


def test_the_data_folder_is_not_reviewed_where_it_lies_in_the_code(
    labverse: Labverse, repository: Path
) -> None:
    env = {"LABVERSE_DATA": str(repository / "our [data]")}
    for _ in range(2):
        report = json.loads(labverse.run("review", repository, "--json", env=env).stdout)
        assert [one["path"] for one in report["findings"]] == ["app.py"]
    assert (repository / "our [data]" / "last_review.json").exists()


def test_what_watching_prints_into_the_watched_folder_is_no_reason_for_a_round(
    labverse: Labverse, repository: Path
) -> None:
    out = repository / "rounds.json"
    with out.open("w") as opened:
        process = subprocess.Popen(
            labverse.command("review", repository, "--watch", "--json", "--models", "none"),
            stdout=opened,
            stderr=subprocess.PIPE,
            text=True,
            env=labverse.env,
        )
    try:
        until = time.monotonic() + 60
        while not out.read_text().endswith("\n"):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(2.0)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert told.splitlines() == ["labverse: interrupted"]
    assert len(out.read_text().splitlines()) == 1


def test_watching_tells_what_came_and_what_went(labverse: Labverse, repository: Path) -> None:
    process = labverse.start("review", repository, "--watch", "--json", "--models", "none")
    reader = Reader(process)
    reader.wait(1)
    (repository / "app.py").write_text("import os\n\n\ndef run(x):\n    os.system(x)\n")
    reader.wait(2)
    (repository / "notes.txt").write_text("nobody reviews this")
    (repository / "app.py").write_text("x = 1\n")
    reader.wait(3)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    first, second, third = map(json.loads, reader.lines)
    assert [one["cwe"] for one in first["new"]] == [95]
    assert [one["cwe"] for one in second["gone"]] == [95]
    assert [one["cwe"] for one in second["new"]] == [78]
    assert third["findings"] == 0
