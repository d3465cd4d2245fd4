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
