"""Erase customers, and prove it: by the ledger of erasures, and by a scan of every byte.

An erasure has a record without anything of the customer in it. The scan looks for what was known
of them before, which only memory holds meanwhile: after a restart it can not be made any more.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from actors.live.engine import Engine
from actors.service.byte_scan import ScanReport, scan
from actors.service.errors import NotFoundError
from actors.service.plane import Rows
from actors.service.refusals import Refusals
from actors.service.transactions import ReadTxn, WriteTxn
from core.errors import HeadraceError

TABLE = "erasures"
ScanStatus = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure: which entry of which partition's ledger tells of it, and what a scan found.

    `command` is its number in the control log. `exports` are those that were deleted with it.
    """

    id: str
    erased_ms: int
    partition: int
    ledger_number: int
    command: int
    pending: list[int]
    exports: int
    scan: ScanStatus
    report: Mapping[str, Any] | None = None


class Erasures:
    """The erasures of all tenants of one process. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scanning: set[str] = set()

    def erase(
        self, engine: Engine, customer: str, now_ms: int
    ) -> tuple[Erasure, dict[str, list[str]]]:
        """Erase a customer; when it returns the engine has nothing of their personal values left.

        Returns what is to be written down, and what to scan for.

        Raises DownError, StoreError, OSError.
        """
        known = engine.state_of(customer) or {}
        personal = known.get("personal") or {}
        texts = {
            "personal": [str(value) for value in personal.values() if isinstance(value, str)],
            "id": [customer],
        }
        erasure_id = f"{now_ms:013d}-{secrets.token_hex(4)}"
        done = engine.erase([customer], request=f"erasure {erasure_id}")
        Refusals(engine.path).forget(customer)
        number = engine.partition_of(customer)
        found = engine.job(number, "erasure_of", customer) or (0, 0)
        erasure = Erasure(
            id=erasure_id,
            erased_ms=found[1],
            partition=number,
            ledger_number=found[0],
            command=done.command,
            pending=list(done.pending),
            exports=0,
            scan="running",
        )
        return erasure, texts

    def put(
        self,
        txn: WriteTxn,
        rows: Rows,
        erasure: Erasure,
        texts: Mapping[str, Sequence[str]],
        folder: Path,
        without: Sequence[Path],
    ) -> None:
        """Write an erasure down; once that is stored, the scan of `folder` begins."""
        txn.put(TABLE, erasure.id, asdict(erasure))
        with self._lock:
            self._scanning.add(erasure.id)
        thread = threading.Thread(
            target=self._scan, args=(rows, erasure, texts, folder, without), daemon=True
        )
        txn.when_stored(thread.start)

    def find(self, txn: ReadTxn, erasure_id: str) -> Erasure:
        """An erasure. Raises NotFoundError."""
        record = txn.get(TABLE, erasure_id)
        if record is None:
            raise NotFoundError("there is no such erasure", advice="List those that there are")
        return self._told(Erasure(**record))

    def list(self, txn: ReadTxn, after: str = "", limit: int | None = None) -> list[Erasure]:
        """Erasures, the oldest first."""
        return [self._told(Erasure(**r)) for _, r in txn.scan(TABLE, "", after, limit)]

    def _told(self, erasure: Erasure) -> Erasure:
        with self._lock:
            scanning = erasure.id in self._scanning
        if erasure.scan == "running" and not scanning:
            return replace(erasure, scan="failed")
        return erasure

    def _scan(
        self,
        rows: Rows,
        erasure: Erasure,
        texts: Mapping[str, Sequence[str]],
        folder: Path,
        without: Sequence[Path],
    ) -> None:
        try:
            report: ScanReport | None = None
            with contextlib.suppress(OSError):
                report = scan(folder, texts, without)
            ended = replace(
                erasure,
                scan="failed" if report is None else "done",
                report=None if report is None else asdict(report),
            )
            with contextlib.suppress(HeadraceError), rows.write() as txn:
                txn.put(TABLE, erasure.id, asdict(ended))
        finally:
            with self._lock:
                self._scanning.discard(erasure.id)
