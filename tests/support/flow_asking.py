"""Makes flows over HTTP for tests of routes, and asks what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from http_service import Served

Ask = Callable[..., httpx.Response]


def nodes(**more: Any) -> dict[str, Any]:
    return {
        "in": {"type": "on_event", "event": "signup", "next": "out"},
        **more,
        "out": {"type": "end"},
    }


def flow_text(flow: str, **changes: Any) -> dict[str, Any]:
    return {"headrace": 1, "flow": flow, "nodes": nodes(), **changes}


def tenant(service: Served, **changes: Any) -> None:
    with service.service.plane.operator.write() as txn:
        record = txn.get("tenants", "main")
        assert record is not None
        txn.put("tenants", "main", {**record, **changes})


def create(ask: Ask, flow: str, **changes: Any) -> None:
    answer = ask("POST", "/v1/flows", {"document": flow_text(flow, **changes)})
    assert answer.status_code == 201, answer.text


def status(ask: Ask, flow: str) -> str:
    return str(ask("GET", f"/v1/flows/{flow}").json()["status"])


def publish(ask: Ask, flow: str, **body: Any) -> dict[str, Any]:
    answer = ask("POST", f"/v1/flows/{flow}/publish", body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
