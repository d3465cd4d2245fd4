"""Hold all that a partition remembers, apart from what its store does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.intake.admission import Admission
from actors.intake.directory import Directory
from actors.live.version import LiveVersion
from core.zone_tables import ZoneTables, installed


@dataclass(slots=True)
class LiveState:
    """Customers, what was taken in, and versions in the order in which they were published.

    `clock_ms` is the partition's time: all work before it was carried out of whoever had an input
    or was due. `control` is the number of the last command applied; `counts` are rows by what
    became of them. `engine` is the version that carried all this out, "" where that is not known,
    under `tables` of zones; `told` says whether they stand in the journal, or in a snapshot.
    `merged` are the hashes of ids that now mean another customer, in whatever partition; `moving`
    tells, by such a hash, what of one who was here is still to be handed over.
    """

    directory: Directory
    admission: Admission
    clock_ms: int = 0
    control: int = 0
    versions: list[LiveVersion] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    engine: str = ""
    tables: ZoneTables = field(default_factory=installed)
    told: bool = False
    merged: set[int] = field(default_factory=set)
    moving: dict[int, dict[str, Any]] = field(default_factory=dict)

    def in_order(self) -> list[LiveVersion]:
        """The versions in the order in which they work: by priority, then as published (D53)."""
        return sorted(self.versions, key=lambda version: -version.flow.settings.priority)

    def find(self, flow: str) -> list[LiveVersion]:
        """The versions of a flow, the newest last."""
        return [v for v in self.versions if v.name == flow]

    def invalid_zones(self) -> int:
        """How many customers there are whose zone does not exist; the flow's is theirs."""
        names = self.directory.zone_names
        invalid = np.array([name not in self.tables for name in names] + [False])
        return int(np.count_nonzero(invalid[self.directory.since(0)[1]]))


def add_counts(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts by name to others."""
    for name, n in more.items():
        total[name] = total.get(name, 0) + n
