"""Host partitions that tell where their time goes, and take snapshots without end where asked.

They are the engine's own, with a stopwatch around what the shard calls. What was measured is
written beside the data directory when a partition is closed, in whichever process it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from actors.intake.frame import Frame
from actors.live.control import TenantSettings
from actors.live.data_dir import DataDir
from actors.live.hosted import HostedPartition, Opener, Receipt
from actors.live.household import Household, HouseholdFactory

NO_CURSORS: Mapping[bytes, int] = MappingProxyType({})
T = TypeVar("T")


@dataclass(slots=True)
class Stages:
    """Seconds of a partition's thread: carrying out (`apply_s`), storing, and for snapshots.

    `commits` counts transactions, `snapshots` the slices of snapshots that were done.
    """

    apply_s: float = 0.0
    commit_s: float = 0.0
    commits: int = 0
    snapshot_s: float = 0.0
    snapshots: int = 0


@dataclass(frozen=True, slots=True)
class MeasuredFactory:
    """Opens measured households without relays; `snapshots`: one snapshot follows the other."""

    folder: Path
    settings: TenantSettings
    snapshots: bool = False

    def __call__(self) -> Opener:
        """The opener."""
        return self.open

    def open(self, number: int) -> HostedPartition:
        """Open partition `number`, made if it is not there. Raises as the stores' `open` do."""
        household = HouseholdFactory(self.folder, self.settings, relays=False).open(number)
        measured = MeasuredHousehold(household, stages_file(self.folder, number), self.snapshots)
        return cast("HostedPartition", measured)


def measured_factory(*, snapshots: bool = False) -> Callable[[DataDir], MeasuredFactory]:
    """What `start_engine` takes as its `factory`."""
    return lambda data: MeasuredFactory(
        data.path, TenantSettings.of(data.manifest), snapshots=snapshots
    )


class MeasuredHousehold:
    """A household with a stopwatch; what is not measured goes straight to the household."""

    def __init__(self, household: Household, file: Path, snapshots: bool) -> None:
        self._household = household
        self._file = file
        self._snapshots = snapshots
        self._stages = Stages()
        store = household.partition.store
        self._commit = store.commit
        store.commit = self._timed_commit  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._household, name)

    def take(self, frames: Sequence[Frame], now_ms: int) -> Sequence[Receipt]:
        """Commit frames; see `LivePartition.take`."""
        return self._applied(lambda: self._household.take(frames, now_ms))

    def tick(self, now_ms: int) -> bool:
        """Fire what is due; see `LivePartition.tick`."""
        return self._applied(lambda: self._household.tick(now_ms))

    def snapshot(self, now: bool = False) -> bool:
        """Do a slice of a snapshot; True while one is unfinished."""
        began = time.perf_counter()
        unfinished = self._household.snapshot(now or self._snapshots)
        self._stages.snapshot_s += time.perf_counter() - began
        self._stages.snapshots += unfinished
        return unfinished

    def close(self) -> None:
        """Close the household, and write down what was measured."""
        self._household.close()
        self._file.write_text(json.dumps(asdict(self._stages)))

    def _applied(self, work: Callable[[], T]) -> T:
        stored_s = self._stages.commit_s
        began = time.perf_counter()
        found = work()
        stored_s = self._stages.commit_s - stored_s
        self._stages.apply_s += time.perf_counter() - began - stored_s
        return found

    def _timed_commit(
        self,
        journal_records: bytes | Sequence[bytes],
        effects: Sequence[bytes] = (),
        cursors: Mapping[bytes, int] = NO_CURSORS,
    ) -> int:
        began = time.perf_counter()
        try:
            return self._commit(journal_records, effects, cursors)
        finally:
            self._stages.commit_s += time.perf_counter() - began
            self._stages.commits += 1


def stages_file(folder: Path, number: int) -> Path:
    """Where a partition of the data directory `folder` tells what was measured."""
    return folder.with_name(f"{folder.name}-stages-{number:03}.json")


def stages_of(folder: Path, partitions: int) -> Stages:
    """What all partitions of the data directory `folder` measured, together; they are closed."""
    total = Stages()
    for number in range(partitions):
        told = json.loads(stages_file(folder, number).read_text())
        for name, value in told.items():
            setattr(total, name, getattr(total, name) + value)
    return total
