"""Make a data directory with another number of partitions: its journals are written anew.

The state of a partition is a function of its journal, so customers move with the rows of theirs.
The journals of all partitions are merged in order of time; a row stays in the record it came in,
so that a customer's rows keep their order, their times, and their place among the commands. Timers
fired when a partition was told to tick; a new partition is told the same of the same customers.
Tables of zones come where they came: what waited by the former ones is moved there again.
What was sent is not sent again, for a replay has no effects; what was not goes to the outboxes.

Where a new partition has customers of several old ones, its ticks wait for the next command or the
end: only flows that answer each other's changes of a record could tell. The sum of the digests says
whether anything differs, and then nothing is made.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.intake.directory import Directory
from actors.intake.routing import partition_of, split
from actors.live.backup import copy_config, new_data_folder
from actors.live.basis import installed_basis
from actors.live.control import SOURCE, TenantSettings
from actors.live.data_dir import MANIFEST, DataDir, manifest_text, partition_path, people_path
from actors.live.erased_since import customers_of
from actors.live.errors import RefusedError
from actors.live.partition import LivePartition
from actors.live.reading import reading
from actors.live.records import (
    BasisRecord,
    CommandRecord,
    GrantRecord,
    Record,
    RowsRecord,
    TickRecord,
    decode_record,
)
from actors.live.unsent import check_settled, unsent
from actors.people.erasures import digest_of, read_ledger
from actors.people.manifest import ERASURES
from actors.people.manifest import read_manifest as read_people
from actors.people.people import People
from actors.store.partition import Partition
from actors.store.side_file import write_synced
from core.hashing import hash_bytes
from core.tenant_schema import TenantSchema

Progress = Callable[[str, int, int], None]
MERGING = "writing journals"
COMPARING = "comparing"
COMMIT_RECORDS = 256
COMMIT_BYTES = 4 << 20
START_THE_ENGINE = "Start the engine until that is so, then stop it and repeat this"


@dataclass(frozen=True, slots=True)
class Repartitioned:
    """What was made: how many partitions and customers, and the digest, which did not change.

    `erasures`: how many of the ledgers are known anew; `unknown`: of people who never were
    customers, which a new key cannot name.
    """

    partitions: int
    customers: int
    digest: int
    messages: int
    erasures: int
    unknown: int


@dataclass(slots=True)
class _Old:
    """A partition to read; its directory numbers customers as the partition did."""

    number: int
    store: Partition
    directory: Directory

    def follow(self, record: RowsRecord) -> None:
        """Number the record's customers."""
        self.directory.numbers(record.frame, record.until_ms - 1)


class _New:
    """A partition to write."""

    def __init__(self, store: Partition, number: int, partitions: int) -> None:
        self.store = store
        self.number = number
        self.partitions = partitions
        self.directory = Directory(TenantSchema())
        self.waiting: list[bytes] = []
        self.bytes = 0
        self.ticked: dict[int, list[TickRecord]] = {}  # what waits, by old partition

    def add(self, record: Record) -> None:
        """Append to the journal."""
        if isinstance(record, RowsRecord):
            self.directory.numbers(record.frame, record.until_ms - 1)
        data = record.encode()
        self.waiting.append(data)
        self.bytes += len(data)
        if len(self.waiting) >= COMMIT_RECORDS or self.bytes >= COMMIT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Commit what waits."""
        if self.waiting:
            self.store.commit(self.waiting)
            self.waiting, self.bytes = [], 0

    def end(self, effects: Sequence[bytes], cursors: Mapping[bytes, int]) -> None:
        """Commit what waits, then effects and cursors, with a record that does nothing."""
        self.flush()
        self.store.commit([TickRecord(0, 0, 0).encode()], effects, cursors)

    def tick(self, old: _Old, record: TickRecord, *, alone: bool) -> None:
        """Fire the timers of those customers of `old` who are here; later, unless `alone`."""
        everybody = record.first == 0 and record.last >= len(old.directory)
        if not alone:
            waiting = self.ticked.setdefault(old.number, [])
            if everybody:
                waiting.clear()  # of all of them, and later than what waited
            waiting.append(record)
            return
        first, last = 0, len(self.directory)
        if not everybody:
            mine = self._mine(old.directory.id_hashes[: record.last])
            first, last = int(np.count_nonzero(mine[: record.first])), int(np.count_nonzero(mine))
        if first < last:
            self.add(TickRecord(record.until_ms, first, last))

    def settle(self, olds: Sequence[_Old]) -> None:
        """Fire what waited, of each customer up to the time that the old partition had."""
        if not self.ticked:
            return
        until = np.zeros(len(self.directory), np.int64)
        for old in olds:
            for record in self.ticked.get(old.number, ()):
                hashes = old.directory.id_hashes[record.first : record.last]
                there = self.directory.find(hashes)
                there = there[there >= 0]
                until[there] = np.maximum(until[there], record.until_ms)
        self.ticked = {}
        edges = np.flatnonzero(np.diff(until)) + 1
        for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(until)], strict=True):
            if first < last and until[first]:
                self.add(TickRecord(int(until[first]), first, last))

    def _mine(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = partition_of(hashes, self.partitions) == self.number
        return found


def repartition(
    data: DataDir, partitions: int, to: Path, *, progress: Progress | None = None
) -> Repartitioned:
    """Make the new data directory `to`, with so many partitions, of one that this process holds.

    The old one stays as it is. Raises RefusedError where a journal was trimmed, messages are under
    way or a numbered source is not equally far everywhere, and where the digest would change;
    CorruptError, StoreError, NoSpaceError.
    """
    tell = progress or (lambda label, done, total: None)
    settings = TenantSettings.of(data.manifest)
    folders = [data.partition(number) for number in range(data.manifest.partitions)]
    there = [number for number, folder in enumerate(folders) if folder.is_dir()]
    new_manifest = replace(data.manifest, partitions=partitions, instance=uuid.uuid4().hex)
    new_manifest.check(str(to))
    with new_data_folder(to) as part:
        with ExitStack() as stack:
            stores = {n: stack.enter_context(reading(folders[n])) for n in there}
            messages = write_journals(
                stores, settings, partitions, lambda n: partition_path(part, n), progress=tell
            )
        erasures, unknown = _move_people(data, part, partitions)
        with reading(data.control) as control:
            control.backup(part / "control")
        copy_config(data.path, part)
        tell(COMPARING, 0, 2)
        before = state_of([folders[n] for n in there], settings)
        tell(COMPARING, 1, 2)
        made = [partition_path(part, n) for n in range(partitions)]
        after = state_of(made, replace(settings, partitions=partitions))
        tell(COMPARING, 2, 2)
        if before != after:
            raise RefusedError(
                f"the digest would change from {before[1]:016x} to {after[1]:016x}: flows that "
                "answer each other's changes depend on the order between customers",
                advice="Choose a multiple of the partitions that there are; that keeps all orders",
                file=str(data.path),
            )
        write_synced(part / MANIFEST, manifest_text(new_manifest))
    return Repartitioned(partitions, *after, messages, erasures, unknown)


def state_of(folders: Sequence[Path], settings: TenantSettings) -> tuple[int, int]:
    """How many customers the partitions in `folders` have, and the sum of their digests."""
    customers = digest = 0
    for folder in folders:
        with reading(folder) as store:
            partition = LivePartition(store, settings)
            customers += partition.customers
            digest += partition.digest()
    return customers, digest % 2**64


def write_journals(
    stores: Mapping[int, Partition],
    settings: TenantSettings,
    partitions: int,
    folder_of: Callable[[int], Path],
    *,
    progress: Progress | None = None,
) -> int:
    """Write the journals of open stores, by number, anew into `partitions` new ones.

    Returns how many messages that were not sent are in their outboxes. Raises as `repartition`.
    """
    tell = progress or (lambda label, done, total: None)
    schema = TenantSchema.of(settings.schema)
    olds = [_Old(n, store, Directory(schema, settings.zone)) for n, store in stores.items()]
    for old in olds:
        _check(old.store)
    cursors = _cursors(olds)
    total = sum(old.store.head.journal_last for old in olds)
    with ExitStack() as stack:
        news = [
            _New(stack.enter_context(Partition.open(folder_of(n), create=True)), n, partitions)
            for n in range(partitions)
        ]
        for done, (record, whose) in enumerate(_merged(olds)):
            if done % 1000 == 0:
                tell(MERGING, done, total)
            _pass_on(record, whose, olds, news, settings.partitions)
        messages = 0
        effects = unsent([old.store for old in olds], partitions)
        for new in news:
            new.settle(olds)
            new.end(effects[new.number], cursors)
            messages += len(effects[new.number])
    tell(MERGING, total, total)
    return messages


def _pass_on(
    record: Record,
    old: _Old | None,
    olds: Sequence[_Old],
    news: Sequence[_New],
    partitions: int,
) -> None:
    if isinstance(record, CommandRecord | BasisRecord):
        if isinstance(record, BasisRecord):
            record = replace(record, engine=installed_basis().engine)
        for new in news:
            new.settle(olds)
            new.add(record)
        return
    assert old is not None
    if isinstance(record, RowsRecord):
        old.follow(record)
        counts = record.counts
        for number, part in split(record.frame, len(news)):
            rows = _rows_of(record, number, len(news))
            news[number].add(RowsRecord(part, record.historical[rows], record.until_ms, counts))
            counts = {}  # they count once
        return
    if isinstance(record, GrantRecord):
        raise RefusedError(
            "customers of its flows depend on each other, and what they were granted is kept by "
            "partition",
            advice="Leave the partitions as they are, and add shards or cores",
        )
    for new in news:
        first, last = _sources(new, partitions)
        if first <= old.number <= last:
            new.tick(old, record, alone=first == last)


def _rows_of(record: RowsRecord, number: int, partitions: int) -> NDArray[np.bool_]:
    frame = record.frame
    found: NDArray[np.bool_] = partition_of(frame.id_hash, partitions)[frame.customer] == number
    return found


def _sources(new: _New, olds: int) -> tuple[int, int]:
    """The first and the last of `olds` partitions that customers of a new one can come from.

    Partitions are equal ranges of hashes.
    """
    first = new.number * olds // new.partitions
    return first, ((new.number + 1) * olds - 1) // new.partitions


def _check(store: Partition) -> None:
    head = store.head
    if head.journal_first > 1:
        raise RefusedError(
            f"the journal was trimmed, and begins with record {head.journal_first:,}: customers "
            "cannot be moved without what came before",
            advice="Keep the number of partitions, or begin a new data directory",
            file=str(store.folder),
        )
    check_settled(store)


def _cursors(olds: Sequence[_Old]) -> dict[bytes, int]:
    """How far every numbered source is; it must be equally far in all partitions."""
    found: dict[bytes, int] = {}
    for old in olds:
        for source, sequence in old.store.cursors.items():
            if found.setdefault(source, sequence) != sequence:
                name = "the control log" if source == SOURCE else f"source {source!r}"
                raise RefusedError(
                    f"{name} is at {sequence} in one partition and at {found[source]} in another",
                    advice=START_THE_ENGINE,
                    file=str(old.store.folder),
                )
    for old in olds:
        for source in found.keys() - old.store.cursors.keys():
            raise RefusedError(
                f"source {source!r} is at {found[source]} in one partition and unknown in another",
                advice=START_THE_ENGINE,
                file=str(old.store.folder),
            )
    return found


def _merged(olds: Sequence[_Old]) -> Iterator[tuple[Record, _Old | None]]:
    """All records in order of time; each command once, when all that came before it has come.

    So are new tables of zones; a partition that took them up later than others, as after a fall,
    has its own turn. Whether that made any difference, the digests tell.
    """
    reading_ = [_segments(old) for old in olds]
    waiting: dict[int, CommandRecord] = {}  # by old partition, what its segment ended with
    while True:
        segments = [None if i in waiting else next(each, None) for i, each in enumerate(reading_)]
        if not any(segments) and not waiting:
            return
        # Within a segment no command is passed, so that every row stays on its side of each.
        ends: dict[int, CommandRecord | BasisRecord] = {}
        merged = heapq.merge(
            *(
                _keyed(segment, old, i, ends)
                for i, (segment, old) in enumerate(zip(segments, olds, strict=True))
                if segment is not None
            ),
            key=lambda item: item[0],
        )
        for _, record, old in merged:
            yield record, old
        bases = {end.tables: end for end in ends.values() if isinstance(end, BasisRecord)}
        waiting |= {i: end for i, end in ends.items() if isinstance(end, CommandRecord)}
        for basis in bases.values():
            yield basis, None
        if waiting and not bases:
            first, *others = waiting.values()
            if any(other != first for other in others):
                raise RefusedError(
                    f"command {first.sequence} differs between the partitions",
                    advice="Run `headrace verify`",
                )
            yield first, None
            waiting = {}


Segment = Iterator[Record]


def _segments(old: _Old) -> Iterator[Segment]:
    """The journal in pieces that end with a command or with new tables of zones.

    Each must be used up before the next.
    """
    records = (
        decode_record(number, data, str(old.store.folder)) for number, data in old.store.journal()
    )
    going = True

    def piece() -> Iterator[Record]:
        nonlocal going
        for record in records:
            if isinstance(record, BasisRecord) and not record.tables:
                continue  # it names an engine; the journals are written by this one
            yield record
            if isinstance(record, CommandRecord | BasisRecord):
                return
        going = False

    while going:
        yield piece()


def _keyed(
    segment: Segment, old: _Old, place: int, ends: dict[int, CommandRecord | BasisRecord]
) -> Iterator[tuple[tuple[int, int], Record, _Old]]:
    for record in segment:
        if isinstance(record, CommandRecord | BasisRecord):
            ends[place] = record
        else:
            yield (record.until_ms, old.number), record, old


def _move_people(data: DataDir, to: Path, partitions: int) -> tuple[int, int]:
    """Move personal values to where their customers are, and what the ledgers say of them.

    A ledger names who was erased by a keyed hash, and every new folder has a key of its own: the
    hashes of all customers are tried. Returns how many were found, and how many were not.
    """
    found = unknown = 0
    with ExitStack() as stack:
        news = [
            stack.enter_context(People.open(people_path(to, n), create=True))
            for n in range(partitions)
        ]

        def home(id_hash: int) -> People:
            return news[int(partition_of(np.array([id_hash], np.uint64), partitions)[0])]

        for number in range(data.manifest.partitions):
            folder = data.people(number)
            if not folder.is_dir():
                continue
            erased, missed = _erased(folder, data.partition(number))
            found, unknown = found + len(erased), unknown + missed
            for id_hash, at_ms in erased.items():
                home(id_hash).erase_hashes([id_hash], at_ms, rewrite=False)
            with People.open(folder) as people:
                for person in people.persons():
                    home(hash_bytes(person.id)).put({person.id: person.values})
        for new in news:
            new.rewrite()
    return found, unknown


def _erased(people: Path, partition: Path) -> tuple[dict[int, int], int]:
    """When customers were last erased, by the hash of their id; and how many are no customers."""
    key = read_people(people).key
    latest = {e.digest: e.at_ms for e in read_ledger(people / ERASURES, key)[0]}
    found: dict[int, int] = {}
    if latest and partition.is_dir():
        for id_hash in customers_of(partition):
            digest = digest_of(key, id_hash)
            if digest in latest:
                found[id_hash] = latest[digest]
    return found, len(latest) - len(found)
