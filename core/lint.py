"""Judge a flow: every rule in order, each a function that yields what it finds.

Reading has made sure that the document has the right shape; lint looks at what it means. Rules
never raise, whatever the flow. Those about names and types of the audience stay silent without its
schema.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.audience import AudienceSchema
from core.audience_facts import AudienceFacts
from core.collection import collection_paused
from core.content import Content
from core.flow import Flow
from core.lint_audience import absent_events, absent_names
from core.lint_channels import addresses, permissions, replies
from core.lint_constants import constants
from core.lint_content import readiness
from core.lint_controls import controls
from core.lint_graph import (
    awaited_messages,
    cycles,
    edges,
    entry_with_message,
    first_event_timeout,
    forks,
    no_end,
    no_trigger,
    open_ports,
    too_large,
    unreachable,
)
from core.lint_nodes import (
    coupons,
    endings_of_tests,
    funnel,
    patterns,
    reentry,
    repeated_values,
    reserved_branches,
    times,
    weights,
    window,
    zone,
)
from core.lint_paths import paths
from core.lint_repeats import repeats
from core.lint_rivals import rivals
from core.lint_shares import shares, zones
from core.lint_surges import surges
from core.lint_targets import targets
from core.lint_types import attribute_types, nullable_negations, types
from core.lint_values import entry_references, operands
from core.lint_view import Rule, View
from core.lint_written import as_written
from core.violations import Violation

__all__ = ["RULES", "attribute_types", "lint"]

WRITTEN: frozenset[Rule] = frozenset((no_trigger, no_end, edges, unreachable, open_ports))
"""Rules about the drawing, which look at the flow as it was written; the others at its core."""

RULES: tuple[Rule, ...] = (
    no_trigger,
    no_end,
    edges,
    unreachable,
    entry_with_message,
    first_event_timeout,
    cycles,
    forks,
    open_ports,
    awaited_messages,
    weights,
    reserved_branches,
    endings_of_tests,
    targets,
    coupons,
    repeated_values,
    repeats,
    rivals,
    zone,
    times,
    window,
    patterns,
    reentry,
    funnel,
    operands,
    constants,
    paths,
    entry_references,
    types,
    nullable_negations,
    absent_names,
    absent_events,
    shares,
    zones,
    surges,
    addresses,
    permissions,
    replies,
    readiness,
    controls,
)


def lint(
    flow: Flow,
    schema: AudienceSchema | None = None,
    *,
    content: Content | None = None,
    others: Sequence[Flow] = (),
    now_ms: int | None = None,
    facts: AudienceFacts | None = None,
) -> list[Violation]:
    """What is wrong with `flow`, and with its use on an audience of this schema; errors come first.

    It is held against the `content` that there is, against `others`, flows that run beside it, and
    against the time, `now_ms` (ms UTC), and the `facts` about the people of the audience, as far
    as they are given. A flow beyond the limits is told so and nothing else. Lines are unknown
    here; `core.document.located` finds them.
    """
    with collection_paused():
        view = View(flow, schema, content, others, now_ms, facts)
        found = list(too_large(view))
        if not found:
            views = ((rule, view if rule in WRITTEN else view.core) for rule in RULES)
            found = as_written(view, (v for rule, seen in views for v in rule(seen)))
        return sorted(found, key=lambda v: v.order)
