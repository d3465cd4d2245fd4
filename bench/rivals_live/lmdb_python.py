"""Runs the reference journey hand-written in Python over LMDB, one record for each token.

The named rival. Per batch one write transaction, fsynced: tokens by when they are first due and
customer, so that they go in and come up again in order; timers by (due, customer); effects appended
to an outbox, tags, counters and the number of the batch. Who waits for a click is also held in a
dictionary, rebuilt from LMDB on opening, so that nothing is read in a transaction but the timers
that are due. What it lacks beside an engine: the flow is code, one flow and one entry for each
customer are assumed, there is no routing, no check of events, no customer's record, and duplicates
are known by the batch's number alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from struct import Struct
from typing import cast

import lmdb
import numpy as np
from numpy.typing import NDArray

from bench.journey_figures import ID_CHARS
from bench.live.contender import APPLY, COMMIT, SENDS, Outcome, Stopwatch, arrivals, drive
from bench.live.load import TRIGGER, Batch, Load, takes_b
from bench.rivals.columns import CLICK_WAIT_MS, LATER_MS, MAIL, MAIL_A, MAIL_B, SMS

MAP_BYTES = 1 << 36
PORTS = {b"DE": 0, b"FR": 1, b"IT": 2}
OTHER = 3
# A token's word is due << 2 | LATER | CONSENT, big-endian: it is the record's value, and begins the
# timer's key, so that timers sort by time.
CONSENT, LATER, DUE_SHIFT = 1, 2, 2
LATER_STEP = (LATER_MS << DUE_SHIFT) + LATER
_WORD = Struct(">Q")
_SEQUENCE = Struct(">Q")
_EFFECT = Struct(f">BQ{ID_CHARS}s")  # node, time, customer
_META = Struct(">8Q")  # batch, effects, then the six counters of `arrivals`
_META_KEY = b"meta"


class LmdbPython:
    """See the module."""

    def prepare(self, folder: Path, load: Load) -> None:
        """Open the environment and read the tokens back."""
        self._load = load
        self._env = lmdb.open(str(folder / "lmdb"), map_size=MAP_BYTES, max_dbs=5)
        names = (b"tokens", b"timers", b"outbox", b"tags", b"meta")
        dbs = [self._env.open_db(name) for name in names]
        self._tokens, self._timers, self._outbox, self._tags, self._meta = dbs
        with self._env.begin() as txn:
            meta = txn.get(_META_KEY, db=self._meta)
            cursor = txn.cursor(self._tokens)
            self._waiting = {key[8:]: key for key, word in cursor if not word[7] & LATER}
        self._batch, self._effects, *self._counters = _META.unpack(meta or bytes(_META.size))

    def run(self) -> Outcome:
        """Take the batches after the last durable one."""
        watch = drive(self._load.batches(after=self._batch), self._take)
        return Outcome(
            arrivals(*self._counters),
            self._outbox_counts(),
            self._load.entries,
            watch.seconds,
            watch.stages,
        )

    def close(self) -> None:
        """Close the environment, where it was opened."""
        if hasattr(self, "_env"):
            self._env.close()

    def _take(self, batch: Batch, watch: Stopwatch) -> None:
        """Apply one batch and commit it."""
        with self._env.begin(write=True) as txn:
            self._apply(txn, batch)
            watch.lap(APPLY)
        watch.lap(COMMIT)

    def _apply(self, txn: lmdb.Transaction, batch: Batch) -> None:
        """Work on a batch: its events, then the timers that are due by its clock."""
        waiting, pack, pack_effect = self._waiting, _WORD.pack, _EFFECT.pack
        unpack = _WORD.unpack_from
        tokens: dict[bytes, bytes] = {}
        timers: list[tuple[bytes, bytes]] = []
        effects: list[bytes] = []
        clicks: list[tuple[bytes, int]] = []
        gone: list[bytes] = []
        taken = [0, 0, 0, 0]
        for kind, customer, at, country, consent in batch.rows():
            if kind == TRIGGER:
                taken[PORTS.get(country, OTHER)] += 1
                effects.append(pack_effect(MAIL, at, customer))
                word = pack(at + CLICK_WAIT_MS << DUE_SHIFT | consent)
                key = word + customer
                waiting[customer] = key
                tokens[key] = word
                timers.append((key, b""))
            elif customer in waiting and waiting[customer] >= pack(at << DUE_SHIFT):
                key = waiting.pop(customer)
                tokens.pop(key, None)
                gone.append(key)
                clicks.append((customer, at))
        entered = sum(taken)
        to_b = takes_b([customer for customer, _ in clicks], self._load.split_key)
        for (customer, at), b in zip(clicks, to_b, strict=True):
            effects.append(pack_effect(MAIL_B if b else MAIL_A, at, customer))

        due_now = self._move_timers(txn, timers, gone, batch.now_ms)
        timed_out = asked = 0
        while due_now:
            timers = []
            for key in due_now:
                customer = key[8:]
                (number,) = unpack(key)
                if not number & LATER:
                    del waiting[customer]
                    tokens[key] = word = pack(number + LATER_STEP)
                    timers.append((word + customer, b""))
                else:
                    key = pack(number - LATER_STEP) + customer
                    tokens.pop(key, None)
                    gone.append(key)
                    if number & CONSENT:
                        effects.append(pack_effect(SMS, number >> DUE_SHIFT, customer))
            timed_out += len(timers)
            asked += len(due_now) - len(timers)
            due_now = self._move_timers(txn, timers, [], batch.now_ms)
        sms = len(effects) - entered - len(clicks)
        counted = (entered, len(clicks), sum(to_b), timed_out, asked, sms)
        self._store(txn, batch.number, tokens, gone, clicks, effects, counted)

    def _move_timers(
        self,
        txn: lmdb.Transaction,
        added: list[tuple[bytes, bytes]],
        gone: list[bytes],
        now_ms: int,
    ) -> list[bytes]:
        """Add timers, delete those no longer wanted, take out and return those that are due."""
        cursor = txn.cursor(self._timers)
        if added:
            added.sort()
            cursor.putmulti(added)
        for timer in sorted(gone):
            txn.delete(timer, db=self._timers)
        end = _WORD.pack(now_ms + 1 << DUE_SHIFT)
        cursor.first()
        keys = cast("Iterator[bytes]", cursor.iternext(values=False))
        due = list(takewhile(end.__gt__, keys))
        if due:
            cursor.first()
            for _ in due:
                cursor.delete()
        return due

    def _store(
        self,
        txn: lmdb.Transaction,
        batch: int,
        tokens: dict[bytes, bytes],
        gone: list[bytes],
        clicks: list[tuple[bytes, int]],
        effects: list[bytes],
        counted: tuple[int, ...],
    ) -> None:
        """Write what a batch changed, its effects, and how far we are."""
        if tokens:
            txn.cursor(self._tokens).putmulti(sorted(tokens.items()))
        gone.sort()
        for customer in gone:
            txn.delete(customer, db=self._tokens)
        if clicks:
            tags = sorted((customer, b"") for customer, _ in clicks)
            txn.cursor(self._tags).putmulti(tags)
        if effects:
            keys = map(_SEQUENCE.pack, range(self._effects, self._effects + len(effects)))
            rows = zip(keys, effects, strict=True)
            txn.cursor(self._outbox).putmulti(rows, append=True)
        self._batch = batch
        self._effects += len(effects)
        self._counters = [a + b for a, b in zip(self._counters, counted, strict=True)]
        meta = _META.pack(self._batch, self._effects, *self._counters)
        txn.put(_META_KEY, meta, db=self._meta)

    def _outbox_counts(self) -> NDArray[np.int64]:
        """Effects in the outbox by node, int64[4]."""
        with self._env.begin() as txn:
            nodes = Counter(value[0] for value in txn.cursor(self._outbox).iternext(keys=False))
        return np.array([nodes[node] for node in SENDS], np.int64)
