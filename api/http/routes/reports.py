"""Show what becomes of people in live flows: figures, graphs, lists, ways and reasons.

Nothing here holds a flow up: a process of its own follows what the engine writes. Every answer says
up to which moment it is true. Whoever may see reports sees figures; lists and ways name customers,
and need the right to see those.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator

from actors.service.live_reports import (
    DAYS_MAX,
    Listed,
    LiveReports,
    NodeCount,
    Place,
    Truth,
    check_seen,
)
from api.http.routes.report_bodies import (
    CUSTOMER,
    GRAPH,
    LIST,
    PATH,
    REPORT,
    WHY,
    BoxBody,
    EdgeBody,
    EntrantBody,
    GraphBody,
    NodeBody,
    PathBody,
    PeopleBody,
    PersonBody,
    PortBody,
    ReportBody,
    SavedBody,
    SaveListBody,
    TruthBody,
    WayBody,
    WhyBody,
)
from api.http.routing import Call, Calling, Pages, Paging, Routes
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


def report_routes() -> Routes:
    """The routes of reports."""
    routes = Routes("Reports")

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report",
        scope=FIGURES,
        cost=COST,
        problems=(404, 409, 422),
        example=REPORT,
    )
    def read_report(call: Calling, flow: FlowName, days: Days = 7) -> ReportBody:
        """Read a live flow's report.

        Entrants, duration, average time, funnel and sends of each version, and of all together;
        entrants of the last days by the tenant's zone.
        """
        return ReportBody.report(_reports(call, flow).report(flow, days))

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/versions/{version}",
        scope=FIGURES,
        cost=COST,
        problems=(404, 409, 422),
        example=GRAPH,
    )
    def read_version_graph(call: Calling, flow: FlowName, version: Version) -> GraphBody:
        """Read a version's graph with its counts.

        Nodes and edges come with places to draw them at, up to 300 nodes.
        """
        reports = _reports(call, flow)
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
        found = _reports(call, flow).people(flow, place, paging.after, paging.limit + 1)
        return _people(paging, found)

    @routes.add(
        "POST",
        "/v1/flows/{flow}/report/versions/{version}/customers/save",
        scope=SAVING,
        cost=LIST_COST,
        problems=(404, 409, 422),
        example={"group": "reached", "customers": 59},
        body_example={"group": "reached", "node": "wait", "port": "event"},
    )
    def save_entrants(
        call: Calling, flow: FlowName, version: Version, group: SaveListBody
    ) -> SavedBody:
        """Save a list of people as a group.

        All who are on the list now are put into the group, which is made if it is not there. Who
        is in it already stays.
        """
        call.caller.need(PEOPLE)
        place = Place(version, group.node, group.port)
        count = _reports(call, flow).save_group(flow, place, group.group)
        saved = SavedBody(group=group.group, customers=count)
        with call.change() as change:
            change.audit(GROUP, f"flow:{flow}", after=saved.model_dump())
            return change.answer(saved)  # type: ignore[return-value]

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/versions/{version}/customers/{customer}/path",
        scope=PEOPLE,
        cost=COST,
        problems=(404, 409, 422),
        example=PATH,
    )
    def read_path(call: Calling, flow: FlowName, version: Version, customer: Customer) -> PathBody:
        """Read one customer's path in a version.

        Each step with its time, and the edges that he went.
        """
        reports = _reports(call, flow)
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
        problems=(404, 409, 422),
        example=CUSTOMER,
    )
    def read_entrant(call: Calling, flow: FlowName, customer: Customer) -> EntrantBody:
        """Read a customer of a list.

        What is known of him now, and where he stands in the flow.
        """
        found = _reports(call, flow).person(flow, customer)
        return EntrantBody(**found)

    @routes.add(
        "GET",
        "/v1/flows/{flow}/report/customers/{customer}/why",
        scope=PEOPLE,
        cost=WHY_COST,
        problems=(404, 409, 422),
        example=WHY,
    )
    def explain_way(call: Calling, flow: FlowName, customer: Customer) -> WhyBody:
        """Explain a customer's way through a flow, or why he is not in it.

        Each step with its time and reason, in every version; where he never entered, the rule that
        kept him out.
        """
        found, truth = _reports(call, flow).why(flow, customer)
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


def _reports(call: Call, flow: str) -> LiveReports:
    with call.rows.read() as txn:
        check_seen(txn, call.caller, flow)
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
