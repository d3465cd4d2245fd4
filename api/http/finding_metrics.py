"""Tell Prometheus what arrived that the tenants' schemas do not have so."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from actors.service.service import Service


class FindingMetrics:
    """Asked when the metrics are; labels are tenants and kinds, of which there are few."""

    def __init__(self, service: Service) -> None:
        """Tell of the findings of `service`."""
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """How much was strange since the start, and how many findings nobody acknowledged."""
        labels = ("tenant", "kind")
        strange = CounterMetricFamily(
            "headrace_strange", "Unknown events and properties, and other types", labels=labels
        )
        waiting = GaugeMetricFamily(
            "headrace_findings_open", "Findings that nobody has acknowledged", labels=labels
        )
        found = self._service.findings
        for (tenant, kind), count in found.totals().items():
            strange.add_metric([tenant, kind], count)
        for (tenant, kind), count in found.open_counts([*self._service.tenants.opened()]).items():
            waiting.add_metric([tenant, kind], count)
        yield from (strange, waiting)
