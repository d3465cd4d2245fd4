"""Keep what arrived and a tenant's schema does not have so, and raise an alarm once for each.

Counts gather in memory and are written down every few seconds, so a kill loses at most those. A
finding that is new, or was cleared and came again, is told by an entry of the audit log, unless the
tenant allows what it is of. Of values only their types are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

from actors.intake.strange import KINDS, Strange, StrangeKind
from actors.service import audit
from actors.service.errors import NotFoundError
from actors.service.plane import Plane
from actors.service.transactions import ReadTxn, WriteTxn
from core.errors import HeadraceError
from core.tenant_schema import IntakeSettings

TABLE = "catalogue"
FINDINGS_MAX = 2_000
PENDING_MAX = 5_000
FLUSH_S = 2.0
State = Literal["open", "acknowledged"]
Policy = Literal["allow", "warn", "reject"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something strange: of which event ("" for customers' records) and property, and how often.

    `type` is that of one example, `first_ms` and `last_ms` are UTC.
    """

    id: str
    event: str
    property: str
    kind: StrangeKind
    type: str
    count: int
    first_ms: int
    last_ms: int
    state: State = "open"
    alarmed: bool = False


def policy_of(settings: IntakeSettings, kind: StrangeKind) -> Policy:
    """What a tenant does with something strange of a kind, by the settings of the schema."""
    if kind == "unknown-property":
        return "allow" if settings.unknown_fields == "drop" else settings.unknown_fields
    return settings.unknown_events if kind == "unknown-event" else settings.wrong_types


@dataclass(slots=True)
class _Count:
    count: int
    first_ms: int
    last_ms: int
    type: str
    alarm: bool


class Findings:
    """The findings of all tenants. Any thread may use it."""

    def __init__(self, plane: Plane) -> None:
        """Nothing is written down before `start` or `flush`."""
        self._plane = plane
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str, str, StrangeKind], _Count] = {}
        self._totals: dict[tuple[str, StrangeKind], int] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(
        self, tenant: str, strange: Mapping[Strange, int], settings: IntakeSettings, now_ms: int
    ) -> None:
        """Count what was strange about a batch. Never waits for a disk."""
        with self._lock:
            for each, count in strange.items():
                total = (tenant, each.kind)
                self._totals[total] = self._totals.get(total, 0) + count
                key = (tenant, each.event, each.property, each.kind)
                known = self._pending.get(key)
                if known is not None:
                    known.count += count
                    known.last_ms = now_ms
                elif len(self._pending) < PENDING_MAX:
                    alarm = policy_of(settings, each.kind) != "allow"
                    self._pending[key] = _Count(count, now_ms, now_ms, each.type, alarm)

    def totals(self) -> dict[tuple[str, StrangeKind], int]:
        """How much was strange since this process began, by tenant and kind."""
        with self._lock:
            return dict(self._totals)

    def open_counts(self, tenants: list[str]) -> dict[tuple[str, StrangeKind], int]:
        """How many findings nobody has acknowledged, by tenant and kind."""
        found = {}
        for tenant in tenants:
            with contextlib.suppress(HeadraceError), self._plane.tenant(tenant).read() as txn:
                kinds = [f.kind for f in self.every(txn) if f.state == "open"]
                found.update({(tenant, kind): kinds.count(kind) for kind in KINDS})
        return found

    def start(self) -> None:
        """Write down every few seconds, until `close`."""
        self._thread = threading.Thread(target=self._run, name="findings", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write down what there is and stop. Again does nothing."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(HeadraceError):
            self.flush()

    def _run(self) -> None:
        while not self._stopped.wait(FLUSH_S):
            with contextlib.suppress(HeadraceError):
                self.flush()

    def flush(self) -> None:
        """Write down what was counted; what can't be written now is counted on. Raises
        HeadraceError.
        """
        with self._lock:
            pending, self._pending = self._pending, {}
        for tenant in sorted({key[0] for key in pending}):
            mine = {key: count for key, count in pending.items() if key[0] == tenant}
            try:
                with self._plane.tenant(tenant).write() as txn:
                    self._write(txn, mine)
            except HeadraceError:
                with self._lock:
                    for key, count in mine.items():
                        self._pending.setdefault(key, count)
                raise

    def _write(
        self, txn: WriteTxn, pending: Mapping[tuple[str, str, str, StrangeKind], _Count]
    ) -> None:
        room = FINDINGS_MAX - sum(1 for _ in txn.scan(TABLE))
        for (_, event, name, kind), count in pending.items():
            id_ = _id(event, name, kind)
            record = txn.get(TABLE, id_)
            if record is None:
                if room <= 0:
                    continue
                room -= 1
                found = Finding(
                    id_, event, name, kind, count.type, 0, count.first_ms, count.last_ms
                )
            else:
                found = Finding(**record)
            alarm = count.alarm and not found.alarmed
            after = replace(
                found,
                count=found.count + count.count,
                last_ms=max(found.last_ms, count.last_ms),
                alarmed=found.alarmed or alarm,
            )
            txn.put(TABLE, id_, asdict(after))
            if alarm:
                audit.append(
                    txn, audit.SERVICE, "catalogue.alarm", f"finding:{id_}", now_ms=count.last_ms
                )

    # -- what was found

    def every(self, txn: ReadTxn, after: str = "", limit: int | None = None) -> list[Finding]:
        """Findings by id."""
        return [Finding(**record) for _, record in txn.scan(TABLE, "", after, limit)]

    def find(self, txn: ReadTxn, finding_id: str) -> Finding:
        """One finding. Raises NotFoundError."""
        record = txn.get(TABLE, finding_id)
        if record is None:
            raise NotFoundError("there is no such finding", advice="List those that there are")
        return Finding(**record)

    def acknowledge(self, txn: WriteTxn, finding_id: str) -> Finding:
        """Let a finding be known: it counts on, and nobody is told of it again."""
        found = replace(self.find(txn, finding_id), state="acknowledged")
        txn.put(TABLE, found.id, asdict(found))
        return found

    def clear(self, txn: WriteTxn, finding_id: str) -> None:
        """Forget a finding; should it come again it is new. Raises NotFoundError."""
        self.find(txn, finding_id)
        txn.delete(TABLE, finding_id)


def _id(event: str, name: str, kind: str) -> str:
    said = "\0".join((event, name, kind)).encode()
    return hashlib.blake2b(said, digest_size=8).hexdigest()
