"""Tests of `actors.live.receipt`: what became of each of the frames that were worked as one."""

from __future__ import annotations

from pathlib import Path

from actors.intake.frame import Frame
from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core.duration import DAY_MS
from core.tenant_schema import TenantSchema

T0 = 1_767_225_600_000
SCHEMA = {"events": {"go": {}}}


def test_frames_worked_as_one_have_receipts_of_their_own(tmp_path: Path) -> None:
    schema = TenantSchema.of(SCHEMA)
    settings = TenantSettings("shop", zone="UTC", schema=SCHEMA)
    live = LivePartition.open(tmp_path / "p", settings, create=True)

    def frame(*ids: str, occurred: int = T0) -> Frame:
        rows = [
            {"customer": "c", "event": "go", "message_id": i, "occurred": occurred} for i in ids
        ]
        return decode_rows(rows, schema).frame

    future = T0 + 400 * DAY_MS
    frames = [frame("1", "2"), frame("2", "3", "1"), frame("4", occurred=future), frame("5", "5")]
    found = live.take(frames, T0)
    assert [(r.accepted, r.duplicates, r.rejects) for r in found] == [
        (2, 0, []),
        (1, 2, []),
        (0, 0, [(0, "too_far_in_the_future")]),
        (1, 1, []),
    ]
    assert len({r.commit for r in found}) == 1
    assert [r.known for r in found] == [[], [0, 2], [], [1]]
    again = live.take(frames[:2], T0)
    assert [(r.accepted, r.duplicates) for r in again] == [(0, 2), (0, 3)]
    live.close()
