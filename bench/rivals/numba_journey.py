"""Runs the reference journey hard-coded in Numba, which is as fast as we know how to write it.

One pass over the customers: no allocation, no GIL, counters in registers. It keeps the counters of
the nodes, the tag and how the branch went, and nothing of what an engine must hold besides.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numba import int64, njit, uint64
from numpy.typing import NDArray

from bench.rivals.columns import (
    CLICK_WAIT_MS,
    CLICKED,
    CONSENT,
    COUNTRY,
    END,
    LATER,
    LATER_MS,
    MAIL,
    MAIL_A,
    MAIL_B,
    NODES,
    SMS,
    SPLIT,
    START,
    TAG,
    Columns,
    Counts,
)

_MASK32 = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_TOP_BIT = np.uint64(31)
_ZERO = np.uint64(0)


@njit(cache=False, nogil=True, inline="always")
def _second_half(key: np.uint64, customer: np.uint64) -> np.uint64:
    """Whether the draw of Philox4x32-10 at (key, customer, slot 0) falls to branch B, 0 or 1.

    Of 10,000 parts B has the upper 5,000, so the draw's top bit decides.
    """
    c0, c1, c2, c3 = customer & _MASK32, customer >> _HALF, _ZERO, _ZERO
    k0, k1 = key & _MASK32, key >> _HALF
    for _ in range(10):
        product0 = _MULTIPLIER_0 * c0
        product1 = _MULTIPLIER_1 * c2
        c0 = (product1 >> _HALF) ^ c1 ^ k0
        c1 = product1 & _MASK32
        c2 = (product0 >> _HALF) ^ c3 ^ k1
        c3 = product0 & _MASK32
        k0 = (k0 + _WEYL_0) & _MASK32
        k1 = (k1 + _WEYL_1) & _MASK32
    return c1 >> _TOP_BIT


@njit(cache=False, nogil=True)
def _journey(
    first: int,
    last: int,
    country: NDArray[np.int32],
    branches: NDArray[np.int32],
    consent: NDArray[np.int8],
    id_hash: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    kinds: NDArray[np.int32],
    times: NDArray[np.int64],
    go: int,
    click: int,
    key: np.uint64,
    from_ms: int,
    until_ms: int,
    horizon_ms: int,
    tag: NDArray[np.int8],
    counts: Counts,
) -> None:
    """Take customers [first, last) through the journey, and write `counts` int64[12].

    Unsigned indexes save Numba's look at negative ones.
    """
    de, fr, it = branches[0], branches[1], branches[2]
    start = named = other = tagged = later = asked = sms = end = 0
    mail_b = int64(0)
    row = uint64(offsets[first])
    for c in range(uint64(first), uint64(last)):
        stop = uint64(offsets[c + uint64(1)])
        while row < stop and kinds[row] != go:
            row += uint64(1)
        if row < stop and from_ms <= times[row] < until_ms:
            start += 1
            code = country[c]
            # All ports lead to the mail: unless both are counted, no branch is compiled at all.
            hit = int64((code == de) | (code == fr) | (code == it))
            named += hit
            other += 1 - hit
            due = times[row] + CLICK_WAIT_MS
            in_time = False
            row += uint64(1)
            while row < stop and times[row] <= due:
                if kinds[row] == click:
                    in_time = times[row] < horizon_ms
                    break
                row += uint64(1)
            if in_time:
                tagged += 1
                tag[c] = 1
                mail_b += int64(_second_half(key, id_hash[c]))
                end += 1
            elif due < horizon_ms:
                later += 1
                if due + LATER_MS < horizon_ms:
                    asked += 1
                    sms += consent[c] == 1
                    end += 1
        row = stop
    mail = named + other
    counts[START], counts[COUNTRY], counts[MAIL], counts[CLICKED] = start, start, mail, mail
    counts[TAG], counts[SPLIT] = tagged, tagged
    counts[MAIL_A], counts[MAIL_B] = tagged - mail_b, mail_b
    counts[LATER], counts[CONSENT], counts[SMS], counts[END] = later, asked, sms, end


def _part(columns: Columns, tag: NDArray[np.int8], first: int, last: int) -> Counts:
    counts = np.zeros(len(NODES), np.int64)
    _journey(
        first,
        last,
        columns.country,
        columns.branches,
        columns.consent,
        columns.id_hash,
        columns.event_offsets,
        columns.event_type,
        columns.event_ms,
        columns.go,
        columns.click,
        np.uint64(columns.key),
        columns.from_ms,
        columns.until_ms,
        columns.horizon_ms,
        tag,
        counts,
    )
    return counts


def numba_journey(columns: Columns, tag: NDArray[np.int8]) -> Counts:
    """Arrivals at each node, int64[12]; `tag` int8[n] is written. The first call compiles."""
    return _part(columns, tag, 0, columns.customers)


def numba_journey_threaded(
    columns: Columns, tag: NDArray[np.int8], pool: ThreadPoolExecutor, threads: int
) -> Counts:
    """The same with the customers in as many equal parts as `threads`, one for each."""
    bounds = np.linspace(0, columns.customers, threads + 1).astype(np.int64).tolist()
    parts = [pool.submit(_part, columns, tag, first, last) for first, last in pairwise(bounds)]
    counts = np.zeros(len(NODES), np.int64)
    for part in parts:
        counts += part.result()
    return counts
