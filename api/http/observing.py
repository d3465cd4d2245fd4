"""Watch the service work: an id for each request, a line of log, and numbers for Prometheus.

A line of log has fields of a fixed list and no others: no path with its ids, no body, no header, so
no personal value and no key can get into it. An error is told by its kind and place in the code.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
import uuid
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.intake.tagging import RELAY, REQUEST_ID, SHARD
from actors.live.replies import Reply
from actors.service.service import Service
from api.http.finding_metrics import FindingMetrics
from api.http.problems import problem_of, respond

FIELDS = frozenset(
    {"event", "level", "timestamp", "request_id", "method", "route", "status", "duration_ms"}
    | {"tenant", "key_id", "format", "rows", "accepted", "refused", "code", "error", "at"}
    | {"partition", "commit", "message", "channel", "attempts", "outcome"}
)
LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LOG_BYTES_MAX = 16 << 20
LOG_FILES_MAX = 8
UNMATCHED = "(none)"
LOGGER = "headrace.http"
_GIVEN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_request_id = REQUEST_ID


def request_id() -> str:
    """The id of the request that is being answered, "" outside of one."""
    return _request_id.get()


def allowed_only(
    _logger: Any, _name: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop every field of a line of log that is not on the list."""
    return {name: value for name, value in fields.items() if name in FIELDS}


def log() -> Any:
    """The log of the service, as JSON lines of the allowed fields to the logger `headrace.http`."""
    return structlog.wrap_logger(
        logging.getLogger(LOGGER),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            allowed_only,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Within the block, the log goes to files of bounded size, of which `path` is the newest."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES_MAX, backupCount=LOG_FILES_MAX - 1)
    handler.setFormatter(logging.Formatter("%(message)s"))
    # Shards and relays that work in this process tell of the same requests.
    loggers = [logging.getLogger(name) for name in (LOGGER, SHARD, RELAY)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()


def where(error: BaseException) -> str:
    """The place in the code where an error came up, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


class Metrics:
    """The numbers of one application, for Prometheus."""

    def __init__(self, service: Service) -> None:
        """Count from nought; what the engines do is asked of `service` when somebody looks."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "headrace_http_requests_total",
            "Requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.latency = Histogram(
            "headrace_http_request_seconds",
            "From the first byte of the request to the last of the answer",
            ("route",),
            buckets=LATENCIES_S,
            registry=self.registry,
        )
        self.under_way = Gauge(
            "headrace_http_requests_under_way", "Requests being answered", registry=self.registry
        )
        self.rows = Counter(
            "headrace_events_total",
            "Rows by what became of them",
            ("format", "outcome"),
            registry=self.registry,
        )
        self.refused = Counter(
            "headrace_events_refused_total",
            "Rows refused, by the code of their refusal",
            ("format", "code"),
            registry=self.registry,
        )
        self.left_out = Counter(
            "headrace_events_left_out_total",
            "Parts of accepted events that nothing keeps",
            ("format", "what"),
            registry=self.registry,
        )
        self.registry.register(_Engines(service))
        self.registry.register(FindingMetrics(service))

    def took(self, name: str, reply: Reply, left_out: Iterable[tuple[str, int]]) -> None:
        """Count what became of a batch of the format `name`."""
        if reply.accepted:
            self.rows.labels(name, "accepted").inc(reply.accepted)
        if reply.duplicates:
            self.rows.labels(name, "duplicate").inc(reply.duplicates)
        if reply.rejects:
            self.rows.labels(name, "refused").inc(len(reply.rejects))
        for _, _, code, _ in reply.rejects:
            self.refused.labels(name, code).inc()
        for what, count in left_out:
            self.left_out.labels(name, what).inc(count)
        dropped = sum(reply.dropped.values())
        if dropped:
            self.left_out.labels(name, "unknown-field").inc(dropped)


class _Engines:
    """What the open engines say of themselves, asked when the metrics are."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        labels = ("tenant", "shard")
        named = {
            "queue_rows": ("headrace_queue_rows", "Rows waiting to be committed"),
            "memory_bytes": ("headrace_shard_memory_bytes", "Memory of a shard's process"),
            "disk_used": ("headrace_disk_used_ratio", "How full the disk is"),
            "late_ms": ("headrace_late_ms", "How long the timer that is due longest has waited"),
        }
        families = {
            field: GaugeMetricFamily(name, text, labels=labels)
            for field, (name, text) in named.items()
        }
        partitions = GaugeMetricFamily(
            "headrace_partitions", "Partitions by their state", labels=("tenant", "state")
        )
        alive = GaugeMetricFamily("headrace_shard_up", "Whether a shard answers", labels=labels)
        outbox = _Outbox()
        for tenant, status in self._service.statuses().items():
            states: dict[str, int] = {}
            for shard in status["shards"]:
                name = f"{shard['numbers'][0]}-{shard['numbers'][-1]}"
                alive.add_metric([tenant, name], float("partitions" in shard))
                for field, family in families.items():
                    if isinstance(shard.get(field), int | float):
                        family.add_metric([tenant, name], shard[field])
                for partition in shard.get("partitions", {}).values():
                    outbox.add(tenant, partition.get("outbox") or {})
                    states[partition["state"]] = states.get(partition["state"], 0) + 1
            for state, count in states.items():
                partitions.add_metric([tenant, state], count)
        yield from (*families.values(), partitions, alive, *outbox.families())


class _Outbox:
    """What the relays of all partitions say of messages, added up for each tenant."""

    def __init__(self) -> None:
        self._depth: Counts[str] = Counts()
        self._oldest_ms: dict[str, int] = {}
        self._counts: Counts[tuple[str, str, str]] = Counts()

    def add(self, tenant: str, told: Mapping[str, Any]) -> None:
        """Add what one relay says."""
        if not told:
            return
        self._depth[tenant] += told["depth"]
        oldest_ms = self._oldest_ms.get(tenant, 0)
        self._oldest_ms[tenant] = max(oldest_ms, told["oldest_age_ms"])
        for channel, counts in told["counts"].items():
            for outcome, count in counts.items():
                self._counts[tenant, channel, outcome] += count

    def families(self) -> Iterator[Metric]:
        """The metrics."""
        depth = GaugeMetricFamily(
            "headrace_outbox_messages", "Messages that wait to leave", labels=("tenant",)
        )
        oldest = GaugeMetricFamily(
            "headrace_outbox_oldest_seconds",
            "How long the oldest of these has waited",
            labels=("tenant",),
        )
        for tenant, count in self._depth.items():
            depth.add_metric([tenant], count)
            oldest.add_metric([tenant], self._oldest_ms[tenant] / 1_000)
        messages = CounterMetricFamily(
            "headrace_messages",
            "Messages by what became of them, and attempts that failed",
            labels=("tenant", "channel", "outcome"),
        )
        for labels, count in self._counts.items():
            messages.add_metric(labels, count)
        yield from (depth, oldest, messages)


class Observer:
    """What surrounds every request: its id, its line of log, its numbers; nothing escapes it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Surround `app`."""
        self._app = app
        self._metrics = metrics
        self._log = log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever comes up."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        known = given if _GIVEN.fullmatch(given) else uuid.uuid4().hex
        token = _request_id.set(known)
        began = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = known
                for name, value in scope.get("state", {}).get("rate", {}).items():
                    headers.setdefault(name, value)
            await send(message)

        told: dict[str, Any] = {}
        self._metrics.under_way.inc()
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            told = {"error": type(error).__name__, "at": where(error)}
            if status:
                raise  # The answer is cut short, and the server has to close the connection.
            await respond(problem_of(error), known)(scope, receive, sending)
        finally:
            self._metrics.under_way.dec()
            self._ended(scope, status, time.perf_counter() - began, told)
            _request_id.reset(token)

    def _ended(self, scope: Scope, status: int, took_s: float, told: dict[str, Any]) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        method = scope["method"] if route != UNMATCHED else UNMATCHED
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(route).observe(took_s)
        caller = scope.get("state", {}).get("caller")
        if caller is not None:
            told.update(tenant=caller.tenant, key_id=caller.key_id)
        level = logging.ERROR if status >= 500 and told.get("error") else logging.INFO
        self._log.log(
            level,
            "request",
            request_id=request_id(),
            method=method,
            route=route,
            status=status,
            duration_ms=round(took_s * 1000, 2),
            **told,
        )
