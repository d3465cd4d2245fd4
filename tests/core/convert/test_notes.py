"""Checks what notes say, and which nodes they count for."""

from __future__ import annotations

import pickle

from core.convert.notes import Converted, ConvertError, Note, in_order, one_line

LEFT = Note("/steps/0/branches/1/steps/0/x", "x", "left out", "no x here", "nothing")
NEAR = Note("/steps/0", "y", "approximated", "y is z", "z")
ELSE = Note("/steps/1/template", "text", "elsewhere", "no texts", "a template")
SOURCES = ("/steps/0", "/steps/0/branches/1/steps/0", "/steps/1", "/steps/10")


def test_a_note_counts_for_the_innermost_node_around_it() -> None:
    made = Converted("X", "x", "", (LEFT, ELSE), SOURCES)
    assert made.noted == ("/steps/0/branches/1/steps/0",)
    assert Converted("X", "x", "", (NEAR,), SOURCES).noted == ("/steps/0",)
    assert (made.count("left out"), made.count("approximated"), made.count("elsewhere")) == (
        1,
        0,
        1,
    )


def test_notes_are_told_worst_first_and_once() -> None:
    assert in_order([ELSE, NEAR, LEFT, NEAR]) == (LEFT, NEAR, ELSE)
    assert str(NEAR) == "/steps/0: y (approximated): y is z; instead: z"
    assert NEAR.to_json()["stand_in"] == "z"


def test_notes_stay_on_their_line() -> None:
    assert one_line("a\nb\x1b[2J\u2028c\ud800") == "a\ufffdb\ufffd[2J\ufffdc\\ud800"


def test_errors_survive_other_processes() -> None:
    error = pickle.loads(pickle.dumps(ConvertError("no", pointer="/a", advice="Try")))
    assert (str(error), error.exit_code) == ("/a: no. Try", 1)
