"""List where everybody stands in a live machine, in one pass over what it remembers."""

from libc.stdint cimport INT64_MAX, int32_t, int64_t

import numpy as np

cimport numpy as cnp

from ext.live cimport LiveMachine
from ext.structs cimport *

cnp.import_array()

__all__ = ["positions"]


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


cdef int64_t walk(const MachineC* m, PositionsC* into) noexcept nogil:
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


def positions(LiveMachine machine):
    """Customer int32[n], node int32[n] and due ms int64[n] of all tokens under way, by customer.

    What is never due has INT64_MAX. Of one customer the order is that of `LiveMachine.places`.
    """
    cdef PositionsC into
    cdef int64_t n
    into.customer, into.node, into.due_ms = NULL, NULL, NULL
    with nogil:
        n = walk(&machine.m, &into)
    customer, node = np.empty(n, np.int32), np.empty(n, np.int32)
    due_ms = np.empty(n, np.int64)
    into.customer = <int32_t*>cnp.PyArray_DATA(customer)
    into.node = <int32_t*>cnp.PyArray_DATA(node)
    into.due_ms = <int64_t*>cnp.PyArray_DATA(due_ms)
    with nogil:
        walk(&machine.m, &into)
    order = np.argsort(customer, kind="stable")
    return customer[order], node[order], due_ms[order]
