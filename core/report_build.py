"""Build the report of a dry run from its counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.balance import check_balance
from core.counters import Counters
from core.describe import describe_reentry, describe_scope
from core.flow import Flow
from core.limits import PROBABILITY_TOTAL
from core.nodes import BranchAttribute, BranchTag, End, Send, WaitDate
from core.options import RunOptions
from core.outcomes import PARKS, REFUSALS, TAKEN_OUT, CoupledOutcome, Outcome
from core.report import (
    AudienceFacts,
    AudienceReport,
    Draws,
    Figure,
    FlowFacts,
    ModelledOutcome,
    Report,
    RunFacts,
    Successes,
    Totals,
    Window,
)
from core.report_couplings import Ending, couplings_report
from core.report_figures import Figures, read
from core.report_limits import basis, limits
from core.report_nodes import (
    coupled_total,
    dated_reads,
    dead_parts,
    edge_reports,
    entrances,
    node_reports,
    outcome_total,
    refusal_totals,
)
from core.report_notices import Notices
from core.report_series import channel_sends, entry_series
from core.report_success import ab_reports, funnel_report, goal_report
from core.responses import Responses
from core.statistics import interval_coverage
from core.taint import assumptions
from core.violations import Violation


def build_report(
    flow: Flow,
    counters: Counters | Sequence[Counters],
    options: RunOptions,
    *,
    audience: AudienceFacts,
    responses: Responses | None = None,
    lint: Sequence[Violation] = (),
    stories: Sequence[Mapping[str, Any]] = (),
    partial: bool = False,
    run: RunFacts | None = None,
    endings: Sequence[Sequence[Ending]] = (),
) -> Report:
    """The report of a run of `flow`: `counters` of one run, or of each replicate.

    All replicates must cover the same customers; `options.replicate` is the number of the first.
    `partial`: the run was cut short. `stories` and `lint` are carried along as JSON. `endings`:
    of the tests with `until`, for each replicate. ValueError
    where replicates differ in customers; UnbalancedError where counters contradict themselves, or
    replicates differ in what no response touches.
    """
    flow = flow.core
    replicates = [counters] if isinstance(counters, Counters) else list(counters)
    if not replicates or len({c.customers for c in replicates}) != 1:
        raise ValueError("a report needs one or more replicates over the same customers")
    for each in replicates:
        check_balance(flow, each)
    assumed = assumptions(flow, responses)
    figures = Figures(flow, replicates, assumed)
    totals = _totals(figures)
    dead, dated = dead_parts(figures), dated_reads(figures)
    tests, goal = ab_reports(figures), goal_report(figures)
    watched: list[Successes] = [b.successes for test in tests for b in test.branches]
    if goal is not None:
        watched.append(goal.successes)
    notices = Notices(flow, options, audience, responses, assumed, len(replicates))
    report = Report(
        partial=partial,
        flow=_flow(flow),
        window=Window(
            from_ms=options.from_ms, until_ms=options.until_ms, horizon_ms=options.horizon_ms
        ),
        draws=Draws(
            seed=options.seed,
            salt=options.salt,
            replicate=options.replicate,
            replicates=len(replicates),
            interval=interval_coverage(len(replicates)),
        ),
        audience=_audience(audience),
        basis=basis(flow, responses, assumed),
        notices=notices.all(totals, dead, dated, watched, lint, partial),
        totals=totals,
        refusals=refusal_totals(figures),
        nodes=node_reports(figures),
        edges=edge_reports(figures, totals.entries),
        funnel=funnel_report(figures),
        tests=tests,
        goal=goal,
        couplings=couplings_report(figures, options, endings),
        entries=entry_series(figures, options.from_ms),
        sends=channel_sends(figures, options.from_ms),
        dead=dead,
        dated=dated,
        modelled=_modelled(figures, responses),
        lint=[violation.to_json() for violation in sorted(lint)],
        limits=[],
        stories=[dict(story) for story in stories],
        run=run,
    )
    return report.model_copy(update={"limits": limits(flow, responses, assumed, report)})


def _flow(flow: Flow) -> FlowFacts:
    settings = flow.settings
    return FlowFacts(
        id=flow.flow,
        title=flow.title,
        description=flow.description,
        lineage=flow.draws_as,
        zone=settings.zone,
        reentry=describe_reentry(settings.reentry),
        start=settings.start,
        stop=settings.stop,
        nodes=len(flow.authored.nodes),
    )


def _audience(facts: AudienceFacts) -> AudienceReport:
    return AudienceReport(
        name=facts.name,
        customers=facts.customers,
        events=facts.events,
        replaced=facts.replaced,
        first_ms=facts.first_ms,
        last_ms=facts.last_ms,
        as_of_ms=facts.as_of_ms,
        invalid_zones=facts.invalid_zones,
    )


def _totals(figures: Figures) -> Totals:
    flow, taint = figures.flow, figures.assumed
    nodes = flow.nodes
    every = list(nodes)
    whole = any(isinstance(n, End) and n.whole_flow for n in nodes.values())
    whole = whole or bool(figures.flow.settings.exit)
    ends = [i for i, n in nodes.items() if isinstance(n, End)]
    falls = [i for i, n in nodes.items() if isinstance(n, BranchAttribute | BranchTag | WaitDate)]
    sends = [i for i, n in nodes.items() if isinstance(n, Send)]
    waits = [i for i, n in nodes.items() if n.waits]
    stops = [i for i, n in nodes.items() if any(not n.targets(p) for p in n.ports)]

    def total(name: str, node_ids: list[str], assumed: frozenset[str]) -> Figure:
        rests = not assumed.isdisjoint(node_ids)
        return figures.figure(lambda c: int(getattr(c, name).sum()), rests, f"all {name}")

    return Totals(
        customers=figures.replicates[0].customers,
        people=figures.figure(lambda c: c.people, taint.entries, "people"),
        entries=figures.figure(lambda c: int(c.entries_by_hour.sum()), taint.entries, "entries"),
        refused=_refused(figures),
        steps=total("entered", every, taint.entered),
        sends=total("sends_by_hour", sends, taint.left),
        ended=outcome_total(figures, every if whole else ends, (Outcome.END, *TAKEN_OUT)),
        fell_out=outcome_total(figures, falls, (Outcome.NO_BRANCH, Outcome.NO_DATE)),
        waiting=total("waiting", waits, taint.left),
        idle=total("idle", stops, taint.idle),
        parked=figures.figure(_parked, False, "parked"),
    )


def _refused(figures: Figures) -> Figure:
    """Refusals of all kinds, those among them that only couplings have."""
    places = entrances(figures.flow)
    refused = outcome_total(figures, places, REFUSALS)
    if not coupled_total(figures, places, CoupledOutcome).value:
        return refused
    columns = [outcome.column for outcome in REFUSALS]

    def count(c: Counters) -> int:
        return int(c.outcome[:, columns].sum() + c.refused_cap.sum() + c.refused_late.sum())

    assumed = figures.assumed.entries or not figures.ending.isdisjoint(places)
    return figures.figure(count, assumed, "all refusals")


def _parked(counters: Counters) -> int:
    return int(counters.outcome[:, [outcome.column for outcome in PARKS]].sum())


def _modelled(figures: Figures, responses: Responses | None) -> list[ModelledOutcome]:
    if responses is None:
        return []
    return [
        ModelledOutcome(
            rule=rule,
            event=outcome.event,
            scope=describe_scope(responses.rules[rule].for_),
            after=outcome.after,
            probability=outcome.probability / PROBABILITY_TOTAL,
            happened=figures.figure(read("modelled", k), True, outcome.event),
        )
        for k, rule, outcome in responses.numbered()
    ]
