"""What all benchmarks share: rows as processes of their own, interleaved rounds, medians, a Markdown table."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "tests" / "support"):
    sys.path.insert(0, str(folder))

Row = dict[str, float]
ROW_TIMEOUT_S = 300.0


def run_row(script: str, arguments: Sequence[str]) -> Row:
    """One row, measured in a process of its own; its last line of output is the row as JSON.

    Raises:
        RuntimeError: the process failed; with the end of what it said.
    """
    done = subprocess.run(
        [sys.executable, script, *arguments],
        capture_output=True,
        text=True,
        timeout=ROW_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{script} {' '.join(arguments)}: {done.stderr[-2000:]}")
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def rounds(script: str, rows: Mapping[str, Sequence[str]], count: int) -> dict[str, list[Row]]:
    """`count` measurements of each row, one of each in turn, so that a busy moment disturbs all alike."""
    measured: dict[str, list[Row]] = {name: [] for name in rows}
    for _ in range(count):
        for name, arguments in rows.items():
            measured[name].append(run_row(script, arguments))
    return measured


def median(runs: Sequence[Row], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def table(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    out = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    out += [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join(out) + "\n"
