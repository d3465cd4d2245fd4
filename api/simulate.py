"""Carry out `headrace simulate`: read, check, load, run, report."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from actors.audience import load_audience, read_schema
from actors.coupled_dry_run import CoupledDryRun, coupled_dry_run
from actors.dry_run import Cancel, DryRunResult
from actors.log_writer import log_writer
from api.console import console
from api.documents import SEGMENTS, Opened, open_flow, open_responses, segments_for, violations_told
from api.interrupts import stopped_by_ctrl_c
from api.outputs import check_outputs, write_text
from api.progress import CHECKING
from api.progress import Report as Progress
from api.terminal import print_report
from api.terminal_stories import print_stories
from api.window import read_window
from core.audience import Audience, AudienceSchema
from core.binding import Bound, bind
from core.compiler import compile_flow, needs_of
from core.counters import Counters
from core.errors import HeadraceError
from core.limits import PEOPLE_MAX
from core.options import DEFAULT_SALT, RunOptions
from core.report import AudienceFacts, Report, RunFacts
from core.report_build import build_report
from core.report_couplings import Ending
from core.responses import Responses
from core.segments import Segments
from core.story import tell as tell_story

OK, REFUSED, INTERRUPTED = 0, 3, 130


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line; times are texts, None for their defaults.

    `name` is the audience's for people, where it is not that of its folder. `segments` is a file
    of segments, `tenants` are those of the tenant whose journal the audience is, if they were set.
    `draws_as` is a lineage whose luck the flow is to have instead of its own, `work_max` bounds
    customers times replicates. `said` stands before the names of options where one is wrong.
    """

    flow: Path
    audience: Path
    name: str = ""
    begin: str | None = None
    until: str | None = None
    horizon: str | None = None
    seed: int = 0
    salt: str | None = None
    responses: Path | None = None
    segments: Path | None = None
    tenants: Segments | None = None
    replicates: int = 1
    entry_rate: int | None = None
    coupons: tuple[str, ...] = ()
    replaces: str | None = None
    strict_history: bool = False
    workers: int | None = None
    log: Path | None = None
    json: Path | None = None
    html: Path | None = None
    trace: tuple[str, ...] = ()
    quiet: bool = False
    draws_as: str | None = None
    work_max: int | None = None
    said: str = "--"


@dataclass(frozen=True, slots=True)
class Carried:
    """A dry run that was carried out, and all that its report is made of."""

    request: Request
    opened: Opened
    responses: Responses | None
    options: RunOptions
    audience: AudienceFacts
    coupled: CoupledDryRun
    endings: list[list[Ending]]
    stories: list[dict[str, Any]]
    began: float

    def report(self) -> Report:
        """The report of all replicates."""
        result = self.coupled.result
        run = RunFacts(
            elapsed_s=round(time.monotonic() - self.began, 3),
            workers=_workers(self.request),
            headrace=version("headrace"),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return self._report(result.counters, self.options, self.endings, run)

    def reports(self) -> list[Report]:
        """A report of each replicate by itself."""
        counted = self.coupled.result.counters
        found = []
        for number, counters in enumerate(counted):
            options = replace(self.options, replicate=self.options.replicate + number)
            endings = self.endings[number : number + 1]
            found.append(self._report([counters], options, endings, None))
        return found

    def _report(
        self,
        counters: Sequence[Counters],
        options: RunOptions,
        endings: Sequence[Sequence[Ending]],
        run: RunFacts | None,
    ) -> Report:
        return build_report(
            self.opened.flow,
            counters,
            options,
            audience=self.audience,
            responses=self.responses,
            lint=self.opened.violations,
            stories=self.stories,
            partial=self.coupled.result.partial,
            endings=endings,
            run=run,
        )


def run(request: Request, progress: Progress) -> Report:
    """Dry-run as asked, writing the log if one is asked for; what went wrong is told or raised."""
    carried = carry_out(request, progress)
    progress("building the report", 0, 1)
    report = carried.report()
    progress("building the report", 1, 1)
    return report


def carry_out(request: Request, progress: Progress) -> Carried:
    """Do all of `run` but the report."""
    began = time.monotonic()
    progress(CHECKING, 0, 1)
    outputs = {"--log": request.log, "--json": request.json, "--html": request.html}
    segments_file = request.segments or request.flow.parent / SEGMENTS
    check_outputs(outputs, (request.flow, request.responses, segments_file, request.audience))
    schema = read_schema(request.audience)
    _check_work(request, schema)
    with violations_told():
        segments = segments_for(request.flow, request.segments, request.tenants)
        opened = open_flow(request.flow, schema, segments)
        responses = (
            None if request.responses is None else open_responses(request.responses, segments)
        )
    if request.draws_as is not None:
        opened = replace(opened, flow=opened.flow.drawing_as(request.draws_as))
    options = _options(request, opened, schema)
    progress(CHECKING, 1, 1)
    program = compile_flow(opened.flow, responses)
    audience = load_audience(
        request.audience, needs_of(program, replaces=request.replaces), progress=progress
    )
    chosen = [_customer(audience, customer, request.said) for customer in request.trace]
    bound = bind(program, audience, options)
    coupled = _dry_run(request, bound, progress)
    grants = coupled.granted[0].grants if coupled.granted else None
    stories = [
        asdict(tell_story(opened.flow, audience, customer, options, responses, grants=grants))
        for customer in chosen
    ]
    return Carried(
        request=request,
        opened=opened,
        responses=responses,
        options=options,
        audience=_facts(request, audience, schema, bound),
        coupled=coupled,
        endings=coupled.endings(bound.couplings.specs),
        stories=stories,
        began=began,
    )


def _check_work(request: Request, schema: AudienceSchema) -> None:
    """Refuse more customers times replicates than may be carried out, where that is bounded."""
    work = schema.counts.customers * request.replicates
    if request.work_max is not None and work > request.work_max:
        raise HeadraceError(
            f"{schema.counts.customers:,} customers in {request.replicates:,} replicates are "
            f"{work:,}, and at most {request.work_max:,} may be carried out",
            advice="Ask for fewer replicates, or have the quota raised",
        )


def present(request: Request, report: Report) -> int:
    """Write the report's files and print it; return the exit code."""
    out = console()
    try:
        if request.json is not None:
            write_text(request.json, report.model_dump_json(indent=2) + "\n")
        if request.html is not None:
            from api.page import render_html

            write_text(request.html, render_html(report))
    finally:
        if not request.quiet:
            print_report(report, out)
            print_stories(report.stories, out)
    if not request.quiet:
        for path in (request.json, request.html, request.log):
            if path is not None:
                out.print(f"wrote {path}", markup=False, soft_wrap=True)
    return INTERRUPTED if report.partial else OK


def _workers(request: Request) -> int:
    if request.workers is not None:
        return request.workers
    # Where cores are dealt out, as in a container, not all of the machine's are ours.
    dealt = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return dealt or 1


def _dry_run(request: Request, bound: Bound, progress: Progress) -> CoupledDryRun:
    cancel = Cancel()
    with ExitStack() as stack:
        log = None
        if request.log is not None:
            log = stack.enter_context(log_writer(request.log, bound))
        stack.enter_context(stopped_by_ctrl_c(cancel))
        coupled = coupled_dry_run(
            bound,
            workers=_workers(request),
            replicates=request.replicates,
            log=log,
            progress=lambda done, total: progress("dry run", done, total),
            cancel=cancel,
        )
        result = coupled.result
        _refuse_dated(request, bound, result)
        if result.partial and log is not None:
            log.note_partial()
    if result.partial:
        print(
            f"headrace: interrupted; the report is partial: {result.customers_done:,} of "
            f"{bound.customers * request.replicates:,} customers were carried out",
            file=sys.stderr,
        )
    return coupled


def _options(request: Request, opened: Opened, schema: AudienceSchema) -> RunOptions:
    from_ms, until_ms, horizon_ms = read_window(
        request.begin,
        request.until,
        request.horizon,
        zone=opened.flow.settings.zone,
        schema=schema,
        said=request.said,
    )
    return RunOptions(
        from_ms,
        until_ms,
        horizon_ms,
        seed=request.seed,
        salt=DEFAULT_SALT if request.salt is None else request.salt,
        audience_zone=schema.zone,
        entry_rate=request.entry_rate,
        coupons=dict(map(_pool, request.coupons)),
    )


def _pool(stated: str) -> tuple[str, int]:
    """A pool and how many coupons are left in it, as `--coupons` states them."""
    pool, _, count = stated.rpartition("=")
    if not (pool and count.isascii() and count.isdigit() and int(count) <= PEOPLE_MAX):
        raise HeadraceError(
            f"--coupons: {stated!r} is not a pool and a number of coupons",
            advice=f"Write them as 'spring=500', with at most {PEOPLE_MAX:,}.",
        )
    return pool, int(count)


def _customer(audience: Audience, customer_id: str, said: str) -> int:
    customer = audience.index_of(customer_id)
    if customer is None:
        raise HeadraceError(
            f"{said}trace: the audience has no customer {customer_id!r}",
            advice=f"Ids look like {audience.id_of(0)!r}",
        )
    return customer


def _refuse_dated(request: Request, bound: Bound, result: DryRunResult) -> None:
    """With --strict-history, refuse where a condition read a value of a later date."""
    touched = np.max([c.touched for c in result.counters], axis=0)
    if not request.strict_history or not touched.any():
        return
    nodes = ", ".join(
        f"{bound.program.node_ids[i]} ({touched[i]:,} {'person' if touched[i] == 1 else 'people'})"
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


def _facts(
    request: Request, audience: Audience, schema: AudienceSchema, bound: Bound
) -> AudienceFacts:
    return AudienceFacts(
        name=request.name or request.audience.resolve().name,
        customers=audience.customers,
        events=audience.counts.events_read,
        first_ms=schema.time.first_ms,
        last_ms=schema.time.last_ms,
        as_of_ms=audience.as_of_ms,
        absent=tuple(audience.absent),
        replaces=request.replaces,
        replaced=audience.counts.events_replaced,
        invalid_zones=bound.zones.invalid,
    )
