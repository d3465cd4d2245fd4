"""Runs flows that name segments: dry on both interpreters, and live by an engine as users publish.

Live, everything happens at the same times as in the dry run: the engine's clock is driven.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from both_ways import ran
from cases import Case, ms
from core.counters import Counters
from core.document import read_flow, read_segments
from core.flow import Flow

HOUR_MS = 3_600_000
HOSTING = Hosting(inline=True, shards=1, relays=False, options=ShardOptions(driven=True))


@dataclass(frozen=True)
class Segmented(Case):
    """A case whose flow names segments; `named` is what a segments file holds."""

    named: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The flow as somebody wrote it."""
        nodes = self.nodes if "x" in self.nodes else {**self.nodes, "x": {"type": "end"}}
        flow = {"headrace": 1, "flow": "f", "settings": self.settings, "nodes": nodes}
        return json.dumps(flow)

    def flow(self) -> Flow:
        """The flow with its segments resolved."""
        segments, violations = read_segments(json.dumps(dict(self.named)), name="s.json")
        assert segments is not None, violations
        flow, violations = read_flow(self.text(), name="f.json", segments=segments)
        assert flow is not None, violations
        return flow


def open_engine(folder: Path) -> Engine:
    """An engine of two partitions whose clock is driven."""
    return start_engine(folder, Making(partitions=2) if not folder.exists() else None, HOSTING)


def lived(case: Segmented, folder: Path) -> Counters:
    """What a live engine counts to which the case happens, started anew twice on the way."""
    audience = case.people()
    kinds = {name: {"type": column.kind} for name, column in audience.attributes.items()}
    from_ms, _, horizon_ms = map(ms, case.window)
    engine = open_engine(folder)
    engine.set_schema({"attributes": kinds, "events": {name: {} for name in audience.event_names}})
    engine.set_segments(json.dumps(dict(case.named)))
    engine.advance(from_ms - 1)
    engine.send([_row(each) for each in case.customers])
    engine.advance(from_ms)
    engine.publish(case.text())
    for place, (time, name, *rest) in enumerate(case.events):
        engine.advance(ms(time))
        if place in (1, len(case.events) - 1):
            engine.close()
            engine = open_engine(folder)
            engine.advance(ms(time))
        engine.send([{"customer": rest[1] if len(rest) > 1 else "c", "event": name,
                      "message_id": str(place)}])  # fmt: skip
    for time in range(ms(case.events[-1][0]) if case.events else from_ms, horizon_ms, HOUR_MS):
        engine.advance(time)
    engine.advance(horizon_ms - 1)
    counters = engine.counts("f")
    engine.close()
    return counters


def agreed(case: Segmented, folder: Path) -> Counters:
    """The counters of the dry run, once live has counted the same."""
    expected: Counters = ran(case).counters
    found = lived(case, folder)
    for name in ("entered", "port", "outcome", "waiting", "idle"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    return expected


def _row(customer: Mapping[str, Any]) -> dict[str, Any]:
    """A customer of a case as a row for an engine."""
    held = {name: {"add": customer[name]} for name in ("groups", "tags") if name in customer}
    return {"customer": customer["id"], "set": customer.get("attributes", {}), **held}
