"""Runs a case live, in a partition in a temporary folder, and compares that with the reference.

Customers and what happened before the window come first, then the flow is published, then rows come
as they happened, with a restart or two between them, and the time passes to the horizon.
"""

from __future__ import annotations

import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from actors.relay.effect_block import decode_effects
from actors.relay.effects import Effect
from core import limits
from core.audience import Audience
from core.counters import Counters
from core.couplings import Grants, resources_of
from core.flow import Flow
from core.nodes import Send
from core.options import RunOptions
from core.reference import Record, run
from core.responses import Responses
from coupled_tenant import PromptTenant
from differential import Loaded
from interpreters import INTERPRETERS, Interpreter, Ran
from live_cases import Tenant, Way, run_live, sorted_records

MEMORY = Path("/dev/shm")
"""Where a folder needs no disk, which many small runs would wait for."""


def no_live_side(options: RunOptions, responses: Responses | None) -> str | None:
    """Why a run has no counterpart live, None where it has one.

    All that customers are and do, before the window too, can be sent to a partition; entries that
    end before the horizon are a flow that is stopped.
    """
    if responses is not None:
        return "a model makes up what customers do; live they do it themselves"
    if options.step_budget != limits.STEP_BUDGET:
        return "the steps that one input may cause are no setting of a live tenant"
    if options.coupons:
        return "live the flow alone states how many coupons there are"
    return None


class Lived(NamedTuple):
    """What a partition decided, what it asked the relay for, and what it answered to claims.

    `grants` is None where nobody competes for anything.
    """

    ran: Ran
    effects: list[Effect]
    grants: Grants | None


def live_interpreter(
    flow: Flow, audience: Audience, options: RunOptions, responses: Responses | None
) -> Ran:
    """What a live partition decides. AssertionError for a run without a live side."""
    assert (reason := no_live_side(options, responses)) is None, reason
    return lived(Loaded(flow, audience, options, None)).ran


EVERY_WAY: dict[str, Interpreter] = {**INTERPRETERS, "live": live_interpreter}
"""The interpreters and the live partition."""


def live_differs(loaded: Loaded, expected: Ran) -> str | None:
    """How live differs from what the reference decides, None where it does not.

    An answer to a claim takes effect when it has come, a millisecond later than in a dry run. All
    must go the very same ways then, and at the times of the reference when it gets those answers.
    """
    found = lived(loaded)
    if found.grants is not None:
        ways = [
            [(r.customer, r.entry, r.node, r.port) for r in each.records]
            for each in (expected, found.ran)
        ]
        if ways[0] != ways[1]:
            return first_difference(*ways)
        answered = run(loaded.flow, loaded.audience, loaded.options, grants=found.grants)
        expected = Ran(answered.records, answered.counters)
    return (
        first_difference(expected.records, found.ran.records)
        or counted_otherwise(as_live(expected.counters), found.ran.counters)
        or first_difference(asked_for(loaded, expected.records), sorted(map(told, found.effects)))
    )


def as_live(counters: Counters) -> Counters:
    """What live counts of the same decisions: no value is read before its date."""
    return replace(counters, touched=np.zeros_like(counters.touched))


def counted_otherwise(expected: Counters, found: Counters) -> str | None:
    """The first counter that differs. Live hours end with the last in which anything happened."""
    for field in fields(Counters):
        one, other = (np.asarray(getattr(each, field.name)) for each in (expected, found))
        if field.name.endswith("_by_hour"):
            one = one[..., : other.shape[-1]] if not one[..., other.shape[-1] :].any() else one
        if not np.array_equal(one, other):
            return f"{field.name}: {one.tolist()} against {other.tolist()}"
    return None


def first_difference(expected: list[Any], found: list[Any]) -> str | None:
    """The first place at which two lists differ, None where they don't."""
    for number, (one, other) in enumerate(zip(expected, found, strict=False)):
        if one != other:
            return f"number {number}: {one} against {other}"
    if len(expected) != len(found):
        return f"{len(expected)} against {len(found)}"
    return None


def asked_for(loaded: Loaded, records: list[Record]) -> list[tuple[Any, ...]]:
    """The messages that these decisions are, as `told` tells effects, in ascending order."""
    audience, nodes = loaded.audience, loaded.flow.core.nodes
    numbers = dict(zip(map(audience.id_of, range(audience.customers)),
                       audience.id_hash.view(np.int64).tolist(), strict=True))  # fmt: skip
    return sorted(
        (numbers[r.customer], r.time_ms, r.node, node.channel, node.template, *node.variables)
        for r in records
        if r.port == "next" and isinstance(node := nodes[r.node], Send)
    )


def told(effect: Effect) -> tuple[Any, ...]:
    """Whom an effect reaches, when it was decided, and what it says."""
    names = (*effect.variables, *(name for name, _ in effect.stated))
    return (
        effect.customer,
        effect.committed_ms,
        effect.node,
        effect.channel,
        effect.template,
        *names,
    )


def lived(loaded: Loaded) -> Lived:
    """Take a run in, in some frames; where people compete, an instant at a time."""
    audience = loaded.audience
    coupled = bool(resources_of(loaded.flow.core, loaded.options))
    rows, nodes = len(audience.event_ms), len(loaded.flow.nodes)
    # A third of the flows goes on from snapshots, the others from the journal alone.
    way = Way(batch=2 + rows // 4, restart_every=3, snapshots=nodes % 3 == 0)
    way = Way(batch=1, ticks=1) if coupled else way
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        tenant = run_live(Path(folder), loaded, way, kind=PromptTenant if coupled else Tenant)
        [partition] = tenant.partitions
        counters = partition.counts(loaded.flow.flow, None, loaded.options.horizon_ms)
        blocks = [data for block in partition.store.outbox() for data in block.effects]
        tenant.close()
    return Lived(
        Ran(sorted_records(tenant.records, audience), counters),
        [effect for data in blocks for effect in decode_effects(data)],
        tenant.grants() if isinstance(tenant, PromptTenant) else None,
    )
