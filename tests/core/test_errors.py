"""Check that errors say where they are and survive pickling."""

from __future__ import annotations

import pickle

from core.errors import HeadraceError


def test_text_names_place_message_and_advice() -> None:
    error = HeadraceError("no column 'a'", advice="Add it.", file="x.csv", pointer="/events/0")
    assert str(error) == "x.csv, /events/0: no column 'a'. Add it."
    assert str(HeadraceError("bad")) == "bad"
    assert error.exit_code == 2


def test_it_survives_pickling() -> None:
    error = HeadraceError("m", advice="a", file="f", pointer="p")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.advice, copy.file, copy.pointer) == ("m", "a", "f", "p")
