"""Scenario 7: the map begins with 1 MiB and grows under load, while readers read."""

import threading
from pathlib import Path

import pytest

from actors.store.partition import Partition
from store_work import check, commit, record

COMMITS = 250
SIZE = 64_000


def test_the_map_grows_while_readers_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    errors: list[BaseException] = []
    reads = [0, 0]
    done = threading.Event()
    with Partition.open(tmp_path / "p", create=True, map_bytes=1 << 20) as partition:

        def read(reader: int) -> None:
            try:
                while not done.is_set():
                    after = max(0, partition.head.journal_last - 20)
                    for number, found in partition.journal(after):
                        assert found == record(number, SIZE)
                        reads[reader] += 1
                    done.wait(0.002)
            except BaseException as error:
                errors.append(error)

        readers = [threading.Thread(target=read, args=(reader,)) for reader in range(2)]
        for thread in readers:
            thread.start()
        for number in range(1, COMMITS + 1):
            commit(partition, number, SIZE)
        done.set()
        for thread in readers:
            thread.join()
        assert errors == []
        assert min(reads) > 0
        assert partition.map_bytes >= COMMITS * SIZE
        assert check(partition, SIZE) == COMMITS
        grown = partition.map_bytes >> 20
    with capsys.disabled():
        print(f"\nscenario 7: 1 MiB to {grown} MiB, {COMMITS} commits, {sum(reads)} reads")
