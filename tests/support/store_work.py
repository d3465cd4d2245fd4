"""Commits whose contents follow from their number, so that whoever reads them knows what is true.

Run as a program it commits until it is killed: `store_work.py FOLDER COUNT BYTES` prints the number
of each commit once it was acknowledged, and takes a snapshot after every seventh.
"""

import contextlib
import faulthandler
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from actors.store.partition import Partition
from actors.store.relay_marks import Position

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = b"shop"
SNAPSHOT_EVERY = 7


def record(number: int, size: int = 200) -> bytes:
    """The journal record of a commit."""
    return (b"input %d;" % number * (size // 8 + 1))[:size]


def effects(number: int) -> tuple[bytes, ...]:
    """Its effects: none for every fifth commit."""
    return () if number % 5 == 0 else (b"send %d" % number, b"log %d" % number)


def commit(partition: Partition, number: int, size: int = 200) -> int:
    """Makes commit `number`, which must be the next."""
    return partition.commit(record(number, size), effects(number), {SOURCE: number})


def snapshot(partition: Partition) -> None:
    """Takes a snapshot: a slice that changes, and one that is kept from the first on."""
    sequence = partition.head.journal_last
    writer = partition.begin_snapshot(sequence)
    writer.put_slice(b"changing", b"state %d" % sequence)
    if partition.head.snapshot:
        writer.keep(b"constant")
    else:
        writer.put_slice(b"constant", bytes(10_000))
    writer.flip(b"of %d" % sequence)
    partition.sweep_snapshots()


def fill(folder: Path, count: int, size: int = 200) -> None:
    """Makes a partition with so many commits, snapshots, and two rows of a relay."""
    with Partition.open(folder, create=True, map_bytes=1 << 20) as partition:
        for number in range(1, count + 1):
            commit(partition, number, size)
            if number % SNAPSHOT_EVERY == 0:
                snapshot(partition)
        rows = {b"ambiguous/key": b"who knows", b"dead/key": b"given up"}
        partition.mark_relay(Position(1, 1), put=rows)


def contents(partition: Partition) -> dict[str, Any]:
    """Everything that a partition holds."""
    found = partition.load_snapshot()
    return {
        "journal": list(partition.journal(partition.head.journal_first - 1)),
        "outbox": list(partition.outbox(partition.head.outbox_trimmed)),
        "cursors": dict(partition.cursors),
        "relay": partition.relay_position,
        "rows": [list(partition.relay_rows(prefix)) for prefix in (b"ambiguous/", b"dead/")],
        "snapshot": found and (found.sequence, found.payload, list(found.slices())),
    }


def check(partition: Partition, size: int = 200) -> int:
    """Asserts that all of it belongs together; returns the last commit."""
    found = contents(partition)
    last: int = partition.head.journal_last
    numbers = range(1, last + 1)
    assert found["journal"] == [(number, record(number, size)) for number in numbers]
    assert found["outbox"] == [(n, effects(n)) for n in numbers if effects(n)]
    assert found["cursors"] == ({SOURCE: last} if last else {})
    if found["snapshot"]:
        sequence, payload, slices = found["snapshot"]
        assert payload == b"of %d" % sequence
        assert slices == [(b"changing", b"state %d" % sequence), (b"constant", bytes(10_000))]
    return last


def start(folder: Path, count: int, size: int = 200, failpoints: str = "") -> subprocess.Popen[str]:
    """Starts this file as a program."""
    return subprocess.Popen(
        command(folder, count, size),
        env=environment(failpoints),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(folder: Path, count: int, size: int = 200) -> list[str]:
    """The command line of this file as a program."""
    return [sys.executable, __file__, str(folder), str(count), str(size)]


def environment(failpoints: str = "") -> dict[str, str]:
    """The variables of a program that imports the checkout."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "HEADRACE_FAILPOINTS": failpoints}


@contextlib.contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A folder in which forcing data to the disk costs nothing, where the system has such."""
    shared = Path("/dev/shm")
    if os.access(shared, os.W_OK):
        with tempfile.TemporaryDirectory(dir=shared) as folder:
            yield Path(folder)
    else:
        yield otherwise


def in_child(work: Callable[[], Any]) -> tuple[str, Any]:
    """What `work` returned or raised in a forked child, or what signal it died of."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                answer = ("returned", work())
            except Exception as error:
                answer = ("raised", error)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "died", signal.Signals(os.WTERMSIG(status)).name
    answer = pickle.loads(data)
    return answer


def main(folder: str, count: str, size: str) -> None:
    """Commits, acknowledges, takes snapshots."""
    with Partition.open(folder, create=True, map_bytes=1 << 20) as partition:
        partition.tend()
        first = partition.head.journal_last + 1
        for number in range(first, first + int(count)):
            commit(partition, number, int(size))
            os.write(1, b"%d\n" % number)
            if number % SNAPSHOT_EVERY == 0:
                snapshot(partition)


if __name__ == "__main__":
    main(*sys.argv[1:])
