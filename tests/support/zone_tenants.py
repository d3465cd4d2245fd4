"""Runs a tenant whose partitions are opened anew with other zones, in the midst of its flows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from actors.intake.routing import split
from actors.intake.rows import decode_rows
from actors.live.basis import Basis, installed_basis
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core.duration import DAY_MS
from core.tenant_schema import TenantSchema
from core.zone_tables import ZoneTables
from live_work import Key, counted, keys

T0 = 1_775_779_200_000  # 2026-04-10, a Friday; clocks change nowhere below until September
SCHEMA = {
    "attributes": {"day": {"type": "date"}, "moment": {"type": "datetime"}},
    "events": {"go": {}, "click": {}},
}
SETTINGS = TenantSettings("shop", zone="America/New_York", schema=SCHEMA)
SEND = {"type": "send", "channel": "email", "template": "t", "next": "x"}


def under(tables: ZoneTables) -> Basis:
    """This engine with other zones."""
    return Basis(installed_basis().engine, tables)


def document(nodes: dict[str, Any], **settings: Any) -> str:
    """The text of a flow `f` that ends in `x`."""
    whole = {**nodes, "x": {"type": "end"}}
    return json.dumps({"headrace": 1, "flow": "f", "settings": settings, "nodes": whole})


class Zoned:
    """A tenant's partitions, opened with zones that may change."""

    def __init__(self, folder: Path, tables: ZoneTables, partitions: int = 1) -> None:
        self.folder, self.tables, self.count = folder, tables, partitions
        self.sequence, self.batch = 0, 0
        self.partitions = self._open()

    def _open(self) -> list[LivePartition]:
        return [
            LivePartition.open(
                self.folder / f"{n:03}", SETTINGS, create=True, basis=under(self.tables)
            )
            for n in range(self.count)
        ]

    def reopen(self, tables: ZoneTables | None = None) -> None:
        """Close all and open them again, with other zones perhaps."""
        self.close()
        self.tables = tables or self.tables
        self.partitions = self._open()

    def publish(self, text: str, at_ms: int = T0, version: int = 1) -> None:
        """Publish a flow everywhere."""
        self.sequence += 1
        said = {"kind": "publish", "flow": "f", "version": version, "document": text}
        for partition in self.partitions:
            partition.command(self.sequence, {**said, "at_ms": at_ms})

    def take(self, rows: Sequence[dict[str, Any]], now_ms: int) -> None:
        """Take rows in at a time."""
        self.batch += 1
        decoded = decode_rows(rows, TenantSchema.of(SCHEMA), batch=b"%d" % self.batch)
        assert decoded.rejects == []
        for number, part in split(decoded.frame, self.count):
            self.partitions[number].take([part], now_ms)

    def tick(self, now_ms: int) -> None:
        """Let the time pass everywhere."""
        for partition in self.partitions:
            while partition.tick(now_ms):
                pass

    def snapshot(self) -> None:
        """Save all states."""
        for partition in self.partitions:
            while partition.snapshot(now=True):
                pass

    def sent(self) -> Counter[Key]:
        """The messages asked for."""
        return Counter(key for partition in self.partitions for key in keys(partition))

    def times(self, node: str) -> list[int]:
        """When messages of a node were asked for."""
        return sorted(ms for _, _, name, ms in self.sent() if name == node)

    @property
    def digest(self) -> int:
        return sum(partition.digest() for partition in self.partitions) % 2**64

    def counted(self) -> dict[str, Any]:
        """What all partitions counted together."""
        counters = self.partitions[0].counts("f")
        for partition in self.partitions[1:]:
            counters.add(partition.counts("f"))
        found = counted(counters)
        found.pop("delays")
        return found

    def due(self) -> set[tuple[str, str, int | None]]:
        """Who waits, where, until when."""
        return {
            (partition.id_of(c), place["node"], place["due_ms"])
            for partition in self.partitions
            for c in range(partition.customers)
            for place in (partition.state_of(partition.id_of(c)) or {})["places"]
        }

    def close(self) -> None:
        for partition in self.partitions:
            partition.close()


Step = tuple[int, list[dict[str, Any]]]


def steps_of(dice: Random, ids: Sequence[str], days: int) -> list[Step]:
    """Events of customers over so many days from T0, in batches with their times."""
    found: list[Step] = []
    now = T0
    while now < T0 + days * DAY_MS:
        now += dice.randrange(1, 16 * 3_600_000)
        who = dice.sample(ids, dice.randrange(1, 4))
        found.append(
            (now, [{"customer": c, "event": dice.choice(["go", "go", "click"])} for c in who])
        )
    return found
