"""Queue customers before the nodes at which their tokens stand, so that a node's loop has many.

A queue holds a buffer only while somebody is in it, so that a flow of thousands of nodes needs no
more room than the customers under way. Nodes are worked in topological order, as far as cycles
allow, so that what comes together over several paths is taken through a node together.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcpy

from ext.likely cimport rarely
from ext.structs cimport *

cdef extern from *:
    """
    #define HEADRACE_LOWEST_BIT(x) __builtin_ctzll((unsigned long long)(x))
    """
    int lowest_bit "HEADRACE_LOWEST_BIT"(uint64_t x) noexcept nogil


cdef inline QueueC* open_queue(MachineC* m, int32_t node) noexcept nogil:
    """The node's queue, with a buffer."""
    cdef QueueC* q = &m.w.queues[node]
    if rarely(q.n == 0):
        m.w.spares -= 1
        q.items = m.w.spare[m.w.spares]
        m.w.filled[q.rank >> 6] |= <uint64_t>1 << (q.rank & 63)
    return q


cdef inline void push(MachineC* m, int32_t node, PersonC* person) noexcept nogil:
    cdef QueueC* q = open_queue(m, node)
    q.items[q.n] = person
    q.n += 1


cdef inline void push_all(MachineC* m, int32_t node, PersonC** items, int32_t n) noexcept nogil:
    cdef QueueC* q = open_queue(m, node)
    memcpy(&q.items[q.n], items, <size_t>n * sizeof(PersonC*))
    q.n += n


cdef inline void rest(MachineC* m, PersonC* person) noexcept nogil:
    """A customer no longer has a running token."""
    m.w.idle[m.w.idles] = person
    m.w.idles += 1


cdef inline void rest_all(MachineC* m, PersonC** items, int32_t n) noexcept nogil:
    memcpy(&m.w.idle[m.w.idles], items, <size_t>n * sizeof(PersonC*))
    m.w.idles += n


cdef inline void sort_by_port(
    MachineC* m, int32_t ports, PersonC** items, int32_t n
) noexcept nogil:
    """Sort customers into `sorted` by their `m.w.ports`; `counts` are then where each port ends."""
    cdef int32_t* counts = m.w.counts
    cdef const int32_t* chosen = m.w.ports
    cdef PersonC** sorted = m.w.sorted
    cdef int32_t k, port, begin = 0
    for port in range(ports):
        begin += counts[port]
        counts[port] = begin - counts[port]
    for k in range(n):
        port = chosen[k]
        sorted[counts[port]] = items[k]
        counts[port] += 1


cdef inline void count_ports(MachineC* m, int32_t ports, int32_t n) noexcept nogil:
    """Count `m.w.ports` into `m.w.counts`; for few ports a comparison of all is the fastest."""
    cdef int32_t* counts = m.w.counts
    cdef const int32_t* chosen = m.w.ports
    cdef int32_t port, k, count
    if ports > 8:
        for port in range(ports):
            counts[port] = 0
        for k in range(n):
            counts[chosen[k]] += 1
        return
    for port in range(ports):
        count = 0
        for k in range(n):
            count += chosen[k] == port
        counts[port] = count
