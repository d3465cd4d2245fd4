"""Replay partitions that nobody has open, in memory, and change nothing in their folders.

The store is opened for reading only, so a commit is impossible; the state comes about as it does
when a partition is opened, from the last snapshot or from the journal's first record.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from actors.live.records import Record
from actors.store.environment import Environment
from actors.store.folder import FolderLock, check_format, os_errors
from actors.store.partition import Partition
from actors.store.snapshot import Snapshot
from core.counters import port_base
from core.outcomes import OUTCOMES


class _WholeJournal(Partition):
    """A store that is replayed from its journal's first record, as if it had no snapshot."""

    def load_snapshot(self) -> Snapshot | None:
        """None."""
        return None


@contextmanager
def reading(folder: Path, *, whole: bool = False) -> Iterator[Partition]:
    """Within the block, the store in `folder`, which nobody else may have open, to be read.

    With `whole` it hides its snapshot. Raises as `Partition.open` does.
    """
    with os_errors(folder):
        check_format(folder)
        lock = FolderLock(folder)
        try:
            environment = Environment(folder, 0, readonly=True)
            try:
                yield (_WholeJournal if whole else Partition)(folder, lock, environment)
            finally:
                environment.close()
        finally:
            lock.release()


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
    """A partition in a replay that adds up every decision again, apart from its own counters."""

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
