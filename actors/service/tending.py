"""Let time pass for flows: start and stop them when they are due, freeze, thaw and invalidate them.

What is due is found by looking, so a look that came late, or was cut short, does the same as one in
time. Each command has a name that a second try has too.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from actors.live.engine import Engine
from actors.live.errors import RefusedError
from actors.service import audit, flow_rows, following, scheduling
from actors.service.access import Caller
from actors.service.audit import Origin
from actors.service.flows import Desk, Shown
from actors.service.plane import Plane
from actors.service.statuses import VALID_MS
from actors.service.tenants import Tenant, Tenants
from core.errors import HeadraceError

LOOK_S = 1.0
LOOK_MS_MAX = 60_000
"""Who is not known to be due is looked at again after so long: a tenant's time may be changed."""

_LOG = logging.getLogger(__name__)


class Flows:
    """The flows of all tenants. Any thread may use it."""

    def __init__(self, plane: Plane, tenants: Tenants) -> None:
        """Look after flows; nothing happens by itself before `start`."""
        self._plane = plane
        self._tenants = tenants
        self._lock = threading.Lock()
        self._turns: dict[str, threading.RLock] = {}
        self._look_at_ms: dict[str, int] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def desk(
        self,
        tenant_id: str,
        now_ms: int,
        caller: Caller | None = None,
        origin: Origin | None = None,
    ) -> Desk:
        """The flows of a tenant before a caller, or before the service itself.

        Raises NotFoundError, and as opening the engine does.
        """
        engine = self._tenants.engine(tenant_id)
        with self._plane.operator.read() as txn:
            tenant = self._tenants.find(txn, tenant_id)
        return self._desk(tenant, engine, now_ms, caller, origin or audit.SERVICE)

    def _desk(
        self, tenant: Tenant, engine: Engine, now_ms: int, caller: Caller | None, origin: Origin
    ) -> Desk:
        with self._lock:
            turn = self._turns.setdefault(tenant.id, threading.RLock())
        rows = self._plane.tenant(tenant.id)
        return Desk(rows, engine, tenant, caller, origin, now_ms, turn)

    def wake(self, tenant_id: str) -> None:
        """Look at a tenant's flows at the next step: what is due there may have changed."""
        with self._lock:
            self._look_at_ms.pop(tenant_id, None)

    def step(self, now_ms: int) -> None:
        """Carry out what is due by now for all tenants whose engines are open."""
        for tenant_id, engine in self._tenants.opened().items():
            try:
                self._step(tenant_id, engine, now_ms)
            except HeadraceError as error:
                # What could not be done now is due still.
                _LOG.warning("flows of tenant %s: %s", tenant_id, error)
                self.wake(tenant_id)

    def _step(self, tenant_id: str, engine: Engine, now_ms: int) -> None:
        with self._plane.operator.read() as txn:
            tenant = self._tenants.find(txn, tenant_id)
            own = txn.within(self._plane.tenant(tenant_id))
            behind = following.followed(own) != engine.control.last
        if not behind and now_ms < self._look_at_ms.get(tenant_id, 0):
            return
        desk = self._desk(tenant, engine, now_ms, None, audit.SERVICE)
        with desk.turn:
            # A change that comes while this looks wakes it again.
            self._look_at_ms[tenant_id] = now_ms + LOOK_MS_MAX
            desk.catch_up()
            with desk.rows.read() as txn:
                found = desk.every(txn)
            failures = [error for shown in found if (error := _carried_out(desk, shown))]
            desk.catch_up()
            due_ms = min((_due_ms(shown) for shown in found), default=None, key=_last)
        with self._lock:
            look_ms = self._look_at_ms.get(tenant_id, 0)
            if due_ms is not None and tenant_id in self._look_at_ms:
                self._look_at_ms[tenant_id] = max(now_ms, min(look_ms, due_ms))
        if failures:
            raise failures[0]

    def start(self, now_ms: Callable[[], int]) -> None:
        """Step every second by a clock, in a thread of its own, until `close`."""

        def run() -> None:
            while not self._stopped.wait(LOOK_S):
                with contextlib.suppress(HeadraceError):
                    self.step(now_ms())

        self._thread = threading.Thread(target=run, name="flows", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let time stand still. Again does nothing."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()


def _carried_out(desk: Desk, shown: Shown) -> HeadraceError | None:
    """Do what is due for a flow; the error where that failed, so that others get their turn."""
    try:
        _carry_out(desk, shown)
    except RefusedError as error:
        # Somebody was faster; what is due then is seen at the next look.
        _LOG.info("flow %s: %s", shown.row.id, error)
    except HeadraceError as error:
        return error
    return None


def _carry_out(desk: Desk, shown: Shown) -> None:
    row, engine = shown.row, desk.engine
    after = f"{row.id}/{row.command}"  # another command makes it another request
    if row.started and shown.stopped_ms is not None:
        engine.stop(row.id, in_flight="pin", request=f"window/{after}")
    elif desk.expired and row.running == "active":
        engine.pause(row.id, request=f"freeze/{after}")
    elif row.frozen and not desk.expired:
        engine.resume(row.id, request=f"thaw/{after}")
    if shown.schedule is not None:
        scheduling.carry_out(desk, shown.schedule)
    elif shown.status == "invalidated" and not row.invalidated:
        _invalidate(desk, row.id)


def _invalidate(desk: Desk, flow: str) -> None:
    """Tell once that a flow can not be started any more."""
    with desk.rows.write() as txn:
        row = desk.find(txn, flow).row
        row.invalidated = True
        flow_rows.put(txn, row)
        audit.append(txn, desk.origin, "flow.invalidate", f"flow:{flow}", now_ms=desk.now_ms)


def _due_ms(shown: Shown) -> int | None:
    """When time changes something about a flow next, if that is known."""
    row, schedule = shown.row, shown.schedule
    if schedule is not None:
        return schedule.start_ms if schedule.waiting else schedule.stop_ms
    if row.started:
        return row.window_stop_ms
    if row.invalidated or shown.stopped_ms is None:
        return None
    return shown.stopped_ms + VALID_MS


def _last(due_ms: int | None) -> float:
    return float("inf") if due_ms is None else due_ms
