"""Go through all tokens of a live machine that are under way."""

from libc.stdint cimport INT64_MAX, int32_t, int64_t

from ext.structs cimport *


cdef struct PositionsC:
    int32_t* customer
    int32_t* node
    int64_t* due_ms


cdef inline int64_t put(
    PositionsC* into, int64_t n, int32_t customer, int32_t node, int64_t due_ms
) noexcept nogil:
    """Write the n-th position where there is room for any; returns how many there are then."""
    if into.customer != NULL:
        into.customer[n] = customer
        into.node[n] = node
        into.due_ms[n] = due_ms
    return n + 1


cdef inline int64_t walk(const MachineC* m, PositionsC* into) noexcept nogil:
    """Go through all tokens under way, those in line first; returns how many they are."""
    cdef const EntryC* entry
    cdef const PersonC* person
    cdef int64_t n = 0
    cdef int32_t i, t
    for i in range(m.k.lines_used):
        if m.k.lines[i].person >= 0:
            n = put(into, n, m.k.lines[i].person, m.k.lines[i].node, m.k.lines[i].due_ms)
    for i in range(m.s.persons_n):
        person = &m.s.persons[i]
        if not person.crowd and person.state > TOKEN_GONE:
            n = put(into, n, i, person.node, person.due_ms)
    for i in range(m.s.entries_used):
        entry = &m.s.entries[i]
        t = entry.first if entry.tokens > 0 else -1
        while t >= 0:
            n = put(
                into, n, entry.person, m.s.tokens[t].node,
                INT64_MAX if m.s.timers[t].prev == -2 else m.s.timers[t].key,
            )
            t = m.s.tokens[t].entry_next
    return n
