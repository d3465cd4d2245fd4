"""Have a service carry out dry runs, which last until they are cancelled."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bench.journey import DAY_MS, ENTRY_DAYS, FLOW, make_audience

CUSTOMERS = 100_000
REPLICATES = 450
RUNS = 3  # one after the other
BEGIN_S = 120.0
LOOK_S = 0.05
FROM = "2026-03-01"
UNTIL_MS = ENTRY_DAYS * DAY_MS
MAPPING = {
    "customers": [{"file": "customers.csv", "id": "id", "attributes": "all"}],
    "events": [{"file": "events.csv", "customer": "id", "time": "at", "event": {"column": "name"}}],
}

Ask = Callable[[str, str, bytes, str], dict[str, Any]]


def asker(connection: http.client.HTTPConnection, key: str) -> Ask:
    """What asks a service: method, path, body, its type. RuntimeError where it refuses."""

    def ask(method: str, path: str, body: bytes, kind: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {told[:500]!r}")
        return dict(json.loads(told)) if told else {}

    return ask


def start(ask: Ask, order: dict[str, Any]) -> str:
    """Ask for a dry run; its id."""
    return str(ask("POST", "/v1/runs", json.dumps(order).encode(), "application/json")["id"])


@contextmanager
def running(ask: Ask) -> Iterator[Callable[[], bool]]:
    """Within the block dry runs of the reference journey are at work; yields whether one still is.

    RuntimeError if none begins.
    """
    _import(ask)
    order = {
        "audience": "journey",
        "from": FROM,
        "until": datetime.fromtimestamp(_at(UNTIL_MS), UTC).date().isoformat(),
        "replicates": REPLICATES,
        "draft": {"document": FLOW.model_dump(mode="json", by_alias=True, exclude_unset=True)},
    }
    runs = [start(ask, order) for _ in range(RUNS)]
    _wait(ask, runs[0], "running", "dry run")

    def still() -> bool:
        return any(_run(ask, run)["status"] == "running" for run in runs)

    try:
        yield still
    finally:
        for run in reversed(runs):
            ask("POST", f"/v1/runs/{run}/cancel", b"", "application/json")


def _import(ask: Ask) -> None:
    audience = make_audience(CUSTOMERS)
    country, consent = audience.attributes["country"], audience.attributes["consent"]
    people = ["id,country,consent"]
    for i, (code, yes) in enumerate(
        zip(country.values.tolist(), consent.values.tolist(), strict=True)
    ):
        people.append(f"c{i},{(country.dictionary or [])[code]},{'true' if yes else 'false'}")
    bounds = audience.event_offsets
    events = ["id,at,name"]
    owners = (i for i in range(CUSTOMERS) for _ in range(int(bounds[i + 1] - bounds[i])))
    for i, ms, kind in zip(
        owners, audience.event_ms.tolist(), audience.event_type.tolist(), strict=True
    ):
        at = datetime.fromtimestamp(_at(ms), UTC).isoformat()
        events.append(f"c{i},{at},{audience.event_names[kind]}")
    for name, lines in (("customers.csv", people), ("events.csv", events)):
        path = f"/v1/audiences/journey/files/{name}"
        ask("PUT", path, "\n".join(lines).encode(), "text/csv")
    body = json.dumps({"mapping": MAPPING}).encode()
    job = ask("POST", "/v1/audiences/journey/import", body, "application/json")["id"]
    _wait(ask, job, "done", "")


def _at(ms: int) -> float:
    return datetime.fromisoformat(f"{FROM}T00:00:00+00:00").timestamp() + ms / 1000


def _run(ask: Ask, run: str) -> dict[str, Any]:
    return ask("GET", f"/v1/runs/{run}", b"", "application/json")


def _wait(ask: Ask, run: str, status: str, step: str) -> None:
    """Until a job has a status, and a step whose name has `step` in it."""
    end = time.monotonic() + BEGIN_S
    while time.monotonic() < end:
        found = _run(ask, run)
        if found["status"] == status and step in str(found.get("step")):
            return
        if found["status"] in ("failed", "cancelled", "interrupted"):
            break
        time.sleep(LOOK_S)
    raise RuntimeError(f"the job is not {status}: {found}")
