"""Tell what is known of whoever comes to a node: what was answered on every way to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from core.conditions import Model, PropertyTest, TagTest
from core.lint_logic import ANYTHING, Domain, Facts, Subject, facts_of, key_of
from core.lint_view import View
from core.lint_ways import Ways
from core.lowering import author_of
from core.nodes import (
    BranchAttribute,
    BranchTag,
    ConditionNode,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
)


@dataclass(slots=True)
class _Learnt:
    """What one port says of a subject; `domain` with all before it, once somebody asked."""

    node_id: str
    more: list[Callable[[Domain], Domain]]
    domain: Domain | None = None


@dataclass(slots=True)
class Answers(Mapping[Subject, Domain]):
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
        return author_of(self.held[subject][-1].node_id)

    def push(self, subject: Subject, learnt: _Learnt) -> None:
        """Know more of a subject from now on."""
        self.held.setdefault(subject, []).append(learnt)

    def pop(self, subject: Subject) -> None:
        """Forget what was pushed last."""
        stack = self.held[subject]
        stack.pop()
        if not stack:
            del self.held[subject]


def answered(
    view: View, cut: Callable[[int], bool], subjects: Collection[Subject]
) -> Iterator[tuple[int, Answers]]:
    """Every node that can be come to, by number, with what is known there of `subjects`.

    Nothing that was answered before a node where `cut(node)` is true is known after it. A subject
    of history is (`did`, event) for all its filters. What is yielded changes as the walk goes on.
    """
    known = Answers()
    pushed: list[list[Subject]] = []
    nodes = list(view.flow.nodes.values())
    for step in Ways(view, cut).walk():
        if step.port is None:
            if step.entering:
                yield step.node, known
        elif step.entering:
            learnt = _learnt(nodes[step.node], view.graph.ids[step.node], step.port, subjects)
            for subject, told in learnt.items():
                known.push(subject, told)
            pushed.append(list(learnt))
        else:
            for subject in pushed.pop():
                known.pop(subject)


def _learnt(
    node: NodeBase, node_id: str, port: str, subjects: Collection[Subject]
) -> dict[Subject, _Learnt]:
    """What taking this port says."""
    learnt: dict[Subject, _Learnt] = {}
    if isinstance(node, BranchAttribute):
        of: Subject = ("attribute", node.attribute)
        return {of: _Learnt(node_id, [partial(_branched, node, port)])} if of in subjects else {}
    for subject, test, held in _facts(node, port):
        if (subject[:2] if subject[0] == "did" else subject) in subjects:
            more = partial(_answered, test, held)
            if subject in learnt:
                learnt[subject].more.append(more)
            else:
                learnt[subject] = _Learnt(node_id, [more])
    return learnt


def _answered(test: Model, truth: bool, before: Domain) -> Domain:
    return before.after(test, truth)


def _branched(node: BranchAttribute, port: str, before: Domain) -> Domain:
    if port in node.branches:
        return before.only(map(key_of, node.branches[port]))
    return before.without(key_of(v) for values in node.branches.values() for v in values)


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
