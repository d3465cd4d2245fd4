"""Give a live machine the tables of another release of zones: whatever waits is moved.

The rules for one customer are in ext/moved.pxd. What is moved depends on nobody else, and on no
clock but that of the customer's own last work, so that partitions and batches make no difference.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

import numpy as np

cimport numpy as cnp

from ext.calendar cimport calendar_put, calendar_remove
from ext.heap cimport heap_remove
from ext.live cimport LiveMachine
from ext.moved cimport ClockC, clock_at, move_person, moved_due
from ext.stored cimport BLOCK_BITS
from ext.structs cimport *
from ext.tokens cimport detail_of, next_ms, set_timer

cnp.import_array()

__all__ = ["places", "retable"]


cdef void* address(object array) except? NULL:
    return cnp.PyArray_DATA(array)


def places(LiveMachine machine):
    """Where customers are: their zones int32[n], and next places in schedules int64[n, schedules]."""
    cdef int64_t n = machine.m.s.persons_n, schedules = machine.m.p.n_schedules, i
    zones = np.empty(n, np.int32)
    following = np.empty((n, schedules), np.int64)
    cdef int32_t[::1] zone = zones
    cdef int64_t[:, ::1] place = following
    for i in range(n):
        zone[i] = machine.m.p.zone_of[i]
    for i in range(n * schedules):
        place[i // schedules, i % schedules] = machine.m.s.schedule_next[i]
    return zones, following


def retable(LiveMachine machine, bound, zones, following, bint entering):
    """Take `bound`, the same program under other tables of zones; returns how many were looked at.

    `zones` int32[n] are the customers' zones in it, `following` int64[n, schedules] their next
    places in its schedules. Unless `entering`, the time from which nobody enters only comes nearer.
    """
    cdef MachineC* m = &machine.m
    cdef int64_t n = m.s.persons_n
    cdef int32_t c, t, k, looked = 0
    cdef int64_t due_ms
    cdef PersonC* person
    cdef ClockC old, new
    if zones.shape != (n,) or following.shape != (n, m.p.n_schedules):
        raise ValueError("a zone and places of schedules for each customer")
    if n and not 0 <= zones.min() <= zones.max() < len(bound.zones.tables):
        raise ValueError("a customer's zone is not there")
    before = machine.bound.zones
    held = [
        np.ascontiguousarray(before.offsets, np.int32), np.ascontiguousarray(before.utc_ms, np.int64),
        np.ascontiguousarray(before.offset_ms, np.int64),
        np.ascontiguousarray(machine.bound.nodes["x"], np.int64),
    ]
    cdef const int32_t* offsets = <const int32_t*>address(held[0])
    cdef const int64_t* utc = <const int64_t*>address(held[1])
    cdef const int64_t* offset = <const int64_t*>address(held[2])
    cdef const int64_t* old_x = <const int64_t*>address(held[3])
    was, _ = places(machine)
    moves = _moves(machine.bound, bound, was, zones)
    cdef const uint8_t* moving = <const uint8_t*>address(moves)
    cdef const int32_t* old_zone = <const int32_t*>address(was)
    cdef const int32_t[::1] new_zone = np.ascontiguousarray(zones, np.int32)
    cdef const int64_t[:, ::1] place = np.ascontiguousarray(following, np.int64)
    machine.rebind(bound)
    if entering:
        m.p.entry_until_ms = bound.entry_until_ms
    for c in range(<int32_t>n):
        if not moving[c] and old_zone[c] == new_zone[c]:
            continue
        looked += 1
        if machine.owed[c >> BLOCK_BITS]:
            machine._keep(c >> BLOCK_BITS)
        machine.dirty[c >> BLOCK_BITS] = 1
        (<int32_t*>m.p.zone_of)[c] = new_zone[c]
        for k in range(m.p.n_schedules):
            m.s.schedule_next[<int64_t>c * m.p.n_schedules + k] = place[c, k]
        if moving[c]:
            calendar_remove(&machine.calendar, c)
            old = clock_at(offsets, utc, offset, old_zone[c])
            new = clock_at(m.p.zone_offsets, m.p.zone_utc, m.p.zone_offset, new_zone[c])
            move_person(m, &m.s.persons[c], old_x, &old, &new)
    for t in range(m.s.tokens_used):
        if m.s.tokens[t].state != TOKEN_TIMED and m.s.tokens[t].state != TOKEN_LISTENING:
            continue
        c = m.s.entries[m.s.tokens[t].entry].person
        if m.s.timers[t].prev == -2 or not moving[c]:
            continue
        person = &m.s.persons[c]
        old = clock_at(offsets, utc, offset, old_zone[c])
        new = clock_at(m.p.zone_offsets, m.p.zone_utc, m.p.zone_offset, new_zone[c])
        due_ms = moved_due(
            m, c, m.s.tokens[t].node, old_x, &old, &new,
            m.s.entries[m.s.tokens[t].entry].hash, m.s.timers[t].key,
        )
        if due_ms != m.s.timers[t].key:
            detail_of(m, person).timers = heap_remove(m.s.timers, detail_of(m, person).timers, t)
            set_timer(m, person, t, max(due_ms, person.now_ms))
    for c in range(<int32_t>n):
        if moving[c] and next_ms(&m.s.persons[c]) < m.p.horizon_ms:
            calendar_put(&machine.calendar, c, next_ms(&m.s.persons[c]))
    return looked


def _moves(old, new, was, now):
    """Whether anything of each customer may move, uint8[n]: his zone's table or the flow's differ."""
    before, after = old.zones.tables, new.zones.tables

    def differ(a, b):
        return not (
            np.array_equal(before[a].utc_ms, after[b].utc_ms)
            and np.array_equal(before[a].offset_ms, after[b].offset_ms)
        )

    if differ(0, 0):
        return np.ones(len(was), np.uint8)
    pairs, of = np.unique(was.astype(np.int64) * len(after) + now, return_inverse=True)
    return np.array([differ(*divmod(pair, len(after))) for pair in pairs.tolist()], np.uint8)[of]
