"""Sort the log by customer; the decisions of one are in the order of their steps already."""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free

from ext.structs cimport *


cdef inline bint sort_log(MachineC* m, LogC* into) noexcept nogil:
    """Copy the log to `into`, by customer; 0 without memory.

    Where it is that of one whole block, a record's place is known from its step.
    """
    cdef const LogC* log = m.t.log
    cdef int64_t n = m.t.log_used, i, at = 0, here, customers
    cdef int64_t* places
    cdef uint32_t first, last, c
    if n == 0:
        return 1
    if m.t.log_block:
        first = <uint32_t>m.s.lo
        customers = m.s.persons_n
    else:
        first = last = log[0].customer
        for i in range(1, n):
            first = min(first, log[i].customer)
            last = max(last, log[i].customer)
        customers = <int64_t>(last - first) + 1
    places = <int64_t*>calloc(<size_t>customers, sizeof(int64_t))
    if places == NULL:
        return 0
    if m.t.log_block:
        for i in range(customers):
            places[i] = at
            at += m.s.steps[i]
        for i in range(n):
            into[places[log[i].customer - first] + log[i].step] = log[i]
    else:
        for i in range(n):
            places[log[i].customer - first] += 1
        for i in range(customers):
            here = places[i]
            places[i] = at
            at += here
        for i in range(n):
            c = log[i].customer - first
            into[places[c]] = log[i]
            places[c] += 1
    free(places)
    return 1
