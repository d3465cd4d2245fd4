"""Write a partition's state to its store, a slice at a time between batches, and read it back.

Rows kept, tokens of crowds and counters are copied when the snapshot begins. The directory and
fingerprints of messages follow a piece at a time, each as it was then whatever is written to it
meanwhile; then blocks of customers, only those that changed since the snapshot before. The manifest
is flipped last, so a snapshot counts whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from actors import failpoints
from actors.intake.admission import Admission
from actors.intake.directory import Directory, packed_texts
from actors.intake.frozen import Frozen, FrozenPrints
from actors.live.basis import pack_tables, unpack_tables
from actors.live.control import TenantSettings
from actors.live.state import LiveState
from actors.live.version import LiveVersion
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE, SLICE_BYTES_MAX
from actors.store.partition import Partition
from actors.store.snapshot import Snapshot, SnapshotWriter
from core.couplings import CLAIM
from core.outcomes import OUTCOMES
from core.tenant_schema import TenantSchema
from core.zone_tables import ZoneTables
from ext.stored import SNAPSHOT_BLOCK

FORMAT = 1
TAIL_RECORDS = 20_000
PIECE_BYTES = 1 << 20
"""Written at a time: more would hold up who waits for an acknowledgement."""
PIECE_TEXTS = 1 << 14
LAST_PIECE = 999_999
SWEPT_BYTES = 8 << 20
TAIL_BYTES = 64 << 20
"""A snapshot is due behind so many records or bytes of the journal: about two seconds of replay."""


class Snapshotting:
    """The snapshots of one partition: when one is due, and the one under way."""

    def __init__(self, store: Partition) -> None:
        """Begin with what the store has; a snapshot that was under way is given up."""
        self._store = store
        self._writer: SnapshotWriter | None = None
        self._work: Iterator[None] | None = None
        found = store.load_snapshot()
        self._covered = 0 if found is None else found.manifest.sequence
        self._kept = {} if found is None else _owners(found)
        self._bytes = 0

    @property
    def covered(self) -> int:
        """The last journal record that a snapshot includes."""
        return self._covered

    @property
    def under_way(self) -> bool:
        """Whether one was begun and has not ended."""
        return self._work is not None

    def noted(self, size: int) -> None:
        """Count bytes that were added to the journal."""
        self._bytes += size

    def work(self, state: LiveState, *, now: bool = False) -> bool:
        """Do a slice of it, if one is due; True while one is unfinished."""
        if self._work is None:
            tail = self._store.head.journal_last - self._covered
            if tail == 0 or not (now or tail >= TAIL_RECORDS or self._bytes >= TAIL_BYTES):
                return False
            self._work = self._write(state)
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            return False
        except BaseException:
            self._work = None
            state.directory.thaw()
            for version in state.versions:
                version.machine.mark_all()
                version.machine.give_up_snapshot()
            raise
        return True

    def _write(self, state: LiveState) -> Iterator[None]:
        writer = self._store.begin_snapshot()
        self._bytes = 0
        directory, meta = state.directory.freeze()
        texts = {place: (each, len(each)) for place, each in state.directory.texts().items()}
        admission = state.admission.freeze()
        rests: dict[str, NDArray[Any]] = {}
        versions, blocks = [], []
        for version in state.versions:
            key = str(version.serial)
            changed = set(version.machine.begin_snapshot())
            rest, numbers = version.machine.rest()
            rests |= {f"version/{key}/{name}": array for name, array in rest.items()}
            for number in range(-(-version.machine.customers // SNAPSHOT_BLOCK)):
                # Only a version that the snapshot before knew can have left blocks there.
                fresh = number in changed or key not in self._kept
                blocks.append((version, f"block/{key}/{number:08}", number, fresh))
            versions.append(_said(version, numbers))
        said = {
            "format": FORMAT,
            "clock_ms": state.clock_ms,
            "control": state.control,
            "counts": dict(state.counts),
            "basis": [state.engine, pack_tables(state.tables), state.told],
            "schema": state.directory.schema.to_json(),
            "directory": meta,
            "versions": versions,
            "merged": np.array(sorted(state.merged), np.uint64).tobytes(),
            "moving": dict(state.moving),
        }
        yield
        parts: dict[str, tuple[str, list[int]]] = {}
        pieces = chain(
            _frozen_pieces(directory),
            _print_pieces(admission),
            _text_pieces(texts),
            _copied_pieces(rests),
        )
        for name, number, array in pieces:
            if len(array):
                writer.put_slice(_name(name, number), array.tobytes())
            dtype, shape = parts.get(name, (str(array.dtype), [0, *array.shape[1:]]))
            parts[name] = dtype, [shape[0] + len(array), *shape[1:]]
            yield
        state.directory.thaw()
        if failpoints.armed:
            failpoints.hit("snapshot_mid")
        for version, name, number, fresh in blocks:
            if fresh:
                data = version.machine.take_block(number).tobytes()
                for piece, start in enumerate(range(0, len(data), SLICE_BYTES_MAX)):
                    writer.put_slice(_name(name, piece), data[start : start + SLICE_BYTES_MAX])
                yield
            else:
                for kept in self._kept[str(version.serial)][number]:
                    writer.keep(kept)
        payload = msgpack.packb({**said, "parts": parts})
        for number, start in enumerate(range(0, len(payload), SLICE_BYTES_MAX)):
            writer.put_slice(_name("payload", number), payload[start : start + SLICE_BYTES_MAX])
        writer.flip()
        self._covered = writer.sequence
        found = self._store.load_snapshot()
        assert found is not None
        self._kept = _owners(found)
        yield
        while self._store.sweep_snapshots(SWEPT_BYTES):
            yield


Pieces = Iterator[tuple[str, int, NDArray[Any]]]
"""Names of parts, numbers that put their pieces in order, and the pieces."""


def _frozen_pieces(directory: Frozen) -> Pieces:
    for name, whole in list(directory.arrays.items()):
        rows = PIECE_BYTES // whole.itemsize
        for number in range(max(1, -(-len(whole) // rows))):
            yield f"directory/{name}", number, directory.piece(name, rows)


def _print_pieces(admission: FrozenPrints) -> Pieces:
    number = LAST_PIECE
    while len(piece := admission.piece(PIECE_BYTES // 16)) or number == LAST_PIECE:
        yield "admission/fingerprints", number, piece
        number -= 1
    run_ms, run_rows = admission.runs()
    yield "admission/run_ms", 0, run_ms
    yield "admission/run_rows", 0, run_rows


def _text_pieces(texts: Mapping[int, tuple[Sequence[str], int]]) -> Pieces:
    """The texts of each column that it had when the snapshot began; more may have come since."""
    for place, (known, count) in texts.items():
        end = pieces = 0
        yield f"directory/offsets/{place}", 0, np.zeros(1, np.int64)
        for number, start in enumerate(range(0, max(1, count), PIECE_TEXTS), 1):
            offsets, data = packed_texts(known[start : min(start + PIECE_TEXTS, count)])
            yield f"directory/offsets/{place}", number, offsets[1:] + end
            end += len(data)
            for first in range(0, max(1, len(data)), PIECE_BYTES):
                yield f"directory/texts/{place}", pieces, data[first : first + PIECE_BYTES]
                pieces += 1


def _copied_pieces(arrays: Mapping[str, NDArray[Any]]) -> Pieces:
    for name, array in arrays.items():
        rows = max(1, PIECE_BYTES // (array.nbytes // max(1, len(array)) or 1))
        for number in range(max(1, -(-len(array) // rows))):
            yield name, number, array[number * rows : (number + 1) * rows]


def _said(version: LiveVersion, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "serial": version.serial,
        "document": version.document,
        "flow": version.name,
        "number": version.number,
        "at_ms": version.at_ms,
        "entering": version.entering,
        "paused": version.paused,
        "dropped": version.dropped,
        "entry_rate": version.entry_rate,
        "claims": version.claims.tobytes(),
        "answered": version.answered,
        "decided": sorted(version.decided),
        "numbers": dict(numbers),
        "columns": version.columns(),
    }


def _name(name: str, number: int) -> bytes:
    return f"{name}#{number:06}".encode()


def _owners(snapshot: Snapshot) -> dict[str, dict[int, list[bytes]]]:
    """The slices of each version's blocks, by block."""
    found: dict[str, dict[int, list[bytes]]] = {}
    for name in snapshot.names():
        text = name.decode()
        if text.startswith("block/"):
            key, _, rest = text.removeprefix("block/").rpartition("/")
            number = int(rest.split("#")[0])
            found.setdefault(key, {}).setdefault(number, []).append(name)
    return found


NewVersion = Callable[..., LiveVersion]


def load_state(
    snapshot: Snapshot,
    tenant: TenantSettings,
    cursors: Mapping[bytes, int],
    new_version: NewVersion,
    zones: ZoneTables,
) -> LiveState:
    """The state that a snapshot holds; `cursors` are those of the store.

    `zones` are those of this engine, for a snapshot that does not tell. CorruptError where its
    parts contradict each other.
    """
    try:
        return _loaded(snapshot, tenant, cursors, new_version, zones)
    except (KeyError, ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise CorruptError(
            f"the snapshot makes no sense: {error}",
            advice=RESTORE,
            pointer=f"snapshot {snapshot.manifest.number}",
        ) from error


def _loaded(
    snapshot: Snapshot,
    tenant: TenantSettings,
    cursors: Mapping[bytes, int],
    new_version: NewVersion,
    zones: ZoneTables,
) -> LiveState:
    slices: dict[str, list[bytes]] = {}
    for name in snapshot.names():
        slices.setdefault(name.decode().rpartition("#")[0], []).append(name)

    def part(name: str) -> bytes:
        return b"".join(snapshot.slice(each) for each in slices.get(name, ()))

    said = msgpack.unpackb(part("payload"), strict_map_key=False)
    if said["format"] != FORMAT:
        raise ValueError(f"its format is {said['format']}, not {FORMAT}")

    def array(name: str) -> NDArray[Any]:
        dtype, shape = said["parts"][name]
        return np.frombuffer(part(name), np.dtype(dtype)).reshape(shape)

    def family(prefix: str) -> dict[str, NDArray[Any]]:
        return {n.removeprefix(prefix): array(n) for n in said["parts"] if n.startswith(prefix)}

    schema = TenantSchema.of(said["schema"])
    directory = Directory.restore(family("directory/"), said["directory"], schema, tenant.zone)
    admission = Admission.restore(family("admission/"), schema.settings, cursors)
    state = LiveState(directory, admission, said["clock_ms"], said["control"])
    state.counts = dict(said["counts"])
    state.merged = set(np.frombuffer(said.get("merged", b""), np.uint64).tolist())
    state.moving = dict(said.get("moving", {}))
    state.tables = zones
    if "basis" in said:
        state.engine, packed, state.told = said["basis"]
        state.tables = unpack_tables(packed, zones)
    for each in said["versions"]:
        version = new_version(
            each, each["serial"], directory, state.tables, columns=each["columns"]
        )
        version.entering, version.paused = each["entering"], each["paused"]
        version.dropped = each["dropped"]
        version.claims = np.frombuffer(each["claims"], CLAIM)
        version.answered, version.decided = each["answered"], set(each["decided"])
        key = str(version.serial)
        numbers = each["numbers"]
        blocks = (
            part(f"block/{key}/{number:08}")
            for number in range(-(-numbers["customers"] // SNAPSHOT_BLOCK))
        )
        rest = family(f"version/{key}/")
        rest["count_outcome"] = _widened(rest["count_outcome"])
        version.machine.load_state(blocks, rest, numbers)
        state.versions.append(version)
    return state


def _widened(outcome: NDArray[Any]) -> NDArray[Any]:
    """Counted outcomes with a column for each that there is now: older snapshots have fewer."""
    return np.pad(outcome, ((0, 0), (0, OUTCOMES - outcome.shape[1])))
