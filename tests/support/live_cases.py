"""Runs random cases in live partitions: the same customers and inputs, taken in as frames."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import UPSERT, Frame, Sparse
from actors.intake.routing import split
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core import limits
from core.audience import Audience, Column
from core.outcomes import outcome_text
from core.reference import Record
from differential import Loaded
from live_feeding import loaded_live

MESSAGES = 1 << 40


@dataclass(frozen=True)
class Way:
    """How a case is taken in: by how many partitions, rows in a frame, commits between restarts.

    `ticks` is how often the time passes to just before the next row, a probability.
    """

    partitions: int = 1
    batch: int = 4096
    restart_every: int = 0
    snapshots: bool = False
    ticks: float = 0.3


def live_options(case: dict[str, Any]) -> Loaded:
    """The case with entries up to the horizon: live, a flow's `stop` alone bounds them."""
    loaded = loaded_live(case)
    options = replace(
        loaded.options, until_ms=loaded.options.horizon_ms, step_budget=limits.STEP_BUDGET
    )
    return replace(loaded, options=options)


def schema_of(audience: Audience) -> dict[str, Any]:
    """The tenant's schema by which the audience's customers and events can be taken in."""
    properties = {name: column.kind for name, column in audience.properties.items()}
    return {
        "attributes": {n: {"type": c.kind} for n, c in audience.attributes.items()},
        "events": {name: {"properties": properties} for name in audience.event_names},
        "settings": {"late_ms": 0},
    }


class Inputs:
    """The rows of a case in the order in which they happened, for frames to be cut from."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
        changes = audience.changes
        k = 0 if changes is None else len(changes.ms)
        changer = np.zeros(0, np.int64)
        if changes is not None:
            changer = np.repeat(np.arange(audience.customers), np.diff(changes.offsets))
        self.customer = np.concatenate([changer, owner]).astype(np.int32)
        ms = np.concatenate(
            [np.zeros(0, np.int64) if changes is None else changes.ms, audience.event_ms]
        )
        self.source = np.concatenate([np.arange(k), np.arange(len(owner))])
        self.is_event = np.concatenate([np.zeros(k, bool), np.ones(len(owner), bool)])
        # Changes come before events of the same time; within each, as they are recorded.
        order = np.lexsort((np.arange(len(ms)), ms))
        self.customer, self.ms = self.customer[order], ms[order]
        self.source, self.is_event = self.source[order], self.is_event[order]

    def first(self, at_ms: int) -> Frame:
        """A frame by which all customers are known, with what they had from the beginning."""
        audience = self.audience
        n = audience.customers
        frame = self._frame(np.arange(n, dtype=np.int32), at_ms)
        frame.type[:] = UPSERT
        changed = self._changed()
        for name, column in audience.attributes.items():
            held = ~column.missing()
            for c in changed.get(name, ()):
                held[c] = False
            frame.attributes |= _sparse(name, column, held, np.arange(n))
        for into, members in ((frame.tags, audience.tags), (frame.groups, audience.groups)):
            for name, values in members.items():
                rows = np.flatnonzero(values).astype(np.int32)
                if len(rows):
                    into[name] = Sparse("bool", rows, values[rows])
        zoned = np.flatnonzero(audience.zone_code >= 0).astype(np.int32)
        if len(zoned):
            codes = audience.zone_code[zoned].astype(np.int32)
            frame.zone = Sparse("string", zoned, codes, list(audience.zone_names))
        created = np.flatnonzero(audience.created_ms != -(2**63)).astype(np.int32)
        if len(created):
            frame.created_ms = Sparse("datetime", created, audience.created_ms[created])
        return frame

    def _changed(self) -> dict[str, set[int]]:
        changes = self.audience.changes
        found: dict[str, set[int]] = {}
        if changes is not None:
            owner = np.repeat(np.arange(self.audience.customers), np.diff(changes.offsets))
            for c, a in zip(owner.tolist(), changes.attribute.tolist(), strict=True):
                found.setdefault(changes.attribute_names[a], set()).add(c)
        return found

    def frame(self, rows: NDArray[np.int64]) -> Frame:
        """A frame of some rows, with the times at which they happened."""
        audience = self.audience
        frame = self._frame(self.customer[rows], 0)
        frame.received_ms = frame.occurred_ms = self.ms[rows].copy()
        events = np.flatnonzero(self.is_event[rows])
        of = self.source[rows[events]]
        frame.type = np.full(len(rows), UPSERT, np.int32)
        frame.type[events] = audience.event_type[of]
        frame.event_names = list(audience.event_names)
        frame.hash[events] = audience.event_hash[of]
        frame.message[events, 0] = of + MESSAGES
        for name, column in audience.properties.items():
            taken = Column(column.kind, column.values[of], column.dictionary)
            frame.properties |= _sparse(name, taken, ~taken.missing(), events)
        self._put_changes(frame, rows)
        return frame

    def _put_changes(self, frame: Frame, rows: NDArray[np.int64]) -> None:
        changes = self.audience.changes
        if changes is None:
            return
        at = np.flatnonzero(~self.is_event[rows])
        of = self.source[rows[at]]
        for a, name in enumerate(changes.attribute_names):
            mine = changes.attribute[of] == a
            column = self.audience.attributes[name]
            raw = changes.value[of[mine]]
            values = raw.view(np.float64) if column.kind == "float64" else raw
            values = values.astype(column.values.dtype)
            if mine.any():
                frame.attributes[name] = Sparse(
                    column.kind, at[mine].astype(np.int32), values, column.dictionary
                )

    def _frame(self, customer: NDArray[np.int32], at_ms: int) -> Frame:
        """Rows of these customers of the audience, who are numbered anew."""
        audience = self.audience
        who, index = np.unique(customer, return_inverse=True)
        ids = [audience.id_of(int(c)).encode() for c in who]
        n = len(customer)
        return Frame(
            id_offsets=np.cumsum([0] + [len(i) for i in ids], dtype=np.int64),
            id_data=np.frombuffer(b"".join(ids), np.uint8),
            id_hash=audience.id_hash[who],
            customer=index.astype(np.int32),
            type=np.zeros(n, np.int32),
            event_names=[],
            occurred_ms=np.full(n, at_ms, np.int64),
            received_ms=np.full(n, at_ms, np.int64),
            message=np.zeros((n, 2), np.uint64),
            hash=np.zeros(n, np.uint64),
        )


def _sparse(
    name: str, column: Column, held: NDArray[np.bool_], rows: NDArray[np.int64]
) -> dict[str, Sparse]:
    places = np.flatnonzero(held)
    if not len(places):
        return {}
    texts = list(column.dictionary or ()) if column.kind == "string" else None
    return {name: Sparse(column.kind, rows[places].astype(np.int32), column.values[places], texts)}


class Tenant:
    """A case's tenant: its partitions on the disk, opened again now and then."""

    def __init__(self, folder: Path, loaded: Loaded, way: Way, *, log: bool = True) -> None:
        self.folder, self.loaded, self.way, self.log = folder, loaded, way, log
        self.settings = TenantSettings(
            "tenant",
            salt=loaded.options.salt,
            zone=loaded.options.audience_zone or loaded.audience.zone or "UTC",
            partitions=way.partitions,
            schema=schema_of(loaded.audience),
        )
        self.records: list[Record] = []
        self.commits = 0
        self.partitions = [self._open(p) for p in range(way.partitions)]

    def _open(self, number: int) -> LivePartition:
        folder = self.folder / f"{number:03}"
        return LivePartition.open(folder, self.settings, create=True, log=self.log)

    def take(self, frame: Frame, now_ms: int) -> None:
        """Route a frame's rows to their partitions."""
        for number, part in split(frame, self.way.partitions):
            self.partitions[number].take([part], now_ms)
            self._after(number)

    def tick(self, now_ms: int) -> None:
        """Let the time pass everywhere."""
        for number in range(self.way.partitions):
            while self.partitions[number].tick(now_ms):
                pass
            self._after(number)

    def command(self, sequence: int, command: dict[str, Any]) -> None:
        """Apply a command everywhere."""
        for partition in self.partitions:
            partition.prepare(command)
        for partition in self.partitions:
            partition.command(sequence, command)

    def _after(self, number: int) -> None:
        self.commits += 1
        partition = self.partitions[number]
        if self.way.snapshots and self.commits % 3 == 0:
            partition.snapshot(now=True)
        if self.way.restart_every and self.commits % self.way.restart_every == 0:
            self.collect(partition)
            digest = partition.digest()
            partition.close()
            self.partitions[number] = self._open(number)
            assert self.partitions[number].digest() == digest
            if self.log:
                self._skip_replayed(self.partitions[number])

    def _skip_replayed(self, partition: LivePartition) -> None:
        for each in partition.flows():
            partition.take_log(each["flow"], each["version"])

    def collect(self, partition: LivePartition) -> None:
        """Keep the decisions of a partition so far."""
        for each in partition.flows() if self.log else ():
            version = partition.version(each["flow"], each["version"])
            log = partition.take_log(each["flow"], each["version"])
            for row in log.tolist():
                customer, step, time_ms, entry, node, port = row
                name = version.program.node_ids[node]
                said = outcome_text(port) if port < 0 else version.flow.nodes[name].ports[port]
                self.records.append(
                    Record(partition.id_of(customer), step, time_ms, entry, name, said)
                )

    def close(self) -> None:
        """Collect what is left and close."""
        for partition in self.partitions:
            self.collect(partition)
            partition.close()


def run_live(
    folder: Path,
    loaded: Loaded,
    way: Way,
    seed: int = 0,
    *,
    flow: dict[str, Any] | None = None,
    kind: type[Tenant] | None = None,
) -> Tenant:
    """Take a case in, all of it, up to its horizon; the tenant is still open.

    Where entries end before the horizon, the flow is stopped then.
    """
    tenant = (kind or Tenant)(folder, loaded, way)
    inputs = Inputs(loaded.audience)
    options = loaded.options
    start = min([int(m) for m in inputs.ms[:1]] + [options.from_ms]) - 1
    tenant.take(inputs.first(start), start)
    document = json.dumps(
        loaded.flow.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if flow is None
        else flow
    )
    before = int(np.searchsorted(inputs.ms, options.from_ms))
    end = int(np.searchsorted(inputs.ms, options.horizon_ms))
    for first, last in _cuts(inputs.ms, 0, before, way.batch):
        tenant.take(inputs.frame(np.arange(first, last)), start)
    name = loaded.flow.flow
    publish = {"kind": "publish", "flow": name, "version": 1, "document": document}
    tenant.command(1, publish | {"at_ms": options.from_ms, "entry_rate": options.entry_rate})
    dice = Random(seed)

    def feed(first: int, last: int) -> None:
        for low, high in _cuts(inputs.ms, first, last, way.batch):
            tenant.take(inputs.frame(np.arange(low, high)), options.from_ms)
            if dice.random() < way.ticks and high < end:
                # The time passes no further than to just before the next input.
                tenant.tick(int(inputs.ms[high]) - 1)

    if options.until_ms < options.horizon_ms:
        stop = int(np.searchsorted(inputs.ms, options.until_ms))
        feed(before, stop)
        tenant.tick(options.until_ms - 1)
        tenant.command(2, {"kind": "stop", "flow": name, "at_ms": options.until_ms})
        before = stop
    feed(before, end)
    tenant.tick(options.horizon_ms - 1)
    return tenant


def _cuts(ms: NDArray[np.int64], first: int, last: int, batch: int) -> list[tuple[int, int]]:
    """Places to cut at, so that rows of one time are never parted."""
    cuts = [first]
    while cuts[-1] < last:
        end = min(cuts[-1] + batch, last)
        while end < last and ms[end] == ms[end - 1]:
            end += 1
        cuts.append(end)
    return list(itertools.pairwise(cuts))


def sorted_records(records: Sequence[Record], audience: Audience) -> list[Record]:
    """As the reference lists them."""
    row = {audience.id_of(c): c for c in range(audience.customers)}
    return sorted(records, key=lambda r: (row[r.customer], r.step))
