"""Judge a flow by the people of an audience: who never matches, always does, or has no zone."""

from __future__ import annotations

from collections.abc import Iterator

from core.audience import Needs
from core.conditions import AttributeTest, Model
from core.flow import Flow
from core.lint_logic import verdict
from core.lint_view import View
from core.lowering import HELPER_MARK
from core.nodes import (
    BranchAttribute,
    BranchTag,
    ConditionNode,
    OnSchedule,
    OnSegment,
    WaitDate,
    WaitSlot,
    WaitUntil,
)
from core.usage import Ref, used, written
from core.violations import Violation, listed, quoted, violation


def wanted(flow: Flow) -> Needs:
    """The attributes, tags and groups whose values `shares` asks for."""
    refs = used(View(flow).core.flow)
    return Needs(
        attributes={ref.name for ref in refs if ref.kind == "attribute"},
        tags={ref.name for ref in refs if ref.kind == "tag"},
        groups={ref.name for ref in refs if ref.kind == "group"},
    )


def shares(view: View) -> Iterator[Violation]:
    """Conditions that are the same for everybody in the audience, and branches of nobody."""
    core, facts = view.core, view.facts
    if facts is None or not facts.customers:
        return
    own = written(core.flow)
    for node_id, node in core.flow.nodes.items():
        if HELPER_MARK in node_id:
            continue
        if isinstance(node, ConditionNode | OnSegment | OnSchedule) and node.if_ is not None:
            yield from _condition(core, node_id, node.if_, own)
        elif isinstance(node, BranchAttribute) and ("attribute", node.attribute) not in own:
            yield from _values(core, node_id, node)
        elif isinstance(node, BranchTag):
            for branch, tags in node.branches.items():
                if all(facts.tags.get(t) == 0 and ("tag", t) not in own for t in tags):
                    yield _nobody(core, node_id, branch, f"carries {listed(map(quoted, tags), 5)}")


def _condition(view: View, node_id: str, condition: Model, own: set[Ref]) -> Iterator[Violation]:
    assert view.facts is not None
    share = view.facts.share(condition, view.now_ms or 0, own)
    if not (share.never or share.always) or verdict(condition, {}) is not None:
        return
    everybody = f"{view.facts.customers:,} people of the audience"
    if share.never:
        message, code = f"it is true for none of the {everybody}", "never-in-audience"
        advice = "Check the names and the values, or the audience."
    else:
        message, code = f"it is true for all of the {everybody}", "always-in-audience"
        advice = "Leave it as a guard, or remove it."
    yield violation(code, view.place(node_id, "if"), message, advice)


def _values(view: View, node_id: str, node: BranchAttribute) -> Iterator[Violation]:
    assert view.facts is not None
    for branch, values in node.branches.items():
        test = AttributeTest.model_construct(attribute=node.attribute, one_of=values)
        if view.facts.share(test, view.now_ms or 0).never:
            yield _nobody(view, node_id, branch, f"has such a {quoted(node.attribute)}")


def _nobody(view: View, node_id: str, branch: str, what: str) -> Violation:
    message = f"nobody in the audience {what}, so nobody takes {quoted(branch)}"
    advice = "Check the values of the branch, or the audience."
    steps = view.place(node_id, "branches", branch)
    return violation("never-in-audience", steps, message, advice)


def zones(view: View) -> Iterator[Violation]:
    """Clocks of customers where some have no zone, and neither flow nor audience states one."""
    facts, schema = view.facts, view.schema
    if facts is None or not facts.zoneless or view.flow.settings.zone is not None:
        return
    if schema is not None and schema.zone is not None:
        return
    for node_id, node in view.core.flow.nodes.items():
        local = isinstance(node, WaitSlot | WaitDate)
        local = local or (isinstance(node, WaitUntil | OnSchedule) and node.zone == "customer")
        if local and HELPER_MARK not in node_id:
            message = f"{facts.zoneless:,} of {facts.customers:,} people have no time zone, "
            message += "so their clock is taken for that of UTC"
            advice = "State `zone` in the flow's settings, or import the zones of customers."
            yield violation("missing-zone", view.core.place(node_id), message, advice)
