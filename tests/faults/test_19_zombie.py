"""Scenario 19: a process is stopped, another takes its partition over, the first wakes up."""

import os
import signal
import threading
from pathlib import Path

import pytest

from actors.store.errors import InUseError
from actors.store.partition import Partition
from store_work import check, commit, start

STOPPED_AT = 8


def test_a_zombie_cannot_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zombie = start(tmp_path / "p", 100, failpoints=f"before_transaction=stop@{STOPPED_AT}")
    assert os.WIFSTOPPED(os.waitpid(zombie.pid, os.WUNTRACED)[1])
    with pytest.raises(InUseError, match=f"in process {zombie.pid}"):
        Partition.open(tmp_path / "p")
    with Partition.open(tmp_path / "p", takeover=True) as partition:
        last = check(partition)
        assert last == STOPPED_AT - 2  # its first transaction was its opening
        commit(partition, last + 1)
        zombie.send_signal(signal.SIGCONT)
        output, errors = zombie.communicate()
        assert zombie.returncode == 1
        assert "FencedError" in errors
        assert output.split()[-1] == str(last)
        commit(partition, last + 2)
        assert check(partition) == last + 2
    with capsys.disabled():
        print(f"\nscenario 19: the zombie committed {output.split().count(str(last + 1))} times")


def test_a_takeover_waits_for_one_stopped_within_a_transaction(tmp_path: Path) -> None:
    zombie = start(tmp_path / "p", 100, failpoints=f"in_transaction=stop@{STOPPED_AT}")
    assert os.WIFSTOPPED(os.waitpid(zombie.pid, os.WUNTRACED)[1])
    last: list[int] = []

    def take_over() -> None:
        with Partition.open(tmp_path / "p", takeover=True) as partition:
            last.append(check(partition))

    thread = threading.Thread(target=take_over)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    zombie.kill()
    output, _ = zombie.communicate()
    thread.join()
    assert last == [int(output.split()[-1])]
