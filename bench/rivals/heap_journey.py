"""Runs the reference journey in plain Python: one heap of all that is to come, in order of time.

An item is (time, sequence, customer, what). Recorded events have their row as sequence and timers
later numbers, so that at one instant events come before timers and nothing further is compared.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from bench.rivals.columns import CLICK_WAIT_MS, LATER_MS, Columns, Counts

_CLICK, _GO, _TIMEOUT, _LATER = range(4)
_NEW, _WAITS, _WENT_ON = range(3)


def heap_journey(columns: Columns, upper: list[bool], tag: NDArray[np.int8]) -> Counts:
    """Arrivals at each node, int64[12]; `tag` int8[n] is written.

    `upper`: whether a customer's draw at the split falls to branch B, drawn beforehand.
    """
    branches = {int(code): port for port, code in enumerate(columns.branches)}
    country, consent = columns.country.tolist(), columns.consent.tolist()
    from_ms, until_ms, horizon_ms = columns.from_ms, columns.until_ms, columns.horizon_ms
    what_of = {columns.go: _GO, columns.click: _CLICK}
    owner = np.repeat(np.arange(columns.customers), np.diff(columns.event_offsets)).tolist()
    heap = [
        (ms, row, customer, what_of[kind])
        for row, (ms, customer, kind) in enumerate(
            zip(columns.event_ms.tolist(), owner, columns.event_type.tolist(), strict=True)
        )
        if kind in what_of
    ]
    heapify(heap)
    state = bytearray(columns.customers)
    keen = bytearray(columns.customers)
    taken = [0] * (len(branches) + 1)
    sequence = len(owner)
    start = mail = clicked = tagged = mail_a = mail_b = later = asked = sms = end = 0
    while heap:
        ms, _, customer, what = heappop(heap)
        if ms >= horizon_ms:
            break
        if what == _GO:
            if state[customer] != _NEW:
                continue
            state[customer] = _WENT_ON
            if from_ms <= ms < until_ms:
                start += 1
                taken[branches.get(country[customer], -1)] += 1
                mail += 1
                clicked += 1
                state[customer] = _WAITS
                heappush(heap, (ms + CLICK_WAIT_MS, sequence, customer, _TIMEOUT))
                sequence += 1
        elif what == _CLICK:
            if state[customer] == _WAITS:
                state[customer] = _WENT_ON
                tagged += 1
                keen[customer] = 1
                if upper[customer]:
                    mail_b += 1
                else:
                    mail_a += 1
                end += 1
        elif what == _TIMEOUT:
            if state[customer] == _WAITS:
                state[customer] = _WENT_ON
                later += 1
                heappush(heap, (ms + LATER_MS, sequence, customer, _LATER))
                sequence += 1
        else:
            asked += 1
            if consent[customer] == 1:
                sms += 1
            end += 1
    tag[:] = np.frombuffer(keen, np.int8)
    assert sum(taken) == start
    return np.array(
        [
            *(start, sum(taken), mail, clicked, tagged, tagged),
            *(mail_a, mail_b, later, asked, sms, end),
        ],
        np.int64,
    )
