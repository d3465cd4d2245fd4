"""Runs the reference journey hard-coded in Numba, in the two ways in which one would write it.

Both take one pass over the customers, without allocation and without the GIL, and keep the counters
of the nodes and the tag, nothing of what an engine must hold besides. `numba_journey` walks from
node to node and counts each arrival there. `numba_sums` is arranged for the processor: it counts
where paths part, in registers, and derives the counters of all other nodes at the end. It is the
fastest that we know how to write, but a journey whose nodes are not visited.
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
def _walk(
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
    """Take customers [first, last) through the journey, and count in `counts` int64[12]."""
    named = int64(0)
    for c in range(first, last):
        row, stop = offsets[c], offsets[c + 1]
        while row < stop and kinds[row] != go:
            row += 1
        if row >= stop or not from_ms <= times[row] < until_ms:
            continue
        counts[START] += 1
        due = times[row] + CLICK_WAIT_MS
        counts[COUNTRY] += 1
        code = country[c]
        # All ports lead to the mail: unless their use is counted, no branch is compiled at all.
        named += int64((code == branches[0]) | (code == branches[1]) | (code == branches[2]))
        counts[MAIL] += 1
        counts[CLICKED] += 1
        clicked = False
        row += 1
        while row < stop and times[row] <= due:
            if kinds[row] == click:
                clicked = times[row] < horizon_ms
                break
            row += 1
        if clicked:
            counts[TAG] += 1
            tag[c] = 1
            counts[SPLIT] += 1
            if _second_half(key, id_hash[c]) == 0:
                counts[MAIL_A] += 1
            else:
                counts[MAIL_B] += 1
            counts[END] += 1
        elif due < horizon_ms:
            counts[LATER] += 1
            if due + LATER_MS < horizon_ms:
                counts[CONSENT] += 1
                if consent[c] == 1:
                    counts[SMS] += 1
                counts[END] += 1
    assert named <= counts[COUNTRY]


@njit(cache=False, nogil=True)
def _sums(
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


def _part(
    columns: Columns, tag: NDArray[np.int8], first: int, last: int, *, sums: bool = False
) -> Counts:
    counts = np.zeros(len(NODES), np.int64)
    (_sums if sums else _walk)(
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


def numba_sums(columns: Columns, tag: NDArray[np.int8]) -> Counts:
    """The same, most counters derived from few."""
    return _part(columns, tag, 0, columns.customers, sums=True)


def numba_journey_threaded(
    columns: Columns, tag: NDArray[np.int8], pool: ThreadPoolExecutor, threads: int
) -> Counts:
    """`numba_journey` with the customers in as many equal parts as `threads`, one for each."""
    bounds = np.linspace(0, columns.customers, threads + 1).astype(np.int64).tolist()
    parts = [pool.submit(_part, columns, tag, first, last) for first, last in pairwise(bounds)]
    counts = np.zeros(len(NODES), np.int64)
    for part in parts:
        counts += part.result()
    return counts
