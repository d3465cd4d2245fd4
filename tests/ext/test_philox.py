"""Check the compiled draws against the vectors and, on a million addresses, core/philox.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import philox as pure
from ext import philox

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "draws.json").read_text(encoding="utf-8")
)


def _hex(words: list[str]) -> list[int]:
    return [int(word, 16) for word in words]


def _row(*values: str) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array(_hex(list(values)), dtype=np.uint64)


@pytest.mark.parametrize("vector", VECTORS["blocks"])
def test_random123_known_answers(vector: dict[str, list[str]]) -> None:
    c0, c1, c2, c3 = _hex(vector["counter"])
    k0, k1 = _hex(vector["key"])
    assert philox.philox4x32((c0, c1, c2, c3), (k0, k1)) == tuple(_hex(vector["block"]))


@pytest.mark.parametrize("vector", VECTORS["draws"])
def test_draw_vectors(vector: dict[str, str]) -> None:
    draws = philox.draw_many(int(vector["key"], 16), _row(vector["customer"]), _row(vector["slot"]))
    assert draws.tolist() == [int(vector["draw"], 16)]


@pytest.mark.parametrize("vector", VECTORS["slots"])
def test_slot_vectors(vector: dict[str, str]) -> None:
    slots = philox.slot_many(_row(vector["entry"]), _row(vector["visit"]))
    assert slots.tolist() == [int(vector["slot"], 16)]


@pytest.mark.parametrize("vector", VECTORS["scaled"])
def test_scale_vectors(vector: dict[str, str]) -> None:
    scaled = philox.scale_many(_row(vector["draw"]), int(vector["total"], 16))
    assert scaled.tolist() == [int(vector["result"], 16)]


def test_a_million_draws_equal_core() -> None:
    rng = np.random.default_rng(4)
    for key in (0, 2**64 - 1, pure.assign_key("salt", "welcome", "split_1"), 0x1_0000_0001):
        customers, slots = rng.integers(0, 2**64, size=(2, 250_000), dtype=np.uint64)
        compiled = philox.draw_many(key, customers, slots)
        assert np.array_equal(compiled, pure.draw_array(key, customers, slots))


def test_scaling_and_slots_equal_core() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 2**64, size=(2, 20_000), dtype=np.uint64)
    for total in (1, 10_000, 10**9, 2**64 - 1):
        expected = [pure.scale(u, total) for u in first.tolist()]
        assert philox.scale_many(first, total).tolist() == expected
    slots = [pure.slot_of(e, v) for e, v in zip(first.tolist(), second.tolist(), strict=True)]
    assert philox.slot_many(first, second).tolist() == slots


def test_no_addresses_no_draws() -> None:
    none = np.zeros(0, dtype=np.uint64)
    assert philox.draw_many(1, none, none).shape == (0,)
    assert philox.slot_many(none, none).shape == (0,)
    assert philox.scale_many(none, 5).shape == (0,)


def test_lengths_that_differ_are_refused() -> None:
    two, three = np.zeros(2, dtype=np.uint64), np.zeros(3, dtype=np.uint64)
    with pytest.raises(ValueError, match="equally long, not 2 and 3"):
        philox.draw_many(1, two, three)
    with pytest.raises(ValueError, match="equally long, not 2 and 3"):
        philox.slot_many(two, three)
