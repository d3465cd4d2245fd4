"""Forget the erased in what lies beside an engine: imported audiences, runs, files that wait.

What was imported or run before an erasure is written anew without them; what comes later is of
whoever they are then. Until all of it is done the erasure stands in the table `forgetting`, by the
hash of the id, which the engine's control log has too: so a restart goes on with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from actors.audience_erasing import erase_customers, holds
from actors.service import jobs
from actors.service.audiences import FILES, FOLDER
from actors.service.byte_scan import TEXT_BYTES_MIN, scan
from actors.service.plane import Rows
from actors.service.run_results import run_folders, without_ids, without_people
from actors.service.transactions import WriteTxn
from core.hashing import hash_customer

TABLE = "forgetting"
RUNS = "runs"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was written anew or removed: audiences, runs, files that waited to be imported."""

    audiences: int = 0
    runs: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """An erasure that has not reached everything: the hash of the id, and when it was."""

    id: str
    hash: int
    erased_ms: int


def note(txn: WriteTxn, erasure_id: str, customer: str, erased_ms: int) -> Due:
    """Write down that somebody has to be forgotten everywhere."""
    due = Due(erasure_id, hash_customer(customer), erased_ms)
    txn.put(TABLE, due.id, {"hash": due.hash, "erased_ms": due.erased_ms})
    return due


def is_imported(home: Path, customer: str) -> bool:
    """Whether somebody is in an imported audience of the tenant's folder."""
    hashed = [hash_customer(customer)]
    audiences = (home / FOLDER).glob("[!.]*/schema.json")
    return any(holds(path.parent, hashed) for path in audiences)


def due_of(rows: Rows) -> list[Due]:
    """What a tenant has left to forget."""
    with rows.read() as txn:
        return [Due(key, **record) for key, record in txn.scan(TABLE)]


def is_used(rows: Rows, due: Due) -> bool:
    """Whether a job that was started before the erasure is still at work."""
    with rows.read() as txn:
        return any(job.open and job.created_ms <= due.erased_ms for job in jobs.every(txn))


def forget(rows: Rows, home: Path, due: Due, texts: Collection[str] | None) -> Forgotten:
    """Forget somebody in a tenant's folder, and then that it is due; returns what was done.

    `texts` is what was known of them, None where nobody knows that any more: then every file that
    waits to be imported goes. No job of before may be at work. Raises HeadraceError, OSError, with
    what is left to be done still due.
    """
    audiences = sum(_audiences(home, due, texts or ()))
    files = _files(home / FOLDER / FILES, due, texts)
    gone = due.hash.__eq__
    runs = sum(map(partial(without_people, is_gone=gone), run_folders(home / RUNS)))
    with rows.write() as txn:
        for job in list(jobs.every(txn)):
            asked, order = without_ids(job.asked, gone), without_ids(job.order, gone)
            if (asked, order) != (job.asked, job.order):
                jobs.put(txn, replace(job, asked=asked, order=order))
        txn.delete(TABLE, due.id)
    return Forgotten(audiences, runs, files)


def _audiences(home: Path, due: Due, texts: Collection[str]) -> Iterator[bool]:
    """Write anew the audiences of before the erasure, and tell of each whether there was need."""
    long = [text for text in texts if len(text.encode()) >= TEXT_BYTES_MIN]
    for folder in sorted((home / FOLDER).glob("[!.]*")):
        schema = folder / "schema.json"
        if schema.is_file() and schema.stat().st_mtime_ns // 1_000_000 <= due.erased_ms:
            before = folder.stat().st_ino
            yield erase_customers(folder, [due.hash], long) > 0 or folder.stat().st_ino != before


def _files(folder: Path, due: Due, texts: Collection[str] | None) -> int:
    """Remove files that waited before the erasure and may tell of somebody."""
    gone = 0
    for path in sorted(folder.glob("*/*")):
        if not path.is_file() or path.stat().st_mtime_ns // 1_000_000 > due.erased_ms:
            continue
        # What is packed or in columns can't be looked through.
        plain = path.suffix.lower() in (".csv", ".tsv", ".txt", ".ndjson", ".jsonl", ".json")
        if plain and texts is not None:
            found = scan(path.parent, {"": texts}, [p for p in path.parent.iterdir() if p != path])
            if not found.hits:
                continue
        path.unlink()
        gone += 1
    return gone
