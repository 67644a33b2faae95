"""Watching: which changes matter, what is told of a round, and that rounds neither stop nor loop by themselves."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from watchfiles import Change

from bus import BusError
from orchestrator.shell import UserError
from orchestrator.watching import Matters, compare, watch
from schemas.review import Finding, FindingStatus, NotReviewed, ReviewReport, Severity

WAIT_S = 20.0


def finding(mark: str, path: str = "app.py", status: FindingStatus = FindingStatus.NEW) -> Finding:
    return Finding(
        fingerprint=mark * 16,
        title=f"Problem {mark}",
        path=path,
        line=3,
        end_line=3,
        severity=Severity.HIGH,
        confidence=0.5,
        status=status,
    )


def report(*findings: Finding, unread: tuple[str, ...] = (), degraded: tuple[str, ...] = ()) -> ReviewReport:
    return ReviewReport(
        name="n",
        task_id="t",
        created_at="2026-11-21T05:00:00Z",
        files=1,
        lines=9,
        seconds=1.0,
        findings=findings,
        not_reviewed=tuple(NotReviewed(path=path, reason="broken") for path in unread),
        degraded=degraded,
    )


KNOWN = {one.fingerprint: one for one in (finding("a"), finding("b", "lib.py"))}


class TestComparing:
    def test_what_came_and_what_went(self) -> None:
        told = compare(KNOWN, report(finding("b", "lib.py"), finding("c")))
        assert (told.new, told.gone) == ((finding("c"),), (finding("a"),))
        assert set(told.known) == {"b" * 16, "c" * 16}

    def test_at_first_all_are_new(self) -> None:
        told = compare({}, report(finding("a"), finding("b", status=FindingStatus.BASELINE)))
        assert (told.new, told.gone) == ((finding("a"),), ())

    def test_what_nobody_could_read_has_not_gone(self) -> None:
        told = compare(KNOWN, report(unread=("app.py",)))
        assert told.gone == (finding("b", "lib.py"),)
        again = compare(told.known, report(finding("a")))
        assert (again.new, again.gone) == ((), ())

    def test_of_a_review_that_is_not_whole_nothing_has_gone(self) -> None:
        told = compare(KNOWN, report(finding("c"), degraded=("bandit failed",)))
        assert (told.new, told.gone) == ((finding("c"),), ())
        assert len(told.known) == 3

    @pytest.mark.parametrize("status", [FindingStatus.SUPPRESSED, FindingStatus.BASELINE])
    def test_what_is_dismissed_by_now_has_gone_even_then(self, status: FindingStatus) -> None:
        told = compare(KNOWN, report(finding("a", status=status), degraded=("bandit failed",)))
        assert told.gone == (finding("a"),)


class TestWhatMatters:
    def matters(self, root: Path, path: str, *, only: str = "") -> bool:
        own = root / ".labverse"
        return Matters(root=root, only=only, own=own)(Change.modified, str(root / path))

    @pytest.mark.parametrize(
        ("path", "does"),
        [
            ("app.py", True),
            ("src/deep/app.ts", True),
            ("src/.gitignore", True),
            ("labverse-dismissals.json", True),
            ("notes.txt", False),
            ("report.md", False),
            (".git/config.py", False),
            ("web/node_modules/x/index.js", False),
            (".ruff_cache/x.py", False),
            (".labverse/streams/x.json", False),
        ],
    )
    def test_only_what_a_review_reads(self, tmp_path: Path, path: str, does: bool) -> None:
        assert self.matters(tmp_path, path) is does

    def test_folders_above_the_watched_one_don_t_count(self, tmp_path: Path) -> None:
        assert self.matters(tmp_path / "node_modules" / ".cache" / "project", "app.py")
        assert not self.matters(tmp_path / "project", str(tmp_path / "project2" / "app.py"))

    def test_of_a_single_file_only_that_one(self, tmp_path: Path) -> None:
        assert self.matters(tmp_path, "app.py", only="app.py")
        assert not self.matters(tmp_path, "other.py", only="app.py")


class Rounds:
    """A review that counts its rounds, does what it is told in them, and stops after the last one."""

    def __init__(self, stop: asyncio.Event, steps: list[Callable[[], ReviewReport]]) -> None:
        self.stop = stop
        self.steps = steps
        self.done = 0

    async def __call__(self) -> ReviewReport:
        step = self.steps[self.done]
        self.done += 1
        if self.done == len(self.steps):
            self.stop.set()
        return step()


async def run(path: Path, *steps: Callable[[], ReviewReport], as_json: bool = True) -> int:
    stop = asyncio.Event()
    rounds = Rounds(stop, list(steps))
    async with asyncio.timeout(WAIT_S):
        await watch(path, rounds, stop, own=path / ".labverse", as_json=as_json)
    return rounds.done


def fails(error: Exception) -> ReviewReport:
    raise error


def writes(file: Path, answer: ReviewReport) -> Callable[[], ReviewReport]:
    """A round during which a file changes, so that there is another one."""

    def step() -> ReviewReport:
        file.write_text(f"x = {os.urandom(4).hex()!r}\n")
        return answer

    return step


async def test_a_change_during_a_round_is_the_reason_for_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.py"
    assert await run(tmp_path, writes(app, report(finding("a"))), lambda: report(finding("b"))) == 2
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert [one["fingerprint"] for one in first["new"]] == ["a" * 16]
    assert [one["fingerprint"] for one in second["new"]] == ["b" * 16]
    assert [one["fingerprint"] for one in second["gone"]] == ["a" * 16]


@pytest.mark.parametrize("error", [UserError("no such glob"), BusError("gone away")])
@pytest.mark.parametrize("as_json", [True, False])
async def test_a_later_round_that_fails_is_told_and_the_next_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, as_json: bool
) -> None:
    app = tmp_path / "app.py"

    def failing() -> ReviewReport:
        app.write_text("again = 1\n")
        raise error

    steps = (writes(app, report(finding("a"))), failing, lambda: report())
    assert await run(tmp_path, *steps, as_json=as_json) == 3
    told = capsys.readouterr()
    assert str(error) in (told.out if as_json else told.err)
    lines = told.out.splitlines()
    if as_json:
        assert json.loads(lines[1])["error"] == str(error)
        assert [one["fingerprint"] for one in json.loads(lines[2])["gone"]] == ["a" * 16]
    else:
        assert lines[0] == f"+ high     app.py:3 Problem a [{'a' * 16}]"
        assert "1 new, 0 gone · 1 finding (1 high)" in lines[1]
        assert lines[2] == f"- high     app.py:3 Problem a [{'a' * 16}]"
        assert "0 new, 1 gone · no findings" in lines[3]


async def test_when_the_first_round_fails_there_is_nothing_to_watch(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such role"):
        await run(tmp_path, lambda: fails(UserError("no such role")), lambda: report())


async def test_a_file_that_editors_replace_is_still_watched(tmp_path: Path) -> None:
    app, other = tmp_path / "app.py", tmp_path / ".app.py.new"
    app.write_text("x = 1\n")

    def replaced() -> ReviewReport:
        other.write_text(f"x = {os.urandom(4).hex()!r}\n")
        os.replace(other, app)
        return report()

    assert await run(app, replaced, replaced, lambda: report()) == 3


async def test_what_we_write_ourselves_is_no_reason(tmp_path: Path) -> None:
    own = tmp_path / ".labverse"
    own.mkdir()
    stop = asyncio.Event()
    rounds = 0

    async def review() -> ReviewReport:
        nonlocal rounds
        rounds += 1
        (own / "last_review.json").write_text(f"{rounds}")
        (tmp_path / "report.md").write_text(f"{rounds}")
        return report()

    watching = asyncio.create_task(watch(tmp_path, review, stop, own=own, as_json=True))
    await asyncio.sleep(1.5)
    stop.set()
    async with asyncio.timeout(WAIT_S):
        await watching
    assert rounds == 1


def test_a_row_of_json_holds_whole_findings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asyncio.run(run(tmp_path, lambda: report(finding("a"))))
    row = json.loads(capsys.readouterr().out)
    assert msgspec.convert(row["new"], tuple[Finding, ...]) == (finding("a"),)
    assert (row["findings"], row["gone"], row["degraded"]) == (1, [], [])
