"""Scenario 15, rows: what can't be taken in is refused or counted, and all others go on."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from actors.intake.frame import Frame, FrameError, Sparse, decode, encode
from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from actors.store.errors import TooLargeError
from core.tenant_schema import TenantSchema

T0 = 1_767_225_600_000
SCHEMA = {
    "attributes": {"note": {"type": "string"}, "age": {"type": "int64"}},
    "events": {"go": {"properties": {"page": "string"}}},
}
FLOW = {
    "headrace": 1,
    "flow": "f",
    "nodes": {
        "t": {"type": "on_event", "event": "go", "next": "m"},
        "m": {"type": "send", "channel": "email", "template": "m", "next": "x"},
        "x": {"type": "end"},
    },
}


@pytest.fixture
def partition(tmp_path: Path) -> Any:
    settings = TenantSettings("shop", schema=SCHEMA)
    with LivePartition.open(tmp_path / "p", settings, create=True) as opened:
        command = {"kind": "publish", "flow": "f", "version": 1, "at_ms": T0}
        opened.command(1, {**command, "document": json.dumps(FLOW)})
        yield opened


def frame_of(*rows: dict[str, Any], name: str = "b") -> Frame:
    decoded = decode_rows(rows, TenantSchema.of(SCHEMA), batch=name.encode())
    assert decoded.rejects == []
    return decoded.frame


def entered(partition: LivePartition) -> int:
    return int(partition.counts("f").entered[0])


def test_an_attribute_of_10_megabytes_is_refused_by_the_reader() -> None:
    rows = [
        {"customer": "anna", "set": {"note": "x" * 10_000_000}},
        {"customer": "anna", "event": "go"},
    ]
    decoded = decode_rows(rows, TenantSchema.of(SCHEMA), batch=b"b")
    assert [(reject.row, reject.pointer) for reject in decoded.rejects] == [(0, "/0/set/note")]
    assert decoded.frame.rows == 1


def test_and_by_the_partition_where_a_frame_holds_it_all_the_same(
    partition: LivePartition,
) -> None:
    bad = frame_of({"customer": "anna", "set": {"note": "small"}}, name="bad")
    bad.attributes["note"] = Sparse(
        "string", np.zeros(1, np.int32), np.zeros(1, np.int32), ["x" * 10_000_000]
    )
    before = (partition.digest(), partition.row_counts, partition.store.head.journal_last)
    with pytest.raises(TooLargeError):
        partition.take([frame_of({"customer": "bert", "event": "go"}), bad], T0 + 1)
    # All of the batch or nothing: whoever sent it may send the good one alone.
    found = (partition.digest(), partition.row_counts, partition.store.head.journal_last)
    assert found == before
    assert partition.state_of("bert") is None
    (receipt,) = partition.take([frame_of({"customer": "bert", "event": "go"})], T0 + 1)
    assert receipt.accepted == 1
    assert entered(partition) == 1


def tagged(count: int) -> dict[str, Any]:
    """A row with so many tags, each of whose names has a kilobyte."""
    return {
        "customer": "anna",
        "tags": {"add": [f"{n:04}" + "\U0001f600" * 252 for n in range(count)]},
    }


def noted(count: int, size: int) -> dict[str, Any]:
    """A row with so many texts."""
    return {"customer": "anna", "set": {f"n{n}": "x" * size for n in range(count)}}


@pytest.mark.parametrize("row", [tagged(718), noted(12, 65_536), noted(13, 62_000)])
def test_the_largest_row_fits_into_a_record(partition: LivePartition, row: dict[str, Any]) -> None:
    schema = {**SCHEMA, "attributes": {f"n{n}": {"type": "string"} for n in range(13)}}
    partition.command(2, {"kind": "schema", "schema": schema, "at_ms": T0})
    decoded = decode_rows([row], TenantSchema.of(schema), batch=b"b")
    assert decoded.rejects == []
    (receipt,) = partition.take([decoded.frame], T0 + 1)
    assert receipt.accepted == 1


@pytest.mark.parametrize("row", [tagged(740), noted(13, 65_000)])
def test_a_row_that_no_record_has_room_for_is_refused_by_the_reader(row: dict[str, Any]) -> None:
    schema = {**SCHEMA, "attributes": {f"n{n}": {"type": "string"} for n in range(13)}}
    decoded = decode_rows(
        [row, {"customer": "bert", "event": "go"}], TenantSchema.of(schema), batch=b"b"
    )
    assert [(reject.row, reject.code) for reject in decoded.rejects] == [(0, "too-large")]
    assert "at most 819,200 are allowed" in decoded.rejects[0].message
    assert decoded.frame.rows == 1


def test_events_that_no_flow_and_no_schema_knows_do_nothing(partition: LivePartition) -> None:
    strange = frame_of({"customer": "anna", "event": "go"}, {"customer": "bert", "event": "go"})
    strange.event_names = ["strange", "go"]
    strange.type = np.array([0, 1], np.int32)
    (receipt,) = partition.take([strange], T0 + 1)
    assert receipt.accepted == 2
    assert entered(partition) == 1


def test_attributes_of_another_type_are_passed_over(partition: LivePartition) -> None:
    frame = frame_of({"customer": "anna", "set": {"age": 31}})
    one = np.zeros(1, np.int32)
    frame.attributes["age"] = Sparse("string", one, one, ["many"])
    frame.attributes["height"] = Sparse("float64", one, np.ones(1))
    partition.take([frame], T0 + 1)
    state = partition.state_of("anna")
    assert state is not None
    assert state["attributes"] == {}


def test_a_frame_that_is_cut_short_or_damaged_is_no_frame(
    partition: LivePartition, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = Random(15)
    rows = [
        {"customer": f"c{n}", "event": "go", "properties": {"page": f"p{n}"}} for n in range(30)
    ]
    data = encode(frame_of(*rows))
    refused = 0
    for _ in range(1000):
        damaged = bytearray(data)
        if dice.random() < 0.5:
            del damaged[dice.randrange(len(data)) :]
        else:
            damaged[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        with pytest.raises(FrameError):
            partition.take([decode(bytes(damaged))], T0 + 1)
        refused += 1
    assert entered(partition) == 0
    partition.take([decode(data)], T0 + 1)
    assert entered(partition) == 30
    with capsys.disabled():
        print(f"\nscenario 15: {refused} damaged frames refused, taken in 0")
