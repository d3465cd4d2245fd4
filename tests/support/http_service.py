"""Serves the HTTP API on loopback, in front of a real engine that can be made to refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from actors.live.engine import Engine
from actors.live.replies import Reply
from actors.live.starting import Hosting, Making, start_engine
from actors.service.service import Service
from actors.service.tenants import FIRST
from api.http.app import create_app
from api.http.serving import Address, Certificate, HttpServer
from waiting import PATIENCE_S

SCHEMA: dict[str, Any] = {
    "attributes": {
        "email": {"type": "string", "personal": True},
        "plan": {"type": "string"},
        "age": {"type": "int64"},
        "first_name": {"type": "string"},
        "seen": {"type": "datetime"},
        "address_city": {"type": "string"},
    },
    "events": {
        "signup": {"properties": {"plan": "string", "context_ip": "string"}},
        "order": {"properties": {"amount": "float64", "cart_total": "float64"}},
    },
}
LOOPBACK = Address("127.0.0.1", 0)


class Spied:
    """An engine that remembers what it was sent and answered, and fails first as it is told."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.failures: list[Exception] = []
        self.sent: list[tuple[list[Any], Reply]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def send(self, rows: Sequence[Any], **options: Any) -> Reply:
        """Send rows, or fail."""
        if self.failures:
            raise self.failures.pop(0)
        reply = self.engine.send(rows, **options)
        self.sent.append((list(rows), reply))
        return reply

    @property
    def rows(self) -> list[Any]:
        """All rows that were sent."""
        return [row for rows, _ in self.sent for row in rows]

    @property
    def total(self) -> tuple[int, int, int]:
        """How many rows were accepted, duplicates and refused."""
        replies = [reply for _, reply in self.sent]
        return (
            sum(reply.accepted for reply in replies),
            sum(reply.duplicates for reply in replies),
            sum(len(reply.rejects) for reply in replies),
        )

    def forget(self) -> None:
        """Begin anew."""
        self.failures.clear()
        self.sent.clear()


@dataclass
class Served:
    """A service that answers at `url`; `admin` and `events` are keys."""

    url: str
    service: Service
    engine: Spied
    admin: str
    events: str
    client: httpx.Client

    def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Ask with a key: the one for events unless another is named, "" for none."""
        known = self.events if key is None else key
        told = {"Authorization": f"Bearer {known}"} if known else {}
        return self.client.request(
            method, self.url + path, headers={**told, **(headers or {})}, **more
        )


@contextmanager
def served(
    folder: Path, certificate: Certificate | None = None, *, relays: bool = False
) -> Iterator[Served]:
    """A service of one tenant in a new folder; with `relays` its messages are sent."""
    hosting = Hosting(inline=True, shards=1, relays=relays)
    engine = start_engine(folder, Making(partitions=2), hosting)
    with engine, Service.open(folder, engine, hosting=hosting) as service:
        engine.set_schema(SCHEMA)
        spied = Spied(engine)
        service.tenants._engines[FIRST] = spied  # type: ignore[assignment]
        with service.plane.tenant(FIRST).write() as txn:
            minted = service.keys.mint(
                txn, None, name="sdk", now_ms=service.now_ms(), scopes=["events:write"]
            )
        with (
            HttpServer(create_app(service), LOOPBACK, certificate) as server,
            httpx.Client(timeout=PATIENCE_S) as client,
        ):
            yield Served(server.url, service, spied, service.first_key, minted.secret, client)
