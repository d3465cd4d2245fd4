"""Checks which recorded events are kept, where their customers begin, and what came before each."""

from __future__ import annotations

import numpy as np
import pytest

from core import binding_inputs
from core.audience import Audience, Column
from core.audience_build import audience_from_python
from core.binding import bind
from core.binding_inputs import Inputs
from core.compiler import compile_flow
from core.flow import Flow
from core.options import RunOptions

OPTIONS = RunOptions(0, 1_000, 1_000)
FLOW = Flow.model_validate(
    {
        "headrace": 1,
        "flow": "history",
        "nodes": {
            "start": {"type": "on_event", "event": "go", "next": "ask"},
            "ask": {
                "type": "condition",
                "if": {
                    "any": [
                        {"did": "go"},
                        {"did": "buy", "where": {"property": "amount", "above": 1}},
                    ]
                },
                "next": {"yes": "done", "no": "done"},
            },
            "done": {"type": "end"},
        },
    }
)


def _audience(history: list[list[str]]) -> Audience:
    """Customers who did these events, one a millisecond; the property tells of the row."""
    rows = [
        {"customer": f"c{c}", "event": event, "time": ms, "properties": {"amount": 10 * c + ms}}
        for c, events in enumerate(history)
        for ms, event in enumerate(events)
    ]
    return audience_from_python([{"id": f"c{c}"} for c in range(len(history))], rows)


def _amounts(column: Column) -> list[object]:
    return [column.value(row) for row in range(len(column))]


def _bound(audience: Audience) -> tuple[Inputs, list[object]]:
    bound = bind(compile_flow(FLOW), audience, OPTIONS)
    return bound.inputs, _amounts(bound.columns.property[0])


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 18])
def test_events_that_nothing_refers_to_are_dropped(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(binding_inputs, "CHUNK_ROWS", chunk)
    history = [["see", "go", "see", "buy", "go"], [], ["see"], ["go", "see", "go"], ["buy"], []]
    audience = _audience(history)
    inputs, amounts = _bound(audience)
    buy, go = compile_flow(FLOW).events.index("buy"), compile_flow(FLOW).events.index("go")
    assert inputs.type.tolist() == [go, buy, go, go, go, buy]
    assert inputs.ms.tolist() == [1, 3, 4, 0, 2, 0]
    assert amounts == [1, 3, 4, 30, 32, 40]
    assert inputs.offsets.tolist() == [0, 3, 3, 3, 5, 6, 6]
    assert inputs.previous.tolist() == [-1, -1, 0, -1, 3, -1]
    kept = [1, 3, 4, 6, 8, 9]
    assert inputs.hash.tolist() == audience.event_hash[kept].tolist()


def test_events_that_are_all_referred_to_are_used_as_they_lie() -> None:
    audience = _audience([["go", "buy"], ["go"]])
    inputs, amounts = _bound(audience)
    assert np.shares_memory(inputs.ms, audience.event_ms)
    assert np.shares_memory(inputs.type, audience.event_type)
    assert inputs.offsets.tolist() == [0, 2, 3]
    assert inputs.previous.tolist() == [-1, -1, -1]
    assert amounts == [0, 1, 10]


def test_event_types_are_numbered_as_the_program_does() -> None:
    audience = _audience([["go", "buy", "go"]])
    audience.event_names = list(reversed(audience.event_names))
    audience.event_type = 1 - audience.event_type
    inputs, _ = _bound(audience)
    names = compile_flow(FLOW).events
    assert [names[kind] for kind in inputs.type] == ["go", "buy", "go"]
    assert inputs.previous.tolist() == [-1, -1, 0]


def test_an_audience_without_events_has_no_inputs() -> None:
    inputs, amounts = _bound(_audience([[], []]))
    assert inputs.offsets.tolist() == [0, 0, 0]
    assert len(inputs.type) == len(inputs.previous) == len(amounts) == 0
