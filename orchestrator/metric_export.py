"""Between the reader of metrics and OpenTelemetry's exporter: keeps failures quiet, and ends in time.

Sums are sent as they stand, so an export that fails loses nothing when a later one succeeds.
"""

import logging
import threading
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

from orchestrator.span_export import Complaint

log = logging.getLogger("labverse.telemetry")


class CarefulMetricExporter(MetricExporter):
    """Exports with `exporter`, to a collector that is called `where` in messages.

    Attributes:
        is_failing: the last export did not arrive.
    """

    def __init__(self, exporter: MetricExporter, where: str) -> None:
        # The reader asks its exporter how sums and histograms are wanted; there is no public way to pass that on.
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self.is_failing = False
        self._exporter = exporter
        self._where = where
        self._is_shut = False
        self._lock = threading.Lock()
        self._complaint = Complaint()

    @property
    def is_hopeless(self) -> bool:
        """Whether it is no use to wait for what is being sent: the last export failed, or nobody listens."""
        return self.is_failing or self._complaint.is_unreachable

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        if self._is_shut:
            return MetricExportResult.FAILURE
        self._complaint.clear()
        result = self._exporter.export(metrics_data, timeout_millis=timeout_millis)
        if result is MetricExportResult.SUCCESS:
            if self.is_failing:
                log.warning("metrics reach %s again", self._where)
            self.is_failing = False
            return result
        self._say_once()
        return result

    def _say_once(self) -> None:
        with self._lock:  # from the sending thread, and from the one that gives up
            if self.is_failing:
                return
            self.is_failing = True
        reason = self._complaint.text or "no answer"
        log.warning("metrics don't reach %s: %s", self._where, reason)

    def give_up(self) -> None:
        """Break off what is being sent, and say so."""
        self._say_once()
        self.shutdown()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Stop, and break off what is being sent. May be called more than once, and from another thread."""
        if not self._is_shut:
            self._is_shut = True
            self._exporter.shutdown(timeout_millis)
            self._complaint.close()
