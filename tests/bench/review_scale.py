"""`labverse review` on 10 to 1,000 Python files: time and memory, and the headline file.

    uv run python tests/bench/review_scale.py [--rounds 3] [--output FILE]

The files are modules of the running Python's standard library of 1.5 to 9 KB. Memory is the highest sum of resident
sizes over the command, its analyser processes and the nats-server, looked at 20 times a second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from harness import Row, rounds, table

# isort: split
from labverse import HEADLINE, Labverse

SIZES = (10, 100, 1000)
HEADLINE_PEER_S = 74.1


def code_base(folder: Path, files: int) -> int:
    """Write so many files; returns their lines."""
    library = Path(sysconfig.get_path("stdlib"))
    modules = sorted(
        path
        for path in library.rglob("*.py")
        if "test" not in str(path) and 1500 < path.stat().st_size < 9000
    )
    lines = 0
    for index in range(files):
        text = modules[index % len(modules)].read_text(encoding="utf-8", errors="ignore")
        package = folder / f"package{index // 25}"
        package.mkdir(parents=True, exist_ok=True)
        (package / f"module{index}.py").write_text(text, encoding="utf-8")
        lines += text.count("\n")
    return lines


def tree_bytes(root: int, data: str) -> int:
    """Resident bytes of a process, of everything below it, and of the bus on its data folder."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    buses = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                stat = Path(entry.path, "stat").read_text().rsplit(")", 1)[1].split()
                parents[int(entry.name)] = int(stat[1])
                resident[int(entry.name)] = int(stat[21]) * os.sysconf("SC_PAGE_SIZE")
                if data in Path(entry.path, "cmdline").read_text():
                    buses.add(int(entry.name))
            except (OSError, IndexError):
                continue
    wanted = {root} | buses
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in wanted} - wanted
        grown = bool(more)
        wanted |= more
    return sum(resident.get(pid, 0) for pid in wanted)


def review(files: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "code")
        code.mkdir()
        if files == 1:
            (code / "app.py").write_text(HEADLINE)
            lines = HEADLINE.count("\n")
        else:
            lines = code_base(code, files)
        data = Path(folder, "data")
        labverse = Labverse(data)
        started = time.perf_counter()
        process = subprocess.Popen(
            labverse.command("review", code, "--json"), stdout=subprocess.PIPE, text=True, env=labverse.env
        )
        peak = 0
        out: list[str] = []
        import threading

        assert process.stdout is not None
        reader = threading.Thread(target=lambda: out.append(process.stdout.read()))  # type: ignore[union-attr]
        reader.start()
        while process.poll() is None:
            if files > 1:  # looking costs time too
                peak = max(peak, tree_bytes(process.pid, str(data)))
            time.sleep(0.05 if files > 1 else 0.005)
        wall_s = time.perf_counter() - started
        reader.join()
        report = json.loads(out[0])
        assert report["files"] == files, report["files"]
        assert not report["degraded"], report["degraded"]
        time.sleep(0.6)  # the bus stops, and its folder can go
        return {"wall_s": wall_s, "lines": lines, "peak_mb": peak / 1e6, "findings": len(report["findings"])}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        print(json.dumps(review(int(args.row))))
        return
    measured = rounds(__file__, {str(size): ["--row", str(size)] for size in (1, *SIZES)}, args.rounds)
    lines = []
    for size in SIZES:
        runs = measured[str(size)]
        wall_s = statistics.median(run["wall_s"] for run in runs)
        lines.append(
            [
                f"{size:,}",
                f"{runs[0]['lines']:,.0f}",
                f"{wall_s:.2f}",
                f"{wall_s / runs[0]['lines'] * 1000:.3f}",
                f"{statistics.median(run['peak_mb'] for run in runs):,.0f}",
            ]
        )
    headline_s = sorted(run["wall_s"] for run in measured["1"])
    text = table(
        ["Python files", "lines", "whole command s", "s per 1,000 lines", "peak MB, all processes"], lines
    )
    middle = statistics.median(headline_s)
    text += (
        f"\nThe 15-line file with three critical problems: {middle:.2f} s for the whole command "
        f"(worst {headline_s[-1]:.2f} s), {HEADLINE_PEER_S / middle:.0f} times as fast as the {HEADLINE_PEER_S} s to beat; "
        f"{measured['1'][0]['findings']:.0f} findings.\n"
    )
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
