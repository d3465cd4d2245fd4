"""The route that replays an edit: as the client sees it, and who may not."""

from __future__ import annotations

import json
from typing import Any

from flow_asking import Ask, create, flow_text, publish
from http_service import Served


def edited(**nodes: Any) -> dict[str, Any]:
    waiting = {"type": "wait_event", "event": "order", "timeout": "1 day"}
    found: dict[str, Any] = flow_text(
        "edit",
        nodes={
            "in": {"type": "on_event", "event": "signup", "next": "wait"},
            "wait": {**waiting, "next": {"event": "out", "timeout": "out"}},
            "out": {"type": "end"},
            **nodes,
        },
    )
    return found


def test_an_edit_is_replayed_and_nothing_changes(ask: Ask, service: Served) -> None:
    create(ask, "edit", nodes=edited()["nodes"])
    publish(ask, "edit")
    rows = [{"customer": f"edit-{n}", "event": "signup"} for n in range(3)]
    assert ask("POST", "/v1/events", rows).json()["accepted"] == 3
    changed = edited(**{"in": {"type": "on_event", "event": "signup", "next": "out"}})
    del changed["nodes"]["wait"]
    document = json.dumps(changed)
    path = "/v1/flows/edit/draft/replay"
    found = ask("POST", f"{path}?limit=2", {"document": document, "in_flight": "reset"}).json()
    source = {"version": 1, "node": "wait"}
    assert (found["version"], found["people"], found["behind"]) == (2, 3, 0)
    assert found["pin"] == [{"source": source, "target": source, "people": 3}]
    assert found["drop"] == [{"source": source, "reason": "version_replaced", "people": 3}]
    ended = {"version": 2, "node": "out"}
    assert found["reset"] == [{"source": source, "target": ended, "reason": "end", "people": 3}]
    names = [item["customer"] for item in found["items"]]
    assert found["items"][0]["ended"] == [{**ended, "reason": "end"}]
    body = {"document": document, "in_flight": "reset"}
    rest = ask("POST", f"{path}?limit=2&after={found['next']}", body).json()
    names += [item["customer"] for item in rest["items"]]
    assert sorted(names) == ["edit-0", "edit-1", "edit-2"]
    assert "next" not in rest
    shown = ask("GET", "/v1/flows/edit").json()
    assert (shown["version"], shown["edition"]) == (1, 1)
    # The draft is the version that runs, so there is nothing to publish.
    assert ask("POST", path).status_code == 409
    assert ask("POST", "/v1/flows/nobody/draft/replay").status_code == 404
    broken = ask("POST", path, {"document": json.dumps({**changed, "nodes": {}})})
    assert (broken.status_code, broken.json()["code"]) == (422, "invalid-flow")
