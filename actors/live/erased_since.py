"""Know who was erased since a backup was made, and erase them in what is restored from it.

The ledgers of erasures name people by keyed hashes. Those that the former data directory has and
the backup had not are tried on the hashes of all ids that are found: in partitions, in imported
audiences, in stories of runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from actors.audience_erasing import erase_customers, hashes_in
from actors.intake.routing import partition_of
from actors.live.control import ControlLog
from actors.live.data_dir import partition_path, people_path
from actors.live.reading import reading
from actors.live.records import RowsRecord, decode_record
from actors.people.erasures import digest_of, read_ledger
from actors.people.manifest import ERASURES
from actors.people.manifest import read_manifest as read_people
from actors.service.run_results import run_folders, without_people

AUDIENCES, RUNS = "audiences", "runs"
HASHES_MAX = 50_000  # of one command


class ErasedSince:
    """Who was erased since, in a restored data directory whose people were restored already."""

    def __init__(self, folder: Path, partitions: int, known: Mapping[int, int]) -> None:
        """Read the ledgers; of partition n the backup knew the first `known[n]` erasures."""
        self._folder = folder
        self._partitions = partitions
        self._keys: dict[int, bytes] = {}
        self._new: dict[int, set[bytes]] = {}
        for number, count in known.items():
            people = people_path(folder, number)
            self._keys[number] = read_people(people).key
            erasures = read_ledger(people / ERASURES, self._keys[number])[0]
            self._new[number] = {each.digest for each in erasures[count:]}

    @property
    def anybody(self) -> bool:
        """Whether anybody was."""
        return any(self._new.values())

    def __call__(self, id_hash: int) -> bool:
        """Whether the customer with this hash of the id was erased since."""
        number = int(partition_of(np.array([id_hash], np.uint64), self._partitions)[0])
        new = self._new.get(number)
        return bool(new) and digest_of(self._keys[number], id_hash) in (new or ())

    def among(self, hashes: Iterable[int]) -> list[int]:
        """Those of the hashes whose customers were erased since, ascending."""
        return sorted(each for each in set(hashes) if self(each))

    def erase(self, now_ms: int) -> int:
        """Erase them in audiences and runs, and tell the control log; returns how many there were.

        Partitions carry the command out when they are started, before anything else. Raises
        HeadraceError, OSError.
        """
        if not self.anybody:
            return 0
        gone: set[int] = set()
        for folder in sorted((self._folder / AUDIENCES).glob("[!.]*")):
            if (folder / "schema.json").is_file():
                mine = self.among(hashes_in(folder))
                erase_customers(folder, mine)
                gone.update(mine)
        for run in run_folders(self._folder / RUNS):
            without_people(run, self)
        for number in range(self._partitions):
            gone.update(self.among(customers_of(partition_path(self._folder, number))))
        hashes = sorted(gone)
        if hashes:
            with ControlLog.open(self._folder / "control") as log:
                for first in range(0, len(hashes), HASHES_MAX):
                    part = hashes[first : first + HASHES_MAX]
                    log.append({"kind": "erase", "hashes": part, "at_ms": now_ms, "request": ""})
        return len(hashes)


def customers_of(partition: Path) -> set[int]:
    """The hashes of the ids of all customers that a partition, which nobody has open, ever had."""
    found: set[int] = set()
    if partition.is_dir():
        with reading(partition) as store:
            # What a snapshot includes may have been trimmed from the journal.
            snapshot = store.load_snapshot()
            if snapshot is not None:
                for name in snapshot.names():
                    if name.startswith(b"directory/id_hash#"):
                        found.update(np.frombuffer(snapshot.slice(name), np.uint64).tolist())
            for number, record in store.journal(store.head.journal_first - 1):
                decoded = decode_record(number, record, str(partition))
                if isinstance(decoded, RowsRecord):
                    found.update(decoded.frame.id_hash.tolist())
    return found
