"""What `labverse review` finds without a model: rates on labelled cases and on three small applications.

    uv run python tests/bench/review_quality.py [--only cases|apps] [--misses] [--false-alarms] [--row NAME]
    uv run python tests/bench/review_quality.py --cases DIR --labels CSV      (a corpus of your own)

Rows: each analyser alone; whatever two analysers agree on (same file and CWE family; in applications the same
finding); ours, the report as a user gets it; and ours without findings that are less than `possible`. Findings that a
comment in the source suppresses don't count. Exits with 2 if an analyser failed. In applications a finding with a CWE that meets no labelled weakness is a
false alarm, a second one about the same weakness too; findings without a CWE are counted apart.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import ROOT

# isort: split
import msgspec
from review_tables import (
    AGREED,
    CONFIDENCE_MIN,
    OURS,
    SURER,
    Part,
    apps_text,
    as_json,
    cases_text,
    details,
    failures_text,
)
from reviewscoring import Label, LabelsError, Score, read_labels, score_app, score_cases, summed

from agents.review.cwe import family_of
from agents.review.examine import examine, read_analysis
from agents.review.intake import collect
from agents.review.merge import merge_hits
from agents.review.roles import ROLES
from agents.review.shards import SHARD_FILES
from schemas.review import Finding, FindingStatus, Hit

CORPUS: Final = ROOT / "tests" / "agents" / "review" / "corpus"
PROCESSES: Final = 2
DEGRADED_EXIT: Final = 2


@dataclass(frozen=True, slots=True)
class Examined:
    """Hits of one folder with their roles, what each analyser took in seconds, and what is missing."""

    hits: tuple[tuple[str, Hit], ...]
    seconds: dict[str, float]
    failures: tuple[str, ...]
    left_out: tuple[str, ...]


def examine_folder(folder: Path, paths: Sequence[str], pool: ProcessPoolExecutor) -> Examined:
    """All roles over files of one folder, in shards as the planner makes them."""
    jobs = []
    for role in ROLES.values():
        chosen = [path for path in paths if role.applies(path)]
        count = -(-len(chosen) // SHARD_FILES)
        shards = [
            chosen[index * len(chosen) // count : (index + 1) * len(chosen) // count]
            for index in range(count)
        ]
        jobs += [(role.name, pool.submit(examine, role.name, str(folder), tuple(shard))) for shard in shards]
    hits: list[tuple[str, Hit]] = []
    seconds: dict[str, float] = {}
    failures: list[str] = []
    left_out: list[str] = []
    for role_name, job in jobs:
        analysis = read_analysis(job.result())
        hits += [(role_name, hit) for hit in analysis.hits]
        for stage in analysis.stages:
            seconds[stage.analyser] = seconds.get(stage.analyser, 0.0) + stage.seconds
            if stage.error:
                failures.append(f"{stage.analyser} failed: {stage.error}")
        left_out += [f"{entry.path}: {entry.stage}: {entry.reason}" for entry in analysis.not_reviewed]
    return Examined(tuple(hits), seconds, tuple(dict.fromkeys(failures)), tuple(dict.fromkeys(left_out)))


def findings_of(hits: Iterable[tuple[str, Hit]]) -> list[Finding]:
    """Merged as for the report, without what is suppressed."""
    return [finding for finding in merge_hits(hits).findings if finding.status is FindingStatus.NEW]


def rows_of(examined: Examined) -> dict[str, list[Finding]]:
    """Core: what each row reports."""
    names = sorted({hit.analyser for _, hit in examined.hits})
    rows = {
        # What an analyser says by itself, whatever others think of it.
        name: findings_of(
            (role, msgspec.structs.replace(hit, refuted=""))
            for role, hit in examined.hits
            if hit.analyser == name
        )
        for name in names
    }
    ours = findings_of(examined.hits)
    rows[AGREED] = [f for f in ours if len({by.split(" ", 1)[0] for by in f.found_by}) > 1]
    rows[OURS] = ours
    rows[SURER] = [finding for finding in ours if finding.confidence >= CONFIDENCE_MIN]
    return rows


def agreed_files(rows: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Core: for cases two analysers agree when both report the family in the file, wherever."""
    said: dict[tuple[str, str], set[str]] = {}
    for name, findings in rows.items():
        if name not in (AGREED, OURS, SURER):
            for finding in findings:
                said.setdefault((finding.path, family_of(finding.cwe)), set()).add(name)
    return [
        finding for finding in rows[OURS] if len(said.get((finding.path, family_of(finding.cwe)), ())) > 1
    ]


def measure_cases(folder: Path, labels: Sequence[Label], pool: ProcessPoolExecutor) -> Part:
    paths = sorted({label.path for label in labels})
    missing = [path for path in paths if not (folder / path).is_file()]
    if missing:
        raise LabelsError(f"{len(missing)} labelled files are not in {folder}, such as {missing[0]}")
    examined = examine_folder(folder, paths, pool)
    rows = rows_of(examined)
    rows[AGREED] = agreed_files(rows)
    scores = {name: score_cases(labels, findings) for name, findings in rows.items()}
    return Part(len(paths), scores, examined.seconds, examined.failures, examined.left_out, {})


def measure_apps(folder: Path, labels: Sequence[Label], pool: ProcessPoolExecutor) -> Part:
    by_app: dict[str, dict[str, Score]] = {}
    seconds: dict[str, float] = {}
    failures: list[str] = []
    left_out: list[str] = []
    files = 0
    for app in sorted({label.app for label in labels}):
        paths = [entry.path for entry in collect(folder / app).files]
        examined = examine_folder(folder / app, paths, pool)
        mine = [label for label in labels if label.app == app]
        by_app[app] = {name: score_app(mine, findings) for name, findings in rows_of(examined).items()}
        files += len(paths)
        failures += [f"{app}: {text}" for text in examined.failures]
        left_out += [f"{app}/{text}" for text in examined.left_out]
        for name, spent in examined.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + spent
    names = dict.fromkeys(name for scores in by_app.values() for name in scores)
    for app, scores in by_app.items():  # an analyser that is silent in one application missed all of it
        mine = [label for label in labels if label.app == app]
        for name in names:
            scores.setdefault(name, score_app(mine, []))
    total = {name: summed(scores[name] for scores in by_app.values()) for name in _ordered(names)}
    return Part(files, total, seconds, tuple(failures), tuple(left_out), by_app)


def _ordered(names: Iterable[str]) -> list[str]:
    """Analysers first, by name, then the rows that are made of them."""
    last = [AGREED, OURS, SURER]
    return sorted(set(names) - set(last)) + last


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["cases", "apps"])
    parser.add_argument("--cases", type=Path, help="a folder of cases of your own; needs --labels")
    parser.add_argument("--labels", type=Path, help="CSV with the columns file,cwe,vulnerable,line,note")
    parser.add_argument("--row", default=OURS, help="whose misses and false alarms to list; default: ours")
    parser.add_argument("--misses", action="store_true", help="list the weaknesses that weren't found")
    parser.add_argument("--false-alarms", action="store_true", help="list the findings that meet none")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if (args.cases is None) != (args.labels is None):
        parser.error("--cases and --labels go together")
    return args


def measured_parts(args: argparse.Namespace) -> dict[str, tuple[Part, Callable[[Part], str]]]:
    """The corpora that were asked for, measured, each with what writes it down."""
    parts: dict[str, tuple[Part, Callable[[Part], str]]] = {}
    with ProcessPoolExecutor(PROCESSES) as pool:
        if args.cases is not None:
            parts["cases"] = (measure_cases(args.cases, read_labels(args.labels), pool), cases_text)
            return parts
        if args.only != "apps":
            labels = read_labels(CORPUS / "labels.csv")
            parts["cases"] = (measure_cases(CORPUS / "cases", labels, pool), cases_text)
        if args.only != "cases":
            labels = read_labels(CORPUS / "apps" / "labels.csv")
            parts["apps"] = (measure_apps(CORPUS / "apps", labels, pool), apps_text)
    return parts


def main() -> int:
    args = arguments()
    try:
        parts = measured_parts(args)
        if args.json:
            text = json.dumps({name: as_json(part) for name, (part, _) in parts.items()}, indent=1) + "\n"
        else:
            text = "\n".join(write(part) + failures_text(part) for part, write in parts.values())
        more = "".join(
            details(part, args.row, misses=args.misses, false_alarms=args.false_alarms)
            for part, _ in parts.values()
        )
    except (LabelsError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text + ("" if args.json else more))
    if args.output:
        args.output.write_text(text)
    return DEGRADED_EXIT if any(part.failures for part, _ in parts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
