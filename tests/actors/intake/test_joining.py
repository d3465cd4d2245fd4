"""Tests of `actors.intake.joining`: frames joined say what their rows would say in one frame."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.intake.frame import Frame
from actors.intake.joining import joined, runs_of
from actors.intake.rows import decode_rows
from core.tenant_schema import TenantSchema
from intake_frames import ROWS, SCHEMA, frame_of, told

BATCHES = st.lists(ROWS, min_size=1, max_size=4)


def numbered(rows: list[dict[str, Any]], batch: int) -> list[dict[str, Any]]:
    """Rows that all have ids of messages, so that no place in a batch gives them one."""
    return [{"message_id": f"{batch}-{i}", **row} for i, row in enumerate(rows)]


@given(BATCHES)
def test_rows_say_the_same_in_one_frame_as_in_several(batches: list[list[dict[str, Any]]]) -> None:
    rows = [numbered(each, number) for number, each in enumerate(batches)]
    frames = [frame_of(each) for each in rows]
    [run] = runs_of(frames)
    whole = joined(run)
    whole.check()
    assert told(whole) == [line for frame in frames for line in told(frame)]
    assert told(whole) == told(frame_of([row for each in rows for row in each]))
    assert whole.customers == len({h for frame in frames for h in frame.id_hash.tolist()})


def test_a_frame_alone_stays_as_it_is() -> None:
    frame = frame_of([{"customer": "a", "event": "order", "message_id": "1"}])
    assert joined([frame]) is frame


def of(source: bytes = b"", sequence: int = 0, **kind: str) -> Frame:
    schema = TenantSchema.of({"events": {"go": {"properties": kind}}}) if kind else SCHEMA
    event = "go" if kind else "order"
    properties = {name: {"int64": 1, "string": "a"}[k] for name, k in kind.items()}
    row = {"customer": "a", "event": event, "message_id": "1", "properties": properties}
    found = decode_rows([row], schema, source=source, sequence=sequence)
    assert found.rejects == []
    return found.frame


def sizes(*frames: Frame) -> list[int]:
    return [len(run) for run in runs_of(frames)]


def test_frames_that_a_source_numbers_stay_apart() -> None:
    assert sizes(of(), of(b"s", 1), of(b"s", 2), of(), of()) == [1, 1, 1, 2]


def test_frames_of_several_sources_stay_apart() -> None:
    assert sizes(of(b"s"), of(b"s"), of(b"t")) == [2, 1]


def test_a_column_has_one_type() -> None:
    assert sizes(of(x="int64"), of(y="string"), of(x="string"), of(x="string")) == [2, 2]


def test_no_frames_make_no_run() -> None:
    assert sizes() == []


@given(BATCHES)
def test_runs_keep_every_frame_in_its_place(batches: list[list[dict[str, Any]]]) -> None:
    frames = [frame_of(numbered(rows, n)) for n, rows in enumerate(batches)]
    for n, frame in enumerate(frames):
        frame.source = b"st"[n % 2 : n % 2 + 1]
    runs = list(runs_of(frames))
    assert [id(frame) for run in runs for frame in run] == [id(frame) for frame in frames]
    assert all(a[-1].source != b[0].source for a, b in pairwise(runs))
