"""Checks that frames built from columns say the same as frames of rows."""

from typing import Any

import numpy as np
import pytest

from actors.intake.bulk import frame_of_columns, strings_of
from actors.intake.frame import NOT_STATED_MS, FrameError, decode, encode
from core.audience import INT64_MIN, Column
from core.identity import event_word_of_id
from intake_frames import NOW_MS, frame_of, told

IDS = ["ada", "bob", "ada", "日本", "bob"]
TOTAL = Column("float64", np.array([1.5, np.nan, 2.0, 3.0, np.nan]))
SKU = Column("string", np.array([0, 1, -1, 0, 1], np.int32), ["x", "y"])


def without_message(rows: list[dict[Any, Any]]) -> list[dict[Any, Any]]:
    return [{k: v for k, v in row.items() if k != "message"} for row in rows]


def test_events_in_columns_are_the_same_rows() -> None:
    times = NOW_MS + np.arange(5)
    frame = frame_of_columns(
        IDS,
        event="order",
        occurred_ms=times,
        message=np.arange(7, 12, dtype=np.uint64),
        properties={"total": TOTAL, "sku": SKU},
        received_ms=NOW_MS,
    )
    rows = [
        {
            "customer": each,
            "event": "order",
            "occurred": int(times[n]),
            "message_id": str(7 + n),
            "properties": {"total": TOTAL.value(n), "sku": SKU.value(n)},
        }
        for n, each in enumerate(IDS)
    ]
    expected = frame_of(rows, received_ms=NOW_MS)
    assert without_message(told(frame)) == without_message(told(expected))
    assert frame.hash[4] == event_word_of_id("order", "11")
    assert frame.customers == 3
    assert frame.id_offsets.tolist() == expected.id_offsets.tolist()
    assert told(decode(encode(frame))) == told(frame)


def test_changes_in_columns_are_the_same_rows() -> None:
    frame = frame_of_columns(
        strings_of(["ada", "bob", "eve"]),
        event=None,
        attributes={
            "plan": Column("string", np.array([0, -1, 0], np.int32), ["gold"]),
            "age": Column("int64", np.array([1, INT64_MIN, 3])),
        },
        tags={"t": np.array([True, False, True])},
        groups={"g": np.array([False, False, True])},
        zone=Column("string", np.array([-1, 0, -1], np.int32), ["Asia/Tokyo"]),
        created_ms=np.array([NOW_MS, INT64_MIN, NOW_MS + 1]),
    )
    rows: list[dict[str, Any]] = [
        {
            "customer": "ada",
            "set": {"plan": "gold", "age": 1},
            "tags": {"add": ["t"]},
            "groups": {"remove": ["g"]},
            "created": NOW_MS,
        },
        {
            "customer": "bob",
            "tags": {"remove": ["t"]},
            "groups": {"remove": ["g"]},
            "zone": "Asia/Tokyo",
        },
        {
            "customer": "eve",
            "set": {"plan": "gold", "age": 3},
            "tags": {"add": ["t"]},
            "groups": {"add": ["g"]},
            "created": NOW_MS + 1,
        },
    ]
    assert told(frame) == told(frame_of(rows))


def test_distinct_customers_can_be_named_once() -> None:
    customer = np.array([1, 0, 1], np.int32)
    frame = frame_of_columns(["ada", "bob"], event="visit", customer=customer)
    assert [row["customer"] for row in told(frame)] == ["bob", "ada", "bob"]
    assert frame.occurred_ms.tolist() == [NOT_STATED_MS] * 3
    assert not frame.message.any()
    assert not frame.hash.any()


def test_numbered_messages_differ_by_number_and_source() -> None:
    def messages(source: bytes, first: int) -> list[list[int]]:
        numbers = np.arange(first, first + 100, dtype=np.uint64)
        frame = frame_of_columns(["a"] * 100, event="visit", message=numbers, source=source)
        found: list[list[int]] = frame.message.tolist()
        return found

    assert messages(b"x", 5) == messages(b"x", 5)
    everything = messages(b"x", 0) + messages(b"x", 100) + messages(b"y", 0) + messages(b"", 0)
    assert len({tuple(each) for each in everything}) == 400


def test_no_rows_are_an_empty_frame() -> None:
    frame = frame_of_columns([], event="visit", message=np.zeros(0, np.uint64))
    assert frame.rows == frame.customers == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"properties": {"total": Column("float64", np.zeros(2))}}, "'total' has 2 values"),
        ({"properties": {"n": Column("int64", np.zeros(5))}}, "of float64, expected 5 of int64"),
        ({"attributes": {"total": TOTAL}}, "rows of the other kind"),
        ({"occurred_ms": np.zeros(4, np.int64)}, "occurred_ms"),
        ({"message": np.zeros(3, np.uint64)}, "message"),
        ({"customer": np.zeros(5, np.int32)}, "names a customer twice"),
        ({"ids": ["a", "", "b", "c", "d"]}, "1 to 511 bytes"),
        ({"ids": ["a"] * 4 + ["x" * 512]}, "1 to 511 bytes"),
    ],
)
def test_columns_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"ids": IDS, "event": "order", **changes}
    with pytest.raises(FrameError, match=message):
        frame_of_columns(arguments.pop("ids"), **arguments)
