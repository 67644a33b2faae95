"""One trace from the command line through planner, every assignment and the merge, on a real OTLP receiver."""

from pathlib import Path

from labverse import Labverse
from otlp import OtlpReceiver


def test_one_trace_from_the_command_to_the_report(labverse: Labverse, headline: Path) -> None:
    with OtlpReceiver() as receiver:
        labverse.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint
        done = labverse.run("review", headline, "--json", "--roles", "security,secrets")
        assert done.returncode == 1, done.stderr
        spans = receiver.spans()
    by_id = {span.span_id: span for span in spans}
    (root,) = [span for span in spans if span.name == "labverse review"]
    named = [span for span in spans if span.trace_id == root.trace_id]
    names = [span.name for span in named]
    assert names.count("process lv.review.requested.v1") == 1
    assert names.count("process lv.review.assigned.v1") == 2
    assert names.count("send lv.review.findings.v1") == 2
    (merge,) = [span for span in named if span.name == "process lv.review.planned.v1"]
    assert names.count("send lv.review.completed.v1") == 1
    for span in named:
        above = span
        while above.parent_id:
            above = by_id[above.parent_id]
        assert above is root, f"{span.name} does not hang below the command"
    assert len(merge.links) == 2
    assert merge.attributes["messaging.system"] == "nats"
    assert merge.attributes["messaging.consumer.group.name"] == "review-merger"
    assert not any("1234567890abcdef" in str(span) for span in spans)


def test_a_collector_that_is_away_does_not_harm_or_slow_a_review(labverse: Labverse, headline: Path) -> None:
    labverse.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    done = labverse.run("review", headline, "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
