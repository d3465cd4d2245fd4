"""Judge the graph of a flow: where edges lead, what nobody reaches, what never rests."""

from __future__ import annotations

from collections.abc import Iterator

from core import limits
from core.document import too_many_nodes
from core.graph import spread
from core.lint_view import Known, Steps, View, enters
from core.nodes import (
    End,
    NodeBase,
    Send,
    Wait,
    WaitAny,
    WaitCondition,
    WaitDate,
    WaitEvent,
    WaitSlot,
    WaitUntil,
)
from core.violations import Violation, listed, quoted, violation


def too_large(view: View) -> Iterator[Violation]:
    """A flow beyond the limits, which the other rules aren't asked about."""
    if len(view.flow.nodes) > limits.NODES_MAX:
        yield too_many_nodes(len(view.flow.nodes))
    edges = sum(len(t) for node in view.flow.nodes.values() for t in node.next.values())
    if edges > limits.EDGES_MAX:
        message = f"the flow has {edges:,} edges, and the limit is {limits.EDGES_MAX:,}"
        yield violation("too-many-edges", ("nodes",), message, "Split the flow into several.")


def no_trigger(view: View) -> Iterator[Violation]:
    """Nothing lets anybody in."""
    if not any(enters(node) for node in view.flow.nodes.values()):
        advice = (
            "Add an on_event, on_segment or on_schedule node and let it lead to the first step."
        )
        yield violation("no-trigger", ("nodes",), "the flow has no trigger", advice)


def no_end(view: View) -> Iterator[Violation]:
    """No chain is ended (A158)."""
    if not any(isinstance(node, End) for node in view.flow.nodes.values()):
        advice = "Add a node of type end where people are through."
        yield violation("no-end", ("nodes",), "the flow has no end", advice)


def edge_steps(node_id: str, node: NodeBase, port: str, place: int = 0) -> Steps:
    """The place of an edge as the document is likely to write it: `next: id` for a lone `next`."""
    steps: Steps = ("nodes", node_id, "next")
    if not _is_lone(node):
        steps += (port,)
    return (*steps, place) if len(node.next.get(port, ())) > 1 else steps


def _is_lone(node: NodeBase) -> bool:
    """Whether the node's only edges are those of the port `next`."""
    return len(node.next) == 1 and "next" in node.next


def edges(view: View) -> Iterator[Violation]:
    """Edges of ports that don't exist, to nodes that don't exist, to triggers, and doubled ones."""
    nodes = view.flow.nodes
    inner = {node_id for node_id, node in nodes.items() if not node.trigger}
    for node_id, node in nodes.items():
        yield from _ports(node_id, node)
        for port, targets in node.next.items():
            if len(set(targets)) == len(targets) and inner.issuperset(targets):
                continue
            seen: set[str] = set()
            for place, target in enumerate(targets):
                steps = edge_steps(node_id, node, port, place)
                if target not in nodes:
                    message = f"the edge leads to {quoted(target)}, and there is no such node"
                    advice = view.close_to(
                        target, view.node_ids, "Add the node, or lead the edge elsewhere."
                    )
                    yield violation("dangling-edge", steps, message, advice)
                elif nodes[target].trigger:
                    message = f"the edge leads to the trigger {quoted(target)}"
                    advice = "A flow begins at a trigger; use wait_event to wait for an event."
                    yield violation("edge-to-trigger", steps, message, advice)
                if target in seen:
                    message = f"port {quoted(port)} leads to {quoted(target)} twice"
                    advice = "Remove one: people would go there twice at the same time."
                    yield violation("duplicate-target", steps, message, advice)
                seen.add(target)


def _ports(node_id: str, node: NodeBase) -> Iterator[Violation]:
    ports = dict.fromkeys(node.ports)
    its_ports = f"Its ports are {listed(ports, 40)}."
    for port in node.next:
        if port not in ports:
            message = f"a node of type {node.type} has no port {quoted(port)} here"
            advice = its_ports
            if not ports:
                message, advice = "nothing follows an end", "Remove `next`."
            elif isinstance(node, WaitEvent | WaitAny | WaitCondition) and port == "timeout":
                advice = f"Set `timeout` to a duration. {advice}"
            yield violation("unknown-port", edge_steps(node_id, node, port)[:4], message, advice)


def unreachable(view: View) -> Iterator[Violation]:
    """Parts that don't begin with a trigger (A160), and other nodes that nobody reaches."""
    nodes, graph = view.flow.nodes, view.graph
    starts = [graph.number[i] for i, node in nodes.items() if enters(node)]
    if not starts:
        return
    reached = graph.reached(starts)
    for island in graph.islands():
        names = [graph.ids[i] for i in island]
        if len(island) > 1 and reached.isdisjoint(island):
            message = f"no trigger begins the part of {listed(names)}"
            advice = "Lead an edge to it, or begin it with a trigger."
            first = next((i for i in island if not graph.backward[i]), island[0])
            yield violation("part-without-trigger", ("nodes", graph.ids[first]), message, advice)
            continue
        for i in island:
            if i not in reached:
                message = "nobody ever reaches this node"
                advice = "Lead an edge to it, or remove it."
                yield violation("unreachable-node", ("nodes", graph.ids[i]), message, advice)


def first_event_timeout(view: View) -> Iterator[Violation]:
    """A first event must occur, so it can't time out (A163)."""
    for node_id, node in view.flow.nodes.items():
        first = isinstance(node, WaitEvent) and node.entry and not _arrivals(view, node_id)
        if first and isinstance(node, WaitEvent) and node.timeout is not None:
            message = "the first event of a flow must occur, so it has no timeout"
            advice = "Remove `timeout`, or lead an edge to the node."
            steps = ("nodes", node_id, "timeout")
            yield violation("first-event-timeout", steps, message, advice)


def entry_with_message(view: View) -> Iterator[Violation]:
    """Who enters by an event has been sent nothing yet, so it can't answer a message."""
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, WaitEvent) and node.entry and node.message is not None:
            message = "an entry point can't wait for the answer to a message"
            advice = "Remove `message`, or `entry: true`."
            yield violation("entry-with-message", ("nodes", node_id, "message"), message, advice)


def _arrivals(view: View, node_id: str) -> list[int]:
    return view.graph.backward[view.graph.number[node_id]]


def _always_waits(node: NodeBase) -> bool:
    """Whether every token stands at the node for a while, however often it comes by."""
    if isinstance(node, Wait):
        return any((node.for_.months, node.for_.days, node.for_.ms))
    if isinstance(node, WaitEvent | WaitAny):
        return node.timeout is None or any(
            (node.timeout.months, node.timeout.days, node.timeout.ms)
        )
    return False


def cycles(view: View) -> Iterator[Violation]:
    """Cycles through which a token can run without ever standing still."""
    graph, nodes = view.graph, list(view.flow.nodes.values())
    maybe = [isinstance(n, WaitUntil | WaitDate | WaitSlot | WaitCondition) for n in nodes]
    free = [not _always_waits(n) for n in nodes]
    for part in graph.cycles([f and not m for f, m in zip(free, maybe, strict=True)]):
        ids = [graph.ids[i] for i in graph.shortest_cycle(part[0], part)]
        message = f"there is no wait on the cycle {_path(ids)}"
        advice = "Put a wait on it, or lead its last edge elsewhere."
        yield violation("cycle-without-wait", ("nodes", ids[0]), message, advice)
    for part in graph.cycles(free):
        soft = [i for i in part if maybe[i]]
        if soft:
            ids = [graph.ids[i] for i in graph.shortest_cycle(soft[0], part)]
            message = f"every wait on the cycle {_path(ids)} can pass at once"
            advice = "Put a wait for some time on it: passed dates don't wait, nor do open slots."
            yield violation("cycle-may-spin", ("nodes", ids[0]), message, advice)


def _path(ids: list[str]) -> str:
    return f"{listed(ids)}, {ids[0]}"


def forks(view: View) -> Iterator[Violation]:
    """Forks whose paths meet again before an end, and forks that multiply tokens in a cycle."""
    graph = view.graph
    ends = {i for i, node in enumerate(view.flow.nodes.values()) if isinstance(node, End)}
    component = view.component
    rejoining = _Rejoining()
    for node_id, node in view.flow.nodes.items():
        for port in node.ports:
            targets = [
                graph.number[t] for t in dict.fromkeys(node.targets(port)) if t in graph.number
            ]
            if len(targets) < 2:
                continue
            steps = edge_steps(node_id, node, port)[: 3 if _is_lone(node) else 4]
            rejoining.fork(steps, targets)
            home = component[graph.number[node_id]]
            back = [graph.ids[t] for t in targets if component[t] == home]
            if len(back) > 1:
                message = f"the paths by {listed(back)} both lead back to this fork"
                advice = "Each round multiplies a person's places in the flow; let one path return."
                yield violation("fork-in-cycle", steps, message, advice)
    for steps, place in rejoining.places(graph.onward, component, ends):
        message = f"the paths of this fork meet again at {quoted(graph.ids[place])}"
        advice = "They are not merged: a person passes there once for each path."
        yield violation("rejoining-paths", steps, message, advice)


class _Rejoining:
    """Finds where two paths of one fork meet, for all forks in one pass of bit sets.

    The targets of a fork are numbered. For each binary digit of these numbers the fork has one bit
    in two sets: `zeros` holds it where a target with digit 0 leads, `ones` where one with digit 1
    does. Two different targets differ in a digit, so both lead to a node exactly if some bit is in
    both sets there.
    """

    def __init__(self) -> None:
        self.forks: list[tuple[Steps, list[int]]] = []

    def fork(self, steps: Steps, targets: list[int]) -> None:
        """Note a fork at `steps` to `targets`."""
        self.forks.append((steps, targets))

    def places(
        self, onward: list[list[int]], component: list[int], ends: set[int]
    ) -> Iterator[tuple[Steps, int]]:
        """For each fork whose paths meet, the first node where they do; `ends` don't count."""
        members: list[list[int]] = [[] for _ in onward]
        for i, part in enumerate(component):
            members[part].append(i)
        due: list[list[tuple[Steps, list[int]]]] = [[] for _ in onward]
        for steps, targets in self.forks:
            due[max(component[t] for t in targets)].append((steps, targets))
        zeros, ones = [0] * len(onward), [0] * len(onward)
        owners: list[Steps] = []  # of each bit
        told: set[Steps] = set()
        told_bits = 0
        # Edges lead from higher components to lower ones, so this order is that of a walk. A fork
        # gets its bits where its first target comes, and what has been handed on is forgotten,
        # which keeps the sets few and small.
        for part in range(len(onward) - 1, -1, -1):
            for steps, targets in due[part]:
                digits = (len(targets) - 1).bit_length()
                every = (1 << digits) - 1
                for place, target in enumerate(targets):
                    ones[component[target]] |= place << len(owners)
                    zeros[component[target]] |= (every ^ place) << len(owners)
                owners += [steps] * digits
            zero, one = zeros[part], ones[part]
            zeros[part] = ones[part] = 0
            if not zero | one:
                continue
            meeting = next((i for i in members[part] if i not in ends), None)
            fresh = 0 if meeting is None else zero & one & ~told_bits
            told_bits |= fresh
            while fresh:
                last = fresh.bit_length() - 1
                fresh ^= 1 << last
                steps = owners[last]
                if steps not in told and meeting is not None:
                    told.add(steps)
                    yield steps, meeting
            for below in {component[j] for i in members[part] for j in onward[i]} - {part}:
                zeros[below] |= zero
                ones[below] |= one


def open_ports(view: View) -> Iterator[Violation]:
    """Ports that lead nowhere, and what becomes of people there."""
    for node_id, node in view.flow.nodes.items():
        for port in node.ports:
            if node.targets(port):
                continue
            code = {"other": "open-other", "missing": "open-missing"}.get(port, "idle-port")
            fate = {
                "open-other": "people whom no branch fits leave the flow (no_branch)",
                "open-missing": "people without the date leave the flow (no_date)",
                "idle-port": "people stay here, idle, and in the flow",
            }[code]
            advice = f"Lead `{port}` to a node, or to an end, if that isn't meant."
            message = f"port {quoted(port)} leads nowhere: {fate}"
            yield violation(code, ("nodes", node_id), message, advice)


def awaited_messages(view: View) -> Iterator[Violation]:
    """Waits for answers to a message that isn't one, or that can't have been sent before."""
    nodes, graph = view.flow.nodes, view.graph
    waiting: list[tuple[str, str]] = []
    sends = Known(i for i, node in nodes.items() if isinstance(node, Send))
    for node_id, node in nodes.items():
        if not isinstance(node, WaitEvent) or node.message is None:
            continue
        steps = ("nodes", node_id, "message")
        if node.message not in nodes:
            message = f"there is no node {quoted(node.message)}"
            advice = view.close_to(node.message, sends, "Name a node of type send.")
            yield violation("unknown-node", steps, message, advice)
        elif not isinstance(nodes[node.message], Send):
            message = (
                f"{quoted(node.message)} is of type {nodes[node.message].type} and sends nothing"
            )
            yield violation("message-not-sent", steps, message, "Name a node of type send.")
        else:
            waiting.append((node_id, node.message))
    bit_of = {send: 1 << bit for bit, send in enumerate(dict.fromkeys(s for _, s in waiting))}
    if not waiting:
        return
    seeds: dict[int, int] = {}
    for send, bit in bit_of.items():
        for onward in graph.onward[graph.number[send]]:
            seeds[onward] = seeds.get(onward, 0) | bit
    before = spread(graph.onward, view.component, seeds)
    for node_id, send in waiting:
        if not before[graph.number[node_id]] & bit_of[send]:
            message = f"no path leads from {quoted(send)} to this wait, so nothing can answer it"
            advice = "Name a message that is sent before the wait."
            steps = ("nodes", node_id, "message")
            yield violation("message-not-before", steps, message, advice)
