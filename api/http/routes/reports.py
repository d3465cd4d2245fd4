"""Show what becomes of people in live flows: figures, graphs, lists, ways and reasons.

Nothing here holds a flow up: a process of its own follows what the engine writes. Every answer says
up to which moment it is true. Whoever may see reports sees figures; lists and ways name customers,
and need the right to see those.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, Field

from actors.service.live_reports import (
    DAYS_MAX,
    GROUP_CHARS_MAX,
    Day,
    Figures,
    FlowReport,
    Layer,
    Listed,
    LiveReports,
    NodeCount,
    Place,
    Truth,
    VersionFigures,
)
from api.http.routing import Call, Calling, Page, Pages, Paging, Routes, Strict
from api.http.security import restored
from api.page_layout import Link, Size, best_layout

FIGURES = "reports:read"
PEOPLE = "customers:read"
SAVING = "customers:write"
COST = 5
LIST_COST = 10
WHY_COST = 50
BOX = Size(236.0, 80.0)
LABEL = Size(96.0, 22.0)
WIDTH = 1136.0
LAYOUT_MAX = 300
"""Beyond so many nodes a graph comes without places: nobody could read it."""
GROUP = "report.group"
TIME: int = 1_790_000_000_000

FlowName = Annotated[
    str,
    Path(min_length=1, max_length=200, description="A published flow"),
    AfterValidator(restored),
]
Version = Annotated[int, Path(ge=1, le=2**31, description="The number of a version")]
Customer = Annotated[
    str,
    Path(min_length=1, max_length=511, description="A customer's id"),
    AfterValidator(restored),
]
Node = Annotated[
    str | None, Query(max_length=200, description="Only who came to this node of the version")
]
Port = Annotated[
    str | None, Query(max_length=200, description="Only who left the node by this port")
]
Days = Annotated[int, Query(ge=1, le=DAYS_MAX, description="Days that are broken down")]


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
    days: list[Day]

    @classmethod
    def of(cls, figures: Figures) -> FiguresBody:
        """As a body."""
        return cls(**{name: getattr(figures, name) for name in cls.model_fields})


class VersionBody(BaseModel):
    """A version and its figures. `left` says what became of those inside when it was closed."""

    version: int
    published_ms: int
    closed_ms: int | None = None
    left: Literal["pin", "drop", "reset"] | None = None
    figures: FiguresBody
    funnel: list[Layer]

    @classmethod
    def of(cls, found: VersionFigures) -> VersionBody:
        """As a body."""
        published = found.published
        return cls(
            version=published.version,
            published_ms=published.published_ms,
            closed_ms=published.closed_ms,
            left=published.left or None,
            figures=FiguresBody.of(found.figures),
            funnel=found.funnel,
        )


class ReportBody(TruthBody):
    """A flow's report: every version, and their sums."""

    flow: str
    status: Literal["active", "paused", "stopped"]
    started_ms: int
    stopped_ms: int | None = None
    duration_ms: int = Field(description="From the start to now, or to where it was stopped")
    total: FiguresBody
    versions: list[VersionBody]

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
            versions=[VersionBody.of(each) for each in found.versions],
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


class StepBody(BaseModel):
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
    steps: list[StepBody]
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


class CustomerBody(BaseModel):
    """Somebody of a list, as he is now: what is known of him, and where he stands in this flow."""

    customer: str
    attributes: dict[str, Any]
    personal: dict[str, Any] | None = None
    places: list[StandingBody]


class GroupBody(Strict):
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


def report_routes() -> Routes:
    """The routes of reports."""
    routes = Routes("Reports")

    @routes.add(
        "GET", "/v1/flows/{flow}/report", scope=FIGURES, cost=COST, problems=(404,), example=REPORT
    )
    def read_report(call: Calling, flow: FlowName, days: Days = 7) -> ReportBody:
        """Read a live flow's report.

        Entrants, duration, average time, funnel and sends of each version, and of all together;
        entrants of the last days by the tenant's zone.
        """
        return ReportBody.report(_reports(call).report(flow, days))

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/versions/{version}",
        scope=FIGURES,
        cost=COST,
        problems=(404, 409),
        example=GRAPH,
    )
    def read_version_graph(call: Calling, flow: FlowName, version: Version) -> GraphBody:
        """Read a version's graph with its counts.

        Nodes and edges come with places to draw them at, up to 300 nodes.
        """
        reports = _reports(call)
        nodes, truth = reports.nodes(flow, version)
        return _graph(reports, flow, version, nodes, truth)

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/versions/{version}/customers",
        scope=PEOPLE,
        cost=LIST_COST,
        problems=(404, 409, 422),
        example=LIST,
    )
    def list_entrants(
        call: Calling,
        paging: Pages,
        flow: FlowName,
        version: Version,
        node: Node = None,
        port: Port = None,
    ) -> PeopleBody:
        """List who entered a version, a node of it or a branch.

        With `node` those who came to it, with `port` too those who left it by that port. Erased
        customers are counted and never named.
        """
        place = Place(version, node, port)
        found = _reports(call).people(flow, place, paging.after, paging.limit + 1)
        return _people(paging, found)

    @routes.add(
        "POST",
        "/v1/flows/{flow}/report/versions/{version}/customers/save",
        scope=SAVING,
        cost=LIST_COST,
        problems=(404, 409, 422),
        example={"group": "reached", "customers": 59},
    )
    def save_entrants(
        call: Calling, flow: FlowName, version: Version, group: GroupBody
    ) -> SavedBody:
        """Save a list of people as a group.

        All who are on the list now are put into the group, which is made if it is not there. Who
        is in it already stays.
        """
        call.caller.need(PEOPLE)
        place = Place(version, group.node, group.port)
        count = _reports(call).save_group(flow, place, group.group)
        saved = SavedBody(group=group.group, customers=count)
        with call.change() as change:
            change.audit(GROUP, f"flow:{flow}", after=saved.model_dump())
            return change.answer(saved)  # type: ignore[return-value]

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/versions/{version}/customers/{customer}/path",
        scope=PEOPLE,
        cost=COST,
        problems=(404, 409),
        example=PATH,
    )
    def read_path(call: Calling, flow: FlowName, version: Version, customer: Customer) -> PathBody:
        """Read one customer's path in a version.

        Each step with its time, and the edges that he went.
        """
        reports = _reports(call)
        found, truth = reports.path(flow, version, customer)
        nodes = reports.version(flow, version).read().nodes
        steps = [
            {
                **_step(step),
                "targets": []
                if step["outcome"]
                else list(nodes[step["node"]].targets(step["port"])),
            }
            for step in found["steps"]
        ]
        gone = dict.fromkeys(
            (step["node"], step["port"], target) for step in steps for target in step["targets"]
        )
        return PathBody(
            flow=flow,
            customer=customer,
            way=WayBody(version=version, steps=steps, places=found["places"]),
            edges=[EdgeBody(source=a, port=port, target=b) for a, port, b in gone],
            **TruthBody.of(truth).model_dump(),
        )

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/customers/{customer}",
        scope=PEOPLE,
        problems=(404,),
        example=CUSTOMER,
    )
    def read_entrant(call: Calling, flow: FlowName, customer: Customer) -> CustomerBody:
        """Read a customer of a list.

        What is known of him now, and where he stands in the flow.
        """
        found = _reports(call).person(flow, customer)
        return CustomerBody(**found)

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/customers/{customer}/why",
        scope=PEOPLE,
        cost=WHY_COST,
        problems=(404, 409),
        example=WHY,
    )
    def explain_way(call: Calling, flow: FlowName, customer: Customer) -> WhyBody:
        """Explain a customer's way through a flow, or why he is not in it.

        Each step with its time and reason, in every version; where he never entered, the rule that
        kept him out.
        """
        found, truth = _reports(call).why(flow, customer)
        ways = [
            {**way, "steps": [_step(step) for step in way["steps"]]} for way in found["versions"]
        ]
        return WhyBody(
            flow=flow,
            customer=customer,
            versions=[WayBody(**way) for way in ways],
            **TruthBody.of(truth).model_dump(),
        )

    return routes


def _reports(call: Call) -> LiveReports:
    return call.service.reporting.of(call.engine)


def _step(step: dict[str, Any]) -> dict[str, Any]:
    """A step as a body has it: a refusal is of no entry."""
    return {**step, "entry": None if step["entry"] < 0 else step["entry"]}


def _people(paging: Paging, found: Listed) -> PeopleBody:
    keys = {item["customer"]: item["key"] for item in found.items}
    named = [
        PersonBody(**{name: item[name] for name in PersonBody.model_fields}) for item in found.items
    ]
    page = paging.page(named, lambda person: keys[person.customer])
    return PeopleBody(
        items=page.items,
        next=page.next,
        total=found.total,
        erased=found.erased,
        **TruthBody.of(found.truth).model_dump(),
    )


def _graph(
    reports: LiveReports, flow: str, version: int, nodes: list[NodeCount], truth: Truth
) -> GraphBody:
    index = {node.id: i for i, node in enumerate(nodes)}
    edges = [
        EdgeBody(source=node.id, port=port.port, target=target)
        for node in nodes
        for port in node.ports
        for target in port.targets
    ]
    bodies = [
        NodeBody(
            **{
                name: getattr(node, name)
                for name in NodeBody.model_fields
                if name not in ("ports", "box")
            },
            ports=[
                PortBody(port=p.port, tokens=p.tokens, people=p.people, targets=p.targets)
                for p in node.ports
            ],
        )
        for node in nodes
    ]
    graph = GraphBody(
        flow=flow,
        version=version,
        document=reports.version(flow, version).document,
        nodes=bodies,
        edges=edges,
        **TruthBody.of(truth).model_dump(),
    )
    if len(nodes) <= LAYOUT_MAX:
        links = [Link(index[edge.source], index[edge.target], LABEL) for edge in edges]
        placed = best_layout([BOX] * len(nodes), links, WIDTH)
        graph.width, graph.height = placed.size
        for body, box in zip(bodies, placed.boxes, strict=True):
            body.box = BoxBody(x=box.x, y=box.y, width=box.w, height=box.h)
        for edge, path in zip(edges, placed.paths, strict=True):
            edge.path = path
    return graph
