"""Shape what is told of live flows over HTTP: bodies, and an example of each."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from actors.service.live_reports import (
    GROUP_CHARS_MAX,
    DayEntrants,
    Figures,
    FlowReport,
    LayerPeople,
    Truth,
    VersionFigures,
)
from actors.service.successes import Success
from api.http.routing import Page, Strict

TIME: int = 1_790_000_000_000


class TruthBody(BaseModel):
    """Up to when an answer is true."""

    as_of_ms: int = Field(description="What happened later is not in it")
    since_ms: int = Field(description="Lists are whole from then on; 0: from the beginning")
    behind: int = Field(description="Records of the journals that are not in it yet")

    @classmethod
    def of(cls, truth: Truth) -> TruthBody:
        """As a body."""
        return cls(as_of_ms=truth.as_of_ms, since_ms=truth.since_ms, behind=truth.behind)


class FiguresBody(BaseModel):
    """What became of those who entered."""

    entries: int
    people: int = Field(description="Different customers; of several versions the sum")
    ended: int = Field(description="Entries that came to an end")
    mean_ms: float | None = Field(None, description="From entry to end, on average")
    inside: int = Field(description="Tokens that wait somewhere")
    reached: int | None = Field(None, description="People who came to the funnel's last layer")
    reach: float | None = Field(None, description="`reached` / `people`")
    sends: dict[str, int] = Field(description="Messages by channel")
    days: list[DayEntrants]

    @classmethod
    def of(cls, figures: Figures) -> FiguresBody:
        """As a body."""
        return cls(**{name: getattr(figures, name) for name in cls.model_fields})


class ReportVersionBody(BaseModel):
    """A version and its figures. `left` says what became of those inside when it was closed."""

    version: int
    published_ms: int
    closed_ms: int | None = None
    left: Literal["pin", "drop", "reset"] | None = None
    figures: FiguresBody
    funnel: list[LayerPeople]
    successes: list[Success] = Field(description="Of A/B tests and the goal")

    @classmethod
    def of(cls, found: VersionFigures) -> ReportVersionBody:
        """As a body."""
        published = found.published
        return cls(
            version=published.version,
            published_ms=published.published_ms,
            closed_ms=published.closed_ms,
            left=published.left or None,
            figures=FiguresBody.of(found.figures),
            funnel=found.funnel,
            successes=found.successes,
        )


class ReportBody(TruthBody):
    """A flow's report: every version, and their sums."""

    flow: str
    status: Literal["active", "paused", "stopped"]
    started_ms: int
    stopped_ms: int | None = None
    duration_ms: int = Field(description="From the start to now, or to where it was stopped")
    total: FiguresBody
    versions: list[ReportVersionBody]

    @classmethod
    def report(cls, found: FlowReport) -> ReportBody:
        """As a body."""
        return cls(
            flow=found.flow,
            status=found.status,
            started_ms=found.started_ms,
            stopped_ms=found.stopped_ms,
            duration_ms=found.duration_ms,
            total=FiguresBody.of(found.total),
            versions=[ReportVersionBody.of(each) for each in found.versions],
            **TruthBody.of(found.truth).model_dump(),
        )


class PortBody(BaseModel):
    """Tokens that left by a port, different customers among them, and where it leads."""

    port: str
    tokens: int
    people: int
    targets: list[str]


class BoxBody(BaseModel):
    """Where a node is drawn, px."""

    x: float
    y: float
    width: float
    height: float


class NodeBody(BaseModel):
    """A node with its counts. `says` is what it does, in words."""

    id: str
    type: str
    title: str | None = None
    says: str
    entered: int
    people: int
    waiting: int
    idle: int
    outcomes: dict[str, int] = Field(description="Ends, parkings and refusals by name")
    ports: list[PortBody]
    box: BoxBody | None = None


class EdgeBody(BaseModel):
    """An edge, and the SVG path that draws it."""

    source: str
    port: str
    target: str
    path: str | None = None


class GraphBody(TruthBody):
    """A version's graph with counts; `width` and `height` are those of the drawing, px."""

    flow: str
    version: int
    document: str
    width: float | None = None
    height: float | None = None
    nodes: list[NodeBody]
    edges: list[EdgeBody]


class PersonBody(BaseModel):
    """Somebody on a list: when he came there first and last, and how often."""

    customer: str
    first_ms: int
    last_ms: int
    times: int


class PeopleBody(Page[PersonBody]):
    """A page of people. `total` counts all of them, `erased` those who are listed no more."""

    total: int
    erased: int
    as_of_ms: int
    since_ms: int
    behind: int


class DecisionBody(BaseModel):
    """A decision: he left the node by the port, or `port` names an end or a refusal.

    `entry` counts his entries from 0; a refusal has none.
    """

    at_ms: int
    entry: int | None = None
    node: str
    port: str
    outcome: bool = Field(description="Whether `port` is an end, a parking or a refusal")
    reason: str | None = None
    targets: list[str] | None = Field(None, description="Nodes that he went on to")


class StandingBody(BaseModel):
    """Where he stands."""

    node: str
    state: str
    since_ms: int
    due_ms: int | None = None


class WayBody(BaseModel):
    """What he did in a version. `kept_out` are reasons, where he never entered."""

    version: int
    steps: list[DecisionBody]
    places: list[StandingBody]
    kept_out: list[str] = []


class PathBody(TruthBody):
    """A customer's path in a version; `edges` are those that he went, to be highlighted."""

    flow: str
    customer: str
    way: WayBody
    edges: list[EdgeBody]


class WhyBody(TruthBody):
    """A customer's ways in all versions of a flow."""

    flow: str
    customer: str
    versions: list[WayBody]


class EntrantBody(BaseModel):
    """Somebody of a list, as he is now: what is known of him, and where he stands in this flow."""

    customer: str
    attributes: dict[str, Any]
    personal: dict[str, Any] | None = None
    places: list[StandingBody]


class SaveListBody(Strict):
    """Into which group a list is to be saved: all of the version, of a node or of a branch."""

    group: str = Field(min_length=1, max_length=GROUP_CHARS_MAX)
    node: str | None = Field(None, max_length=200)
    port: str | None = Field(None, max_length=200)


class SavedBody(BaseModel):
    """How many are in the group now because of this."""

    group: str
    customers: int


_TRUTH = {"as_of_ms": TIME, "since_ms": 0, "behind": 0}
_FIGURES = {
    "entries": 120,
    "people": 118,
    "ended": 80,
    "mean_ms": 5_400_000.0,
    "inside": 40,
    "reached": 59,
    "reach": 0.5,
    "sends": {"email": 120, "sms": 31},
    "days": [{"date": "2026-09-20", "entries": 17, "people": 16}],
}
REPORT = {
    **_TRUTH,
    "flow": "welcome",
    "status": "active",
    "started_ms": TIME - 86_400_000,
    "duration_ms": 86_400_000,
    "total": _FIGURES,
    "versions": [
        {
            "version": 1,
            "published_ms": TIME - 86_400_000,
            "figures": _FIGURES,
            "funnel": [{"name": "Written to", "people": 118}, {"name": "Answered", "people": 59}],
            "successes": [
                {
                    "node": "test",
                    "branch": "a",
                    "watched": 60,
                    "succeeded": 30,
                    "matured": 40,
                    "matured_succeeded": 20,
                    "rate": {"value": 0.5, "lo": 0.352, "hi": 0.648},
                    "difference": None,
                }
            ],
        }
    ],
}
_PORT = {"port": "next", "tokens": 120, "people": 118, "targets": ["mail"]}
_NODE = {
    "id": "start",
    "type": "on_event",
    "says": "Start on `signup`",
    "entered": 120,
    "people": 118,
    "waiting": 0,
    "idle": 0,
    "outcomes": {},
    "ports": [_PORT],
    "box": {"x": 12.0, "y": 12.0, "width": 236.0, "height": 80.0},
}
GRAPH = {
    **_TRUTH,
    "flow": "welcome",
    "version": 1,
    "document": "headrace: 1\nflow: welcome\n...",
    "width": 260.0,
    "height": 300.0,
    "nodes": [_NODE],
    "edges": [{"source": "start", "port": "next", "target": "mail", "path": "M130 92L130 140"}],
}
LIST = {
    **_TRUTH,
    "items": [{"customer": "ada", "first_ms": TIME, "last_ms": TIME, "times": 1}],
    "total": 1,
    "erased": 0,
}
_STEP = {"at_ms": TIME, "entry": 0, "node": "start", "port": "next", "outcome": False}
_STANDING = {"node": "wait", "state": "waits", "since_ms": TIME, "due_ms": TIME + 3_600_000}
PATH = {
    **_TRUTH,
    "flow": "welcome",
    "customer": "ada",
    "way": {"version": 1, "steps": [{**_STEP, "targets": ["mail"]}], "places": [_STANDING]},
    "edges": [{"source": "start", "port": "next", "target": "mail"}],
}
WHY = {
    **_TRUTH,
    "flow": "welcome",
    "customer": "ada",
    "versions": [
        {
            "version": 1,
            "steps": [{**_STEP, "reason": "`signup` happened"}],
            "places": [_STANDING],
            "kept_out": [],
        }
    ],
}
CUSTOMER = {
    "customer": "ada",
    "attributes": {"plan": "gold"},
    "places": [_STANDING],
}
