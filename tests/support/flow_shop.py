"""Opens a control plane and a driven engine, so that tests publish flows and let time pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.live.engine import Engine
from actors.live.replies import Done
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.service.access import ROLES, Caller
from actors.service.audit import Origin
from actors.service.flows import Desk, Shown
from actors.service.plane import Plane
from actors.service.tenants import FIRST, Tenant, Tenants
from actors.service.tending import Flows

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
SCHEMA: dict[str, Any] = {
    "attributes": {"age": {"type": "int64"}},
    "events": {"signup": {}, "bought": {}},
}


def document(flow: str = "welcome", **changes: Any) -> str:
    """A flow in which who signed up waits two days; `changes` are further fields of it."""
    nodes = {
        "entered": {"type": "on_event", "event": "signup", "next": "wait"},
        "wait": {"type": "wait", "for": "48 hours", "next": "done"},
        "done": {"type": "end"},
    }
    return json.dumps({"headrace": 1, "flow": flow, "nodes": nodes, **changes})


@dataclass
class Shop:
    """A tenant's flows; `now_ms` is the time of all."""

    plane: Plane
    engine: Engine
    flows: Flows
    tenants: Tenants
    now_ms: int = NOW_MS
    requests: int = 0

    def desk(self, role: str = "publisher", user: str | None = "ada") -> Desk:
        """The flows before somebody with a role."""
        caller = Caller(FIRST, "k1", user, role, ROLES[role])
        return self.flows.desk(FIRST, self.now_ms, caller, Origin.of(caller, "127.0.0.1", "r1"))

    def create(self, text: str | None = None, *, first_save: bool = True) -> str:
        """Make a flow of a document; returns its id."""
        desk = self.desk()
        with desk.rows.write() as txn:
            return desk.create(txn, text or document(), group=None, first_save=first_save).id

    def publish(self, flow: str = "welcome", **options: Any) -> Done:
        """Publish a flow's draft."""
        desk = self.desk()
        self.requests += 1
        with desk.turn:
            done = desk.publish(flow, **{"request": f"r{self.requests}", **options})
            desk.catch_up()
        return done

    def change(self, kind: Any, flow: str = "welcome", **options: Any) -> Done:
        """Stop, pause or resume a flow."""
        desk = self.desk()
        self.requests += 1
        with desk.turn:
            done = desk.change(flow, kind, **{"request": f"r{self.requests}", **options})
            desk.catch_up()
        return done

    def save(self, flow: str, text: str, edition: str) -> int:
        """Save a draft; returns its new edition."""
        desk = self.desk()
        with desk.rows.write() as txn:
            return desk.save(txn, flow, text, edition).edition

    def shown(self, flow: str = "welcome", role: str = "admin") -> Shown:
        """The flow as an admin sees it."""
        desk = self.desk(role)
        desk.catch_up()
        with desk.rows.read() as txn:
            return desk.find(txn, flow)

    def status(self, flow: str = "welcome") -> str:
        """The status of a flow."""
        return self.shown(flow).status

    def pass_time(self, ms: int) -> None:
        """Let time pass, and the flows be looked after once."""
        self.now_ms += ms
        self.engine.advance(self.now_ms)
        self.flows.step(self.now_ms)

    def tenant(self, **changes: Any) -> None:
        """Let the tenant have other facts: when it expires, its quotas."""
        with self.plane.operator.write() as txn:
            self.tenants.put(txn, Tenant(FIRST, "Shop", NOW_MS, **changes))
        self.flows.wake(FIRST)

    def told(self, flow: str = "") -> list[tuple[str, str]]:
        """Actions and actors in the audit log, of one flow if it is named."""
        with self.plane.tenant(FIRST).read() as txn:
            entries = [entry for _, entry in txn.scan("audit")]
        return [
            (entry["action"], entry["actor"])
            for entry in entries
            if not flow or entry["object"] == f"flow:{flow}"
        ]


@contextmanager
def shop(folder: Path) -> Iterator[Shop]:
    """A shop in a folder, opened again where there is one."""
    hosting = Hosting(inline=True, shards=1, relays=False, options=ShardOptions(driven=True))
    fresh = not folder.exists()
    making = Making(tenant="Shop", partitions=1) if fresh else Making()
    with (
        start_engine(folder, making, hosting) as engine,
        Plane.open(folder / "service") as plane,
    ):
        tenants = Tenants(folder, plane, engine, lambda path, tenant: engine)
        opened = Shop(plane, engine, Flows(plane, tenants), tenants)
        opened.now_ms = max(NOW_MS, engine.now_ms())
        engine.advance(opened.now_ms)
        if fresh:
            engine.set_schema(SCHEMA)
            opened.tenant()
        yield opened
