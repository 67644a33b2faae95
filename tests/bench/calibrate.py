"""How sure analysers' findings should be: what share of them is real, by their own combined confidence.

    uv run python tests/bench/calibrate.py [--write] [--output FILE]

Looks at the labelled corpus (tests/agents/review/corpus), sorts the findings by the confidence that their analysers
give them, and fits the share of real ones with a curve that never falls (isotonic regression, pool adjacent violators;
Ayer et al. 1955). Cases and applications weigh the same, since they hold different numbers of findings. Each block is
drawn towards one half by two findings more, so that a block of few is not called certain. `--write` puts the curve into
`agents/review/calibration.yaml`.
"""

import argparse
import datetime
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from harness import ROOT, table

# isort: split
from review_quality import CORPUS, PROCESSES, examine_folder
from reviewscoring import NEAR_LINES, Label, read_labels, score_app

from agents.review.calibration import FILE
from agents.review.confidence import combined_confidence
from agents.review.cwe import family_of
from agents.review.intake import collect
from agents.review.merge import merge_hits
from schemas.review import Finding, FindingStatus, Hit

Judged = tuple[float, bool]
"""The analysers' confidence in a finding, and whether it is real."""
Block = tuple[float, float, float]
"""Mean confidence, share of real ones, and weight."""

PRIOR = 2.0
POINTS_MAX = 12


def raw_findings(hits: Iterable[tuple[str, Hit]]) -> list[Finding]:
    """Findings with the confidence that analysers give them."""
    merged = merge_hits(hits, chance=combined_confidence)
    return [one for one in merged.findings if one.status is FindingStatus.NEW and one.cwe]


def judged_cases(labels: Sequence[Label], findings: Iterable[Finding]) -> list[Judged]:
    """Findings of the weakness that a case is about; of others nobody knows whether they are real."""
    by_path = {label.path: label for label in labels}
    out = []
    for finding in findings:
        label = by_path[finding.path]
        if label.family == family_of(finding.cwe):
            out.append((finding.confidence, label.vulnerable and label.distance(finding.line) <= NEAR_LINES))
    return out


def judged_app(labels: Sequence[Label], findings: Sequence[Finding]) -> list[Judged]:
    """All findings of an application: those that meet no weakness are false."""
    wrong = {id(alarm.finding) for alarm in score_app(labels, findings).false_alarms}
    return [(finding.confidence, id(finding) not in wrong) for finding in findings]


def isotonic(judged: Sequence[tuple[float, bool, float]]) -> list[Block]:
    """Blocks by rising confidence whose shares never fall. Each finding is (confidence, is it real, weight)."""
    blocks: list[list[float]] = []  # confidence × weight, real, weight
    for confidence, is_real, weight in sorted(judged):
        blocks.append([confidence * weight, is_real * weight, weight])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            last = blocks.pop()
            blocks[-1] = [one + other for one, other in zip(blocks[-1], last, strict=True)]
    return [
        (confidence / weight, (real + PRIOR / 2) / (weight + PRIOR), weight)
        for confidence, real, weight in blocks
    ]


def curve(blocks: Sequence[Block]) -> list[tuple[float, float]]:
    """Points from 0 to 1, at most `POINTS_MAX`, that never fall."""
    points: list[tuple[float, float]] = []
    for x, y, _ in sorted(blocks, key=lambda block: -block[2])[: POINTS_MAX - 2]:
        points.append((round(x, 2), round(y, 2)))
    points.sort()
    out: list[tuple[float, float]] = []
    for x, y in points:
        if not out or x > out[-1][0]:
            out.append((x, max(y, out[-1][1]) if out else y))
    return [(0.0, min(0.05, out[0][1])), *(one for one in out if 0 < one[0] < 1), (1.0, out[-1][1])]


def measure() -> tuple[list[Judged], list[Judged]]:
    """What is found in the cases, and in the applications."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        labels = read_labels(CORPUS / "labels.csv")
        paths = sorted({label.path for label in labels})
        cases = judged_cases(labels, raw_findings(examine_folder(CORPUS / "cases", paths, pool).hits))
        apps: list[Judged] = []
        app_labels = read_labels(CORPUS / "apps" / "labels.csv")
        for app in sorted({label.app for label in app_labels}):
            folder = CORPUS / "apps" / app
            hits = examine_folder(folder, [entry.path for entry in collect(folder).files], pool).hits
            mine = [label for label in app_labels if label.app == app]
            apps += judged_app(mine, raw_findings(hits))
    return cases, apps


def weighed(cases: Sequence[Judged], apps: Sequence[Judged]) -> list[tuple[float, bool, float]]:
    """All findings, so that both kinds weigh the same, and a finding one on average."""
    half = (len(cases) + len(apps)) / 2
    return [(*one, half / len(cases)) for one in cases] + [(*one, half / len(apps)) for one in apps]


def write(points: Sequence[tuple[float, float]], findings: int) -> None:
    """Put the curve into the table."""
    text = FILE.read_text("utf-8")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    rows = ", ".join(f"[{x:g}, {y:g}]" for x, y in points)
    section = (
        "analysers:\n"
        f"  source: tests/bench/calibrate.py on {findings} findings of the labelled corpus, {today}\n"
        f"  points: [{rows}]\n"
    )
    FILE.write_text(re.sub(r"^analysers:\n(?: .*\n)+", section, text, flags=re.M), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    cases, apps = measure()
    blocks = isotonic(weighed(cases, apps))
    points = curve(blocks)
    shown = [(f"{x:.2f}", f"{y:.2f}", f"{weight:.0f}") for x, y, weight in blocks]
    text = table(["analysers say", "real", "findings (weighed)"], shown)
    text += f"\n\n{len(cases)} findings in cases, {len(apps)} in applications; the curve: {points}\n"
    print(text)
    if args.output:
        args.output.write_text(text)
    if args.write:
        write(points, len(cases) + len(apps))
        print(f"{FILE.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
