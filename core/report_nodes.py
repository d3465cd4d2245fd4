"""Report the nodes, the edges between them, and what of both the run did not touch."""

from __future__ import annotations

from collections.abc import Iterable

from core.counters import Counters
from core.describe import describe
from core.flow import Flow
from core.lowering import author_of
from core.nodes import NodeBase, Send, WaitEvent
from core.outcomes import ENDS, PARKS, REFUSALS, CoupledOutcome, Outcome
from core.phrases import CLOCK
from core.report import Count, Dated, Dead, DeadPort, EdgeReport, Figure, NodeReport, PortReport
from core.report_figures import Figures, ended_by, read
from core.usage import reads

OUTCOME_TEXTS = {
    Outcome.END: "reached an end",
    Outcome.NO_BRANCH: "fitted no branch",
    Outcome.NO_DATE: "had no date to wait for",
    Outcome.WHOLE_FLOW: "were taken out by an end of the whole entry",
    Outcome.PARKED_BUDGET: "were stopped after too many steps at one moment",
    Outcome.PARKED_OVERFLOW: "were stopped because a number grew beyond 64 bits",
    Outcome.REFUSED_NO_KEY: "refused: the event lacks the re-entry key",
    Outcome.REFUSED_ONCE: "refused: had entered before",
    Outcome.REFUSED_INSIDE: "refused: were still inside",
    Outcome.REFUSED_GAP: "refused: had entered too recently",
    Outcome.EXIT: "were taken out by an exit rule",
    Outcome.MERGED: "turned out to be other customers",
    Outcome.REFUSED_HOLDOUT: "refused: belong to those kept out for comparison",
}
COUPLED_TEXTS = {
    CoupledOutcome.REFUSED_CAP: "refused: as many people as may had entered",
    CoupledOutcome.REFUSED_LATE: "refused: the time of entries was over when they left the line",
}


def node_reports(figures: Figures) -> list[NodeReport]:
    """All nodes in document order."""
    return [_node(figures, node_id, node) for node_id, node in figures.flow.authored.nodes.items()]


def _node(figures: Figures, node_id: str, node: NodeBase) -> NodeReport:
    taint = figures.assumed
    core = figures.flow.nodes[node_id]
    send = core if isinstance(core, Send) else None
    return NodeReport(
        id=node_id,
        type=node.type,
        label=describe(node),
        title=node.title,
        note=node.note,
        assumed=node_id in figures.marked,
        entered=figures.entered(node_id),
        people=figures.people(node_id),
        ports=[_port(figures, node_id, node, port) for port in _ports(figures, node_id, node)],
        outcomes=_counts(figures, node_id, (*ENDS, *PARKS)),
        refusals=_counts(figures, node_id, REFUSALS) + _coupled_refusals(figures, [node_id]),
        waiting=figures.waiting(node_id),
        idle=figures.idle(node_id),
        mean_ms=figures.time(node_id, _mean_ms),
        median_ms=figures.time(node_id, Counters.median_delay_ms),
        touched=_plain(figures, node_id, "touched", taint.entered),
        modelled_wakes=_plain(figures, node_id, "modelled_wakes", taint.left),
        modelled_entries=_plain(figures, node_id, "modelled_entries", taint.entered),
        channel=send and send.channel,
        template=send and send.template,
    )


def _ports(figures: Figures, node_id: str, node: NodeBase) -> list[str]:
    """The ports that were written, then the reasons of the settings for which anybody got nothing.

    A reason that never held is none of the author's, so it is not told of.
    """
    core = figures.flow.nodes[node_id]
    added = set(core.ports).difference(node.ports) if isinstance(core, Send) else set()
    held = [port for port in core.ports if port in added and _taken(figures, node_id, port)]
    return [*node.ports, *held]


def _targets(node: NodeBase, port: str) -> list[str]:
    """Where a port leads; a reason that settings add leads where `next` does."""
    return node.targets(port if port in node.ports else "next")


def _plain(figures: Figures, node_id: str, name: str, assumed: frozenset[str]) -> Figure:
    count = read(name, figures.index[node_id])
    return figures.figure(count, node_id in assumed, f"{name} at {node_id!r}")


def _mean_ms(counters: Counters, node: int) -> float | None:
    entered = int(counters.entered[node])
    return float(counters.delay_sum_ms[node] / entered) if entered else None


def _port(figures: Figures, node_id: str, node: NodeBase, port: str) -> PortReport:
    count, entered = figures.port(node_id, port), figures.entered(node_id)
    targets = _targets(node, port)
    ends = ended_by(node, port)
    outcome = None if targets else ("idle" if ends is None else ends.text)
    return PortReport(
        port=port,
        count=count,
        share=count.value / entered.value if entered.value else None,
        targets=targets,
        outcome=outcome,
    )


def _counts(figures: Figures, node_id: str, outcomes: tuple[Outcome, ...]) -> list[Count]:
    """Those of the outcomes that came about at a node in any replicate."""
    i = figures.index[node_id]
    return [
        Count(
            reason=outcome.text,
            text=OUTCOME_TEXTS[outcome],
            count=figures.outcome(node_id, outcome),
        )
        for outcome in outcomes
        if any(c.outcome[i, outcome.column] for c in figures.replicates)
    ]


def edge_reports(figures: Figures, entries: Figure) -> list[EdgeReport]:
    """All edges, in the order of their nodes, ports and targets."""
    edges = []
    for node_id, node in figures.flow.authored.nodes.items():
        for port in _ports(figures, node_id, node):
            targets = _targets(node, port)
            if not targets:
                continue
            count = figures.port(node_id, port)
            share = count.value / entries.value if entries.value else 0.0
            edges += [
                EdgeReport(source=node_id, port=port, target=target, count=count, share=share)
                for target in targets
            ]
    return edges


def dead_parts(figures: Figures) -> Dead:
    """The nodes that nobody reached, and at all others the ports by which nobody left."""
    ports, nodes = [], []
    for node_id, node in figures.flow.authored.nodes.items():
        i = figures.index[node_id]
        if not any(c.entered[i] for c in figures.replicates):
            nodes.append(node_id)
            continue
        ports += [
            DeadPort(
                node=node_id,
                port=port,
                targets=node.targets(port),
                waiting=any(bool(c.waiting[i]) for c in figures.replicates),
                assumed=node_id in figures.assumed.left,
            )
            for port in node.ports
            if not _taken(figures, node_id, port)
        ]
    return Dead(ports=ports, nodes=nodes)


def _taken(figures: Figures, node_id: str, port: str) -> bool:
    """Whether anybody left by `port` in any replicate."""
    i, node = figures.index[node_id], figures.flow.nodes[node_id]
    place = figures.base[i] + node.ports.index(port)
    ends = ended_by(node, port)
    return any(
        c.port[place] or (ends is not None and c.outcome[i, ends.column])
        for c in figures.replicates
    )


def dated_reads(figures: Figures) -> list[Dated]:
    """The nodes that judged anybody by an attribute value dated later than the moment."""
    found: dict[str, Dated] = {}
    for node_id, node in figures.flow.nodes.items():
        people, author = (
            _plain(figures, node_id, "touched", figures.assumed.entered),
            author_of(node_id),
        )
        if people.value and author not in found:
            held = {ref.name for ref in reads(node) if ref.kind == "attribute"}
            names = sorted(name for name in held if not name.startswith(CLOCK))
            found[author] = Dated(node=author, attributes=names, people=people)
    return list(found.values())


def refusal_totals(figures: Figures) -> list[Count]:
    """Refusals of the whole flow by reason, those that came about."""
    places = entrances(figures.flow)
    found = [
        Count(reason=outcome.text, text=OUTCOME_TEXTS[outcome], count=total)
        for outcome in REFUSALS
        if (total := outcome_total(figures, places, (outcome,))).value
    ]
    return found + _coupled_refusals(figures, places)


def _coupled_refusals(figures: Figures, node_ids: list[str]) -> list[Count]:
    """Refusals by the cap and by the line at some triggers, those that came about."""
    return [
        Count(reason=outcome.text, text=COUPLED_TEXTS[outcome], count=total)
        for outcome in CoupledOutcome
        if (total := coupled_total(figures, node_ids, (outcome,))).value
    ]


def coupled_total(
    figures: Figures, node_ids: list[str], outcomes: Iterable[CoupledOutcome]
) -> Figure:
    """The sum of some outcomes that only couplings have over some nodes."""
    rows = [figures.index[node_id] for node_id in node_ids]
    names = [outcome.text for outcome in outcomes]

    def count(c: Counters) -> int:
        return sum(int(getattr(c, name)[rows].sum()) for name in names)

    assumed = figures.assumed.entries or not figures.ending.isdisjoint(node_ids)
    return figures.figure(count, assumed, f"the sum of {', '.join(names)}")


def entrances(flow: Flow) -> list[str]:
    """The ids of the nodes at which entries begin."""
    return [i for i, n in flow.nodes.items() if n.trigger or (isinstance(n, WaitEvent) and n.entry)]


def outcome_total(figures: Figures, node_ids: list[str], outcomes: tuple[Outcome, ...]) -> Figure:
    """The sum of some outcomes over some nodes, assumed where it is at any of them."""
    rows = [figures.index[node_id] for node_id in node_ids]
    columns = [outcome.column for outcome in outcomes]

    def count(c: Counters) -> int:
        return int(c.outcome[rows][:, columns].sum())

    names = ", ".join(outcome.text for outcome in outcomes)
    return figures.figure(count, not figures.ending.isdisjoint(node_ids), f"the sum of {names}")
