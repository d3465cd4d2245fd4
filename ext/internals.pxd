"""Let what a run does be seen by itself: changes of records, messages that left, conditions met.

An internal event is a pending one whose time is before all others: it is a customer's next item
when the one at hand has been worked to its end, at the same instant and on the same budget (D47).
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint32_t, uint64_t

from ext.heap cimport heap_push
from ext.philox cimport draw64, scale
from ext.predicates cimport as_double, read_cell, write_cell
from ext.slabs cimport *
from ext.structs cimport *
from ext.tokens cimport (
    at, detail_of, end_token, hash_of, note_outcome, stop_waiting, token_leave_entry,
)

cdef enum:
    KIND_FIRST = 0
    KIND_CHANGED = 1
    KIND_RAISED = 2
    KIND_LOWERED = 3
    KIND_ANY = 4
    KIND_ZERO = 5
    POINTS_TOTAL = 10000


cdef inline bint is_modelled(const MachineC* m, int64_t row) noexcept nogil:
    """Whether an event's row is one of a response model, and not of what the run itself does."""
    return row < NO_ROW and -2 - row < m.p.internal0


cdef inline void make_happen(
    MachineC* m, PersonC* person, int32_t internal, int32_t node, uint32_t entry_number
) noexcept nogil:
    """Let an internal event be next; `node` is the send that it tells of, -1 for none."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t k = pending_new(m)
    if k < 0:
        return
    m.s.pending[k].entry_hash = 0
    m.s.pending[k].entry_number = entry_number
    m.s.pending[k].visit = 0
    m.s.pending[k].node = node
    m.s.pending[k].draw = internal
    m.s.pending_heap[k].key = INT64_MIN
    m.s.pending_heap[k].tie = detail.pending_count
    detail.pending_count += 1
    detail.pending = heap_push(m.s.pending_heap, detail.pending, k)
    person.other_ms = INT64_MIN


cdef inline void fire_change(
    MachineC* m, PersonC* person, const int32_t* fires, int32_t kind
) noexcept nogil:
    if fires[kind] >= 0:
        make_happen(m, person, fires[kind], -1, 0)


cdef inline int compared(int32_t store, int64_t old, int64_t new) noexcept nogil:
    """Below, at or above 0 as `new` is less than, equal to or more than `old`."""
    if store == STORE_FLOAT64:
        return (as_double(new) > as_double(old)) - (as_double(new) < as_double(old))
    return (new > old) - (new < old)


cdef inline void write_watched(
    MachineC* m, PersonC* person, int32_t column, int64_t value
) noexcept nogil:
    """Write to a column of which somebody wants to know the changes."""
    cdef const ColumnC* c = &m.p.columns[column]
    cdef const int32_t* fires = &m.p.column_fires[column * FIRES]
    cdef int64_t old = 0, new = 0
    cdef bint was = read_cell(c.data, c.store, at(m, person), &old), there
    cdef int order
    write_cell(c, at(m, person), value)
    there = read_cell(c.data, c.store, at(m, person), &new)
    if was == there and (not was or compared(c.store, old, new) == 0):
        return
    if there:
        fire_change(m, person, fires, KIND_CHANGED if was else KIND_FIRST)
        if c.store != STORE_INT32 and (was or fires[KIND_ZERO]):
            order = compared(c.store, old if was else 0, new)
            if order:
                fire_change(m, person, fires, KIND_RAISED if order > 0 else KIND_LOWERED)
    fire_change(m, person, fires, KIND_ANY)


cdef inline bint kept_out(MachineC* m, const PersonC* person) noexcept nogil:
    """Whether a customer belongs to those whom the flow keeps out."""
    cdef uint64_t id_hash = m.p.id_hash[m.s.lo + at(m, person)]
    return <int32_t>scale(draw64(m.p.holdout_key, id_hash, 0), POINTS_TOTAL) < m.p.holdout_points


cdef inline void leave_alone(MachineC* m, PersonC* person) noexcept nogil:
    """Take a customer's only token out of the flow."""
    if person.state < TOKEN_TIMED or person.state == TOKEN_IN_LINE:
        return
    note_outcome(m, person, person.node, OUT_EXIT, hash_of(m, person)[0])
    person.due_ms = INT64_MAX
    end_token(m, person)


cdef inline void leave_flow(MachineC* m, PersonC* person) noexcept nogil:
    """Take all tokens of a customer out of the flow, by entry and fork number."""
    cdef DetailC* detail
    cdef int32_t entry, following, t, next_token
    if not person.crowd:
        leave_alone(m, person)
        return
    detail = detail_of(m, person)
    entry = detail.first_entry
    while entry >= 0:
        following = m.s.entries[entry].next_entry
        t = m.s.entries[entry].first
        while t >= 0:
            next_token = m.s.tokens[t].entry_next
            note_outcome(m, person, m.s.tokens[t].node, OUT_EXIT, m.s.entries[entry].hash)
            stop_waiting(m, person, t)
            token_leave_entry(m, person, t)
            token_free(m, t)
            t = next_token
        entry = following
