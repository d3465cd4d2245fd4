"""Judge paths: questions that an earlier node has answered, and nodes behind ports nobody takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from core.conditions import Model, PropertyTest, TagTest
from core.lint_logic import (
    ANYTHING,
    Domain,
    Facts,
    Subject,
    facts_of,
    in_words,
    key_of,
    roughly,
    subject_of,
    tests_of,
    verdict,
)
from core.lint_view import View, enters
from core.lint_ways import Port, Ways
from core.nodes import (
    ABTest,
    AddTag,
    AddToAttribute,
    AddToGroup,
    BranchAttribute,
    BranchTag,
    ConditionNode,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    RemoveFromGroup,
    RemoveTag,
    SetAttribute,
    Split,
    TakeCoupon,
)
from core.violations import Violation, quoted, violation


def paths(view: View) -> Iterator[Violation]:
    """Conditions and branches that are settled on the way to them, and what nobody reaches so."""
    found = _Settled(view)
    yield from found.violations
    yield from _dead(view, found.closed)


def stands(node: NodeBase) -> bool:
    """Whether time passes at the node, so that a customer may be another when leaving it."""
    return node.waits or isinstance(node, TakeCoupon)


def written(node: NodeBase) -> Subject | None:
    """What the node changes of the customer."""
    match node:
        case SetAttribute(attribute=name) | AddToAttribute(attribute=name):
            return ("attribute", name)
        case AddTag(tag=name) | RemoveTag(tag=name):
            return ("tag", name)
        case AddToGroup(group=name) | RemoveFromGroup(group=name):
            return ("group", name)
    return None


@dataclass(slots=True)
class _Learnt:
    """What one port says of a subject; `domain` with all before it, once somebody asked."""

    node_id: str
    more: list[Callable[[Domain], Domain]]
    domain: Domain | None = None


@dataclass(slots=True)
class _Known(Mapping[Subject, Domain]):
    """What is known where a walk is, with the nodes that it is known from."""

    held: dict[Subject, list[_Learnt]] = field(default_factory=dict)

    def __getitem__(self, subject: Subject) -> Domain:
        stack = self.held[subject]
        first = len(stack)
        while first and stack[first - 1].domain is None:
            first -= 1
        domain = stack[first - 1].domain if first else None
        domain = domain or ANYTHING
        for learnt in stack[first:]:
            for more in learnt.more:
                domain = more(domain)
            learnt.domain = domain
        return domain

    def __iter__(self) -> Iterator[Subject]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def __contains__(self, subject: object) -> bool:
        return subject in self.held

    def source(self, subject: Subject) -> str:
        """The node that told last of a subject."""
        return self.held[subject][-1].node_id

    def push(self, subject: Subject, learnt: _Learnt) -> None:
        """Know more of a subject from now on."""
        self.held.setdefault(subject, []).append(learnt)

    def pop(self, subject: Subject) -> None:
        """Forget what was pushed last."""
        stack = self.held[subject]
        stack.pop()
        if not stack:
            del self.held[subject]


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
        changed = {written(node) for node in self.nodes}
        asked = self._asked()
        # What is asked twice, and stays as it is while nobody waits; and what never changes.
        now = {s for s, times in asked.items() if times > 1 and s not in changed}
        ever = {s for s in now if s[0] == "entry" or (s[0] == "attribute" and s[1] in constant)}
        self._alone()
        if now:
            self._walk(Ways(view, lambda i: stands(self.nodes[i])), now)
        if ever:
            self._walk(Ways(view, lambda i: False), ever)

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

    def _walk(self, ways: Ways, subjects: set[Subject]) -> None:
        known = _Known()
        pushed: list[list[Subject]] = []
        for step in ways.walk():
            if step.port is None:
                if step.entering:
                    self._judge(step.node, known, subjects)
            elif step.entering:
                pushed.append(self._learn(step.node, step.port, known, subjects))
            else:
                for subject in pushed.pop():
                    known.pop(subject)

    def _learn(self, i: int, port: str, known: _Known, subjects: set[Subject]) -> list[Subject]:
        """Push what taking this port says."""
        node, node_id = self.nodes[i], self.view.graph.ids[i]
        learnt: dict[Subject, _Learnt] = {}
        if isinstance(node, BranchAttribute):
            of: Subject = ("attribute", node.attribute)
            if of in subjects:
                learnt[of] = _Learnt(node_id, [partial(_branched, node, port)])
        else:
            for subject, test, held in _facts(node, port):
                if (subject[:2] if subject[0] == "did" else subject) in subjects:
                    more = partial(_answered, test, held)
                    if subject in learnt:
                        learnt[subject].more.append(more)
                    else:
                        learnt[subject] = _Learnt(node_id, [more])
        for subject, told in learnt.items():
            known.push(subject, told)
        return list(learnt)

    def _judge(self, i: int, known: _Known, subjects: set[Subject]) -> None:
        node = self.nodes[i]
        if not known or i in self.told:
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
        self, i: int, node: ConditionNode, known: _Known, subjects: set[Subject]
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
        steps = ("nodes", self.view.graph.ids[i], "if")
        self.violations.append(violation("settled-condition", steps, message, advice))

    def _tags(self, i: int, node: BranchTag, known: _Known) -> None:
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

    def _branches(self, i: int, shut: list[str], asked: list[Subject], known: _Known) -> None:
        node_id = self.view.graph.ids[i]
        source = next((known.source(s) for s in asked if s in known), "")
        for branch in shut:
            self.closed.add((i, branch))
            self.told.add(i)
            message = f"nobody who comes here matches {quoted(branch)}: "
            message += f"{quoted(source)} has led them elsewhere on the way"
            advice = "Remove the branch, or lead people here from somewhere else too."
            steps = ("nodes", node_id, "branches", branch)
            self.violations.append(violation("dead-branch", steps, message, advice))


def _answered(test: Model, truth: bool, before: Domain) -> Domain:
    return before.after(test, truth)


def _branched(node: BranchAttribute, port: str, before: Domain) -> Domain:
    if port in node.branches:
        return before.only(map(key_of, node.branches[port]))
    return before.without(key_of(v) for values in node.branches.values() for v in values)


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


def _facts(node: NodeBase, port: str) -> Facts:
    """What is known of whoever leaves a node by a port."""
    match node:
        case ConditionNode(if_=condition):
            return facts_of(condition, port == "yes")
        case OnSegment(if_=condition):
            return facts_of(condition, True)
        case OnSchedule(if_=condition) if condition is not None:
            return facts_of(condition, True)
        case OnEvent(where=where) if where is not None:
            # The event at hand is the one with which the entry begins.
            return [
                (("entry", s[1]) if isinstance(test, PropertyTest) else s, test, held)
                for s, test, held in facts_of(where, True)
            ]
        case BranchTag(branches=branches) if port in branches:
            tags = branches[port]
            return [_tag(tags[0], True)] if len(tags) == 1 else []
        case BranchTag(branches=branches):
            return [_tag(tag, False) for tags in branches.values() for tag in tags]
    return []


def _tag(name: str, carried: bool) -> tuple[Subject, Model, bool]:
    return ("tag", name), TagTest(tag=name), carried


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
        if any(j in live for j in graph.backward[i]):
            message = "nobody comes to this node: all that lead to it are ports that nobody takes"
            advice = "Mend the condition or the branch before it, or remove the node."
            yield violation("dead-node", ("nodes", graph.ids[i]), message, advice)
