"""Runs the reference journey as set-based SQL on SQLite: a handful of statements for each batch.

Write-ahead log, synchronous=FULL, one transaction for each batch: events go into temporary tables
in memory, then each node is a statement over all whom it concerns. Tokens are a table by customer
with an index by time; effects, tags, counters and the number of the batch are tables beside it.
What it lacks beside an engine: the flow is code, the question about the country is left out because
all its answers lead to one mail, one entry for each customer is assumed, there is no routing, no
check of events, no customer's record, and duplicates are known by the batch's number alone.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.live.contender import (
    APPLY,
    COMMIT,
    DECODE,
    SENDS,
    Outcome,
    Stopwatch,
    arrivals,
    drive,
)
from bench.live.load import CLICK, TRIGGER, Batch, Load, takes_b
from bench.rivals.columns import CLICK_WAIT_MS, LATER_MS, MAIL, MAIL_A, MAIL_B, SMS

CACHE_KIB = 1 << 20
_SETTINGS = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -{CACHE_KIB};
CREATE TABLE IF NOT EXISTS tokens (
    customer TEXT PRIMARY KEY, later INTEGER, due INTEGER, consent INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timers ON tokens (later, due);
CREATE TABLE IF NOT EXISTS outbox (
    sequence INTEGER PRIMARY KEY, node INTEGER, customer TEXT, at INTEGER);
CREATE TABLE IF NOT EXISTS tags (customer TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (
    batch INTEGER, entered INTEGER, clicked INTEGER, to_b INTEGER, timed_out INTEGER,
    asked INTEGER, sms INTEGER);
INSERT INTO progress SELECT 0, 0, 0, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT * FROM progress);
CREATE TEMP TABLE entries (customer TEXT, at INTEGER, consent INTEGER);
CREATE TEMP TABLE clicks (customer TEXT, at INTEGER, to_b INTEGER);
CREATE TEMP TABLE hits (customer TEXT, at INTEGER, to_b INTEGER);
"""
_ENTER = f"""
INSERT INTO tokens SELECT customer, 0, at + {CLICK_WAIT_MS}, consent FROM entries ORDER BY customer
"""
_SEND_MAIL = f"INSERT INTO outbox (node, customer, at) SELECT {MAIL}, customer, at FROM entries"
_HIT = """
INSERT INTO hits SELECT customer, at, to_b FROM clicks JOIN tokens USING (customer)
WHERE later = 0 AND at <= due
"""
_LEAVE = "DELETE FROM tokens WHERE customer IN (SELECT customer FROM hits)"
_TAG = "INSERT INTO tags SELECT customer FROM hits ORDER BY customer"
_SEND_SPLIT = f"""
INSERT INTO outbox (node, customer, at)
SELECT CASE to_b WHEN 1 THEN {MAIL_B} ELSE {MAIL_A} END, customer, at FROM hits
"""
_TIME_OUT = f"UPDATE tokens SET later = 1, due = due + {LATER_MS} WHERE later = 0 AND due <= ?"
_SEND_SMS = f"""
INSERT INTO outbox (node, customer, at)
SELECT {SMS}, customer, due FROM tokens WHERE later = 1 AND due <= ? AND consent = 1
"""
_END = "DELETE FROM tokens WHERE later = 1 AND due <= ?"
_COUNT = """
UPDATE progress SET batch = ?, entered = entered + ?, clicked = clicked + ?, to_b = to_b + ?,
    timed_out = timed_out + ?, asked = asked + ?, sms = sms + ?
"""


class SqliteSets:
    """See the module."""

    def prepare(self, folder: Path, load: Load) -> None:
        """Open the database; SQLite itself recovers."""
        self._load = load
        self._db = sqlite3.connect(folder / "journey.sqlite", isolation_level=None)
        self._db.executescript(_SETTINGS)

    def run(self) -> Outcome:
        """Take the batches after the last durable one."""
        (batch,) = self._db.execute("SELECT batch FROM progress").fetchone()
        watch = drive(self._load.batches(after=batch), self._take)
        _, *counters = self._db.execute("SELECT * FROM progress").fetchone()
        return Outcome(
            arrivals(*counters),
            self._outbox_counts(),
            self._load.entries,
            watch.seconds,
            watch.stages,
        )

    def close(self) -> None:
        """Close the database, where it was opened."""
        if hasattr(self, "_db"):
            self._db.close()

    def _take(self, batch: Batch, watch: Stopwatch) -> None:
        """Apply one batch and commit it."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        entered = clicked = to_b = 0
        if len(batch):
            self._stage(batch)
            watch.lap(DECODE)
            entered = db.execute(_ENTER).rowcount
            db.execute(_SEND_MAIL)
            clicked = db.execute(_HIT).rowcount
            db.execute(_LEAVE)
            db.execute(_TAG)
            db.execute(_SEND_SPLIT)
            (to_b,) = db.execute("SELECT count(*) FROM hits WHERE to_b").fetchone()
        now = (batch.now_ms,)
        timed_out = db.execute(_TIME_OUT, now).rowcount
        sms = db.execute(_SEND_SMS, now).rowcount
        asked = db.execute(_END, now).rowcount
        db.execute(_COUNT, (batch.number, entered, clicked, to_b, timed_out, asked, sms))
        watch.lap(APPLY)
        db.execute("COMMIT")
        watch.lap(COMMIT)

    def _stage(self, batch: Batch) -> None:
        """Put the events of a batch into the temporary tables."""
        for table in ("entries", "clicks", "hits"):
            self._db.execute(f"DELETE FROM {table}")
        entries, clicks = batch.rows_of(TRIGGER), batch.rows_of(CLICK)
        to_b = takes_b(clicks.ids.tolist(), self._load.split_key)
        for table, part, flag in (
            ("entries", entries, entries.consent.tolist()),
            ("clicks", clicks, to_b),
        ):
            rows = zip(part.ids.astype(str).tolist(), part.at_ms.tolist(), flag, strict=True)
            self._db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)

    def _outbox_counts(self) -> NDArray[np.int64]:
        """Effects in the outbox by node, int64[4]."""
        nodes = dict(self._db.execute("SELECT node, count(*) FROM outbox GROUP BY node"))
        return np.array([nodes.get(node, 0) for node in SENDS], np.int64)
