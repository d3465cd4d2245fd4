"""Queue customers before the nodes at which their tokens stand; the fullest use of a node's loop.

A queue holds a buffer only while somebody is in it, so that a flow of thousands of nodes needs no
more room than the customers under way. Nodes are worked in topological order, as far as cycles
allow, so that what comes together over several paths is taken through a node together.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcpy

from ext.structs cimport *

cdef extern from *:
    """
    #define HEADRACE_LOWEST_BIT(x) __builtin_ctzll((unsigned long long)(x))
    """
    int lowest_bit "HEADRACE_LOWEST_BIT"(uint64_t x) noexcept nogil


cdef inline QueueC* open_queue(MachineC* m, int32_t node) noexcept nogil:
    """The node's queue, with a buffer."""
    cdef QueueC* q = &m.w.queues[node]
    if q.n == 0:
        m.w.spares -= 1
        q.items = m.w.spare[m.w.spares]
        m.w.filled[q.rank >> 6] |= <uint64_t>1 << (q.rank & 63)
    return q


cdef inline void push(MachineC* m, int32_t node, int32_t c) noexcept nogil:
    cdef QueueC* q = open_queue(m, node)
    q.items[q.n] = c
    q.n += 1


cdef inline void push_all(
    MachineC* m, int32_t node, const int32_t* customers, int32_t n
) noexcept nogil:
    cdef QueueC* q = open_queue(m, node)
    memcpy(&q.items[q.n], customers, <size_t>n * sizeof(int32_t))
    q.n += n


cdef inline void rest(MachineC* m, int32_t c) noexcept nogil:
    """A customer no longer has a running token."""
    m.w.idle[m.w.idles] = c
    m.w.idles += 1
