"""Erase customers, and prove it: by the ledger of erasures, and by a scan of every byte.

Imported audiences, runs and files that wait are written anew without them behind the answer, once
no job of before is at work; then all is scanned. An erasure has a record without anything of the
customer in it. The scan looks for what was known of them before, which only memory holds meanwhile:
after a restart it can not be made any more, but the rest goes on.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from actors.live.engine import Engine
from actors.relay.services import wall_ms
from actors.service import forgetting, sandbox
from actors.service.byte_scan import ScanReport, scan
from actors.service.errors import NotFoundError
from actors.service.plane import Rows
from actors.service.refusals import Refusals
from actors.service.transactions import ReadTxn, WriteTxn
from core.errors import HeadraceError

TABLE = "erasures"
PATIENCE_S = 3_600.0  # so long jobs of before may go on; then it is done at the next start
LOOK_S = 0.2
ScanStatus = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure: which entry of which partition's ledger tells of it, and what a scan found.

    `command` is its number in the control log. `exports` are those that were deleted with it;
    `audiences`, `runs` and `files` what was written anew or removed. `reached` says whether that is
    done; until then the scan is running.
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
    audiences: int = 0
    runs: int = 0
    files: int = 0
    reached: bool = False


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
        texts = {
            "personal": engine.identities.personal_of(customer),
            "id": engine.identities.all_of([customer]),
        }
        erasure_id = f"{now_ms:013d}-{secrets.token_hex(4)}"
        done = engine.erase([customer], request=f"erasure {erasure_id}")
        for each in texts["id"]:
            Refusals(engine.path).forget(each)
            sandbox.forget(engine.path, each)
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
        now_ms = wall_ms()
        due = [
            forgetting.note(txn, f"{erasure.id}.{place}" if place else erasure.id, each, now_ms)
            for place, each in enumerate(texts["id"])
        ]
        with self._lock:
            self._scanning.add(erasure.id)
        thread = threading.Thread(
            target=self._scan, args=(rows, erasure, due, texts, folder, without), daemon=True
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
        due: Sequence[forgetting.Due],
        texts: Mapping[str, Sequence[str]],
        folder: Path,
        without: Sequence[Path],
    ) -> None:
        try:
            report: ScanReport | None = None
            with contextlib.suppress(HeadraceError, OSError):
                erasure = self._reach(rows, erasure, due, texts, folder)
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

    def _reach(
        self,
        rows: Rows,
        erasure: Erasure,
        due: Sequence[forgetting.Due],
        texts: Mapping[str, Sequence[str]],
        folder: Path,
    ) -> Erasure:
        """Forget them beside the engine, once no job of before is at work any more."""
        end_s = time.monotonic() + PATIENCE_S
        while forgetting.is_used(rows, due[0]):
            if time.monotonic() > end_s:
                return erasure
            time.sleep(LOOK_S)
        known = [text for each in texts.values() for text in each]
        done = [forgetting.forget(rows, folder, each, known) for each in due]
        return replace(
            erasure,
            audiences=sum(each.audiences for each in done),
            runs=sum(each.runs for each in done),
            files=sum(each.files for each in done),
            reached=True,
        )


def resume(rows: Rows, folder: Path, before_ms: int) -> int:
    """Go on with what a stop of the service cut short; returns how many erasures reached all.

    Those of before `before_ms` are meant, which is when this service started.

    What was known of them is not known any more, so all files of before that wait go. Raises
    HeadraceError, OSError.
    """
    done = 0
    for due in forgetting.due_of(rows):
        if due.erased_ms >= before_ms or forgetting.is_used(rows, due):
            continue
        found = forgetting.forget(rows, folder, due, None)
        done += 1
        with rows.write() as txn:
            erasure_id = due.id.partition(".")[0]  # of an alias it goes on with a number
            record = txn.get(TABLE, erasure_id)
            if record is not None:
                ended = replace(Erasure(**record), reached=True, audiences=found.audiences)
                txn.put(
                    TABLE, erasure_id, asdict(replace(ended, runs=found.runs, files=found.files))
                )
    return done
