"""Take customers through lanes in waves: bring each on by an item, see events, work nodes."""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from ext.calendar cimport CalendarC, calendar_put
from ext.events cimport happen
from ext.kernels cimport carry_out
from ext.likely cimport rarely
from ext.queues cimport count_ports, lowest_bit, rest, sort_by_port
from ext.structs cimport *
from ext.timeline cimport advance, find_schedule
from ext.tokens cimport at, next_ms


cdef inline void begin_person(MachineC* m, PersonC* person) noexcept nogil:
    """Put a customer at the beginning of his timeline, before any input."""
    cdef int32_t c = at(m, person)
    cdef int64_t first_ms
    person.input_ms = person.due_ms = person.other_ms = INT64_MAX
    person.node = 0
    person.state = TOKEN_FREE
    person.crowd = person.stage = 0
    if not m.p.detailed:
        return
    m.s.details[c] = m.s.blank
    person.now_ms = INT64_MIN  # nothing was worked at any instant
    if m.p.n_segments:
        first_ms = max(m.p.entry_from_ms, m.p.created_ms[m.s.lo + c])
        if first_ms < m.p.entry_until_ms:
            m.s.details[c].segment_ms = person.other_ms = first_ms
    if m.p.n_schedules:
        find_schedule(m, person)


cdef inline void see_events(MachineC* m) noexcept nogil:
    """Let the recorded events of the wave happen, a type at a time."""
    cdef int32_t type, types = m.p.n_events, n = m.w.seen, begin = 0, end
    if n == 0:
        return
    m.w.seen = 0
    count_ports(m, types, n)
    if m.w.counts[m.w.ports[0]] == n:
        happen(m, m.w.ports[0], m.w.seeing, n, NULL)
        return
    sort_by_port(m, types, m.w.seeing, n)
    memcpy(m.w.seeing, m.w.sorted, <size_t>n * sizeof(PersonC*))
    memcpy(m.w.ports, m.w.counts, <size_t>types * sizeof(int32_t))
    for type in range(types):
        end = m.w.ports[type]
        if end > begin:
            happen(m, type, &m.w.seeing[begin], end - begin, NULL)
        begin = end


cdef inline void work_nodes(MachineC* m) noexcept nogil:
    """Work each node that has a queue, once; what a cycle leads back waits for the next wave."""
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
            carry_out(m, node, items, n)
            m.w.spare[m.w.spares] = items
            m.w.spares += 1
            bits = m.w.filled[word] & ~(lowest | (lowest - 1))


cdef inline void count_place(MachineC* m, uint8_t state, int32_t node) noexcept nogil:
    """Count where a token stands for good, or at the horizon."""
    if state == TOKEN_TIMED or state == TOKEN_LISTENING or state == TOKEN_CLAIMED:
        m.t.waiting[node] += 1
    elif state == TOKEN_IDLE:
        m.t.idle[node] += 1


cdef inline PersonC* take(MachineC* m, int32_t c) noexcept nogil:
    """Give a lane to customer `c` of the block."""
    cdef PersonC* person = &m.s.persons[c]
    cdef int64_t row
    if m.w.fresh:
        begin_person(m, person)
        row = m.p.row_offsets[m.s.lo + c]
        person.row = row
        if row < m.p.row_offsets[m.s.lo + c + 1]:
            person.input_ms = m.p.row_ms[row]
    return person


cdef inline int run_waves(
    MachineC* m, CalendarC* calendar, const int32_t* due, int32_t n, int64_t until_ms,
    const int32_t* stop,
) noexcept nogil:
    """Carry out all work before `until_ms` of `due` (n customers); 1 where stopped.

    A customer with nothing left to do gives his lane to the next. He goes into the calendar if
    there will be something before the horizon; else it is counted where his only token stands.
    """
    cdef int32_t taken = min(n, m.w.lanes), busy = taken, idles, k
    cdef int64_t later_ms, horizon_ms = m.p.horizon_ms
    cdef PersonC* person
    m.w.until_ms = until_ms
    m.w.idles = m.w.seen = 0
    for k in range(taken):
        rest(m, take(m, due[k]))
    while True:
        idles = m.w.idles
        m.w.idles = 0
        for k in range(idles):
            person = m.w.idle[k]
            while not advance(m, person):
                later_ms = next_ms(person)
                if later_ms < horizon_ms:
                    calendar_put(calendar, at(m, person), later_ms)
                elif rarely(person.state >= TOKEN_TIMED) and not m.p.live:
                    count_place(m, person.state, person.node)
                if taken == n:
                    busy -= 1
                    break
                person = take(m, due[taken])
                taken += 1
        if busy == 0:
            return 0
        if m.s.trap or stop[0]:
            return 1
        see_events(m)
        work_nodes(m)
