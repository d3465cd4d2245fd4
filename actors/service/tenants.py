"""Know the tenants, and open the engine of each when it is first used.

The first tenant's engine is that of the data directory itself and is open from the start. Those of
the others lie below `tenants/` and run in this process, because each would else take processes of
its own for work that is mostly small.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from actors.live.engine import Engine
from actors.service.errors import ForbiddenError, NotFoundError
from actors.service.plane import Plane
from actors.service.transactions import ReadTxn, WriteTxn

FIRST = "main"
FOLDER = "tenants"
Status = Literal["active", "suspended"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """What a tenant is. `created_ms` is UTC.

    From `expires_ms` on its flows stand still, None for never. `quotas` are limits by name: what is
    not named has none.
    """

    id: str
    name: str
    created_ms: int
    status: Status = "active"
    expires_ms: int | None = None
    quotas: dict[str, int] = field(default_factory=dict)

    def expired(self, now_ms: int) -> bool:
        """Whether its time is over."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


class Tenants:
    """The tenants of one data directory and their engines. Any thread may use it."""

    def __init__(
        self, folder: Path, plane: Plane, first: Engine, start: Callable[[Path, Tenant], Engine]
    ) -> None:
        """Look after the tenants in `folder`; `start` starts the engine of one in its folder.

        `first` is the engine of the first tenant, and stays the caller's to close.
        """
        self._folder = folder
        self._plane = plane
        self._first = first
        self._start = start
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._engines: dict[str, Engine] = {FIRST: first}
        self._closed = False

    def put(self, txn: WriteTxn, tenant: Tenant) -> None:
        """Write down what a tenant is, in a transaction of the operator's rows."""
        txn.put("tenants", tenant.id, asdict(tenant))

    def find(self, txn: ReadTxn, tenant_id: str) -> Tenant:
        """A tenant, by a transaction of the operator's rows. Raises NotFoundError."""
        record = txn.get("tenants", tenant_id)
        if record is None:
            raise NotFoundError("there is no such tenant", advice="List the tenants that there are")
        return Tenant(**record)

    def list(self, txn: ReadTxn, after: str = "", limit: int | None = None) -> list[Tenant]:
        """Tenants by id, by a transaction of the operator's rows."""
        return [Tenant(**record) for _, record in txn.scan("tenants", "", after, limit)]

    def folder(self, tenant_id: str) -> Path:
        """Where the engine of a tenant keeps its data."""
        return self._folder if tenant_id == FIRST else self._folder / FOLDER / tenant_id

    def engine(self, tenant_id: str) -> Engine:
        """The engine of a tenant, opened if it is not.

        Raises NotFoundError, ForbiddenError for a tenant that is suspended, and as starting does.
        """
        found = self._engines.get(tenant_id)
        if found is not None:
            return found
        with self._lock:
            opening = self._opening.setdefault(tenant_id, threading.Lock())
        with opening:
            found = self._engines.get(tenant_id)
            if found is None:
                found = self._open(tenant_id)
        return found

    def _open(self, tenant_id: str) -> Engine:
        with self._plane.operator.read() as txn:
            tenant = self.find(txn, tenant_id)
        if tenant.status != "active":
            raise ForbiddenError(
                f"the tenant is {tenant.status}", advice="Ask whoever runs the service"
            )
        folder = self.folder(tenant_id)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        engine = self._start(folder, tenant)
        with self._lock:
            if not self._closed:
                self._engines[tenant_id] = engine
                return engine
        engine.close()
        raise NotFoundError("the service is stopping", advice="Ask again when it runs")

    def statuses(self) -> dict[str, dict[str, Any]]:
        """What each open engine says of itself, by tenant."""
        with self._lock:
            engines = dict(self._engines)
        return {tenant_id: engine.status() for tenant_id, engine in engines.items()}

    def close(self) -> None:
        """Close all engines but the first, whose owner does that."""
        with self._lock:
            self._closed = True
            others = [e for tenant_id, e in self._engines.items() if tenant_id != FIRST]
        for engine in others:
            engine.close()
