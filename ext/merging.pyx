"""Take customers out of a live machine because they turned out to be others, and let these know it.

The tokens of who is merged end where they stand, each with a record of it. What conditions that let
people in knew of him is handed to whom he is merged into, so that nothing lets in twice.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t

import numpy as np

from ext.calendar cimport calendar_remove
from ext.live cimport LiveMachine
from ext.merging cimport merge_alone, merge_entry
from ext.stored cimport BLOCK_BITS
from ext.structs cimport *
from ext.tokens cimport detail_of

__all__ = ["settle", "take_in", "take_out"]

cdef enum:
    SEGMENT_TRUE = 1


def take_out(LiveMachine machine, customers, int64_t at_ms, int64_t never_ms):
    """End all tokens of customers, int32[k], at a time, and forget them: they begin at `never_ms`.

    Returns of each when the last entry without a key began, None for never, and for each segment
    trigger whether it was true, as bytes.
    """
    cdef MachineC* m = &machine.m
    cdef PersonC* person
    cdef int32_t c, i
    who = np.unique(np.ascontiguousarray(customers, np.int32))
    if len(who) and not 0 <= who[0] <= who[len(who) - 1] < m.s.persons_n:
        raise ValueError("no such customers")
    found = [_known(machine, each) for each in customers.tolist()]
    crowds = {int(each): [] for each in who if m.s.persons[each].crowd}
    for i in range(m.s.entries_used if crowds else 0):
        if m.s.entries[i].tokens > 0 and m.s.entries[i].person in crowds:
            crowds[m.s.entries[i].person].append((m.s.entries[i].number, i))
    for c in who:
        if machine.owed[c >> BLOCK_BITS]:
            machine._keep(c >> BLOCK_BITS)
        machine.dirty[c >> BLOCK_BITS] = 1
        person = &m.s.persons[c]
        person.now_ms = max(person.now_ms, at_ms)
        if not person.crowd:
            merge_alone(m, person)
            continue
        for _, i in sorted(crowds[c]):
            merge_entry(m, person, i)
    machine.erase(who, never_ms)
    return found


cdef object _known(LiveMachine machine, int32_t c):
    cdef MachineC* m = &machine.m
    cdef PersonC* person = &m.s.persons[c]
    cdef int32_t k
    entered = None
    if m.p.plain:
        if person.state != TOKEN_FREE:
            entered = person.start_ms
    elif person.state != TOKEN_FREE or m.p.detailed:
        if detail_of(m, person).admission.last_ms != INT64_MIN:
            entered = detail_of(m, person).admission.last_ms
    truths = bytes([
        m.s.segment_state[<int64_t>c * m.p.n_segments + k] & SEGMENT_TRUE
        for k in range(m.p.n_segments)
    ])
    return entered, truths


def take_in(LiveMachine machine, int32_t c, entered_ms, bytes truths):
    """Let a customer have entered when another did, and have been where segments were true of that one.

    `entered_ms` and `truths` are as `take_out` tells them. Conditions that tokens wait for are the
    customer's own, and stay as they are.
    """
    cdef MachineC* m = &machine.m
    cdef PersonC* person
    cdef int32_t k
    cdef uint8_t* state
    if not 0 <= c < m.s.persons_n or len(truths) != m.p.n_segments:
        raise ValueError("no such customer, or of another program")
    if machine.owed[c >> BLOCK_BITS]:
        machine._keep(c >> BLOCK_BITS)
    machine.dirty[c >> BLOCK_BITS] = 1
    person = &m.s.persons[c]
    if entered_ms is not None:
        if person.state == TOKEN_FREE and not m.p.plain:
            if not m.p.detailed:
                m.s.details[c] = m.s.blank
        if person.state == TOKEN_FREE:
            person.state = TOKEN_GONE
            if m.p.plain:
                person.start_ms = entered_ms
        if not m.p.plain:
            detail_of(m, person).admission.last_ms = max(
                detail_of(m, person).admission.last_ms, <int64_t>entered_ms
            )
    for k in range(m.p.n_segments):
        state = &m.s.segment_state[<int64_t>c * m.p.n_segments + k]
        if truths[k] and m.p.triggers[m.p.segment_triggers[k]].fires < 0:
            state[0] = SEGMENT_TRUE


def settle(LiveMachine machine, int32_t c, int64_t at_ms):
    """Judge at a time, once, what a customer's history and record have come to."""
    cdef MachineC* m = &machine.m
    cdef PersonC* person
    if not 0 <= c < m.s.persons_n:
        raise ValueError("no such customer")
    if not m.p.n_segments:
        return
    if machine.owed[c >> BLOCK_BITS]:
        machine._keep(c >> BLOCK_BITS)
    person = &m.s.persons[c]
    calendar_remove(&machine.calendar, c)
    person.now_ms = max(person.now_ms, at_ms)
    person.stage = STAGE_SEGMENTS
    detail_of(m, person).dirty = 1
    if m.p.budgeted:
        detail_of(m, person).budget = m.p.budget
    machine.queue[0] = c
    machine._run(1, at_ms + 1)
