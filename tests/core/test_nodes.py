"""Checks what the node models themselves refuse."""

import re

import pytest
from pydantic import ValidationError

from core.nodes import DAY_MS, LOCAL_TIME, NODE_TYPES, Slot, Split, WaitDate


@pytest.mark.parametrize(
    ("text", "ms"),
    [("09:00", 32_400_000), ("9:05", 32_700_000), ("23:59:59", DAY_MS - 1000), ("24:00", DAY_MS)],
)
def test_times_of_day(text: str, ms: int) -> None:
    node = WaitDate.model_validate({"type": "wait_date", "attribute": "a", "at": text})
    assert node.at == ms
    assert WaitDate.model_validate(node.model_dump(by_alias=True)) == node


@pytest.mark.parametrize("value", ["24:01", "9", "12:60", "٠٩:٠٠", -1, DAY_MS + 1, True, 9.5])
def test_what_is_no_time_of_day(value: object) -> None:
    with pytest.raises(ValidationError, match="time of day"):
        WaitDate.model_validate({"type": "wait_date", "attribute": "a", "at": value})


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2026-01-31", True),
        ("2026-01-31T09:00", True),
        ("2026-01-31T09:00:01.5+01:00", True),
        ("2026-01-31T09:00Z", True),
        ("2026-1-31", False),
        ("2026-01-31 09:00", False),
        ("٢٠٢٦-٠١-٠١", False),
    ],
)
def test_local_times(text: str, fits: bool) -> None:
    assert bool(re.match(LOCAL_TIME, text)) is fits


@pytest.mark.parametrize(
    ("weight", "share"), [("33.33%", 3333), ("50 %", 5000), ("100%", 10_000), (1, 1)]
)
def test_weights_are_ten_thousandths(weight: object, share: int) -> None:
    assert Split.model_validate({"type": "split", "branches": {"a": weight}}).branches["a"] == share


@pytest.mark.parametrize("weight", ["33.333%", "-1%", "1e1%", 0.5, True, "50"])
def test_what_is_no_weight(weight: object) -> None:
    with pytest.raises(ValidationError):
        Split.model_validate({"type": "split", "branches": {"a": weight}})


def test_slots_have_a_bit_for_each_weekday() -> None:
    slot = Slot.model_validate({"from": "09:00", "until": "10:00", "days": ["mon", "sun", "mon"]})
    assert slot.weekday_mask == 0b1000001
    assert Slot.model_validate({"from": "09:00", "until": "10:00"}).weekday_mask == 0b1111111
    with pytest.raises(ValidationError, match="two slots for one across midnight"):
        Slot.model_validate({"from": "22:00", "until": "06:00"})


def test_every_type_is_named_as_it_is_declared() -> None:
    for name, model in NODE_TYPES.items():
        assert model.model_fields["type"].annotation.__args__ == (name,)  # type: ignore[union-attr]
