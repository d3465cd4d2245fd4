"""Name the message that an event answers, so that a wait for answers to it hears the event (D28).

An event says so by its property `answers`, a whole number. It is the word of the flow and of the
node that sent, crossed with the identity of the entry: all visits of that node by that entry are
one message to a wait.
"""

from __future__ import annotations

from core.hashing import hash_parts

ANSWERS = "answers"
"""The property, an int64."""


def answer_salt(flow: str, node: str) -> int:
    """The word of a flow's node that sends, of 64 bits."""
    return hash_parts("answers", flow, node)


def answer_key(flow: str, node: str, entry: int) -> int:
    """The value of `answers` for a message of the entry with this identity, as an int64."""
    return signed(answer_salt(flow, node) ^ entry)


def signed(word: int) -> int:
    """A word of 64 bits as an int64 of the same bits."""
    return word - 2**64 if word >= 2**63 else word
