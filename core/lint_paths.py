"""Judge paths: questions that an earlier node has answered, and nodes behind ports nobody takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from core.lint_answers import Answers, answered
from core.lint_logic import (
    ANYTHING,
    Subject,
    in_words,
    key_of,
    roughly,
    subject_of,
    tests_of,
    verdict,
)
from core.lint_view import View, enters
from core.lint_ways import Port
from core.lowering import HELPER_MARK
from core.nodes import (
    ABTest,
    BranchAttribute,
    BranchTag,
    ConditionNode,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    Split,
    TakeCoupon,
)
from core.usage import written
from core.violations import Violation, quoted, violation


def paths(view: View) -> Iterator[Violation]:
    """Conditions and branches that are settled on the way to them, and what nobody reaches so."""
    found = _Settled(view.core)
    yield from found.violations
    yield from _dead(view.core, found.closed)


def stands(node: NodeBase) -> bool:
    """Whether time passes at the node, so that a customer may be another when leaving it."""
    return node.waits or isinstance(node, TakeCoupon)


class _Settled:
    """The violations, and the ports that nobody can take."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.nodes = list(view.flow.nodes.values())
        self.violations: list[Violation] = []
        self.closed: set[Port] = set()
        self.told: set[int] = set()
        schema = view.schema
        constant = {n for n, a in schema.attributes.items() if a.constant} if schema else set()
        changed = written(view.flow)
        asked = self._asked()
        # What is asked twice, and stays as it is while nobody waits; and what never changes.
        now = {s for s, times in asked.items() if times > 1 and s not in changed}
        ever = {s for s in now if s[0] == "entry" or (s[0] == "attribute" and s[1] in constant)}
        self._alone()
        if now:
            self._walk(lambda i: stands(self.nodes[i]), now)
        if ever:
            self._walk(lambda i: False, ever)

    def _asked(self) -> dict[Subject, int]:
        """In how many nodes each subject is asked for or known from."""
        asked: dict[Subject, int] = {}
        for node in self.nodes:
            for subject in set(_rough_subjects(node)):
                asked[subject] = asked.get(subject, 0) + 1
        return asked

    def _alone(self) -> None:
        """Ports that nobody takes, whatever came before."""
        for i, node in enumerate(self.nodes):
            if isinstance(node, Split | ABTest):
                self.closed |= {(i, b) for b, weight in node.branches.items() if weight == 0}

    def _walk(self, cut: Callable[[int], bool], subjects: set[Subject]) -> None:
        for i, known in answered(self.view, cut, subjects):
            self._judge(i, known, subjects)

    def _judge(self, i: int, known: Answers, subjects: set[Subject]) -> None:
        node = self.nodes[i]
        if not known or i in self.told or HELPER_MARK in self.view.graph.ids[i]:
            return
        if isinstance(node, ConditionNode):
            self._condition(i, node, known, subjects)
        elif isinstance(node, BranchAttribute):
            subject: Subject = ("attribute", node.attribute)
            if subject in known:
                domain = known[subject]
                shut = [
                    branch
                    for branch, values in node.branches.items()
                    if domain.only(map(key_of, values)).empty
                ]
                self._branches(i, shut, [subject], known)
        elif isinstance(node, BranchTag):
            self._tags(i, node, known)

    def _condition(
        self, i: int, node: ConditionNode, known: Answers, subjects: set[Subject]
    ) -> None:
        asked = [t for t in tests_of(node.if_) if roughly(t) in subjects]
        shared = [s for t in asked if (s := subject_of(t)) in known and s is not None]
        if not shared:
            return
        answer = verdict(node.if_, known)
        if answer is None:
            return
        self.closed.add((i, "no" if answer else "yes"))
        if verdict(node.if_, {}) is not None:
            return  # then it is no matter of the path
        self.told.add(i)
        source = known.source(shared[0])
        said = "true" if answer else "false"
        message = f"it is always {said} here: {quoted(source)} has asked for "
        message += f"{in_words(shared[0])} on the way, and nothing can have changed since"
        advice = "Remove the node, ask for something else, or put a wait between the two."
        steps = self.view.place(self.view.graph.ids[i], "if")
        self.violations.append(violation("settled-condition", steps, message, advice))

    def _tags(self, i: int, node: BranchTag, known: Answers) -> None:
        shut: list[str] = []
        sure = ""
        for branch, tags in node.branches.items():
            domains = [known.get(("tag", tag), ANYTHING) for tag in tags]
            if sure or not any(domain.present for domain in domains):
                shut.append(branch)
            elif any(not domain.missing for domain in domains):
                sure = branch
        if sure:
            self.closed.add((i, "other"))
        self._branches(
            i, shut, [("tag", t) for held in node.branches.values() for t in held], known
        )

    def _branches(self, i: int, shut: list[str], asked: list[Subject], known: Answers) -> None:
        node_id = self.view.graph.ids[i]
        source = next((known.source(s) for s in asked if s in known), "")
        for branch in shut:
            self.closed.add((i, branch))
            self.told.add(i)
            message = f"nobody who comes here matches {quoted(branch)}: "
            message += f"{quoted(source)} has led them elsewhere on the way"
            advice = "Remove the branch, or lead people here from somewhere else too."
            steps = self.view.place(node_id, "branches", branch)
            self.violations.append(violation("dead-branch", steps, message, advice))


def _rough_subjects(node: NodeBase) -> Iterator[Subject]:
    """What a node asks for, or what is known of those whom it lets in."""
    match node:
        case ConditionNode(if_=condition) | OnSegment(if_=condition):
            yield from map(roughly, tests_of(condition))
        case OnSchedule(if_=condition) if condition is not None:
            yield from map(roughly, tests_of(condition))
        case OnEvent(where=where) if where is not None:
            for test in tests_of(where):
                kind, name = roughly(test)[:2]
                yield ("entry", name) if kind == "property" else (kind, name)
        case BranchAttribute(attribute=name):
            yield ("attribute", name)
        case BranchTag(branches=branches):
            yield from (("tag", tag) for tags in branches.values() for tag in tags)


def _dead(view: View, closed: set[Port]) -> Iterator[Violation]:
    """Nodes that only ports lead to that nobody takes; of each part the first."""
    if not closed:
        return
    graph, nodes = view.graph, list(view.flow.nodes.values())
    starts = [i for i, node in enumerate(nodes) if enters(node)]
    shut = {i for i, _ in closed}
    open_ways = [
        onward
        if i not in shut
        else [
            graph.number[target]
            for port in node.ports
            if (i, port) not in closed
            for target in node.targets(port)
            if target in graph.number and not view.flow.nodes[target].trigger
        ]
        for i, (node, onward) in enumerate(zip(nodes, graph.onward, strict=True))
    ]
    live, waiting = set(starts), list(starts)
    while waiting:
        fresh = [i for i in open_ways[waiting.pop()] if i not in live]
        live.update(fresh)
        waiting += fresh
    for i in sorted(graph.reached(starts) - live):
        if HELPER_MARK not in graph.ids[i] and any(j in live for j in graph.backward[i]):
            message = "nobody comes to this node: all that lead to it are ports that nobody takes"
            advice = "Mend the condition or the branch before it, or remove the node."
            yield violation("dead-node", view.place(graph.ids[i]), message, advice)
