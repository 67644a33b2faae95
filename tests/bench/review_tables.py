"""How the measured quality of reviews is written down: tables, lists of misses and false alarms, JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness import table

# isort: split
from reviewscoring import Counts, Score

from agents.review.cwe import name_of

CONFIDENCE_MIN: Final = 0.4
OURS: Final = "ours"
SURER: Final = f"ours, confidence ≥ {CONFIDENCE_MIN:g}"
AGREED: Final = "two of them"
FLOW: Final = "labverse-flow"
FAILURES_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Part:
    """One corpus, measured: a score of each row, the findings that ours reports, the time of the analysers."""

    files: int
    scores: dict[str, Score]
    seconds: dict[str, float]
    failures: tuple[str, ...]
    left_out: tuple[str, ...]
    apps: dict[str, dict[str, Score]]


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def cases_text(part: Part) -> str:
    lines = []
    for name, score in part.scores.items():
        total = score.total
        near = percent(total.near / total.tp) if total.tp else "–"
        lines.append(
            [
                name,
                percent(total.recall),
                percent(total.false_rate),
                f"{total.gain * 100:+.0f}",
                f"{total.f1:.2f}",
                near,
            ]
        )
    text = table(["cases", "true positives", "false positives", "difference", "F1", "within 5 lines"], lines)
    text += "\nTrue-positive rate − false-positive rate in points; for ours both rates in brackets.\n\n"
    text += table(["CWE", "cases", *part.scores], list(_by_cwe(part)))
    flow_s = part.seconds.get(FLOW)
    if flow_s is not None and part.files:
        text += f"\nData flow: {flow_s / part.files * 1000:.1f} s for 1,000 such files.\n"
    return text


def _by_cwe(part: Part) -> Iterable[list[str]]:
    for cwe in sorted(part.scores[OURS].by_cwe):
        counted = {name: score.by_cwe[cwe] for name, score in part.scores.items()}
        ours = counted[OURS]
        cells = [f"{one.gain * 100:+.0f}" for one in counted.values()]
        cells[list(counted).index(OURS)] += f" ({percent(ours.recall)}, {percent(ours.false_rate)})"
        yield [name_of(cwe) or f"CWE-{cwe}", f"{ours.tp + ours.fn} + {ours.fp + ours.tn}", *cells]


def apps_text(part: Part) -> str:
    lines = []
    for name, score in part.scores.items():
        total = score.total
        lines.append(
            [
                name,
                f"{total.tp} of {total.tp + total.fn}",
                f"{total.fp} ({score.tempted}, {score.elsewhere})",
                percent(total.precision),
                percent(total.recall),
                f"{total.f1:.2f}",
                *(f"{scores[name].total.f1:.2f}" for scores in part.apps.values()),
                score.unnamed,
            ]
        )
    head = [
        "applications",
        "found",
        "false alarms (where labelled fine, elsewhere)",
        "precision",
        "recall",
        "F1",
    ]
    text = table([*head, *part.apps, "without a CWE"], lines)
    text += "\nElsewhere: the trace leads past a weakness, but the finding is at another place, or a second one.\n"
    text += "\nOurs by CWE: weaknesses found, and false alarms.\n\n"
    return text + table(["CWE", "found", "false alarms"], [_app_line(*entry) for entry in _app_cwes(part)])


def _app_cwes(part: Part) -> list[tuple[int, Counts]]:
    return sorted(part.scores[OURS].by_cwe.items())


def _app_line(cwe: int, counts: Counts) -> list[str]:
    return [name_of(cwe) or f"CWE-{cwe}", f"{counts.tp} of {counts.tp + counts.fn}", str(counts.fp)]


def failures_text(part: Part) -> str:
    """What was not measured, so that nobody takes an analyser that fell over for one that found nothing."""
    missing = (*part.failures, *part.left_out)
    shown = "".join(f"- {text}\n" for text in missing[:FAILURES_SHOWN])
    more = len(missing) - FAILURES_SHOWN
    return f"\nNot whole:\n\n{shown}" + (f"- and {more} more\n" if more > 0 else "") if shown else ""


def misses_text(score: Score, others: Mapping[str, Score]) -> str:
    """What a row missed, with who saw it."""
    out = []
    for label in score.misses:
        saw = [name for name, other in others.items() if label not in other.misses]
        by = f" [seen by {', '.join(saw)}]" if saw else ""
        out.append(
            f"  CWE-{label.cwe} {label.app}{'/' * bool(label.app)}{label.path}:{label.line} {label.note}{by}"
        )
    return "\n".join(sorted(out))


def alarms_text(score: Score) -> str:
    """What a row reported wrongly, with what the label says of the place."""
    out = []
    for alarm in score.false_alarms:
        finding, label = alarm.finding, alarm.label
        says = f" [{label.app or 'label'}: {label.note}]" if label else ""
        if alarm.passes:
            says = f" [passes {alarm.passes.path}:{alarm.passes.line}]"
        out.append(
            f"  CWE-{finding.cwe} {finding.path}:{finding.line} {finding.title} "
            f"({finding.confidence:.2f}, {', '.join(finding.found_by)}){says}"
        )
    return "\n".join(sorted(out))


def details(part: Part, row: str, *, misses: bool, false_alarms: bool) -> str:
    """The lists that were asked for.

    Raises:
        ValueError: there is no such row.
    """
    if row not in part.scores:
        raise ValueError(f"no row {row!r}: there are {', '.join(part.scores)}")
    score = part.scores[row]
    text = ""
    if misses:
        text += f"\nMissed by {row}:\n{misses_text(score, part.scores)}\n"
    if false_alarms:
        text += f"\nFalse alarms of {row}:\n{alarms_text(score)}\n"
    return text


def as_json(part: Part) -> dict[str, Any]:
    return {
        "files": part.files,
        "seconds": {name: round(spent, 3) for name, spent in sorted(part.seconds.items())},
        "failures": list(part.failures),
        "left_out": list(part.left_out),
        "rows": {name: _score_json(score) for name, score in part.scores.items()},
        "apps": {
            app: {name: _score_json(score) for name, score in scores.items()}
            for app, scores in part.apps.items()
        },
    }


def _score_json(score: Score) -> dict[str, Any]:
    return {
        **_counts_json(score.total),
        "tempted": score.tempted,
        "elsewhere": score.elsewhere,
        "unnamed": score.unnamed,
        "by_cwe": {str(cwe): _counts_json(counts) for cwe, counts in sorted(score.by_cwe.items())},
    }


def _counts_json(counts: Counts) -> dict[str, float]:
    out: dict[str, float] = {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "near": counts.near}
    if counts.tn:  # of applications nobody can say how many places were rightly left alone
        out |= {"tn": counts.tn, "fpr": round(counts.false_rate, 4)}
    return out | {
        "recall": round(counts.recall, 4),
        "precision": round(counts.precision, 4),
        "f1": round(counts.f1, 4),
    }
