"""Checks that every row is taken in once, or told why not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.intake.admission import HORIZON_MS, Admission, GapError, Judged
from actors.intake.directory import Directory
from actors.intake.frame import Frame
from core.tenant_schema import IntakeSettings
from intake_frames import NOW_MS, ROWS, SCHEMA, frame_of, told

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def visit(customer: str = "a", message: str = "m", **more: Any) -> dict[str, Any]:
    return {"customer": customer, "event": "visit", "message_id": message, **more}


class Gate:
    """An admission with its directory, that takes in what it may."""

    def __init__(self, **settings: Any) -> None:
        self.admission = Admission(IntakeSettings(**settings), {})
        self.directory = Directory(SCHEMA)

    def take(self, frame: Frame, now_ms: int = NOW_MS) -> Judged:
        judged = self.admission.judge(frame, now_ms, self.directory)
        again = self.admission.judge(frame, now_ms, self.directory)
        assert judged.rows.tolist() == again.rows.tolist(), "judging changes nothing"
        self.admission.accept(judged)
        numbers, _ = self.directory.numbers(judged.frame, now_ms)
        self.directory.apply(judged.frame, numbers)
        return judged


def test_a_message_is_taken_in_once() -> None:
    gate = Gate()
    first = gate.take(frame_of([visit(message="1"), visit(message="2"), visit(message="1")]))
    assert (first.rows.tolist(), first.duplicates) == ([0, 1], 1)
    second = gate.take(frame_of([visit(message="3"), visit(message="2")]), NOW_MS + 1)
    assert (second.rows.tolist(), second.duplicates) == ([0], 1)
    assert second.counts == {"accepted": 1, "historical": 0, "duplicate": 1}
    assert not second.whole


def test_a_message_is_known_for_the_horizon() -> None:
    gate = Gate()
    frame = frame_of([visit()])
    gate.take(frame)
    assert gate.take(frame, NOW_MS + HORIZON_MS).duplicates == 1
    assert gate.take(frame, NOW_MS + HORIZON_MS + 1_001).duplicates == 0


def test_a_change_without_a_message_id_is_never_a_duplicate() -> None:
    gate = Gate()
    frame = frame_of([{"customer": "a"}, {"customer": "a"}])
    assert gate.take(frame).rows.tolist() == [0, 1]
    assert gate.take(frame).rows.tolist() == [0, 1]


def numbered(sequence: int, source: bytes = b"shop") -> Frame:
    return frame_of(
        [visit(message="same"), visit(message="same")], source=source, sequence=sequence
    )


def test_a_numbered_frame_is_taken_in_whole_and_once() -> None:
    gate = Gate()
    first = gate.take(numbered(1))
    assert (first.rows.tolist(), first.duplicates, first.whole) == ([0, 1], 0, False)
    again = gate.take(numbered(1))
    assert (again.rows.tolist(), again.duplicates, again.whole) == ([], 2, True)
    assert again.frame.rows == 0
    gate.take(numbered(2))
    gate.take(numbered(1, b"other"))
    assert gate.admission.cursors == {b"shop": 2, b"other": 1}


def test_a_gap_is_refused_and_names_what_is_missing() -> None:
    gate = Gate()
    gate.take(numbered(1))
    with pytest.raises(GapError, match=r"sent frame 3 after 1. Send it again from frame 2 on") as e:
        gate.take(numbered(3))
    assert e.value.code == "gap"
    with pytest.raises(GapError, match="sent frame 7 after 0"):
        gate.take(numbered(7, b"new"))
    assert gate.admission.cursors == {b"shop": 1}
    assert gate.take(numbered(2)).rows.tolist() == [0, 1]


def test_the_order_of_frames_can_be_asked_beforehand() -> None:
    gate = Gate()
    gate.take(numbered(1))
    check = gate.admission.check_order
    check([numbered(1), numbered(2), numbered(2), numbered(3), numbered(1, b"other")])
    check([frame_of([visit()])])
    with pytest.raises(GapError, match="sent frame 4 after 2"):
        check([numbered(2), numbered(1), numbered(4)])
    assert gate.admission.cursors == {b"shop": 1}


def test_cursors_go_on_from_the_store() -> None:
    admission = Admission(IntakeSettings(), {b"shop": 41})
    directory = Directory(SCHEMA)
    assert admission.judge(numbered(41), NOW_MS, directory).whole
    assert admission.judge(numbered(42), NOW_MS, directory).rows.tolist() == [0, 1]


def test_events_from_the_future_are_refused_beyond_the_tolerance() -> None:
    gate = Gate()
    frame = frame_of(
        [
            visit(message="1", occurred=NOW_MS + 600_000),
            visit(message="2", occurred=NOW_MS + 600_001),
            {"customer": "a", "occurred": NOW_MS + 600_001},
            visit(message="3", occurred=NOW_MS + 10 * 366 * DAY_MS),
        ]
    )
    judged = gate.take(frame)
    assert judged.rows.tolist() == [0]
    assert judged.rejects == [(row, "too_far_in_the_future") for row in (1, 2, 3)]
    assert judged.counts["too_far_in_the_future"] == 3
    assert gate.take(frame_of([visit(message="2")])).duplicates == 0, "it was not taken in"


def test_late_events_are_kept_as_history_and_counted() -> None:
    judged = Gate().take(
        frame_of(
            [
                visit(message="1", occurred=NOW_MS - DAY_MS),
                visit(message="2", occurred=NOW_MS - DAY_MS - 1),
                {"customer": "a", "occurred": NOW_MS - DAY_MS - 1},
            ]
        )
    )
    assert judged.rows.tolist() == [0, 1, 2]
    assert judged.historical.tolist() == [False, True, False]
    assert judged.counts == {"accepted": 3, "historical": 1, "duplicate": 0}


def test_lateness_is_measured_from_when_the_gateway_received_it() -> None:
    frame = frame_of([visit(occurred=NOW_MS - HOUR_MS)], received_ms=NOW_MS)
    judged = Gate(late_ms=HOUR_MS).take(frame, NOW_MS + DAY_MS)
    assert judged.historical.tolist() == [False]
    assert judged.frame.received_ms.tolist() == [NOW_MS]


def test_times_that_nobody_stated_are_those_of_arrival() -> None:
    judged = Gate().take(frame_of([visit(message="1"), visit(message="2", occurred=NOW_MS - 5)]))
    assert judged.frame.occurred_ms.tolist() == [NOW_MS, NOW_MS - 5]
    assert judged.frame.received_ms.tolist() == [NOW_MS, NOW_MS]


def test_events_of_strangers_can_be_refused() -> None:
    gate = Gate(unknown_customers="reject")
    judged = gate.take(
        frame_of(
            [
                visit("a", "1"),
                {"customer": "a"},
                visit("a", "2"),
                visit("b", "3"),
                {"customer": "c", "occurred": NOW_MS + DAY_MS},
                visit("c", "4"),
            ]
        )
    )
    assert judged.rows.tolist() == [1, 2]
    assert judged.rejects == [
        (0, "unknown_customer"),
        (3, "unknown_customer"),
        (4, "too_far_in_the_future"),
        (5, "unknown_customer"),
    ]
    assert [judged.frame.id_of(k) for k in range(judged.frame.customers)] == ["a"]
    assert gate.take(frame_of([visit("a", "1"), visit("b", "3")])).rows.tolist() == [0]
    assert len(gate.directory) == 1


def test_a_snapshot_goes_on_as_if_nothing_had_been() -> None:
    gate = Gate()
    gate.take(frame_of([visit(message=str(n)) for n in range(50)]))
    gate.take(numbered(1))
    restored = Admission.restore(
        gate.admission.blocks(), gate.admission.settings, gate.admission.cursors
    )
    frame = frame_of([visit(message=str(n)) for n in range(40, 60)])
    judged = restored.judge(frame, NOW_MS + 1, gate.directory)
    assert judged.rows.tolist() == list(range(10, 20))
    assert restored.cursors == {b"shop": 1}


@settings(max_examples=60)
@given(
    st.lists(st.tuples(ROWS, st.integers(0, 3 * HOUR_MS)), max_size=6),
    st.sampled_from(["create", "reject"]),
    st.integers(0, 2 * DAY_MS),
    st.integers(0, DAY_MS),
)
def test_rows_are_judged_as_if_they_came_one_by_one(
    batches: list[tuple[list[dict[str, Any]], int]], unknown: str, late_ms: int, future_ms: int
) -> None:
    gate = Gate(unknown_customers=unknown, late_ms=late_ms, future_ms=future_ms)
    customers: set[str] = set()
    messages: set[str] = set()
    now = NOW_MS - HOUR_MS
    for rows, step in batches:
        now += step
        expected: list[str] = []
        for row in rows:
            occurred = row.get("occurred", now)
            message = row.get("message_id")
            if occurred > now + future_ms:
                expected.append("too_far_in_the_future")
            elif "event" in row and unknown == "reject" and row["customer"] not in customers:
                expected.append("unknown_customer")
            elif message in messages and message is not None:
                expected.append("duplicate")
            else:
                messages |= set() if message is None else {message}
                customers.add(row["customer"])
                late = "event" in row and occurred < now - late_ms
                expected.append("historical" if late else "accepted")
        judged = gate.take(frame_of(rows), now)
        found = ["duplicate"] * len(rows)
        for place, late in zip(judged.rows.tolist(), judged.historical.tolist(), strict=True):
            found[place] = "historical" if late else "accepted"
        for place, reason in judged.rejects:
            found[place] = reason
        assert found == expected
        assert judged.duplicates == expected.count("duplicate")
        assert sum(judged.counts.values()) - judged.counts["historical"] == len(rows)
        kept = [told(frame_of(rows))[place]["message"] for place in judged.rows.tolist()]
        assert [row["message"] for row in told(judged.frame)] == kept
