"""Serve a data directory until Ctrl-C: start the engine, listen, and say how it is doing."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from actors.live.engine import Engine
from actors.live.publishing import segments_of
from actors.live.replies import Done
from actors.live.shard import describe
from actors.live.starting import Hosting, Making, start_engine
from actors.relay.link_settings import public_address
from actors.yaml_file import load_yaml
from api.console import console
from api.documents import open_segments, violations_told
from api.server import Server
from core.errors import HeadraceError
from core.tenant_schema import TenantSchema

COLLECT_AFTER = 20_000  # objects: a batch of events makes hundreds, none of which are in cycles
LOG = Path("log") / "http.jsonl"  # within the data directory
LOOK_S = 1.0
TELL_S = 60.0  # between two lines where there is no terminal
STOPPING = b"\nheadrace: stopping; what was sent is being stored. Ctrl-C again aborts.\n"
_STDERR = 2


@dataclass(frozen=True, slots=True)
class Listening:
    """Where HTTP is served, `HOST:PORT`, and the files of a certificate and its key for TLS."""

    address: str
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What `headrace serve` was asked for."""

    folder: Path
    making: Making
    hosting: Hosting
    schema: Path | None = None
    segments: Path | None = None
    quiet: bool = False
    http: Listening | None = None


def run(request: Request) -> None:
    """Serve until the first Ctrl-C or SIGTERM, then stop in good order.

    Raises HeadraceError if it cannot start, KeyboardInterrupt at a second Ctrl-C.
    """
    if request.hosting.public_url:
        try:
            public_address(request.hosting.public_url)
        except ValueError as error:
            raise HeadraceError(f"--public-url: {error}") from None
    schema = None
    if request.schema is not None:
        schema = load_yaml(request.schema, TenantSchema, "the schema")
    segments = None
    if request.segments is not None:
        with violations_told():
            segments = open_segments(request.segments)
    out = console(stderr=True)
    stop = threading.Event()
    if not request.quiet:
        how = "in this process" if request.hosting.inline else "with Ray"
        out.print(f"starting {escape(str(request.folder))} {how} ...", soft_wrap=True)
    with _signals(stop):
        engine = start_engine(request.folder, request.making, request.hosting)
        # Ray sets handlers of its own while it starts.
        with engine, _signals(stop):
            if schema is not None and schema != engine.schema:
                engine.set_schema(schema.to_json())
            if segments is not None and segments != segments_of(engine.control.standing):
                text = segments.model_dump_json()
                _tell(out, engine.set_segments(text, name=str(request.segments)))
            server = Server(engine, engine.data.socket)
            server.start()
            try:
                with _http(request, engine) as url:
                    _show(engine, url, stop, out, quiet=request.quiet)
            finally:
                server.close()
    if not request.quiet:
        out.print("stopped", soft_wrap=True)


@contextmanager
def _http(request: Request, engine: Engine) -> Iterator[str]:
    """Within the block, the service is open and answers HTTP; yields where, "" if nowhere."""
    if request.http is None:
        yield ""
        return
    # Not before it is needed: the rest starts without it.
    from actors.service.service import Service
    from api.http.app import create_app
    from api.http.observing import logging_to
    from api.http.serving import Address, Certificate, HttpServer

    wanted = request.http
    address, certificate = Address.parse(wanted.address), None
    if wanted.certificate is not None and wanted.key is not None:
        certificate = Certificate(wanted.certificate, wanted.key)
    with (
        Service.open(request.folder, engine, hosting=request.hosting) as service,
        logging_to(request.folder / LOG),
        HttpServer(create_app(service), address, certificate) as server,
    ):
        if service.first_key:
            told = f"admin key, shown this once: {service.first_key}"
            console().print(told, soft_wrap=True, markup=False, highlight=False)
        # What there is by now, modules above all, stays: a full collection would look through all
        # of it, and answer nobody meanwhile.
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, 20, 20)
        yield server.url


def _tell(out: Console, done: Done) -> None:
    for warning in done.warnings:
        told = f"{warning['message']}. {warning['advice']}"
        out.print(f"[yellow]warning[/] {escape(told)}", soft_wrap=True)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM ask to stop, and a second one aborts."""

    def heard(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # A print could come in the midst of another.
        os.write(_STDERR, STOPPING)

    before = {n: signal.signal(n, heard) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(engine: Engine, url: str, stop: threading.Event, out: Console, *, quiet: bool) -> None:
    status = _settled(engine, stop)
    socket = engine.data.socket
    if not quiet:
        places = f"{socket} and {url}" if url else str(socket)
        ready = f"ready: {_summary(status)}; clients connect at {places}"
        out.print(escape(ready), soft_wrap=True)
    if quiet:
        stop.wait()
    elif out.is_terminal:
        with Live(console=out, auto_refresh=False, transient=True) as live:
            pace = _Pace()
            while not stop.wait(LOOK_S):
                status = engine.status()
                live.update(status_table(status, pace.of(status)), refresh=True)
    else:
        told, next_s = _summary(status), time.monotonic() + TELL_S
        while not stop.wait(LOOK_S):
            summary = _summary(engine.status())
            if summary != told or time.monotonic() >= next_s:
                told, next_s = summary, time.monotonic() + TELL_S
                out.print(escape(told), soft_wrap=True)


def _settled(engine: Engine, stop: threading.Event) -> dict[str, Any]:
    """The first status that has all shards."""
    while True:
        status = engine.status()
        if all("partitions" in s or "error" in s for s in status["shards"]) or stop.wait(0.02):
            return status


class _Pace:
    """Rows a second between two looks."""

    def __init__(self) -> None:
        self._rows: int | None = None
        self._at_s = 0.0

    def of(self, status: Mapping[str, Any]) -> float:
        rows = sum(p["rows"] for p in _partitions(status).values())
        now = time.monotonic()
        known = self._rows
        pace = 0.0 if known is None else max(0, rows - known) / max(1e-3, now - self._at_s)
        self._rows, self._at_s = rows, now
        return pace


def _partitions(status: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    return {n: p for shard in status["shards"] for n, p in shard.get("partitions", {}).items()}


def _summary(status: Mapping[str, Any]) -> str:
    """What changes seldom, in a line."""
    shards: Sequence[Mapping[str, Any]] = status["shards"]
    flows = [flow for flow in status["flows"] if flow["status"] == "active"]
    parts = [f"{status['partitions']} partitions in {len(shards)} shards"]
    parts += [f"{describe(s)}" for s in shards if s.get("partitions") and _troubled(s)]
    parts += [s["error"] for s in shards if s.get("error")]
    parts.append(f"{len(flows)} active flows")
    return ", ".join(parts)


def _troubled(shard: Mapping[str, Any]) -> bool:
    return any(p["state"] != "open" for p in shard["partitions"].values())


def status_table(status: Mapping[str, Any], rows_per_s: float) -> Group:
    """A table of the shards, then one of the flows, then what is wrong."""
    shards = Table(title=Text(f"{status['tenant']} at {status['folder']}"), title_justify="left")
    for name in ("partitions", "state", "rows", "commits", "queued", "memory", "disk"):
        shards.add_column(name, justify="left" if name in ("partitions", "state") else "right")
    problems: list[str] = []
    for shard in status["shards"]:
        numbers = f"{shard['numbers'][0]}-{shard['numbers'][-1]}"
        if "partitions" not in shard:
            shards.add_row(numbers, "down", *[""] * 5)
            problems.append(shard.get("error", "it does not answer yet"))
            continue
        partitions = shard["partitions"]
        shards.add_row(
            numbers,
            describe(shard),
            f"{sum(p['rows'] for p in partitions.values()):,}",
            f"{sum(p['commits'] for p in partitions.values()):,}",
            f"{shard['queue_rows']:,}",
            f"{shard['memory_bytes'] >> 20:,} MiB",
            f"{shard['disk_used']:.0%}",
        )
        problems += _problems(shard)
    flows = Table()
    for name in ("flow", "version", "status"):
        flows.add_column(name)
    for flow in status["flows"]:
        flows.add_row(Text(flow["flow"]), str(flow["version"]), flow["status"])
    told = [Text(f"{rows_per_s:,.0f} rows/s; Ctrl-C stops")]
    rejects = sum(status["rejects"].values())
    if rejects:
        told.append(Text(f"{rejects:,} rows refused, see rejects/ in the folder", "yellow"))
    told += [Text(problem, "bold red") for problem in dict.fromkeys(problems)]
    return Group(shards, *([flows] if status["flows"] else []), *told)


def _problems(shard: Mapping[str, Any]) -> Iterator[str]:
    for number, partition in shard["partitions"].items():
        for problem in (partition["error"], partition["companions"]):
            if problem:
                yield f"partition {number}: {problem}"
    if shard["disk"] != "ok":
        yield f"the disk is {shard['disk_used']:.0%} full"
    if abs(shard["clock_difference_ms"]) > 5_000:
        ahead = shard["clock_difference_ms"] / 1000
        yield f"the machine's clock leapt by {ahead:+,.0f} s: check that it is synchronised"
