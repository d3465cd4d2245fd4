"""Describe the report of a dry run: one immutable object, JSON first, that every view is made from.

`core.report_build` makes it from counters; the terminal, the HTML page and other programs read it.
The same inputs give the same report to the byte, except for the part `run`, which tells of this
execution. docs/report.md explains it, docs/report.schema.json is its JSON Schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.audience import Absence

REPORT_VERSION = 1

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class AudienceFacts:
    """What a report needs to know of the audience; times are ms UTC, None where unknown.

    `events` rows were read, `replaced` of them left out as effects of the flow `replaces`. `absent`
    are the names that the flow refers to and the audience lacks. `invalid_zones` counts customers.
    """

    name: str
    customers: int
    events: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    as_of_ms: int | None = None
    absent: tuple[Absence, ...] = ()
    replaces: str | None = None
    replaced: int = 0
    invalid_zones: int = 0


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Figure(_Part):
    """A count or a time: exact, or resting on assumed responses."""

    value: int | float
    """The count; the mean over the replicates where the figure is assumed and there are several."""
    lo: float | None = None
    """Lower end of the 90 % interval over replicates; null where exact or with one replicate."""
    hi: float | None = None
    """Upper end of that interval."""
    assumed: bool = False
    """True where the figure rests on modelled responses; false where it is exact."""


class Rate(_Part):
    """A share of people, or a difference of two shares, with what chance alone may do to it."""

    value: float
    """The rate, from 0 to 1; a difference lies between -1 and 1."""
    lo: float
    """Lower end of the 95 % interval for one run with as many people."""
    hi: float
    """Upper end of that interval."""
    replicates_lo: float | None = None
    """Lower end of the 90 % interval over replicates; null where exact or with one replicate."""
    replicates_hi: float | None = None
    """Upper end of that interval."""
    assumed: bool = False
    """True where the rate rests on modelled responses."""


class FlowFacts(_Part):
    """Which flow was run."""

    id: str
    title: str
    description: str | None
    lineage: str
    """What keys the random draws; two drafts of one lineage share them."""
    zone: str | None
    """The flow's IANA time zone; null where none is set."""
    reentry: str
    """Who may enter again, in words."""
    start: str | None
    """The flow's own start time as it is written; null where none is set."""
    stop: str | None
    nodes: int


class Window(_Part):
    """Entries fall in [from, until); tokens were followed to the horizon. Milliseconds UTC."""

    from_ms: int
    until_ms: int
    horizon_ms: int


class Draws(_Part):
    """What the random draws were keyed by."""

    seed: int
    salt: str
    replicate: int
    """Number of the first replicate."""
    replicates: int
    """How many replicates were run."""
    interval: float
    """Share of further replicates that an interval holds: 0.9 from 19 replicates on, else less."""


class AudienceReport(_Part):
    """Whom the flow was run on."""

    name: str
    customers: int
    events: int
    """Event rows read."""
    replaced: int
    """Recorded events left out because they belong to the flow that this one replaces."""
    first_ms: int | None
    """Time of the first recorded event, ms UTC."""
    last_ms: int | None
    """Time of the last recorded event, ms UTC."""
    as_of_ms: int | None
    """The instant for which attributes, tags and groups are true, ms UTC; null where unknown."""
    invalid_zones: int
    """Customers whose time zone is not valid, and for whom the next best was used."""


class Notice(_Part):
    """Something that must be said before the figures are read."""

    level: Level
    """`error`: the figures hardly mean what was meant; `warning`: check this; `note`: know this."""
    code: str
    title: str
    text: str
    advice: str = ""
    nodes: list[str] = Field(default_factory=list)
    """The nodes concerned."""


class Basis(_Part):
    """What the figures rest on."""

    kind: Literal["mechanics", "history", "modelled"]
    """`modelled`: a responses file was used; `history`: the flow obeys recorded events alone;
    `mechanics`: it obeys none after entry."""
    events: list[str]
    """Event types that the responses file adds."""
    text: str


class Totals(_Part):
    """The run in a dozen figures."""

    customers: int
    """Customers that were looked at; less than the audience's where the run was cut short."""
    people: Figure
    """Different customers who entered."""
    entries: Figure
    refused: Figure
    """Times that a trigger fired and re-entry rules kept the customer out."""
    steps: Figure
    """Nodes passed: entries at triggers and arrivals at all other nodes."""
    sends: Figure
    ended: Figure
    """Tokens that reached an end, or were taken out by one."""
    fell_out: Figure
    """Tokens that no branch or no date fitted."""
    waiting: Figure
    """Tokens that still wait at the horizon."""
    idle: Figure
    """Tokens that stand at a port that leads nowhere, at the horizon."""
    parked: Figure
    """Tokens stopped by an error."""


class Count(_Part):
    """How often something came about, for a reason."""

    reason: str
    text: str
    count: Figure


class PortReport(_Part):
    """One way out of a node."""

    port: str
    count: Figure
    """Tokens that left by it, or that ended because it leads nowhere."""
    share: float | None
    """Of the tokens that entered the node; null where none did."""
    targets: list[str]
    outcome: str | None
    """What becomes of tokens where it leads nowhere: `idle`, `no_branch` or `no_date`."""


class NodeReport(_Part):
    """One node, in document order."""

    id: str
    type: str
    label: str
    """What it does, in words."""
    title: str | None
    note: str | None
    assumed: bool
    """True where any of its counts rests on modelled responses."""
    entered: Figure
    """Arrivals; for a trigger, entries."""
    people: Figure
    """Different customers among them."""
    ports: list[PortReport]
    outcomes: list[Count]
    """Ends and parkings that came about here, by reason."""
    refusals: list[Count]
    """Entries refused at this trigger, by reason."""
    waiting: Figure
    idle: Figure
    mean_ms: Figure | None
    """Mean time since the entry began, at arrivals; null where there were none."""
    median_ms: Figure | None
    """Median of that time, within 1.6 %."""
    touched: Figure
    """Customers judged here by an attribute value dated later than the moment (semantics D37)."""
    modelled_wakes: Figure
    """Of those who left by `event`, the ones woken by a modelled event."""
    modelled_entries: Figure
    """Of the entries that began here, those caused by a modelled event."""
    channel: str | None = None
    template: str | None = None


class EdgeReport(_Part):
    """One edge; a port with several targets forks, and each edge carries the whole count."""

    source: str
    port: str
    target: str
    count: Figure
    share: float
    """Of all entries: how wide to draw it; may exceed 1 in a cycle."""


class Layer(_Part):
    """One layer of the funnel."""

    name: str
    nodes: list[str]
    people: Figure
    """Different customers who reached any of its nodes."""
    of_entered: Figure | None
    """Of the people who entered; null where nobody did."""
    of_previous: Figure | None
    """Of the people of the layer before, for the first of those who entered."""


class Funnel(_Part):
    """The layers in order, and who reached the standard."""

    layers: list[Layer]
    standard: Figure | None
    """People of the last layer / people who entered; null where nobody did."""


class Successes(_Part):
    """How many of those watched did what counts as a success, within its window."""

    watched: Figure
    """People of a branch, or entries for the goal."""
    matured: Figure
    """Of them, those whose success window closed before the horizon. Rates count these alone."""
    immature: Figure
    """Of them, those who may yet succeed."""
    succeeded: Figure
    """Of the matured."""
    succeeded_ever: Figure
    """Of all watched, so far."""
    modelled: Figure
    """Of those, by a modelled event."""
    rate: Rate | None
    """succeeded / matured; null where nobody matured."""


class BranchReport(_Part):
    """One branch of an A/B test."""

    port: str
    weight: float
    """The share that it is meant to get."""
    successes: Successes
    difference: Rate | None
    """Rate minus that of the first branch, with Newcombe's 95 % interval; null for the first."""


class ABReport(_Part):
    """An A/B test."""

    node: str
    label: str
    target: str
    """What counts as a success, in words."""
    branches: list[BranchReport]
    detectable: float | None
    """Smallest difference to the first branch that a test of this size finds 8 times in 10; for the
    smallest other branch."""
    meaning: str
    """What the rates can tell and what they cannot."""


class HoldoutReport(_Part):
    """Conversions of those who were kept out; each is watched from when they would have entered."""

    successes: Successes
    difference: Rate | None
    """The flow's rate minus theirs, with Newcombe's 95 % interval; null where one has no rate."""


class GoalReport(_Part):
    """Conversions of the goal; every entry is watched."""

    target: str
    successes: Successes
    holdout: HoldoutReport | None
    """Those kept out for comparison; null where the flow keeps nobody out."""


class GateReport(_Part):
    """The way into the flow, where entries have a rate or a cap."""

    per_second: int | None
    """Entries within a second; null for any number."""
    people_max: int | None
    """People in all; null for any number."""
    queued: Figure
    """Entries that had to wait in line."""
    mean_line_ms: float | None
    """How long, on the average, up to the horizon; null where none had to."""
    in_line: Figure
    """Entries still in line at the horizon."""
    refused_cap: Figure
    """Entries refused because as many people as may had entered."""
    refused_late: Figure
    """Entries refused because the time of entries was over when they left the line."""


class PoolReport(_Part):
    """A pool of coupons, or of messages that may be sent."""

    pool: str
    budget: bool
    """Whether it is a budget: a pool of messages."""
    stock: int
    """How many there were at first."""
    taken: Figure
    left: Figure
    refused: Figure
    """How often somebody came for one when none was left."""


class EndReport(_Part):
    """How an A/B test with `until` ended."""

    node: str
    people: int
    """Visits after which it is to be decided."""
    rule: Literal["matured", "at_count", "named"]
    """`matured`: for the best branch when all had their time; `at_count`: for the best at once, by
    what is known; `named`: for the branch that the flow names."""
    decided_ms: int | None
    """From when on everybody takes the branch decided for, ms UTC; null where it was not decided.
    With several replicates, in the first that decided."""
    branch: str | None
    """That branch."""
    chance_right: float | None
    """The chance that it is the best of all, by what was known at the decision and no other
    knowledge (uniform priors); null where none was chosen by its results."""
    decided_in: dict[str, int]
    """In how many replicates each branch was decided for."""


class CouplingsReport(_Part):
    """What customers competed for."""

    gate: GateReport | None
    pools: list[PoolReport]
    ends: list[EndReport]


class Day(_Part):
    """What happened on one day, UTC."""

    day_ms: int
    count: Figure


class Peak(_Part):
    """The fullest hour."""

    hour_ms: int
    count: int | float


class Series(_Part):
    """Counts over time, from the window's begin to the horizon."""

    total: Figure
    by_hour: list[int | float]
    """One count for each hour, the first begins at `window.from_ms`; means over replicates."""
    by_day: list[Day]
    """By UTC day; an hour counts for the day in which it begins."""
    by_hour_of_day: list[int | float]
    """24 sums, by the hour of the UTC day."""
    peak: Peak | None


class ChannelSends(_Part):
    """The messages of one channel."""

    channel: str
    series: Series


class DeadPort(_Part):
    """A port of a node that was reached, by which nobody left."""

    node: str
    port: str
    targets: list[str]
    waiting: bool
    """True where tokens still wait at the node, so that it may yet be taken."""
    assumed: bool


class Dead(_Part):
    """Parts of the flow that this run did not touch."""

    ports: list[DeadPort]
    nodes: list[str]


class Dated(_Part):
    """A place that judged people by attribute values dated later than the moment."""

    node: str
    attributes: list[str]
    people: Figure


class ModelledOutcome(_Part):
    """An outcome of the responses file and how often it came about."""

    rule: int
    event: str
    scope: str
    """Which messages the rule is for, in words."""
    after: str | None
    """The outcome that it follows; null where it follows the message."""
    probability: float
    happened: Figure


class Limit(_Part):
    """One thing that the figures do not say."""

    code: str
    text: str


class RunFacts(_Part):
    """This execution: the only part that differs between two runs of the same inputs."""

    elapsed_s: float | None = None
    workers: int | None = None
    headrace: str | None = None
    """The version that made the report."""
    made: str | None = None
    """When, ISO 8601 UTC."""


class Report(_Part):
    """What a dry run found."""

    version: Literal[1] = 1
    partial: bool
    """True where the run was cut short: the figures cover `totals.customers` customers only."""
    flow: FlowFacts
    window: Window
    draws: Draws
    audience: AudienceReport
    basis: Basis
    notices: list[Notice]
    totals: Totals
    refusals: list[Count]
    nodes: list[NodeReport]
    edges: list[EdgeReport]
    funnel: Funnel | None
    tests: list[ABReport]
    goal: GoalReport | None
    couplings: CouplingsReport | None
    """Null where customers do not depend on each other."""
    entries: Series
    sends: list[ChannelSends]
    dead: Dead
    dated: list[Dated]
    modelled: list[ModelledOutcome]
    lint: list[dict[str, Any]]
    """Violations that lint found in the flow, each as its own JSON."""
    limits: list[Limit]
    stories: list[dict[str, Any]]
    """Chosen customers' ways through the flow, each as its own JSON."""
    run: RunFacts | None = None

    def node(self, node_id: str) -> NodeReport:
        """The node with this id; KeyError where there is none."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)


def report_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a report as `Report.model_dump_json` writes it."""
    schema = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
