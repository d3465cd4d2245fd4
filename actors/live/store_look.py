"""Look at one store without changing it: how far its relay, its snapshot and its readers are.

    python -m actors.live.store_look FOLDER ...  a line of JSON for each; of stores nobody has open

In a process of its own, because reading what is damaged can kill the process.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.live.reading import reading
from actors.relay.effect_block import expand
from actors.relay.effects import UnreadableError, decode_effect
from actors.relay.rows import decode_row
from actors.store.errors import StoreError
from actors.store.folder import DATA
from actors.store.partition import Partition

TAIL_LOOK_RECORDS = 20_000
ROWS_LOOK = 100_000


@dataclass(frozen=True, slots=True)
class StoreLook:
    """What was seen: sizes in bytes, times in ms UTC.

    `tail_records`, `tail_bytes`: the journal behind the last snapshot, of the bytes at most those
    of 20,000 records; `oldest_effect_ms`: when the first message was decided that no relay has
    taken, 0 for none; `rows` of the relay by state; `dead_readers`: places in LMDB's table held by
    processes that are gone.
    """

    file_bytes: int
    map_bytes: int
    commits: int
    tail_records: int
    tail_bytes: int
    oldest_effect_ms: int
    rows: dict[str, int]
    dead_readers: int


def look_at(store: Partition) -> StoreLook:
    """Look at an open store; any thread may. Raises CorruptError, HaltedError."""
    head = store.head
    found = store.load_snapshot()
    covered = max(0 if found is None else found.sequence, head.journal_first - 1)
    tail = itertools.islice(store.journal(covered), TAIL_LOOK_RECORDS)
    return StoreLook(
        file_bytes=(store.folder / DATA).stat().st_size,
        map_bytes=store.map_bytes,
        commits=head.journal_last,
        tail_records=head.journal_last - covered,
        tail_bytes=sum(len(data) for _, data in tail),
        oldest_effect_ms=_oldest(store),
        rows=_rows(store),
        dead_readers=_dead_readers(store),
    )


def _oldest(store: Partition) -> int:
    head = store.head
    after = max(head.relay_commit, head.outbox_trimmed)
    for block in store.outbox(after, 1):
        for data in expand(block.effects[:1])[:1]:
            try:
                return decode_effect(data).committed_ms
            except UnreadableError:
                return 0
    return 0


def _rows(store: Partition) -> dict[str, int]:
    """The relay's messages out of line, by state."""
    found: dict[str, int] = {}
    for prefix in (b"pending/", b"parked/", b"held/"):
        for _, data in itertools.islice(store.relay_rows(prefix), ROWS_LOOK):
            try:
                state = str(decode_row(data).state)
            except UnreadableError:
                state = "unreadable"
            found[state] = found.get(state, 0) + 1
    return found


def _dead_readers(store: Partition) -> int:
    """Places in the table of readers whose process is gone; a table that nobody shares has none."""
    with store.environment.using() as environment:
        table = str(environment.readers())
    pids = [line.split()[0] for line in table.splitlines()[1:] if line.split()]
    return sum(pid.isdigit() and not Path(f"/proc/{pid}").exists() for pid in pids)


def look_in_process(folders: Sequence[Path]) -> list[StoreLook | str]:
    """Look at stores that nobody has open, from another process; or what is wrong with one.

    A process that dies of a store is followed by another, for the stores behind it.
    """
    found: list[StoreLook | str] = []
    while len(found) < len(folders):
        left = [os.fspath(folder) for folder in folders[len(found) :]]
        done = subprocess.run(
            [sys.executable, "-m", "actors.live.store_look", *left],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        found += [each if isinstance(each, str) else StoreLook(**each) for each in answers]
        if len(answers) < len(left):
            told = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            died = f"reading it killed the process (signal {-done.returncode})"
            found.append(died if done.returncode < 0 else told[0])
    return found


def main(arguments: list[str]) -> None:
    """The command."""
    for folder in arguments:
        try:
            with reading(Path(folder)) as store:
                answer: Any = asdict(look_at(store))
        except StoreError as error:
            answer = error.message
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
