"""Tests of `core.answers`: the word of a message that an event can name."""

from core.answers import answer_key, answer_salt, signed
from core.hashing import hash_parts

MASK = 2**64 - 1


def test_a_key_is_the_word_of_the_sender_crossed_with_the_entry() -> None:
    salt = hash_parts("answers", "f", "m")
    assert answer_salt("f", "m") == salt
    assert answer_key("f", "m", 0) & MASK == salt
    assert answer_key("f", "m", salt) == 0
    assert answer_key("f", "m", 7) & MASK == salt ^ 7


def test_a_word_keeps_its_bits_as_an_int64() -> None:
    for word in (0, 1, 2**63 - 1, 2**63, MASK):
        assert -(2**63) <= signed(word) < 2**63
        assert signed(word) & MASK == word


def test_flows_nodes_and_entries_are_told_apart() -> None:
    keys = {answer_key(f, n, e) for f in "fg" for n in "mn" for e in (1, 2, MASK)}
    assert len(keys) == 12
