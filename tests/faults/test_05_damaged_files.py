"""Scenario 5: torn pages, files cut short, meta pages garbage or stale: refused, and restored."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.store.backup import restore
from actors.store.errors import CorruptError, QuarantinedError
from actors.store.partition import Partition
from actors.store.starts import STARTS_MAX
from actors.store.verify import verify
from store_work import check, commit, fill, in_child

PAGE = 4096
COMMITS = 30
META = 16  # where a meta page's content begins
TXNID = 144  # where its transaction number stands
META_END = 152


def newest(data: bytearray) -> int:
    """Where the newer meta page begins."""
    first, second = (struct.unpack_from("<Q", data, page * PAGE + TXNID)[0] for page in (0, 1))
    return 0 if first > second else PAGE


def torn_pages(data: bytearray) -> None:
    """Only the first sector of every page that is not a meta page was written."""
    for start in range(2 * PAGE, len(data), PAGE):
        data[start + 512 : start + PAGE] = bytes(PAGE - 512)


def cut_short(data: bytearray) -> None:
    """The second half is gone."""
    end = len(data.rstrip(b"\0"))
    del data[end // 2 :]


def garbage_meta(data: bytearray) -> None:
    """The newer meta page is noise."""
    start = newest(data)
    data[start + META : start + META_END] = b"\xa5" * (META_END - META)


def stale_roots(data: bytearray) -> None:
    """The newer meta page has its number, but the older one's roots."""
    start = newest(data)
    older = PAGE - start
    data[start + META : start + TXNID] = data[older + META : older + TXNID]


def stale_meta(data: bytearray) -> None:
    """The newer meta page was never written."""
    start = newest(data)
    older = PAGE - start
    data[start + META : start + META_END] = data[older + META : older + META_END]


DAMAGES = [torn_pages, cut_short, garbage_meta, stale_roots, stale_meta]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused_quarantined_and_restored(
    tmp_path: Path, damage: Callable[[bytearray], None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "p"
    fill(folder, COMMITS)
    with Partition.open(folder) as partition:
        partition.backup(tmp_path / "backup")
        # The last transaction is a commit, which the older meta page does not know.
        commit(partition, COMMITS + 1)
    data = bytearray((folder / "data.mdb").read_bytes())
    damage(data)
    (folder / "data.mdb").write_bytes(data)

    def opened() -> int:
        with Partition.open(folder) as partition:
            return check(partition)

    outcomes = [in_child(opened) for _ in range(STARTS_MAX + 1)]
    for how, answer in outcomes[:-1]:
        assert how == "died" or isinstance(answer, CorruptError), (how, repr(answer))
    assert isinstance(outcomes[-1][1], QuarantinedError)
    assert str(folder) in str(outcomes[-1][1])
    report = verify(folder)
    assert not report.sound
    with pytest.raises(QuarantinedError):
        Partition.open(folder)

    # Others go on, and the procedure of restoring it ends with a partition that works.
    fill(tmp_path / "other", 2)
    restore(tmp_path / "backup", tmp_path / "restored")
    with Partition.open(tmp_path / "restored") as partition:
        assert check(partition) == COMMITS
        commit(partition, COMMITS + 1)
        assert check(partition) == COMMITS + 1
    with capsys.disabled():
        how, answer = outcomes[0]
        told = answer if how == "died" else type(answer).__name__
        print(f"\nscenario 5: {damage.__name__}: {told}; verify: {report.first_problem}")


def test_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    fill(tmp_path / "backup", 3)
    data = bytearray((tmp_path / "backup" / "data.mdb").read_bytes())
    place = data.index(b"input 2;")
    data[place] ^= 1
    (tmp_path / "backup" / "data.mdb").write_bytes(data)
    with pytest.raises(CorruptError, match="does not match its checksum"):
        restore(tmp_path / "backup", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    assert shutil.which("ls") is None or len(list(tmp_path.iterdir())) == 1
