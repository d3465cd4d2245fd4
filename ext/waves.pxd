"""Take customers through lanes in waves: bring each on by an item, then work node by node."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from ext.calendar cimport CalendarC, calendar_put
from ext.events cimport happen
from ext.kernels cimport carry_out
from ext.queues cimport lowest_bit, rest
from ext.structs cimport *
from ext.timeline cimport advance
from ext.tokens cimport at, next_ms


cdef inline void work_queues(MachineC* m) noexcept nogil:
    """Work each queue once: events, then nodes; what a cycle leads back waits for the next wave."""
    cdef int32_t word, node, n
    cdef uint64_t bits, lowest
    cdef PersonC** items
    cdef QueueC* q
    for word in range(m.w.words):
        bits = m.w.filled[word]
        while bits:
            lowest = bits & (0 - bits)
            m.w.filled[word] ^= lowest
            node = m.w.order[(word << 6) + lowest_bit(bits)]
            q = &m.w.queues[node]
            items = q.items
            n = q.n
            q.n = 0
            if node < m.p.n_nodes:
                carry_out(m, node, items, n)
            else:
                happen(m, node - m.p.n_nodes, items, n, NULL)
            m.w.spare[m.w.spares] = items
            m.w.spares += 1
            bits = m.w.filled[word] & ~(lowest | (lowest - 1))


cdef inline int run_waves(
    MachineC* m, CalendarC* calendar, const int32_t* due, int32_t n, int64_t until_ms,
    const int32_t* stop,
) noexcept nogil:
    """Carry out all work before `until_ms` of `due` (n customers); 1 where stopped.

    A customer with nothing left to do gives his lane to the next, and goes into the calendar if
    there will be something before the horizon.
    """
    cdef int32_t taken = min(n, m.w.lanes), busy = taken, idles, k
    cdef int64_t later_ms
    cdef PersonC* person
    m.w.until_ms = until_ms
    m.w.idles = 0
    for k in range(taken):
        rest(m, &m.s.persons[due[k]])
    while True:
        idles = m.w.idles
        m.w.idles = 0
        for k in range(idles):
            person = m.w.idle[k]
            while not advance(m, person):
                later_ms = next_ms(person)
                if later_ms < m.p.horizon_ms:
                    calendar_put(calendar, at(m, person), later_ms)
                if taken == n:
                    busy -= 1
                    break
                person = &m.s.persons[due[taken]]
                taken += 1
        if busy == 0:
            return 0
        if m.s.trap or stop[0]:
            return 1
        work_queues(m)
