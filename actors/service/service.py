"""Hold together what serves a data directory: control plane, keys, tenants and their engines.

The clock is handed in, so that whoever drives the service drives all of its times.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from actors.live.backup import Source
from actors.live.data_dir import is_data_dir
from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.service import erasures, quotas
from actors.service.access import OPERATOR, ROLES
from actors.service.couriers import Couriers
from actors.service.findings import Findings
from actors.service.idempotency import Idempotency
from actors.service.keys import Keys
from actors.service.live_reports import Reporting
from actors.service.plane import Plane
from actors.service.rate import Rates
from actors.service.runs import Runs
from actors.service.tenants import FIRST, Tenant, Tenants
from actors.service.tending import Flows
from core.errors import HeadraceError

FOLDER = "service"
FLUSH_S = 60.0
FIRST_KEY = "first admin key"


def wall_ms() -> int:
    """The machine's clock, ms UTC."""
    return time.time_ns() // 1_000_000


class Service:
    """An open service; make one with `open`."""

    def __init__(
        self, folder: Path, plane: Plane, tenants: Tenants, now_ms: Callable[[], int]
    ) -> None:
        """Take over what `open` opened."""
        self.folder = folder
        self.plane = plane
        self.tenants = tenants
        self.keys = Keys(plane)
        self.rates = Rates()
        with plane.operator.read() as txn:
            for tenant in tenants.list(txn):
                quotas.apply(self.rates, tenant)
        self.idempotency = Idempotency(plane)
        self.reporting = Reporting()
        self.runs = Runs(plane, tenants, now_ms)
        self.flows = Flows(plane, tenants)
        self.findings = Findings(plane)
        self.couriers = Couriers(plane, tenants, self.reporting, lambda: self.now_ms())
        self.now_ms = now_ms
        self.public_url = ""
        """What links in messages lead over, of tenants without an address of their own."""
        self.first_key = ""
        """The admin key that this opening made, told once; "" where there are keys already."""
        self._stopped = threading.Event()
        self._tending = threading.Thread(target=self._tend, name="service", daemon=True)

    @classmethod
    def open(
        cls,
        folder: Path,
        first: Engine,
        *,
        hosting: Hosting | None = None,
        now_ms: Callable[[], int] = wall_ms,
    ) -> Service:
        """Open what is in `folder` beside the first tenant's engine, which is open already.

        `hosting` is how that one is hosted; of it, further tenants take on whether messages are
        sent and who drives the clock. Raises HeadraceError as opening the plane does.
        """
        options = hosting.options if hosting else ShardOptions()
        relays, public_url = (hosting.relays, hosting.public_url) if hosting else (True, "")
        theirs = Hosting(inline=True, relays=relays, options=options, public_url=public_url)
        plane = Plane.open(folder / FOLDER)
        try:
            tenants = Tenants(
                folder, plane, first, lambda path, tenant: _start(path, tenant, first, theirs)
            )
            service = cls(folder, plane, tenants, now_ms)
            service.public_url = public_url
            service._begin(first)
            service.runs.open()
        except BaseException:
            plane.close()
            raise
        first.data.beside = service
        service._tending.start()
        service.flows.start(lambda: service.now_ms())
        service.couriers.start()
        service.findings.start()
        return service

    def _begin(self, first: Engine) -> None:
        """Write down the first tenant, and make the first key, unless that was done before."""
        operator = self.plane.operator
        with operator.write() as txn:
            own = txn.within(self.plane.tenant(FIRST))
            if txn.get("tenants", FIRST) is None:
                tenant = Tenant(FIRST, first.manifest.tenant, self.now_ms())
                self.tenants.put(txn, tenant)
            if self.keys.list(own, limit=1):
                return
            scopes = ROLES["admin"] | {OPERATOR}
            minted = self.keys.mint(
                own, None, name=FIRST_KEY, now_ms=self.now_ms(), role="admin", scopes=scopes
            )
        self.first_key = minted.secret

    def engine(self, tenant_id: str) -> Engine:
        """The engine of a tenant, opened if it is not. Raises HeadraceError."""
        return self.tenants.engine(tenant_id)

    def statuses(self) -> dict[str, dict[str, Any]]:
        """What each open engine says of itself, by tenant."""
        return self.tenants.statuses()

    def problems(self) -> list[tuple[str, str]]:
        """Why the service cannot do its work now: a part and what is wrong; [] when it can."""
        found = [("control-plane", "it is halted")] if self.plane.halted else []
        found += [(f"tenant {tenant}", why) for tenant, why in self.tenants.problems.items()]
        for tenant, status in self.statuses().items():
            found += [(f"tenant {tenant}", problem) for problem in _problems_of(status)]
        return found

    def copy_plane(self, to: Path) -> dict[str, int]:
        """Copy the control plane into the new folder `to`, for a backup of the data directory."""
        head = self.plane.backup(to)
        return {"commits": head.journal_last, "transactions": head.transactions}

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Each further tenant with what a backup copies his data directory from."""
        return self.tenants.sources()

    def close(self) -> None:
        """Close all but the first tenant's engine. Again does nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self.tenants.engine(FIRST).data.beside = None
        if self._tending.ident is not None:
            self._tending.join()
        with contextlib.ExitStack() as parts:  # each is closed, whatever befalls those before it
            parts.callback(self.plane.close)
            parts.callback(self._flush)
            for part in (self.tenants, self.reporting, self.flows, self.runs, self.findings):
                parts.callback(part.close)
            parts.callback(self.couriers.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _flush(self) -> None:
        with contextlib.suppress(HeadraceError):
            self.keys.flush()

    def _tend(self) -> None:
        with contextlib.suppress(HeadraceError):
            self.tenants.open_all()
        started_ms = wall_ms()
        self._forget(started_ms)
        while not self._stopped.wait(FLUSH_S):
            with contextlib.suppress(HeadraceError):
                # What can't be written now is only kept a little longer, or told a little late.
                self.keys.flush()
                self.plane.tend()
                while self.idempotency.sweep(self.now_ms()):
                    pass
            self._forget(started_ms)

    def _forget(self, before_ms: int) -> None:
        """Go on with erasures that a stop of the service cut short."""
        with self.plane.operator.read() as txn:
            tenants = [tenant.id for tenant in self.tenants.list(txn)]
        for tenant in tenants:
            # What fails now is tried again, and is due until it is done.
            with contextlib.suppress(HeadraceError, OSError):
                erasures.resume(self.plane.tenant(tenant), self.tenants.folder(tenant), before_ms)


def _start(folder: Path, tenant: Tenant, first: Engine, hosting: Hosting) -> Engine:
    """The engine of a further tenant: made with its zone and partitions, or those of the first.

    A sandbox stays one: a folder that is none, or was one, is not opened for the other.
    """
    sandbox = bool(tenant.settings.get("sandbox"))
    making = Making(sandbox=sandbox)
    if not is_data_dir(folder):
        zone = tenant.settings.get("zone") or first.manifest.zone
        partitions = tenant.settings.get("partitions") or first.partitions
        making = Making(tenant.name, partitions, zone=zone, sandbox=sandbox)
    return start_engine(folder, making, hosting)


def _problems_of(status: Mapping[str, Any]) -> list[str]:
    found = []
    for shard in status["shards"]:
        if "partitions" not in shard:
            found.append(shard.get("error") or "a shard does not answer yet")
            continue
        closed = {p["state"] for p in shard["partitions"].values()} - {"open"}
        if closed:
            found.append(f"partitions are {', '.join(sorted(closed))}")
        if shard["disk"] == "full":
            found.append(f"the disk is {shard['disk_used']:.0%} full")
    return found
