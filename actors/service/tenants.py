"""Know the tenants, and open the engine of each when it is first used.

The first tenant's engine is that of the data directory itself and is open from the start. Those of
the others lie below `tenants/` and run in this process, because each would else take processes of
its own for work that is mostly small.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from actors.live.backup import Source, Stopped
from actors.live.data_dir import DataDir, is_data_dir
from actors.live.engine import Engine
from actors.service.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from actors.service.plane import Plane
from actors.service.transactions import ReadTxn, WriteTxn
from core.errors import HeadraceError

FIRST = "main"
FOLDER = "tenants"
ID_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"  # also a folder's name, and part of a host's
RESERVED = frozenset({FIRST, "admin", "api", "operator", "service", "system", "tenants", "www"})
Status = Literal["active", "suspended"]

_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")


@dataclass(frozen=True, slots=True)
class Tenant:
    """What a tenant is. `created_ms` is UTC.

    From `expires_ms` on its flows stand still, None for never. `quotas` are limits by name: what is
    not named has none. `settings` are those that its engine is made with. Nobody of a tenant that
    is suspended gets in.
    """

    id: str
    name: str
    created_ms: int
    status: Status = "active"
    expires_ms: int | None = None
    quotas: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

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
        self.problems: dict[str, str] = {}
        """Why the engine of a tenant does not run."""
        with plane.operator.read() as txn:
            self._suspended = {t.id for t in self.list(txn) if t.status == "suspended"}

    def create(self, txn: WriteTxn, tenant: Tenant) -> None:
        """Write down a new tenant, in a transaction of the operator's rows.

        Raises InvalidError for an id of another form, ConflictError for one that is taken.
        """
        if not _ID.match(tenant.id):
            raise InvalidError(
                f"{tenant.id[:80]!r} is no id of a tenant",
                advice="Use 1 to 63 of a-z, 0-9 and hyphens, and no hyphen at an end",
                pointer="/id",
            )
        if tenant.id in RESERVED or txn.get("tenants", tenant.id) is not None:
            raise ConflictError(
                f"the id {tenant.id} is taken", advice="Choose another", pointer="/id"
            )
        self.put(txn, tenant)

    def set_status(self, txn: WriteTxn, tenant_id: str, status: Status) -> Tenant:
        """Suspend a tenant or let it in again; `close_engine` after that ends what it runs.

        Raises NotFoundError; ConflictError for the first tenant, who must stay.
        """
        tenant = self.find(txn, tenant_id)
        if tenant_id == FIRST:
            raise ConflictError(
                "the first tenant cannot be suspended, since its keys let the operator in",
                advice="Stop the service instead",
            )
        changed = replace(tenant, status=status)
        self.put(txn, changed)
        act = self._suspended.add if status == "suspended" else self._suspended.discard
        txn.when_stored(lambda: act(tenant_id))
        return changed

    def check(self, tenant_id: str) -> None:
        """Raise ForbiddenError for a tenant that is suspended."""
        if tenant_id in self._suspended:
            raise _suspended()

    def close_engine(self, tenant_id: str) -> None:
        """Close the engine of a tenant who is not the first, if it is open."""
        with self._lock:
            engine = None if tenant_id == FIRST else self._engines.pop(tenant_id, None)
        if engine is not None:
            engine.close()

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
            raise _suspended()
        folder = self.folder(tenant_id)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        engine = self._start(folder, tenant)
        with self._lock:
            if not self._closed:
                self._engines[tenant_id] = engine
                self.problems.pop(tenant_id, None)
                return engine
        engine.close()
        raise NotFoundError("the service is stopping", advice="Ask again when it runs")

    def open_all(self) -> None:
        """Open the engine of each tenant that has one, so that its flows go on by themselves.

        What cannot be opened is told by `problems`.
        """
        with self._plane.operator.read() as txn:
            active = [tenant.id for tenant in self.list(txn) if tenant.status == "active"]
        for tenant_id in active:
            if self._closed:
                return
            if is_data_dir(self.folder(tenant_id)):
                try:
                    self.engine(tenant_id)
                except HeadraceError as error:
                    self.problems[tenant_id] = str(error)

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Each further tenant that has data, with what it is copied from: his engine, if he may
        have one.
        """
        with self._plane.operator.read() as txn:
            tenants = self.list(txn)
        for tenant in tenants:
            folder = self.folder(tenant.id)
            if tenant.id == FIRST or not is_data_dir(folder):
                continue
            if tenant.status == "active":
                yield tenant.id, self.engine(tenant.id)
            else:
                with DataDir.open(folder) as data:
                    yield tenant.id, Stopped(data)

    def opened(self) -> dict[str, Engine]:
        """The engines that are open, by tenant."""
        with self._lock:
            return dict(self._engines)

    def statuses(self) -> dict[str, dict[str, Any]]:
        """What each open engine says of itself, by tenant."""
        return {tenant_id: engine.status() for tenant_id, engine in self.opened().items()}

    def close(self) -> None:
        """Close all engines but the first, whose owner does that."""
        with self._lock:
            self._closed = True
            others = [e for tenant_id, e in self._engines.items() if tenant_id != FIRST]
        for engine in others:
            engine.close()


def _suspended() -> ForbiddenError:
    return ForbiddenError("the tenant is suspended", advice="Ask whoever runs the service")
