"""Carry out `headrace simulate`: read, check, load, run, report."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from actors.audience import load_audience, read_schema
from actors.dry_run import DryRunResult, dry_run
from actors.log_writer import LogWriter
from api.documents import Opened, ViolationsError, open_flow, open_responses, tell
from api.page import render_html
from api.progress import Report as Progress
from api.progress import shown
from api.terminal import print_report
from core.audience import Audience, AudienceSchema
from core.binding import Bound, bind
from core.binding_zones import literal_ms
from core.compiler import compile_flow, needs_of
from core.duration import parse_duration
from core.errors import HeadraceError
from core.options import DEFAULT_SALT, RunOptions
from core.report import AudienceFacts, Report, RunFacts
from core.report_build import build_report
from core.story import tell as tell_story
from core.zones import ZoneTable, add_duration, transitions

OK, REFUSED, INTERRUPTED = 0, 3, 130


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line; times are texts, None for their defaults."""

    flow: Path
    audience: Path
    begin: str | None = None
    until: str | None = None
    horizon: str | None = None
    seed: int = 0
    salt: str | None = None
    responses: Path | None = None
    replicates: int = 1
    replaces: str | None = None
    strict_history: bool = False
    workers: int | None = None
    log: Path | None = None
    json: Path | None = None
    html: Path | None = None
    trace: tuple[str, ...] = ()
    quiet: bool = False


def run(request: Request) -> int:
    """Dry-run as asked, print and write the report; return the exit code."""
    began = time.monotonic()
    console = Console()
    with shown(quiet=request.quiet) as progress:
        progress("checking the flow", 0, 1)
        schema = read_schema(request.audience)
        try:
            opened = open_flow(request.flow, schema)
            responses = None if request.responses is None else open_responses(request.responses)
        except ViolationsError as error:
            tell(Console(stderr=True, highlight=False), error.path, error.violations)
            raise
        options = _options(request, opened, schema)
        progress("checking the flow", 1, 1)
        program = compile_flow(opened.flow, responses)
        audience = load_audience(
            request.audience, needs_of(program, replaces=request.replaces), progress=progress
        )
        chosen = [_customer(audience, customer) for customer in request.trace]
        bound = bind(program, audience, options)
        result = _run(request, bound, progress)
        _refuse_dated(request, bound, result)
        stories = [
            asdict(tell_story(opened.flow, audience, customer, options, responses))
            for customer in chosen
        ]
    report = build_report(
        opened.flow,
        result.counters,
        options,
        audience=_facts(request.audience, audience, schema, bound),
        responses=responses,
        lint=opened.violations,
        stories=stories,
        partial=result.partial,
        run=RunFacts(
            elapsed_s=round(time.monotonic() - began, 3),
            workers=_workers(request),
            headrace=version("headrace"),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
    _write(request, report)
    if not request.quiet:
        print_report(report, console)
        for path in (request.json, request.html, request.log):
            if path is not None:
                console.print(f"wrote {path}", highlight=False, markup=False)
    return INTERRUPTED if result.partial else OK


def _workers(request: Request) -> int:
    return request.workers or os.cpu_count() or 1


def _run(request: Request, bound: Bound, progress: Progress) -> DryRunResult:
    with ExitStack() as stack:
        log = None if request.log is None else stack.enter_context(LogWriter(request.log, bound))
        result = dry_run(
            bound,
            workers=_workers(request),
            replicates=request.replicates,
            log=log,
            progress=lambda done, total: progress("dry run", done, total),
        )
    if result.partial:
        print(
            f"headrace: interrupted after {result.customers_done:,} customers; "
            "the results are partial",
            file=sys.stderr,
        )
    return result


def _options(request: Request, opened: Opened, schema: AudienceSchema) -> RunOptions:
    """The window, horizon and keys of the run; HeadraceError where the times make no window."""
    zone = opened.flow.settings.zone or schema.zone or "UTC"
    table = transitions(zone)
    first, last = schema.time.first_ms, schema.time.last_ms
    begin = _time("--from", request.begin, table, first)
    until = _time("--until", request.until, table, None if last is None else last + 1)
    horizon = until
    if request.horizon is not None and request.horizon.startswith("+"):
        horizon = _parsed(
            "--horizon",
            request.horizon,
            lambda text: add_duration(table, until, parse_duration(text[1:])),
        )
    elif request.horizon is not None:
        horizon = _time("--horizon", request.horizon, table, None)
    if begin >= until:
        raise HeadraceError(
            "the window is empty: --from must be before --until",
            advice="Exchange them, or widen the window",
        )
    if horizon < until:
        raise HeadraceError(
            "--horizon lies before --until", advice="Follow people at least until then"
        )
    return RunOptions(
        from_ms=begin,
        until_ms=until,
        horizon_ms=horizon,
        seed=request.seed,
        salt=DEFAULT_SALT if request.salt is None else request.salt,
        audience_zone=schema.zone,
    )


def _time(option: str, text: str | None, table: ZoneTable, default: int | None) -> int:
    if text is None:
        if default is None:
            raise HeadraceError(
                f"the audience has no event, so {option} has no default", advice=f"State {option}"
            )
        return default
    return _parsed(option, text, lambda stated: literal_ms(stated, table))


def _parsed(option: str, text: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(text)
    except (ValueError, HeadraceError) as error:
        message = error.message if isinstance(error, HeadraceError) else str(error)
        raise HeadraceError(
            f"{option}: {message}", advice="Write a time such as 2026-04-01T00:00"
        ) from None


def _customer(audience: Audience, customer_id: str) -> int:
    customer = audience.index_of(customer_id)
    if customer is None:
        raise HeadraceError(
            f"--trace: the audience has no customer {customer_id!r}",
            advice=f"Ids look like {audience.id_of(0)!r}",
        )
    return customer


def _refuse_dated(request: Request, bound: Bound, result: DryRunResult) -> None:
    """With --strict-history, refuse where a condition read a value of a later date."""
    touched: Any = sum(c.touched for c in result.counters)
    if not request.strict_history or not touched.any():
        return
    nodes = ", ".join(
        f"{bound.program.node_ids[i]} ({touched[i]:,} people)"
        for i in range(len(touched))
        if touched[i]
    )
    raise _DatedError(
        f"attribute values dated {_iso(bound.as_of_ms)} were read for earlier moments at: {nodes}",
        advice="Import a log of attribute changes, mark attributes as constant, "
        "or leave --strict-history out",
    )


class _DatedError(HeadraceError):
    exit_code = REFUSED


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def _facts(folder: Path, audience: Audience, schema: AudienceSchema, bound: Bound) -> AudienceFacts:
    return AudienceFacts(
        name=folder.resolve().name,
        customers=audience.customers,
        events=audience.counts.events_read,
        first_ms=schema.time.first_ms,
        last_ms=schema.time.last_ms,
        as_of_ms=audience.as_of_ms,
        absent=tuple(audience.absent),
        replaced=audience.counts.events_replaced,
        invalid_zones=bound.zones.invalid,
    )


def _write(request: Request, report: Report) -> None:
    """Write the files asked for; HeadraceError where one can't be written."""
    files: list[tuple[Path | None, Callable[[], str]]] = [
        (request.json, lambda: report.model_dump_json(indent=2) + "\n"),
        (request.html, lambda: render_html(report)),
    ]
    for path, render in files:
        if path is None:
            continue
        try:
            path.write_text(render(), encoding="utf-8")
        except OSError as error:
            raise HeadraceError(
                error.strerror or str(error), file=str(path), advice="Choose another place"
            ) from None
