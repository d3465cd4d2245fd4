"""Check the identity of events against its written definition and its promises."""

from __future__ import annotations

import struct

from xxhash import xxh64_intdigest

from core.audience import Kind
from core.identity import event_word, event_word_of_id, property_word, text, words


def test_words_are_xxh64_of_little_endian_words() -> None:
    assert text("") == 0xEF46DB3751D8E999  # the published XXH64 of nothing
    assert words(1, -1) == xxh64_intdigest(struct.pack("<Qq", 1, -1))


def test_properties_are_an_unordered_set_without_the_missing() -> None:
    one = event_word("buy", 5, {"a": ("int64", 1), "b": ("string", "x")})
    other = event_word("buy", 5, {"b": ("string", "x"), "c": ("date", None), "a": ("int64", 1)})
    assert one == other
    assert one != event_word("buy", 5, {"a": ("string", "x"), "b": ("int64", 1)})
    assert one != event_word("buy", 5, {"a": ("int64", 1), "b": ("string", "x")}, 1)


def test_equal_numbers_are_one_value_and_kinds_differ() -> None:
    assert property_word("n", "int64", 3) == property_word("n", "float64", 3.0)
    assert property_word("n", "float64", -0.0) == property_word("n", "int64", 0)
    kinds: tuple[Kind, ...] = ("bool", "int64", "datetime", "date")
    assert len({property_word("n", kind, 1) for kind in kinds}) == 4
    assert property_word("n", "float64", 0.5) != property_word("n", "float64", 0.25)


def test_an_id_decides_alone() -> None:
    assert event_word_of_id("buy", "7") == words(text("buy"), text("7"))
    assert event_word_of_id("buy", "7") != event_word_of_id("sell", "7")
