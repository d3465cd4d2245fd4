"""Export a tenant's journal as an archive of audience folders, beside everything else.

An export is a job with a record in the control plane and a file below `exports/`. It holds what is
known of customers, so an erasure takes all exports along. What a restart cut short has failed.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tarfile
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from actors.live.engine import Engine
from actors.relay.services import wall_ms
from actors.service.errors import ConflictError, NotFoundError
from actors.service.plane import Rows
from actors.service.transactions import ReadTxn, WriteTxn
from core.errors import HeadraceError

FOLDER = "exports"
KEPT_MAX = 20  # of one tenant
Status = Literal["running", "done", "failed", "gone"]
TABLE = "exports"


@dataclass(frozen=True, slots=True)
class Export:
    """One export. `bytes` are those of its archive; `problem` says why it failed."""

    id: str
    status: Status
    began_ms: int
    ended_ms: int | None = None
    bytes: int = 0
    problem: str = ""


class Exports:
    """The exports of all tenants of one process. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, threading.Thread] = {}

    def begin(self, txn: WriteTxn, rows: Rows, engine: Engine, now_ms: int) -> Export:
        """Write down an export, which begins once the transaction is stored.

        Raises ConflictError while another one of the tenant is running, or too many are kept.
        """
        known = self.list(txn)
        if any(each.status == "running" for each in known):
            raise ConflictError("an export is running", advice="Wait until it has ended")
        if len(known) >= KEPT_MAX:
            raise ConflictError(f"{KEPT_MAX} exports are kept", advice="Delete one first")
        export = Export(f"{now_ms:013d}-{secrets.token_hex(4)}", "running", now_ms)
        txn.put(TABLE, export.id, asdict(export))
        thread = threading.Thread(
            target=self._work, args=(export, rows, engine), name="export", daemon=True
        )
        with self._lock:
            self._running[export.id] = thread
        txn.when_stored(thread.start)
        return export

    def find(self, txn: ReadTxn, export_id: str) -> Export:
        """An export. Raises NotFoundError."""
        record = txn.get(TABLE, export_id)
        if record is None:
            raise NotFoundError("there is no such export", advice="List the exports that there are")
        return self._told(Export(**record))

    def list(self, txn: ReadTxn, after: str = "", limit: int | None = None) -> list[Export]:
        """Exports, the oldest first."""
        return [self._told(Export(**r)) for _, r in txn.scan(TABLE, "", after, limit)]

    def delete(self, txn: WriteTxn, engine: Engine, export_id: str) -> None:
        """Delete an export with its archive. Raises NotFoundError, ConflictError while it runs."""
        if self.find(txn, export_id).status == "running":
            raise ConflictError("the export is running", advice="Wait until it has ended")
        archive_of(engine, export_id).unlink(missing_ok=True)
        txn.delete(TABLE, export_id)

    def forget(self, rows: Rows, engine: Engine) -> int:
        """Delete the archives of all exports, because somebody in them was erased; how many.

        One that is running is waited for, since it may have read them before.
        """
        with rows.read() as txn:
            known = self.list(txn)
        for export in known:
            with self._lock:
                thread = self._running.get(export.id)
            if thread is not None and thread.ident is not None:
                thread.join()
        gone = 0
        with rows.write() as txn:
            for export in self.list(txn):
                if export.status == "done":
                    archive_of(engine, export.id).unlink(missing_ok=True)
                    txn.put(TABLE, export.id, asdict(replace(export, status="gone", bytes=0)))
                    gone += 1
        return gone

    def _told(self, export: Export) -> Export:
        with self._lock:
            running = export.id in self._running
        if export.status == "running" and not running:
            return replace(export, status="failed", problem="the service was stopped meanwhile")
        return export

    def _work(self, export: Export, rows: Rows, engine: Engine) -> None:
        folder = engine.path / FOLDER / f".{export.id}"
        try:
            try:
                archive = archive_of(engine, export.id)
                archive.parent.mkdir(mode=0o700, exist_ok=True)
                engine.export_journal(folder)
                part = archive.with_name(f".{archive.name}.part")
                with tarfile.open(part, "w") as tar:
                    tar.add(folder, "journal")
                part.chmod(0o600)
                part.replace(archive)
                ended = replace(export, status="done", bytes=archive.stat().st_size)
            except HeadraceError as error:
                ended = replace(export, status="failed", problem=error.message)
            except OSError as error:
                problem = error.strerror or "I/O error"
                ended = replace(export, status="failed", problem=problem)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            # Where this can't be written, the export is one that a restart cut short.
            with contextlib.suppress(HeadraceError), rows.write() as txn:
                if txn.get(TABLE, export.id) is not None:
                    txn.put(TABLE, export.id, asdict(replace(ended, ended_ms=wall_ms())))
        finally:
            with self._lock:
                self._running.pop(export.id, None)


def archive_of(engine: Engine, export_id: str) -> Path:
    """Where the archive of an export is."""
    return engine.path / FOLDER / f"{export_id}.tar"
