"""Check the draws against Random123's known answers, published vectors and the laws of chance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core import philox
from core.hashing import hash_customer, hash_parts

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "draws.json").read_text(encoding="utf-8")
)
U64 = st.integers(0, 2**64 - 1)
P_MIN = 0.001


def _hex(words: list[str]) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in words)


@pytest.mark.parametrize("vector", VECTORS["blocks"])
def test_random123_known_answers(vector: dict[str, list[str]]) -> None:
    c0, c1, c2, c3 = _hex(vector["counter"])
    k0, k1 = _hex(vector["key"])
    assert philox.philox4x32((c0, c1, c2, c3), (k0, k1)) == _hex(vector["block"])


def test_draw_vectors_one_by_one_and_as_arrays() -> None:
    for vector in VECTORS["draws"]:
        key, customer, slot, draw = _hex([vector[n] for n in ("key", "customer", "slot", "draw")])
        assert philox.draw64(key, customer, slot) == draw
        row = np.array([customer], dtype=np.uint64), np.array([slot], dtype=np.uint64)
        assert philox.draw_array(key, *row).tolist() == [draw]


def test_slot_vectors() -> None:
    for vector in VECTORS["slots"]:
        assert philox.slot_of(*_hex([vector["entry"], vector["visit"]])) == int(vector["slot"], 16)


def test_scale_vectors() -> None:
    for vector in VECTORS["scaled"]:
        assert philox.scale(*_hex([vector["draw"], vector["total"]])) == int(vector["result"], 16)


@pytest.mark.parametrize("vector", VECTORS["keys"])
def test_key_vectors(vector: dict[str, Any]) -> None:
    build: Callable[..., int] = getattr(philox, f"{vector['purpose']}_key")
    assert build(*vector["parts"]) == int(vector["key"], 16)
    assert build(*vector["parts"]) == hash_parts(vector["purpose"].upper(), *vector["parts"])


@given(U64, U64, U64)
def test_a_draw_is_the_low_half_of_its_block(key: int, customer: int, slot: int) -> None:
    lo = 2**32
    block = philox.philox4x32(
        (customer % lo, customer // lo, slot % lo, slot // lo), (key % lo, key // lo)
    )
    assert philox.draw64(key, customer, slot) == block[0] + lo * block[1]


def test_the_array_form_equals_the_single_form() -> None:
    rng = np.random.default_rng(3)
    customers, slots = rng.integers(0, 2**64, size=(2, 2000), dtype=np.uint64)
    key = philox.assign_key("salt", "welcome", "split_1")
    expected = [
        philox.draw64(key, c, s) for c, s in zip(customers.tolist(), slots.tolist(), strict=True)
    ]
    assert philox.draw_array(key, customers, slots).tolist() == expected


@given(U64, st.integers(1, 2**64 - 1))
def test_scale_is_exact_and_inside_the_total(draw: int, total: int) -> None:
    scaled = philox.scale(draw, total)
    assert 0 <= scaled < total
    assert scaled * 2**64 <= draw * total < (scaled + 1) * 2**64


def _arms(node: str, customers: int, total: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Arms of sequential ids, the least random population there is."""
    hashes = np.array([hash_customer(f"c{i}") for i in range(customers)], dtype=np.uint64)
    draws = philox.draw_array(
        philox.assign_key("headrace", "welcome", node), hashes, np.zeros_like(hashes)
    )
    return np.array([philox.scale(u, total) for u in draws.tolist()], dtype=np.int64)


def test_arms_are_uniform() -> None:
    counts = np.bincount(_arms("split_1", 100_000, 100), minlength=100)
    assert stats.chisquare(counts).pvalue > P_MIN


def test_arms_of_nodes_are_pairwise_independent() -> None:
    nodes = [_arms(f"split_{n}", 20_000, 5) for n in range(5)]
    for first in range(5):
        for second in range(first):
            table = np.zeros((5, 5), dtype=np.int64)
            np.add.at(table, (nodes[first], nodes[second]), 1)
            assert stats.chi2_contingency(table).pvalue > P_MIN, (first, second)


def test_visits_of_one_entry_are_uniform_and_serially_independent() -> None:
    slots = np.array([philox.slot_of(12345, visit) for visit in range(50_000)], dtype=np.uint64)
    draws = philox.draw_array(99, np.full_like(slots, 7), slots)
    arms = np.array([philox.scale(u, 10) for u in draws.tolist()])
    assert stats.chisquare(np.bincount(arms, minlength=10)).pvalue > P_MIN
    table = np.zeros((10, 10), dtype=np.int64)
    np.add.at(table, (arms[:-1], arms[1:]), 1)
    assert stats.chi2_contingency(table).pvalue > P_MIN
