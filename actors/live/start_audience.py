"""Count whom a flow would let in at once if it were published now.

Only its starts count that look at who somebody is: on a group, on a segment of those who are in it
already, and on a schedule, whose condition is taken as it is now. What comes behind them, and what
limits entries, is left out: it is the size of the audience that is asked for.
"""

from __future__ import annotations

import json
from typing import Any

from actors.live.engine import Engine
from actors.live.errors import FlowError
from actors.live.publishing import segments_of
from core.document import read_flow, read_values, resolved_text

GROUP, SEGMENT, SCHEDULE = "on_group", "on_segment", "on_schedule"
_END = "end"
# Something that is true of everybody.
_EVERYBODY = {"any": [{"tag": "-"}, {"not": {"tag": "-"}}]}


def start_audience(engine: Engine, document: str) -> int | None:
    """How many customers match the starts of the flow in a document, None if none is on a group.

    It builds the starts in every partition, between two batches. Raises FlowError, DownError.
    """
    segments = segments_of(engine.control.standing)
    flow, violations = read_flow(document, name="flow", segments=segments)
    if flow is None:
        raise FlowError(violations)
    plain = resolved_text(document, name="flow", segments=segments)
    starts = _starts(read_values(plain, name="flow")["nodes"])
    if not starts:
        return None
    zone = flow.settings.zone
    only = {
        "headrace": 1,
        "flow": flow.flow,
        "settings": {} if zone is None else {"zone": zone},
        "nodes": {**starts, _END: {"type": "end"}},
    }
    command = {
        "kind": "publish",
        "flow": flow.flow,
        "version": 0,
        "document": json.dumps(only),
        "at_ms": engine.now_ms(),
    }
    return sum(int(part) for part in engine.ask_all("would_enter", command))


def _starts(nodes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for number, node in enumerate(nodes.values()):
        kind = node["type"]
        if kind == GROUP:
            condition: Any = {"group": node["group"]}
        elif kind == SEGMENT and node.get("members") != "joining":
            condition = node["if"]
        elif kind == SCHEDULE:
            condition = node.get("if", _EVERYBODY)
        else:
            continue
        found[f"start-{number}"] = {
            "type": SEGMENT,
            "if": condition,
            "members": "at_start",
            "next": _END,
        }
    return found
