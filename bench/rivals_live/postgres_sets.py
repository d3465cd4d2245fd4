"""Runs the reference journey as set-based SQL on PostgreSQL: a handful of statements a batch.

The server is on this machine, with fsync and synchronous_commit on. Events go into temporary tables
by COPY in its binary form, then each node is a statement over all whom it concerns, all in one
transaction. Tokens are a table by customer with an index by time; effects, tags, counters and the
number of the batch are tables beside it. What it lacks beside an engine: the flow is code, the
question about the country is left out because all its answers lead to one mail, one entry for each
customer is assumed, there is no routing, no check of events, no customer's record, and duplicates
are known by the batch's number alone.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from bench.journey_figures import ID_CHARS
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
from bench.live.postgres import PostgresServer
from bench.rivals.columns import CLICK_WAIT_MS, LATER_MS, MAIL, MAIL_A, MAIL_B, SMS

_TABLES = """
CREATE TABLE tokens (customer text PRIMARY KEY, later boolean, due bigint, consent boolean);
CREATE INDEX timers ON tokens (later, due);
CREATE TABLE outbox (sequence bigserial PRIMARY KEY, node smallint, customer text, at bigint);
CREATE TABLE tags (customer text PRIMARY KEY);
CREATE TABLE progress (batch bigint, entered bigint, clicked bigint, to_b bigint,
    timed_out bigint, asked bigint, sms bigint);
INSERT INTO progress VALUES (0, 0, 0, 0, 0, 0, 0);
"""
_STAGES = """
CREATE TEMP TABLE entries (customer text, at bigint, consent boolean) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE clicks (customer text, at bigint, to_b boolean) ON COMMIT DELETE ROWS;
"""
_ENTER = f"""
WITH sent AS (
    INSERT INTO outbox (node, customer, at) SELECT {MAIL}, customer, at FROM entries)
INSERT INTO tokens SELECT customer, false, at + {CLICK_WAIT_MS}, consent FROM entries
ORDER BY customer
"""
_CLICK = f"""
WITH hits AS (
    DELETE FROM tokens USING clicks
    WHERE tokens.customer = clicks.customer AND NOT later AND at <= due
    RETURNING tokens.customer, at, to_b),
tagged AS (INSERT INTO tags SELECT customer FROM hits),
sent AS (
    INSERT INTO outbox (node, customer, at)
    SELECT CASE WHEN to_b THEN {MAIL_B} ELSE {MAIL_A} END, customer, at FROM hits)
SELECT count(*), count(*) FILTER (WHERE to_b) FROM hits
"""
_TIME_OUT = f"""
UPDATE tokens SET later = true, due = due + {LATER_MS} WHERE NOT later AND due <= %s
"""
_END = f"""
WITH ended AS (DELETE FROM tokens WHERE later AND due <= %s RETURNING customer, due, consent),
sent AS (
    INSERT INTO outbox (node, customer, at) SELECT {SMS}, customer, due FROM ended WHERE consent)
SELECT count(*), count(*) FILTER (WHERE consent) FROM ended
"""
_COUNT = """
UPDATE progress SET batch = %s, entered = entered + %s, clicked = clicked + %s, to_b = to_b + %s,
    timed_out = timed_out + %s, asked = asked + %s, sms = sms + %s
"""
# The binary form of COPY: a head, then for each row the number of its fields, and for each field
# its length and value, big-endian; -1 ends it.
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_ROW = np.dtype(
    [
        *(("fields", ">i2"), ("customer_bytes", ">i4"), ("customer", f"S{ID_CHARS}")),
        *(("at_bytes", ">i4"), ("at", ">i8"), ("flag_bytes", ">i4"), ("flag", "i1")),
    ]
)
_COPY_END = struct.pack(">h", -1)


class PostgresSets:
    """See the module."""

    def __init__(self) -> None:
        self._server: PostgresServer | None = None
        self._db: psycopg.Connection[tuple[Any, ...]] | None = None

    def prepare(self, folder: Path, load: Load) -> None:
        """Start a server and make the tables; in a new folder, so nothing is recovered."""
        self._load = load
        self._server = PostgresServer()
        self._db = psycopg.connect(self._server.conninfo, autocommit=True)
        self._db.execute(_TABLES)
        self._db.execute(_STAGES)

    def run(self) -> Outcome:
        """Take the batches after the last durable one."""
        watch = drive(self._load.batches(), self._take)
        _, *counters = self._row("SELECT * FROM progress")
        return Outcome(
            arrivals(*counters),
            self._outbox_counts(),
            self._load.entries,
            watch.seconds,
            watch.stages,
        )

    def close(self) -> None:
        """Disconnect and stop the server, where they run."""
        if self._db is not None:
            self._db.close()
        if self._server is not None:
            self._server.close()

    def _take(self, batch: Batch, watch: Stopwatch) -> None:
        """Apply one batch and commit it."""
        assert self._db is not None
        db = self._db
        db.execute("BEGIN")
        entered = clicked = to_b = 0
        if len(batch):
            self._stage(batch)
            watch.lap(DECODE)
            entered = db.execute(_ENTER).rowcount
            clicked, to_b = self._row(_CLICK)
        timed_out = db.execute(_TIME_OUT, (batch.now_ms,)).rowcount
        asked, sms = self._row(_END, batch.now_ms)
        db.execute(_COUNT, (batch.number, entered, clicked, to_b, timed_out, asked, sms))
        watch.lap(APPLY)
        db.execute("COMMIT")
        watch.lap(COMMIT)

    def _stage(self, batch: Batch) -> None:
        """Copy the events of a batch into the temporary tables."""
        assert self._db is not None
        entries, clicks = batch.rows_of(TRIGGER), batch.rows_of(CLICK)
        to_b = np.array(takes_b(clicks.ids.tolist(), self._load.split_key), np.int8)
        for table, part, flag in (("entries", entries, entries.consent), ("clicks", clicks, to_b)):
            rows = np.empty(len(part), _COPY_ROW)
            rows["fields"] = 3
            rows["customer_bytes"], rows["customer"] = ID_CHARS, part.ids
            rows["at_bytes"], rows["at"] = 8, part.at_ms
            rows["flag_bytes"], rows["flag"] = 1, flag
            with self._db.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
                copy.write(_COPY_HEAD + rows.tobytes() + _COPY_END)

    def _row(self, statement: str, *values: int) -> tuple[Any, ...]:
        """The only row that a statement gives."""
        assert self._db is not None
        (row,) = self._db.execute(statement, values or None).fetchall()
        return row

    def _outbox_counts(self) -> NDArray[np.int64]:
        """Effects in the outbox by node, int64[4]."""
        assert self._db is not None
        nodes = dict(self._db.execute("SELECT node, count(*) FROM outbox GROUP BY node").fetchall())
        return np.array([nodes.get(node, 0) for node in SENDS], np.int64)
