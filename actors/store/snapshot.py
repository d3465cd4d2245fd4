"""Store the machine's state in slices, and let it count only once a manifest names them all.

A slice that did not change is kept from the snapshot before. Slices are written in transactions of
their own between commits; flipping the manifest is one more. What no manifest names is swept later,
a little at a time, so a crash anywhere leaves the old snapshot or the new one.

    payload of a manifest: journal record that the state includes, u64; slices, u32; and of each
    its name's length, u16, its name, the snapshot that wrote it, u64, its length, u32, its XXH3-64,
    u64; the caller's own bytes                                            (all little-endian)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

import xxhash

from actors import failpoints
from actors.store.environment import Changes, Environment, Transaction
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE, Kind, check_key, check_size, pack, printable, unpack
from actors.store.head import Head

MANIFEST_KEY = b"manifest"
SWEEP_BYTES = 64 << 20  # deleted in one transaction
_NUMBER_BYTES = 8  # at the end of a slice's key
_FIRST = struct.Struct("<QI")
_NAME = struct.Struct("<H")
_SLICE = struct.Struct("<QIQ")


@dataclass(frozen=True, slots=True)
class Slice:
    """Which snapshot wrote a slice, its length in bytes and its checksum."""

    snapshot: int
    length: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A snapshot that counts: `sequence` is the last journal record that its state includes."""

    number: int
    sequence: int
    slices: dict[bytes, Slice]
    payload: bytes


class Snapshot:
    """The snapshot that counts: its manifest, and its slices one by one."""

    def __init__(self, environment: Environment, manifest: Manifest) -> None:
        """Slices are read when asked for, and are there until a later snapshot is swept."""
        self._environment = environment
        self.sequence = manifest.sequence
        self.payload = manifest.payload
        self.manifest = manifest

    def names(self) -> list[bytes]:
        """The names of its slices, sorted."""
        return sorted(self.manifest.slices)

    def slice(self, name: bytes) -> bytes:
        """The bytes of a slice. Raises KeyError for an unknown name, CorruptError."""
        entry = self.manifest.slices[name]
        key = _key(name, entry.snapshot)
        with self._environment.reading() as txn:
            record = self._environment.get(txn, "slices", key)
            if record is None:
                raise _corrupt(self._environment, f"slice {printable(name)} is missing")
            _, payload = unpack(Kind.SLICE, key, record, self._environment.file)
            if _entry(entry.snapshot, payload) != entry:
                raise _corrupt(self._environment, f"slice {printable(name)} is another one")
            return payload

    def slices(self) -> Iterator[tuple[bytes, bytes]]:
        """Every name with its bytes, sorted by name. Raises CorruptError."""
        for name in self.names():
            yield name, self.slice(name)


class SnapshotWriter:
    """A snapshot under way: it counts from `flip` on; given up before, it is swept away."""

    def __init__(self, environment: Environment, sequence: int) -> None:
        """`sequence` is the last journal record that the state includes.

        Raises ValueError if that is beyond the journal or before the last snapshot.
        """
        self._environment = environment
        self.sequence = sequence
        self._base = load_manifest(environment)
        low = 0 if self._base is None else self._base.sequence
        if not low <= sequence <= environment.head.journal_last:
            raise ValueError(
                f"a snapshot of journal record {sequence}: expected {low} to "
                f"{environment.head.journal_last}"
            )
        head = environment.write(
            lambda head: Changes(replace(head, snapshot_begun=head.snapshot_begun + 1))
        )
        sweep(environment)
        self.number = head.snapshot_begun
        self._slices: dict[bytes, Slice] = {}

    def put_slice(self, name: bytes, data: bytes) -> None:
        """Store a slice of at most 8 MiB; its name is 1 to 503 bytes.

        Raises TooLargeError, ValueError for a name that this snapshot has already.
        """
        check_key(name, "the name of a slice", room=_NUMBER_BYTES)
        check_size(Kind.SLICE, data)
        self._check_new(name)
        key = _key(name, self.number)
        record = pack(Kind.SLICE, key, self.number, data)
        self._environment.write(lambda head: Changes(head, puts=[("slices", key, record)]))
        self._slices[name] = _entry(self.number, data)
        if failpoints.armed:
            failpoints.hit("snapshot_slice")

    def keep(self, name: bytes) -> None:
        """Take a slice over from the snapshot before.

        Raises KeyError if that has none of this name, ValueError if this one has it already.
        """
        self._check_new(name)
        if self._base is None or name not in self._base.slices:
            raise KeyError(f"the snapshot before has no slice {name!r}")
        self._slices[name] = self._base.slices[name]

    def _check_new(self, name: bytes) -> None:
        if name in self._slices:
            raise ValueError(f"slice {name!r} is there already")

    def flip(self, payload: bytes = b"") -> None:
        """Let this snapshot count instead of the one before; `payload` is the caller's own.

        Raises TooLargeError if it and the names exceed 8 MiB, ValueError if a later one was begun.
        """
        parts = [_FIRST.pack(self.sequence, len(self._slices))]
        for name, entry in sorted(self._slices.items()):
            parts += [_NAME.pack(len(name)), name]
            parts.append(_SLICE.pack(entry.snapshot, entry.length, entry.checksum))
        record = pack(Kind.MANIFEST, MANIFEST_KEY, self.number, b"".join((*parts, payload)))

        def plan(head: Head) -> Changes:
            if head.snapshot_begun != self.number:
                raise ValueError(f"snapshot {head.snapshot_begun} was begun after {self.number}")
            changes = Changes(replace(head, snapshot=self.number))
            changes.puts.append(("meta", MANIFEST_KEY, record))
            return changes

        if failpoints.armed:
            failpoints.hit("snapshot_flip")
        self._environment.write(plan)


def load_manifest(environment: Environment) -> Manifest | None:
    """The manifest of the snapshot that counts, None if there is none. Raises CorruptError."""
    with environment.reading() as txn:
        return _manifest_in(environment, txn)


def _manifest_in(environment: Environment, txn: Transaction) -> Manifest | None:
    number = environment.head_in(txn).snapshot
    record = environment.get(txn, "meta", MANIFEST_KEY)
    if record is None:
        if number:
            raise _corrupt(environment, "the manifest is missing")
        return None
    found, payload = unpack(Kind.MANIFEST, MANIFEST_KEY, record, environment.file)
    if found != number:
        raise _corrupt(environment, f"the manifest is that of snapshot {found}")
    sequence, count = _FIRST.unpack_from(payload)
    start = _FIRST.size
    slices = {}
    for _ in range(count):
        (length,) = _NAME.unpack_from(payload, start)
        start += _NAME.size
        name = payload[start : start + length]
        slices[name] = Slice(*_SLICE.unpack_from(payload, start + length))
        start += length + _SLICE.size
    return Manifest(number, sequence, slices, payload[start:])


def load(environment: Environment) -> Snapshot | None:
    """The snapshot that counts, None if there is none. Raises CorruptError."""
    manifest = load_manifest(environment)
    return None if manifest is None else Snapshot(environment, manifest)


def sweep(environment: Environment) -> int:
    """Delete slices that the manifest does not name, a few at a time; returns how many.

    Those of a snapshot that may be under way stay.
    """
    deleted = 0
    while found := sweep_some(environment, SWEEP_BYTES):
        deleted += found
    return deleted


def sweep_some(environment: Environment, bytes_max: int) -> int:
    """What `sweep` does, for about so many bytes, in one transaction; 0 when nothing is left."""
    keys = _unnamed(environment, bytes_max)
    if keys:
        environment.write(lambda head: Changes(head, deletes=[("slices", key) for key in keys]))
    return len(keys)


def _unnamed(environment: Environment, bytes_max: int) -> list[bytes]:
    keys: list[bytes] = []
    total = 0
    with environment.reading() as txn:
        head = environment.head_in(txn)
        manifest = _manifest_in(environment, txn)
        under_way = head.snapshot_begun if head.snapshot_begun > head.snapshot else None
        named = {} if manifest is None else manifest.slices
        wanted = {_key(name, entry.snapshot) for name, entry in named.items()}
        for key in environment.keys(txn, "slices"):
            number = int.from_bytes(key[-_NUMBER_BYTES:], "big")
            if key not in wanted and number != under_way:
                keys.append(key)
                total += len(environment.get(txn, "slices", key) or b"")
                if total >= bytes_max:
                    break
    return keys


def _key(name: bytes, number: int) -> bytes:
    return name + number.to_bytes(_NUMBER_BYTES, "big")


def _entry(number: int, data: bytes) -> Slice:
    return Slice(number, len(data), xxhash.xxh3_64(data).intdigest())


def _corrupt(environment: Environment, what: str) -> CorruptError:
    number = environment.head.snapshot
    return CorruptError(what, advice=RESTORE, file=environment.file, pointer=f"snapshot {number}")
