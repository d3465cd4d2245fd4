"""Gather what holds for all customers of a run of the reference interpreter."""

from __future__ import annotations

from collections.abc import Iterator

from core.absent_types import absent_types
from core.audience import Audience
from core.conditions import Condition
from core.flow import Flow
from core.nodes import OnSegment, WaitCondition
from core.options import RunOptions
from core.reference_life import Setting, reads
from core.reference_state import Observer
from core.reference_time import stated, zone
from core.responses import Responses


def setting_of(
    flow: Flow,
    audience: Audience,
    options: RunOptions,
    responses: Responses | None,
    observer: Observer,
) -> Setting:
    """What holds for all customers of a run."""
    settings = flow.settings
    name = settings.zone or options.audience_zone or audience.zone or "UTC"
    window_from, window_until = options.from_ms, options.until_ms  # D10
    if settings.start is not None:
        window_from = max(window_from, stated(settings.start, zone(name)))
    if settings.stop is not None:
        window_until = min(window_until, stated(settings.stop, zone(name)))
    absent_attributes, absent_properties = absent_types(flow, responses, audience)
    return Setting(
        flow=flow,
        audience=audience,
        options=options,
        responses=responses,
        observer=observer,
        zone_name=name,
        window=(window_from, window_until),
        tables=[outcome.table() for outcome in responses.outcomes] if responses else [],
        segment_reads=frozenset(read for condition in judged(flow) for read in reads(condition)),
        attribute_types={n: c.kind for n, c in audience.attributes.items()} | absent_attributes,
        property_types={n: c.kind for n, c in audience.properties.items()} | absent_properties,
    )


def judged(flow: Flow) -> Iterator[Condition]:
    """The conditions whose coming true makes something happen."""
    for node in flow.nodes.values():
        if isinstance(node, OnSegment | WaitCondition):
            yield node.if_
    for rule in flow.settings.exit:
        if rule.if_ is not None:
            yield rule.if_
