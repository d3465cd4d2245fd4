"""Replay a partition in memory and add up its decisions anew, apart from its own counters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from actors.live.records import Record
from actors.store.partition import Partition
from core.counters import port_base
from core.outcomes import OUTCOMES


class Recount:
    """What a version's decisions add up to: int64[ports] by port, int64[nodes, OUTCOMES] by end."""

    def __init__(self, ports: NDArray[np.int64]) -> None:
        """Begin with nothing; `ports` is `core.counters.port_base` of the flow."""
        self._base = ports
        self.port = np.zeros(int(ports[-1]), np.int64)
        self.outcome = np.zeros((len(ports) - 1, OUTCOMES), np.int64)
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
        """Replay what the store holds."""
        self.recounts: dict[tuple[str, int], Recount] = {}
        super().__init__(store, tenant, log=True)

    def _apply(self, record: Record) -> None:
        super()._apply(record)
        for version in self._state.versions:
            log = version.machine.take_log()
            if len(log) == 0:
                continue
            key = version.name, version.number
            if key not in self.recounts:
                self.recounts[key] = Recount(port_base(version.flow))
            self.recounts[key].add(log["node"], log["port"])
