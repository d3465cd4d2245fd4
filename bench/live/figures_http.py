"""Measure the HTTP service: events a second that it has stored, and how long an answer takes.

`headrace serve` runs as users start it, and connections of this process send batches that were
made beforehand, so that what is counted is the service's work beside that of sending. Each event
has an id of its own; those that were accepted must be all, or nothing counts.
"""

from __future__ import annotations

import http.client
import json
import queue
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from api.client import Client
from bench.figures import Bar, Figure
from bench.live.dry_run import asker, running
from bench.live.figures import Form, Latency, Measured
from bench.live.latency import open_loop
from bench.live.stages_http import processor_s, segment_steps
from core.tenant_schema import TenantSchema

GROUP = "http"
START_S = 90.0
SHARE = 0.5
CUSTOMERS = 100_000
SEGMENT, COLUMNS = "/v1/batch", "/v1/events?source=bench"
ROWS = {SEGMENT: 500, COLUMNS: 5_000}
BARS = {SEGMENT: 120_000.0, COLUMNS: 400_000.0}
NAMES = {SEGMENT: "Segment route, batches of 500", COLUMNS: "Arrow route, batches of 5,000"}
KINDS = {SEGMENT: "application/json", COLUMNS: "application/vnd.apache.arrow.stream"}
BAR_MS = 100.0
SHARE_BESIDE = 0.3  # of the throughput, where a dry run is at work
BARS_BESIDE = {50.0: 1.25, 99.0: 2.0}  # by percentile: how much longer answers may take then
MARK = "@@@@@@@@"
SCHEMA: dict[str, Any] = {
    "events": {
        "purchase": {"properties": {"amount": "float64", "sku": "string", "count": "int64"}},
        "visit": {"properties": {"url": "string"}},
    }
}
FLOW: dict[str, Any] = {
    "headrace": 1,
    "flow": "dear",
    "settings": {"reentry": {"policy": "always"}},
    "nodes": {
        "bought": {
            "type": "on_event",
            "event": "purchase",
            "where": {"property": "amount", "above": 45},
            "next": "thanked",
        },
        "thanked": {"type": "add_tag", "tag": "dear", "next": "done"},
        "done": {"type": "end"},
    },
}


@dataclass(frozen=True, slots=True)
class Served:
    """A service that listens at a port of loopback, and a key that may send events."""

    port: int
    key: str
    pid: int
    data: Path

    def connect(self) -> http.client.HTTPConnection:
        """A connection, which is kept, and sends what it has at once."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@contextmanager
def served() -> Iterator[Served]:
    """`headrace serve` on a new folder, with a schema and a flow. RuntimeError if it fails."""
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        command = [sys.executable, "-m", "api.main", "serve", str(data), "--http", "127.0.0.1:0"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            found = _ready(process, data)
            with Client(data) as client:
                client.set_schema(SCHEMA)
                client.publish(json.dumps(FLOW))
            yield found
        finally:
            process.terminate()
            process.communicate()


def _ready(process: subprocess.Popen[str], data: Path) -> Served:
    port = key = ""
    assert process.stdout is not None
    for line in process.stdout:
        port = next(iter(re.findall(r"http://127\.0\.0\.1:(\d+)", line)), port)
        key = next(iter(re.findall(r"hr_live_\w+", line)), key)
        if port and key and "ready" in line:
            return Served(int(port), key, process.pid, data)
    raise RuntimeError("headrace serve did not start")


def measure(form: Form) -> Measured:
    """Both routes, with eight connections and the Segment route with one too."""
    whole = Measured()
    runs = [(SEGMENT, 1), (SEGMENT, 8), (COLUMNS, 8)]
    for route, connections in runs:
        with served() as service:
            bodies = _Bodies(route)
            _throughput(service, route, connections, bodies, 1.0)
            before, began_s = processor_s(service.pid), time.process_time()
            sent = bodies.sent
            rates = [
                _throughput(service, route, connections, bodies, form.latency_s / form.runs)
                for _ in range(form.runs)
            ]
            used = processor_s(service.pid)
            spent = {f"{name} process": used[name] - before[name] for name in used}
            spent["load generator"] = time.process_time() - began_s
            rate = median(rates)
            bar = Bar("ours", "at least", BARS[route]) if connections > 1 else None
            spread = (max(rates) - min(rates)) / rate
            many = f"{connections} connection{'s' if connections > 1 else ''}"
            name = f"{NAMES[route]}, {many}"
            whole.figures.append(Figure(GROUP, name, "events/s", rate, spread, bar=bar))
            if connections > 1:
                events = (bodies.sent - sent) * bodies.rows
                whole.figures += _costs(NAMES[route], {k: v / events for k, v in spent.items()})
                whole.latencies.append(
                    _latency(service, route, connections, bodies, SHARE * rate, form.latency_s)
                )
            if connections > 1 and route == SEGMENT:
                steps = segment_steps(bodies.next(), TenantSchema.of(SCHEMA))
                each = {name: seconds / bodies.rows for name, seconds in steps.items()}
                whole.figures += _costs(NAMES[route], each)
                _beside(service, bodies, SHARE_BESIDE * rate, form.latency_s, whole)
    return whole


def _costs(name: str, seconds: Mapping[str, float]) -> list[Figure]:
    """Processor time for an event by what it is spent on."""
    return [
        Figure(GROUP, f"{name}, of which {what}", "µs/event", spent * 1e6)
        for what, spent in seconds.items()
    ]


def _beside(service: Served, bodies: _Bodies, rate: float, seconds: float, whole: Measured) -> None:
    """Acknowledgements alone and while a dry run is at work, and how much longer they take then."""
    load = f"{SHARE_BESIDE:.0%} of what it takes"
    name = NAMES[SEGMENT]

    def measured(beside: str) -> Latency:
        found = _latency(service, SEGMENT, 8, bodies, rate, seconds)
        return replace(found, load=load + beside, bar_ms=None)

    alone = measured("")
    with running(asker(service.connect(), service.key)) as still:
        beside = measured(", and a dry run")
        if not still():
            raise RuntimeError("the dry run ended too early")
    whole.latencies += (alone, beside)
    for percent, most in BARS_BESIDE.items():
        ratio = beside.percentile_ms(percent) / alone.percentile_ms(percent)
        what = f"{name}: p{percent:g} beside a dry run, to that of without"
        whole.figures.append(Figure(GROUP, what, "x", ratio, bar=Bar("ours", "at most", most)))


class _Bodies:
    """Batches whose ids nobody had before. Any thread may take one."""

    def __init__(self, route: str) -> None:
        self.rows = ROWS[route]
        self.sent = 0
        self._numbers = count()
        self._make: Callable[[int], bytes] = _json_maker(self.rows)
        if route == COLUMNS:
            self._make = _arrow_maker(self.rows)

    def next(self) -> bytes:
        self.sent = next(self._numbers)
        return self._make(self.sent)


def _event(i: int) -> tuple[str, dict[str, Any]]:
    if i % 3 == 0:
        return "visit", {"url": f"https://shop.example/p/{i % 100}"}
    return "purchase", {"amount": i % 100 / 2, "sku": f"s{i % 50}", "count": i % 4}


def _json_maker(rows: int) -> Callable[[int], bytes]:
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    calls = []
    for i in range(rows):
        event, properties = _event(i)
        calls.append(
            {
                "type": "track",
                "userId": f"c{i * 7919 % CUSTOMERS}",
                "event": event,
                "messageId": f"{MARK}-5b0a-4e37-8a57-{i:012}",
                "timestamp": f"{now}.{i % 1000:03}Z",
                "properties": properties,
                "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
            }
        )
    template = json.dumps({"batch": calls, "sentAt": f"{now}Z"}).encode()
    return lambda number: template.replace(MARK.encode(), b"%08d" % number)


def _arrow_maker(rows: int) -> Callable[[int], bytes]:
    made = [_event(i) for i in range(rows)]
    names = ("url", "amount", "sku", "count")
    columns = {
        "customer": pa.array([f"c{i * 7919 % CUSTOMERS}" for i in range(rows)]),
        "event": pa.array([event for event, _ in made]).dictionary_encode(),
        **{name: pa.array([properties.get(name) for _, properties in made]) for name in names},
    }

    def make(number: int) -> bytes:
        ids = pa.array(np.arange(number * rows, (number + 1) * rows, dtype=np.int64))
        batch = pa.record_batch({**columns, "message_id": ids})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())

    return make


def _send(connection: http.client.HTTPConnection, key: str, route: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": KINDS[route]}
    connection.request("POST", route, body, headers)
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{route} answered {answer.status}: {told[:500]!r}")


def _throughput(
    service: Served, route: str, connections: int, bodies: _Bodies, seconds: float
) -> float:
    """Events a second that connections which each wait for the answer have stored."""
    done, lock = [0], Lock()
    until = time.perf_counter() + seconds

    def sending() -> None:
        connection = service.connect()
        while time.perf_counter() < until:
            _send(connection, service.key, route, bodies.next())
            with lock:
                done[0] += bodies.rows
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        for each in [pool.submit(sending) for _ in range(connections)]:
            each.result()
    return done[0] / (time.perf_counter() - began)


def _latency(
    service: Served, route: str, connections: int, bodies: _Bodies, rate: float, seconds: float
) -> Latency:
    """How long answers take at a load that doesn't wait for them, from when each was due."""
    free: queue.SimpleQueue[http.client.HTTPConnection] = queue.SimpleQueue()
    for _ in range(connections):
        free.put(service.connect())

    def send(body: bytes) -> None:
        connection = free.get()
        try:
            _send(connection, service.key, route, body)
        finally:
            free.put(connection)

    per_second = rate / bodies.rows
    requests = [bodies.next() for _ in range(max(20, round(per_second * seconds)))]
    with ThreadPoolExecutor(connections) as pool:

        def submit(body: bytes) -> Future[None]:
            return pool.submit(send, body)

        timed = open_loop(submit, requests, per_second)
    load = f"{SHARE:.0%} of what it takes"
    return Latency(NAMES[route], load, timed.seconds, rate, BAR_MS)
