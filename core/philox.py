"""Draw chance by address: Philox4x32-10 turns (key, customer, slot) into 64 bits.

A draw depends on nothing but its address, so neither the order of customers nor the number of
partitions can change it. Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as
1, 2, 3" (SC 2011). Vectors are in tests/vectors/draws.json; the compiled twin is ext/philox.pyx.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.hashing import hash_parts

_MASK32 = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF
_MULTIPLIER_0 = 0xD2511F53  # the paper's constants for Philox-4x32
_MULTIPLIER_1 = 0xCD9E8D57
_WEYL_0 = 0x9E3779B9  # golden ratio
_WEYL_1 = 0xBB67AE85  # sqrt(3) - 1
_ROUNDS = 10
_VISIT_STEP = 0x9E3779B97F4A7C15  # odd, so that visits of one entry never share a slot


def philox4x32(
    counter: tuple[int, int, int, int], key: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return the block (four u32) of Philox4x32-10 for a counter of four u32 and a key of two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product0 = _MULTIPLIER_0 * c0
        product1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product1 >> 32) ^ c1 ^ k0,
            product1 & _MASK32,
            (product0 >> 32) ^ c3 ^ k1,
            product0 & _MASK32,
        )
        k0 = (k0 + _WEYL_0) & _MASK32
        k1 = (k1 + _WEYL_1) & _MASK32
    return c0, c1, c2, c3


def draw64(key: int, customer: int, slot: int) -> int:
    """Return the draw at an address of three u64: words 0 (low) and 1 (high) of the block."""
    out0, out1, _, _ = philox4x32(
        (customer & _MASK32, customer >> 32, slot & _MASK32, slot >> 32),
        (key & _MASK32, key >> 32),
    )
    return out0 | out1 << 32


def draw_array(
    key: int, customers: NDArray[np.uint64], slots: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return uint64[n]: `draw64` of one key over uint64[n] customers and slots, in NumPy."""
    mask, half = np.uint64(_MASK32), np.uint64(32)
    m0, m1 = np.uint64(_MULTIPLIER_0), np.uint64(_MULTIPLIER_1)
    c0, c1, c2, c3 = customers & mask, customers >> half, slots & mask, slots >> half
    k0, k1 = key & _MASK32, key >> 32
    for _ in range(_ROUNDS):
        product0, product1 = m0 * c0, m1 * c2
        c0, c1, c2, c3 = (
            (product1 >> half) ^ c1 ^ np.uint64(k0),
            product1 & mask,
            (product0 >> half) ^ c3 ^ np.uint64(k1),
            product0 & mask,
        )
        k0 = (k0 + _WEYL_0) & _MASK32
        k1 = (k1 + _WEYL_1) & _MASK32
    drawn: NDArray[np.uint64] = c0 | c1 << half
    return drawn


def slot_of(entry_hash: int, visit: int) -> int:
    """Return the u64 slot of the visit-th arrival (1 is the first) within an entry.

    A Weyl sequence from the entry's hash: up to 2**64 visits of one entry have distinct slots.
    """
    return (entry_hash + visit * _VISIT_STEP) & _MASK64


def scale(u: int, total: int) -> int:
    """Return floor(u * total / 2**64): a u64 draw in [0, total), for total in [1, 2**64)."""
    return (u * total) >> 64


def assign_key(salt: str, lineage: str, node: str) -> int:
    """Return the u64 key of a split, A/B test or holdout; the seed is no part of it."""
    return hash_parts("ASSIGN", salt, lineage, node)


def jitter_key(salt: str, lineage: str, node: str) -> int:
    """Return the u64 key that spreads those who wait at a node; the seed is no part of it."""
    return hash_parts("JITTER", salt, lineage, node)


def holdout_key(salt: str, group: str | None, lineage: str) -> int:
    """Return the u64 key of a holdout: of all flows that name the same group, else of one flow."""
    return hash_parts("HOLDOUT", salt, group or "", "" if group else lineage)


def response_key(
    seed: int, replicate: int, lineage: str, channel: str, template: str, event: str
) -> int:
    """Return the u64 key that decides whether a modelled response `event` follows a message."""
    return hash_parts("RESPONSE", seed, replicate, lineage, channel, template, event)


def delay_key(
    seed: int, replicate: int, lineage: str, channel: str, template: str, event: str
) -> int:
    """Return the u64 key that decides how long after a message the modelled `event` comes."""
    return hash_parts("DELAY", seed, replicate, lineage, channel, template, event)
