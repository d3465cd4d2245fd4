"""Tests of `actors.live.shard`: order, acknowledgement, back-pressure, halts, commands."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from actors.intake.frame import encode
from actors.live import seat, watermarks
from actors.live.errors import BehindError, BusyError, DownError, FullError, RefusedError
from actors.live.shard import Shard, ShardOptions
from actors.live.watermarks import Marks
from actors.store.errors import CorruptError, HaltedError, NoSpaceError
from hosting import Opener, frame_of
from waiting import PATIENCE_S, until


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
def start(opener: Opener, tmp_path: Path) -> Iterator[Callable[..., Shard]]:
    started: list[Shard] = []

    def start(numbers: tuple[int, ...] = (0, 1), ready: bool = True, **options: Any) -> Shard:
        options.setdefault("marks", Marks(disk_warn=1.1, disk_full=1.1))
        shard = Shard(tmp_path, numbers, opener, ShardOptions(**options))
        started.append(shard)
        if ready:
            shard.follow([], 0)
        return shard

    yield start
    for shard in started:
        shard.close()


def done(future: Future[Any]) -> Any:
    return future.result(PATIENCE_S)


def test_a_frame_is_acknowledged_after_its_commit_only(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    opener.open[0].gate.clear()
    future = shard.submit(0, frame_of("a", "b"))
    time.sleep(0.05)
    assert not future.done()
    assert opener.disks[0].batches == []
    opener.open[0].gate.set()
    assert done(future).accepted == 2
    assert opener.disks[0].batches == [["a", "b"]]


def test_frames_that_come_during_a_commit_share_the_next_in_their_order(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    opener.open[0].gate.clear()
    first = shard.submit(0, frame_of("first"))
    until(lambda: shard.status()["queue_rows"] == 0)
    rest = [shard.submit(0, encode(frame_of(f"e{i}"))) for i in range(5)]
    opener.open[0].gate.set()
    assert [done(f).commit for f in [first, *rest]] == [1, 2, 2, 2, 2, 2]
    assert opener.disks[0].batches == [["first"], [f"e{i}" for i in range(5)]]


def test_a_repeated_frame_is_told_as_a_duplicate(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    for expected in (1, 0):
        receipt = done(shard.submit(1, frame_of("a", source=b"s", sequence=7)))
        assert (receipt.accepted, receipt.duplicates) == (expected, 1 - expected)
    assert opener.disks[1].events == ["a"]


@pytest.mark.parametrize("limit", [{"queue_rows": 3}, {"queue_bytes": 250}])
def test_a_full_queue_refuses_and_keeps_what_it_has(
    start: Callable[..., Shard], opener: Opener, limit: dict[str, int]
) -> None:
    shard = start(**limit)
    opener.open[0].gate.clear()
    taken = [shard.submit(0, frame_of("first"))]
    until(lambda: shard.status()["queue_rows"] == 0)
    taken += [shard.submit(0, frame_of("a")) for _ in range(3)]
    with pytest.raises(BusyError, match="3 rows wait already") as caught:
        shard.submit(0, frame_of("a"))
    assert caught.value.retry_after_ms > 0
    opener.open[0].gate.set()
    assert [done(f).accepted for f in taken] == [1] * len(taken)
    assert len(opener.disks[0].events) == len(taken) == 4


def test_a_frame_beyond_the_bound_is_taken_alone(start: Callable[..., Shard]) -> None:
    assert done(start(queue_rows=2).submit(0, frame_of(*"abcd"))).accepted == 4


def test_a_full_disk_refuses_rows_and_not_timers(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start(marks=Marks(disk_full=0.0, disk_warn=0.0, disk_spare_bytes=1 << 62))
    with pytest.raises(FullError, match="and from 0% on nothing is taken in"):
        shard.submit(0, frame_of("a"))
    assert shard.status()["disk"] == "full"
    before = opener.disks[0].clock_ms
    until(lambda: opener.disks[0].clock_ms > before + 1)


def test_full_memory_refuses_rows(
    start: Callable[..., Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermarks, "resident_bytes", lambda: 2 << 30)
    shard = start(marks=Marks(disk_full=1.1, memory_bytes=1 << 30))
    with pytest.raises(BusyError, match="2,048 MiB of memory") as caught:
        shard.submit(0, frame_of("a"))
    assert caught.value.retry_after_ms == 1000


def test_no_room_refuses_a_frame_and_leaves_the_partition_open(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    opener.open[0].fail["take"] = NoSpaceError("no room")
    with pytest.raises(NoSpaceError):
        done(shard.submit(0, frame_of("a")))
    assert done(shard.submit(0, frame_of("b"))).accepted == 1
    assert opener.disks[0].batches == [["b"]]
    assert opener.disks[0].openings == 1


def test_one_refused_frame_does_not_spoil_its_batch(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    partition = opener.open[0]
    partition.gate.clear()
    first = shard.submit(0, frame_of("first"))
    until(lambda: shard.status()["queue_rows"] == 0)
    rest = [shard.submit(0, frame_of(f"e{i}")) for i in range(3)]
    partition.fail["take"] = NoSpaceError("no room for all at once")
    partition.gate.set()
    assert [done(f).accepted for f in [first, *rest]] == [1, 1, 1, 1]
    assert opener.disks[0].batches == [["first"], ["e0"], ["e1"], ["e2"]]


def test_a_halt_is_told_and_the_others_go_on(start: Callable[..., Shard], opener: Opener) -> None:
    shard = start()
    broken = opener.open[0]
    broken.fail["take"] = CorruptError("a record is damaged")
    with pytest.raises(DownError, match="partition 0: the partition halted: a record is damaged"):
        done(shard.submit(0, frame_of("a")))
    until(lambda: broken.closed)
    with pytest.raises(DownError, match="a record is damaged"):
        shard.submit(0, frame_of("a"))
    assert done(shard.submit(1, frame_of("b"))).accepted == 1
    found = shard.status()["partitions"]
    assert (found[0]["state"], found[1]["state"]) == ("halted", "open")
    assert "damaged" in found[0]["error"]
    time.sleep(0.05)
    assert opener.disks[0].openings == 1


def test_a_partition_that_halted_is_opened_again(
    start: Callable[..., Shard], opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "RETRY_S", (0.01,))
    shard = start()
    shard.follow([(1, {"kind": "pause"})], 1)
    opener.open[0].fail["take"] = HaltedError("the disk failed")
    opener.disks[0].commands.clear()  # as if the last command had not been committed
    with pytest.raises(DownError, match="the disk failed"):
        done(shard.submit(0, frame_of("a")))
    until(lambda: shard.status()["partitions"][0]["state"] == "open")
    assert opener.disks[0].openings == 2
    assert opener.disks[0].commands == [{"kind": "pause"}]
    assert done(shard.submit(0, frame_of("b"))).accepted == 1


def test_a_partition_that_cannot_be_opened_leaves_the_others(
    start: Callable[..., Shard], opener: Opener
) -> None:
    opener.fail[0] = CorruptError("torn")
    shard = start()
    assert done(shard.submit(1, frame_of("b"))).accepted == 1
    with pytest.raises(DownError, match="torn"):
        shard.submit(0, frame_of("a"))
    with pytest.raises(DownError, match="torn"):
        shard.prepare({"kind": "pause"})


def test_nothing_happens_before_all_commands_came(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start(ready=False)
    with pytest.raises(BehindError):
        shard.submit(0, frame_of("a"))
    time.sleep(0.03)
    assert opener.disks[0].clock_ms == 0
    shard.follow([(1, {"kind": "pause"})], 2)
    with pytest.raises(BehindError):
        shard.submit(0, frame_of("a"), control=2)
    assert not shard.status()["ready"]
    shard.follow([(1, {"kind": "pause"}), (2, {"kind": "resume"})], 2)
    assert [c["kind"] for c in opener.disks[0].commands] == ["pause", "resume"]
    assert done(shard.submit(0, frame_of("a"), control=2)).accepted == 1
    assert shard.control_sequence() == 2
    with pytest.raises(BehindError):
        shard.submit(0, frame_of("a"), control=3)


def test_a_command_that_fails_halts_its_partition_alone(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    opener.open[1].fail["command"] = RuntimeError("it was prepared")
    shard.follow([(1, {"kind": "pause"})], 1)
    found = shard.status()["partitions"]
    assert (found[0]["state"], found[1]["state"]) == ("open", "opening")
    assert "RuntimeError: it was prepared" in found[1]["error"]


def test_timers_fire_by_a_driven_clock(start: Callable[..., Shard], opener: Opener) -> None:
    shard = start(driven=True)
    shard.advance(1000)
    done(shard.submit(0, frame_of("wait 500", "wait 200")))
    begun = opener.disks[0].clock_ms
    shard.advance(begun + 499)
    assert [due - begun for due, _ in opener.disks[0].fired] == [200]
    shard.advance(begun + 500)
    assert [due - begun for due, _ in opener.disks[0].fired] == [200, 500]


def test_timers_fire_by_the_machines_clock_when_nothing_comes(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    done(shard.submit(0, frame_of("wait 60", "wait 30")))
    until(lambda: len(opener.disks[0].fired) == 2)
    assert all(due <= now < due + 500 for due, now in opener.disks[0].fired)
    with pytest.raises(RefusedError, match="cannot be set"):
        shard.advance(1)


def test_reads_come_between_batches(start: Callable[..., Shard], opener: Opener) -> None:
    shard = start()
    done(shard.submit(0, frame_of("a", "b")))
    assert shard.read(0, "counted") == 2
    assert shard.read(0, "cursors") == {}
    with pytest.raises(RefusedError, match="partition 9 is not in this shard"):
        shard.read(9, "counted")
    with pytest.raises(RefusedError, match="a partition has no 'shoes'"):
        shard.read(0, "shoes")


def test_a_snapshot_is_taken_slice_by_slice(start: Callable[..., Shard], opener: Opener) -> None:
    shard = start()
    opener.open[0].slices = opener.open[1].slices = 40
    done(shard.submit(0, frame_of("a")))
    until(lambda: opener.open[0].slices == opener.open[1].slices == 0)


def test_a_refused_tick_is_tried_again_and_not_at_once(
    start: Callable[..., Shard], opener: Opener
) -> None:
    shard = start()
    opener.open[0].fail["tick"] = NoSpaceError("no room")
    done(shard.submit(0, frame_of("wait 20")))
    until(lambda: len(opener.disks[0].fired) == 1)
    assert opener.disks[0].openings == 1


def test_a_refused_snapshot_is_tried_again_and_not_at_once(
    start: Callable[..., Shard], opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "REST_S", 1.0)
    shard = start()
    opener.open[0].fail["snapshot"] = NoSpaceError("no room")
    until(lambda: "snapshot" not in opener.open[0].fail)
    before = opener.open[0].snapshots
    for _ in range(20):
        done(shard.submit(0, frame_of("a")))
    assert opener.open[0].snapshots == before
    until(lambda: opener.open[0].snapshots > before)
    assert opener.disks[0].openings == 1


def test_closing_commits_what_is_queued(start: Callable[..., Shard], opener: Opener) -> None:
    shard = start()
    opener.open[0].gate.clear()
    futures = [shard.submit(0, frame_of(f"e{i}")) for i in range(5)]
    closing = threading.Thread(target=shard.close)
    closing.start()
    time.sleep(0.02)
    with pytest.raises(DownError, match="stopping"):
        shard.submit(0, frame_of("late"))
    opener.open[0].gate.set()
    closing.join(PATIENCE_S)
    assert opener.disks[0].events == [f"e{i}" for i in range(5)]
    assert [done(f).accepted for f in futures] == [1] * 5
    assert opener.open[0].closed
    assert opener.open[1].closed


def test_an_opening_under_way_is_awaited_by_a_stop(
    start: Callable[..., Shard], opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "RETRY_S", (0.01,))
    shard = start()
    entered, gate = threading.Event(), threading.Event()
    opener.before[0] = lambda: (entered.set(), gate.wait(PATIENCE_S))
    opener.open[0].fail["take"] = HaltedError("the disk failed")
    with pytest.raises(DownError, match="the disk failed"):
        done(shard.submit(0, frame_of("a")))
    first = opener.open[0]
    assert entered.wait(PATIENCE_S)
    closing = threading.Thread(target=shard.close)
    closing.start()
    time.sleep(0.05)
    assert closing.is_alive()
    gate.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert opener.open[0] is not first
    assert opener.open[0].closed
    assert opener.open[1].closed


def test_one_that_fails_to_close_leaves_no_other_open(
    start: Callable[..., Shard], opener: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    shard = start()
    opener.open[0].fail["settle"] = RuntimeError("a mistake")
    shard.close()
    assert "partition 0: its state is not saved: a mistake" in caplog.text
    assert opener.open[0].closed
    assert opener.open[1].closed
