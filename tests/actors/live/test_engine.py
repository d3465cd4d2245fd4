"""Tests of `actors.live.engine`: rows to their partitions, commands to all or none."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.intake.bulk import frame_of_columns
from actors.intake.rows import Decoded, Reject
from actors.live import seat
from actors.live.control import ControlLog
from actors.live.data_dir import DataDir, Manifest
from actors.live.engine import Engine
from actors.live.errors import (
    BusyError,
    DownError,
    FlowError,
    FullError,
    GoneError,
    RefusedError,
    UnknownError,
)
from actors.live.handles import InlineHandle
from actors.live.rejects import RejectLog
from actors.live.shard import Shard, ShardOptions
from actors.live.watermarks import Marks
from actors.store.errors import CorruptError, HaltedError, NoSpaceError
from core.errors import HeadraceError
from hosting import FLOW_TEXT, Opener
from waiting import until

SCHEMA: dict[str, Any] = {
    "attributes": {"age": {"type": "int64"}, "email": {"type": "string", "personal": True}},
    "events": {"a": {}, "b": {"properties": {"price": {"type": "float64"}}}},
}
SCHEMA["events"]["b"] = {"properties": {"price": "float64"}}
PARTITIONS = 4


def event(customer: str, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"customer": customer, "event": name, **more}


def close_all(shards: Sequence[Shard]) -> None:
    for shard in shards:
        shard.close()


@pytest.fixture
def opener() -> Opener:
    return Opener()


Start = Callable[..., Engine]


@pytest.fixture
def start(tmp_path: Path, opener: Opener) -> Iterator[Start]:
    started: list[Engine] = []

    def start(schema: dict[str, Any] | None = SCHEMA, **options: Any) -> Engine:
        folder = tmp_path / "d"
        data = (
            DataDir.open(folder)
            if folder.exists()
            else DataDir.create(folder, Manifest("shop", PARTITIONS))
        )
        options.setdefault("marks", Marks(disk_full=1.1))
        shards = [
            Shard(folder, numbers, opener, ShardOptions(**options)) for numbers in ((0, 1), (2, 3))
        ]
        engine = Engine(
            data,
            ControlLog.open(data.control),
            [InlineHandle(shard) for shard in shards],
            closing=lambda: close_all(shards),
            driven=options.get("driven", False),
        )
        started.append(engine)
        if schema is not None:
            engine.set_schema(schema)
        return engine

    yield start
    for engine in started:
        engine.close()


def all_events(opener: Opener) -> list[str]:
    return sorted(e for disk in opener.disks.values() for e in disk.events)


def test_rows_go_to_the_partitions_of_their_customers(start: Start, opener: Opener) -> None:
    engine = start()
    reply = engine.send([event(f"c{i}") for i in range(100)])
    assert (reply.accepted, reply.duplicates, reply.rejects) == (100, 0, [])
    for number, disk in opener.disks.items():
        assert disk.customers == {
            f"c{i}" for i in range(100) if engine.partition_of(f"c{i}") == number
        }
        assert len(disk.customers) > 10


def test_rows_that_are_refused_are_told_and_written_down(start: Start, tmp_path: Path) -> None:
    engine = start()
    rows = [event("c1"), event("c2", "zzz"), {"customer": "c3", "set": {"age": "old"}}, 5]
    reply = engine.send(rows, batch=b"b" * 16)
    assert reply.accepted == 1
    assert [(row, code) for row, _, code, _ in reply.rejects] == [
        (1, "unknown-event"),
        (2, "wrong-type"),
        (3, "wrong-type"),
    ]
    lines = (tmp_path / "d/rejects/rejects.jsonl").read_text().splitlines()
    assert [json.loads(line)["code"] for line in lines] == [code for _, _, code, _ in reply.rejects]
    assert json.loads(lines[1])["place"] == "/2/set/age"
    assert "old" not in "".join(lines)
    assert engine.status()["rejects"] == {"unknown-event": 1, "wrong-type": 2}


def test_columns_go_the_same_way_as_rows(start: Start, opener: Opener) -> None:
    engine = start()
    numbers = np.arange(3, dtype=np.uint64)
    frame = frame_of_columns(["c1", "c2", "c1"], event="a", message=numbers, source=b"crm")
    decoded = Decoded(frame, np.array([0, 2, 3]), [Reject(1, "/1", "wrong-type", "it is wrong")])
    for _ in range(2):
        reply = engine.send_decoded(decoded)
        assert (reply.accepted, reply.rejects) == (3, [(1, "/1", "wrong-type", "it is wrong")])
    assert sum(len(batch) for disk in opener.disks.values() for batch in disk.batches) == 6


def test_a_numbered_batch_counts_once(start: Start, opener: Opener) -> None:
    engine = start()
    for accepted in (3, 0):
        reply = engine.send([event(f"c{i}") for i in range(3)], source=b"crm", sequence=1)
        assert (reply.accepted, reply.duplicates) == (accepted, 3 - accepted)
    assert all_events(opener) == ["a", "a", "a"]
    assert engine.sequence_of(b"crm") == 1
    assert engine.sequence_of(b"nobody") == 0


def test_personal_values_are_stored_before_their_row_and_apart(
    start: Start, opener: Opener
) -> None:
    engine = start()
    engine.send([{"customer": "c1", "set": {"age": 5, "email": "a@b.example"}}])
    disk = opener.disks[engine.partition_of("c1")]
    assert disk.people == {"c1": {"email": "a@b.example"}}
    assert disk.order == ["begun", "people", "rows"]


def test_personal_values_that_cannot_be_stored_keep_their_rows_out(
    start: Start, opener: Opener
) -> None:
    engine = start()
    opener.open[engine.partition_of("c1")].fail["put_people"] = NoSpaceError("no room")
    with pytest.raises(NoSpaceError):
        engine.send([{"customer": "c1", "set": {"email": "a@b.example"}}])
    assert opener.disks[engine.partition_of("c1")].batches == []


def test_a_busy_shard_is_asked_again(start: Start, opener: Opener) -> None:
    engine = start(queue_rows=1)
    number = engine.partition_of("c1")
    opener.open[number].gate.clear()
    threads = [threading.Thread(target=engine.send, args=([event("c1")],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    handle = engine._of[number]
    until(lambda: handle.call("status")["queue_rows"] == 1)  # one is worked on, and one waits
    with pytest.raises(BusyError):
        engine.send([event("c1")], deadline_s=0.01)
    opener.open[number].gate.set()
    for thread in threads:
        thread.join()
    assert all_events(opener) == ["a"] * 4


def test_no_answer_in_time_is_told_as_unknown(start: Start, opener: Opener) -> None:
    engine = start()
    opener.open[engine.partition_of("c1")].gate.clear()
    with pytest.raises(UnknownError, match="not known whether all rows were stored"):
        engine.send([event("c1")], deadline_s=0.05)
    opener.open[engine.partition_of("c1")].gate.set()


def test_a_full_disk_is_told_at_once(start: Start) -> None:
    engine = start(marks=Marks(disk_full=0.0, disk_spare_bytes=1 << 62))
    with pytest.raises(FullError):
        engine.send([event("c1")])


def test_a_partition_that_comes_back_is_waited_for(
    start: Start, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "RETRY_S", (0.05,))
    engine = start()
    opener.open[engine.partition_of("c1")].fail["take"] = HaltedError("the disk failed")
    assert engine.send([event("c1")]).accepted == 1
    assert all_events(opener) == ["a"]


def test_one_that_does_not_is_told_and_others_serve(start: Start, opener: Opener) -> None:
    engine = start()
    number = engine.partition_of("c1")
    opener.open[number].fail["take"] = CorruptError("torn")
    with pytest.raises(GoneError, match=f"partition {number}: the partition halted: torn"):
        engine.send([event("c1")])
    other = next(f"c{i}" for i in range(99) if engine.partition_of(f"c{i}") != number)
    assert engine.send([event(other)]).accepted == 1
    with pytest.raises(DownError):
        engine.publish(FLOW_TEXT)
    assert engine.flows() == []


def commands(opener: Opener) -> list[list[tuple[str, Any]]]:
    return [
        [(c["kind"], c.get("version")) for c in disk.commands] for disk in opener.disks.values()
    ]


def test_a_flow_is_published_to_all_partitions(start: Start, opener: Opener) -> None:
    engine = start()
    done = engine.publish(FLOW_TEXT)
    assert (done.flow, done.version, done.command, done.pending) == ("f", 1, 2, [])
    first_ms = engine.flows()[0].published_ms
    assert engine.publish(FLOW_TEXT + " # new", in_flight="drop").version == 2
    wanted = [("schema", None), ("publish", 1), ("publish", 2)]
    assert commands(opener) == [wanted] * PARTITIONS
    assert [{disk.commands[n]["at_ms"] for disk in opener.disks.values()} for n in (1, 2)] == [
        {first_ms},
        {engine.flows()[0].published_ms},
    ]


def test_what_one_partition_refuses_reaches_none(start: Start, opener: Opener) -> None:
    engine = start()
    opener.open[3].fail["prepare"] = RefusedError("it reads an attribute of another type")
    with pytest.raises(RefusedError, match="another type"):
        engine.publish(FLOW_TEXT)
    assert commands(opener) == [[("schema", None)]] * PARTITIONS
    assert engine.control.last == 1


def test_a_flow_with_errors_is_refused_with_all_of_them(start: Start) -> None:
    engine = start()
    wrong = FLOW_TEXT.replace("event: a", "event: ''").replace("type: end", "type: dance")
    message = r"flow\.yaml, line 3, /nodes/t/event: the text is empty \(and 1 more errors\)"
    with pytest.raises(FlowError, match=message) as caught:
        engine.publish(wrong, name="flow.yaml")
    found = [violation.pointer for violation in caught.value.violations]
    assert found == ["/nodes/t/event", "/nodes/x/type"]
    with pytest.raises(FlowError, match="/nodes/t/next"):
        engine.publish(FLOW_TEXT.replace("next: x", "next: y"))


def test_a_text_that_is_published_already_is_refused(start: Start) -> None:
    engine = start()
    engine.publish(FLOW_TEXT)
    with pytest.raises(RefusedError, match="this very document is version 1 of flow f already"):
        engine.publish(FLOW_TEXT)
    engine.stop("f")
    assert engine.publish(FLOW_TEXT).version == 2


def test_a_request_that_is_made_again_is_carried_out_once(start: Start, opener: Opener) -> None:
    engine = start()
    first = engine.publish(FLOW_TEXT, request="r1")
    assert engine.publish(FLOW_TEXT, request="r1") == first
    paused = engine.pause("f", request="r2")
    assert engine.pause("f", request="r2") == paused
    assert engine.control.last == 3
    engine.close()
    engine = start(schema=None)
    assert engine.pause("f", request="r2").command == paused.command
    assert engine.control.last == 3


def test_flows_pause_resume_and_stop(start: Start, opener: Opener) -> None:
    engine = start()
    engine.publish(FLOW_TEXT)
    for change, status in ((engine.pause, "paused"), (engine.resume, "active")):
        change("f")
        assert engine.flows()[0].status == status
        with pytest.raises(RefusedError, match=f"flow f is {status}, so there is nothing to"):
            change("f")
    engine.stop("f", in_flight="drop")
    assert opener.disks[0].commands[-1]["in_flight"] == "drop"
    for change in (engine.pause, engine.resume, engine.stop):
        with pytest.raises(RefusedError, match="flow f is stopped"):
            change("f")
    with pytest.raises(RefusedError, match="no flow 'g' was published"):
        engine.pause("g")
    with pytest.raises(RefusedError, match="in_flight is 'reset', expected one of pin, drop"):
        engine.stop("f", in_flight="reset")  # type: ignore[arg-type]


def test_a_partition_that_missed_a_command_gets_it_when_it_is_back(
    start: Start, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "RETRY_S", (0.3,))
    engine = start()
    opener.open[2].fail["command"] = HaltedError("the disk failed")
    done = engine.publish(FLOW_TEXT)
    assert done.pending == [2]
    until(lambda: len(opener.disks[2].commands) >= 2)
    assert commands(opener) == [[("schema", None), ("publish", 1)]] * PARTITIONS


def test_all_that_was_missed_is_applied_before_anything_else(start: Start, opener: Opener) -> None:
    engine = start()
    engine.publish(FLOW_TEXT)
    engine.close()
    opener.disks[1].commands.clear()  # a partition that was down
    engine = start(schema=None)
    assert commands(opener) == [[("schema", None), ("publish", 1)]] * PARTITIONS
    assert engine.send([event("c1")]).accepted == 1
    assert engine.schema.properties == {"price": "float64"}


def test_a_schema_changes_only_where_types_stay(start: Start) -> None:
    engine = start()
    assert engine.set_schema({**SCHEMA, "zone": "Europe/Berlin"}).command == 2
    assert engine.schema.zone == "Europe/Berlin"
    changed = {**SCHEMA, "attributes": {"age": {"type": "string"}}}
    with pytest.raises(RefusedError, match="attribute 'age' was int64 and would be string"):
        engine.set_schema(changed)
    with pytest.raises(HeadraceError, match="the tenant's schema is wrong"):
        engine.set_schema({"attributes": 5})
    assert engine.control.last == 2


def test_counts_and_states_are_read_from_all_partitions(start: Start) -> None:
    engine = start()
    engine.publish(FLOW_TEXT)
    engine.send([event(f"c{i}") for i in range(50)])
    assert engine.counts("f").customers == 50
    assert engine.state_of("c7") == {"customer": "c7"}
    assert engine.state_of("nobody") is None
    with pytest.raises(RefusedError, match="no flow 'ff' was published"):
        engine.counts("ff")


def test_each_partitions_journal_is_exported(start: Start, tmp_path: Path) -> None:
    engine = start()
    engine.send([event(f"c{i}") for i in range(50)])
    made = engine.export_journal(tmp_path / "out")
    assert [path.name for path in made] == ["000", "001", "002", "003"]
    assert sum(len(path.read_text().splitlines()) for path in made) == 50
    with pytest.raises(RefusedError, match="there is something already"):
        engine.export_journal(tmp_path / "out")


def test_a_driven_clock_moves_all_shards_and_the_commands(start: Start, opener: Opener) -> None:
    engine = start(driven=True)
    engine.advance(5_000)
    engine.publish(FLOW_TEXT)
    assert opener.disks[0].commands[-1]["at_ms"] == 5_000
    assert [disk.clock_ms for disk in opener.disks.values()] == [5_000] * PARTITIONS


def test_the_status_tells_what_people_ask(start: Start) -> None:
    engine = start()
    engine.publish(FLOW_TEXT)
    until(lambda: all(shard.get("ready") for shard in engine.status()["shards"]))
    found = engine.status()
    assert found["tenant"] == "shop"
    assert found["flows"] == [{"flow": "f", "version": 1, "status": "active"}]
    assert [shard["numbers"] for shard in found["shards"]] == [(0, 1), (2, 3)]


def test_rejects_are_bounded(tmp_path: Path) -> None:
    log = RejectLog(tmp_path, bytes_max=500, files_max=3)
    for number in range(100):
        log.write(1, "s", [(number, "/x", "wrong-type")])
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found in (
        ["rejects.jsonl", "rejects.jsonl.1", "rejects.jsonl.2"],
        ["rejects.jsonl.1", "rejects.jsonl.2"],
    )
    assert log.counts == {"wrong-type": 100}
