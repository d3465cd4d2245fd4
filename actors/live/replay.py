"""Replay a partition in memory: add up its decisions anew, or find the messages that it sent."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame
from actors.live.control import TenantSettings
from actors.live.effects import frame_of_sends
from actors.live.partition import LivePartition
from actors.live.records import BasisRecord, CommandRecord, Record
from actors.live.version import LiveVersion
from actors.store.partition import Partition
from core.counters import port_base
from core.outcomes import OUTCOMES

TAKES = ("erase", "publish", "stop")  # commands that may take people out of flows


class Recount:
    """What a version's decisions add up to: int64[ports] by port, int64[nodes, OUTCOMES] by end.

    `waiting`, `idle` int64[nodes]: whom commands took out of where, which is no decision.
    """

    def __init__(self, ports: NDArray[np.int64]) -> None:
        """Begin with nothing; `ports` is `core.counters.port_base` of the flow."""
        self._base = ports
        self.port = np.zeros(int(ports[-1]), np.int64)
        self.outcome = np.zeros((len(ports) - 1, OUTCOMES), np.int64)
        self.waiting = np.zeros(len(ports) - 1, np.int64)
        self.idle = np.zeros(len(ports) - 1, np.int64)
        self.decisions = 0

    def add(self, node: NDArray[np.int32], port: NDArray[np.int32]) -> None:
        """Count decisions: int32[r] each, as in the decision log."""
        self.decisions += len(node)
        left = port >= 0
        np.add.at(self.port, self._base[node[left]] + port[left], 1)
        ended = ~left & (port >= -OUTCOMES)
        np.add.at(self.outcome, (node[ended], -1 - port[ended]), 1)


class Recounting(LivePartition):
    """A partition that adds up every decision of a replay."""

    def __init__(self, store: Partition, tenant: TenantSettings) -> None:
        """Replay what the store holds, whichever versions of the engine wrote it."""
        self.recounts: dict[tuple[str, int], Recount] = {}
        self.engines: set[str] = set()
        super().__init__(store, tenant, log=True, any_engine=True)

    def recount(self, version: LiveVersion) -> Recount:
        """What was added up of a version."""
        key = version.name, version.number
        if key not in self.recounts:
            self.recounts[key] = Recount(port_base(version.flow))
        return self.recounts[key]

    def _apply(self, record: Record) -> None:
        super()._apply(record)
        if isinstance(record, BasisRecord):
            self.engines.add(record.engine)
        for version in self._state.versions:
            log = version.machine.take_log()
            if len(log):
                self.recount(version).add(log["node"], log["port"])

    def _command(self, record: CommandRecord) -> None:
        takes = record.command["kind"] in TAKES
        before = [(v, v.machine.count()) for v in self._state.versions] if takes else []
        super()._command(record)
        for version, counters in before:
            after, recount = version.machine.count(), self.recount(version)
            recount.waiting += counters.waiting - after.waiting
            recount.idle += counters.idle - after.idle


class _Whole:
    """A store as it would be without a snapshot, whoever else has it open."""

    def __init__(self, store: Partition) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def load_snapshot(self) -> None:
        """None."""


class Resending(LivePartition):
    """A replay of a whole journal that keeps `sent`: records' numbers, and what flows sent in each.

    Messages are events as `actors.live.effects.frame_of_sends` makes them.
    """

    def __init__(self, store: Partition, tenant: TenantSettings) -> None:
        """Replay what the store holds, whichever versions of the engine wrote it."""
        self.sent: list[tuple[int, Frame]] = []
        super().__init__(cast(Partition, _Whole(store)), tenant, any_engine=True)

    def _apply(self, record: Record) -> None:
        super()._apply(record)
        for version in self._state.versions:
            made = version.take_effects()
            if len(made):
                self.sent.append((self._applied + 1, frame_of_sends(version, made)))
