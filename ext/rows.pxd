"""Find the rows that a live machine still needs, and give them other numbers."""

from libc.stdint cimport int32_t, int64_t

from ext.claims cimport LineC
from ext.structs cimport *


cdef inline void need(int64_t* place, int64_t row) noexcept nogil:
    if row >= 0:
        place[row] = 0


cdef inline int64_t keep_rows(
    MachineC* m, const int64_t* bound_ms, int64_t* place, int64_t n
) noexcept nogil:
    """Number the rows of n that are needed in `place`, which is -1 before; returns how many are.

    Histories are cut where they go back to `bound_ms`, by event type, or further.
    """
    cdef int64_t c, row, kept = 0
    cdef int64_t* link
    cdef int32_t i
    for c in range(<int64_t>m.s.persons_n * m.p.n_histories):
        link = &m.s.last_row[c]
        while link[0] >= 0:
            row = link[0]
            if m.p.row_past_ms[row] <= bound_ms[m.p.row_type[row] & ~HISTORICAL]:
                link[0] = -1
                break
            place[row] = 0
            link = &m.p.row_previous[row]
    for c in range(m.s.persons_n):
        if m.s.persons[c].state > TOKEN_GONE:
            need(place, m.s.persons[c].entry_row)
        i = m.s.details[c].watches if m.p.n_watches and m.s.persons[c].state != TOKEN_FREE else -1
        while i >= 0:
            need(place, m.s.open_watches[i].row)
            i = m.s.open_watches[i].next
    for i in range(m.s.entries_used):
        if m.s.entries[i].tokens > 0:
            need(place, m.s.entries[i].row)
    for i in range(m.k.lines_used):
        if m.k.lines[i].person >= 0:
            need(place, m.k.lines[i].row)
    for row in range(n):
        if place[row] == 0:
            place[row] = kept
            kept += 1
    return kept


cdef inline int32_t past_event(const MachineC* m, int64_t row) noexcept nogil:
    """The type of an internal event that is remembered."""
    return m.p.internals[-2 - row - m.p.internal0].event


cdef inline void forget_past(
    MachineC* m, const int64_t* bound_ms, int32_t* place
) noexcept nogil:
    """Drop internal events that no look-back reaches, and of erased customers.

    `place` has room for a number of each. Lists lead backward, so whatever is before an event has
    its new number, or is gone, already.
    """
    cdef int64_t c, before
    cdef int32_t i, kept = 0
    cdef PastC* past = m.s.past
    for i in range(m.s.past_used):
        place[i] = -1
    for c in range(<int64_t>m.s.persons_n * m.p.n_histories):
        i = m.s.last_past[c]
        while i >= 0 and past[i].ms > bound_ms[past_event(m, past[i].row)]:
            place[i] = 0
            i = past[i].previous
    for i in range(m.s.past_used):
        if place[i] == 0:
            before = past[i].previous
            past[kept] = past[i]
            past[kept].previous = place[before] if before >= 0 else -1
            place[i] = kept
            kept += 1
    for c in range(<int64_t>m.s.persons_n * m.p.n_histories):
        if m.s.last_past[c] >= 0:
            m.s.last_past[c] = place[m.s.last_past[c]]
    m.s.past_used = kept


cdef inline int64_t moved(const int64_t* place, int64_t row, int64_t n) noexcept nogil:
    if row < 0:
        return row  # of an internal event, which carries constants
    return place[row] if row < n else NO_ROW


cdef inline void renumber_rows(MachineC* m, const int64_t* place, int64_t n) noexcept nogil:
    """Let everything that names one of n rows name it by its new number."""
    cdef int64_t c, row
    cdef int32_t i
    for row in range(n):
        if place[row] >= 0:
            m.p.row_previous[row] = moved(place, m.p.row_previous[row], n)
    for c in range(<int64_t>m.s.persons_n * m.p.n_histories):
        m.s.last_row[c] = moved(place, m.s.last_row[c], n)
    for c in range(m.s.persons_n):
        m.s.persons[c].entry_row = moved(place, m.s.persons[c].entry_row, n)
    for i in range(m.s.entries_used):
        m.s.entries[i].row = moved(place, m.s.entries[i].row, n)
    for i in range(m.k.lines_used):
        m.k.lines[i].row = moved(place, m.k.lines[i].row, n)
    for i in range(m.s.watches_used):
        m.s.open_watches[i].row = moved(place, m.s.open_watches[i].row, n)
