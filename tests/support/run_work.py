"""Makes small audiences over HTTP, and flows to run on them."""

from __future__ import annotations

import json
from typing import Any

import httpx

from http_service import Served
from waiting import until

CUSTOMERS = 300
DAY = 86_400
PATH = "/v1/audiences/shop"
CUSTOMER_ROWS = "id,plan,age\n" + "".join(
    f"c{i},{'pro' if i % 3 else 'free'},{20 + i % 50}\n" for i in range(CUSTOMERS)
)
EVENT_ROWS = "id,at,name,amount\n" + "".join(
    f"c{i},2026-03-{1 + i % 20:02}T{i % 24:02}:00:00Z,{name},{amount}\n"
    for i in range(CUSTOMERS)
    for name, amount in (("signup", ""), *([("order", f"{i % 90}.5")] if i % 2 else []))
)
MAPPING: dict[str, Any] = {
    "customers": [{"file": "customers.csv", "id": "id", "attributes": "all"}],
    "events": [
        {
            "file": "events.csv",
            "customer": "id",
            "time": "at",
            "event": {"column": "name"},
            "properties": {"amount": "amount"},
        }
    ],
}
FLOW: dict[str, Any] = {
    "headrace": 1,
    "flow": "welcome",
    "settings": {"goal": {"event": "clicked", "within": "7 days"}},
    "nodes": {
        "signup": {"type": "on_event", "event": "signup", "next": "mail"},
        "mail": {"type": "send", "channel": "email", "template": "hello", "next": "wait"},
        "wait": {
            "type": "wait_event",
            "event": "clicked",
            "timeout": "2 days",
            "next": {"event": "done", "timeout": "text"},
        },
        "text": {"type": "send", "channel": "sms", "template": "nudge", "next": "done"},
        "done": {"type": "end"},
    },
}
RESPONSES: dict[str, Any] = {
    "headrace_responses": 1,
    "rules": [
        {
            "for": {"channel": "email"},
            "outcomes": [
                {
                    "event": "clicked",
                    "probability": "30%",
                    "delay": {"exponential": {"mean": "20 h"}},
                }
            ],
        }
    ],
}
WINDOW = {"from": "2026-03-01", "until": "2026-03-25", "horizon": "+10 days"}
RUN: dict[str, Any] = {"audience": "shop", "draft": {"document": FLOW}, **WINDOW}
ENDED = ("done", "failed", "cancelled", "interrupted")


def ask(served: Served, method: str, path: str, **more: Any) -> httpx.Response:
    """Ask as the admin, however many dry runs were started before."""
    served.service.rates._buckets["simulations"].clear()
    return served.ask(method, path, **{"key": served.admin, **more})


def ended(served: Served, run: str) -> dict[str, Any]:
    """A job at its end."""

    def at_its_end() -> dict[str, Any]:
        found: dict[str, Any] = ask(served, "GET", f"/v1/runs/{run}").json()
        return found if found["status"] in ENDED else {}

    return until(at_its_end, f"the end of the run {run}")


def start(served: Served, body: dict[str, Any], path: str = "/v1/runs") -> dict[str, Any]:
    """A job that was queued."""
    answer = ask(served, "POST", path, json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/runs/{found['id']}"
    return found


def send_files(served: Served, name: str = "shop", **files: str) -> None:
    """Send files to import, named without their `.csv`."""
    for file, text in (files or {"customers": CUSTOMER_ROWS, "events": EVENT_ROWS}).items():
        answer = ask(served, "PUT", f"/v1/audiences/{name}/files/{file}.csv", content=text.encode())
        assert answer.status_code == 200, answer.text


def make_audience(served: Served, name: str = "shop") -> dict[str, Any]:
    """Import the audience; the job at its end."""
    send_files(served, name)
    queued = start(served, {"mapping": MAPPING}, f"/v1/audiences/{name}/import")
    return ended(served, queued["id"])


def stream_of(served: Served, run: str) -> list[tuple[str, dict[str, Any]]]:
    """All events of a job's stream, which must end by itself."""
    found: list[tuple[str, dict[str, Any]]] = []
    answer = ask(served, "GET", f"/v1/runs/{run}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    for block in answer.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] not in ":")
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found
