"""Tests of effects as bytes, and of their keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.relay.effects import Effect, UnreadableError, decode_effect, encode_effect
from relaying import EFFECT

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.integers(0, 2**63 - 1)


@given(
    st.builds(
        Effect,
        *(TEXT, TEXT, NUMBER, NUMBER, NUMBER, TEXT, NUMBER, TEXT, TEXT, TEXT),
        st.lists(TEXT, max_size=5).map(tuple),
        *(NUMBER, NUMBER, NUMBER),
        st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    )
)
def test_an_effect_comes_back(effect: Effect) -> None:
    assert decode_effect(encode_effect(effect)) == effect


def test_the_key_is_stable_and_its_own() -> None:
    # Stored outboxes and providers know this key: it must never change.
    assert EFFECT.key == "a27b6b59394e66af01e574eff38ec8b3b6d0acf1b96b8cc56ce8eb7d3cbf45ff"
    same: list[dict[str, Any]] = [
        *(
            {"channel": "sms"},
            {"template": "x"},
            {"expires_ms": 1},
            {"to": "x"},
            {"variables": ()},
            {"stated": (("a", "1"),)},
        ),
    ]
    assert {replace(EFFECT, **each).key for each in same} == {EFFECT.key}
    other: list[dict[str, Any]] = [
        *({"tenant": "shopw", "flow": "elcome"}, {"version": 4}, {"customer": 8}, {"entry": 12}),
        *({"node": "greetin"}, {"visit": 2}, {"customer": 11, "entry": 7}),
    ]
    assert len({replace(EFFECT, **each).key for each in other} | {EFFECT.key}) == len(other) + 1


@given(st.binary(max_size=60))
def test_any_bytes_are_an_effect_or_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode_effect(data)


@pytest.mark.parametrize("place", range(16))
@pytest.mark.parametrize("value", [None, -1.5, b"x", True, [1], {}])
def test_a_field_of_another_type_is_unreadable(place: int, value: object) -> None:
    values = msgpack.unpackb(encode_effect(EFFECT))
    values[place] = value
    with pytest.raises(UnreadableError):
        decode_effect(msgpack.packb(values))


@pytest.mark.parametrize("stated", [["a"], [["a"]], [["a", 1]], [["a", "1", "2"]], [{}]])
def test_what_is_no_name_with_a_value_is_unreadable(stated: object) -> None:
    values = msgpack.unpackb(encode_effect(EFFECT))
    with pytest.raises(UnreadableError, match="stated"):
        decode_effect(msgpack.packb([*values[:-1], stated]))


def test_an_effect_from_before_flows_own_values_went_along_is_read() -> None:
    values = msgpack.unpackb(encode_effect(EFFECT))
    assert decode_effect(msgpack.packb(values[:-1])) == EFFECT
    with pytest.raises(UnreadableError, match="13 fields, expected 15"):
        decode_effect(msgpack.packb(values[:-2]))
