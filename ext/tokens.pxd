"""Move tokens: ports are taken, forks are made, tokens end; each decision is counted and logged.

Numbers in comments are those of docs/semantics.md.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc

from ext.heap cimport heap_push, heap_remove
from ext.predicates cimport read_customer
from ext.slabs cimport *
from ext.structs cimport *

cdef extern from *:
    """
    #define HEADRACE_HOUR_MS 3600000LL
    #define HEADRACE_LOG2(x) (63 - __builtin_clzll((unsigned long long)(x)))
    """
    const int64_t HOUR_MS "HEADRACE_HOUR_MS"
    int log2_of "HEADRACE_LOG2"(int64_t x) noexcept nogil


cdef inline void note(
    MachineC* m, int32_t c, int32_t node, int32_t port, uint64_t entry
) noexcept nogil:
    """Log a decision under the customer's next step number (D13, D14)."""
    cdef PersonC* person = &m.s.persons[c]
    cdef LogC* record
    if m.t.logs:
        record = log_new(m)
        if record == NULL:
            return
        record.customer = <uint32_t>(m.s.lo + c)
        record.step = person.step
        record.time_ms = person.now_ms
        record.entry = entry
        record.node = node
        record.port = port
    person.step += 1


cdef inline void note_outcome(
    MachineC* m, int32_t c, int32_t node, int32_t outcome, uint64_t entry
) noexcept nogil:
    m.t.outcome[<int64_t>node * OUTCOMES - 1 - outcome] += 1
    note(m, c, node, outcome, entry)


cdef inline bint first_visit(uint64_t* bits, int32_t words, int32_t c, int32_t i) noexcept nogil:
    """Set bit `i` of customer `c`; return whether it was clear."""
    cdef uint64_t* word = &bits[<int64_t>c * words + (i >> 6)]
    cdef uint64_t bit = <uint64_t>1 << (i & 63)
    if word[0] & bit:
        return 0
    word[0] |= bit
    return 1


cdef inline void count_delay(MachineC* m, int32_t node, int64_t ms) noexcept nogil:
    """Count the time since the entry began, above 0 (cells: core.counters.delay_cell)."""
    cdef int64_t* cells
    cdef int64_t cell = ms, page
    cdef int shift
    m.t.delay_sum_ms[node] += ms
    if ms >= 1 << DELAY_SUB_BITS:
        shift = log2_of(ms) - DELAY_SUB_BITS
        cell = (<int64_t>(shift + 1) << DELAY_SUB_BITS) + ((ms >> shift) - (1 << DELAY_SUB_BITS))
        if cell >= DELAY_CELLS:
            cell = DELAY_CELLS - 1
    page = <int64_t>node * DELAY_OCTAVES + (cell >> DELAY_SUB_BITS)
    cell &= (1 << DELAY_SUB_BITS) - 1
    cells = m.t.delays[page]
    if cells == NULL:
        cells = <int64_t*>calloc(2 << DELAY_SUB_BITS, sizeof(int64_t))
        if cells == NULL:
            m.s.trap = TRAP_MEMORY
            return
        m.t.delays[page] = cells
    cells[cell] += 1
    cells[(1 << DELAY_SUB_BITS) + cell] += ms


cdef inline void judge(MachineC* m, int32_t c, int32_t node) noexcept nogil:
    """Note a customer judged at a node by an attribute value of a later date (D37)."""
    cdef int32_t i
    cdef const uint8_t* changed
    if m.s.persons[c].now_ms >= m.p.as_of_ms:
        return
    for i in range(m.p.touch_offsets[node], m.p.touch_offsets[node + 1]):
        changed = m.p.columns[m.p.touch_columns[i]].changed
        if changed == NULL or not changed[m.s.lo + c]:
            if first_visit(m.s.touched, m.p.words, c, node):
                m.t.touched[node] += 1
            return


cdef inline void ready_push(MachineC* m, PersonC* person, int32_t t) noexcept nogil:
    m.s.tokens[t].next = -1
    if person.ready < 0:
        person.ready = t
    else:
        m.s.tokens[person.ready_last].next = t
    person.ready_last = t


cdef inline void listen(MachineC* m, PersonC* person, int32_t t) noexcept nogil:
    cdef TokenC* token = &m.s.tokens[t]
    token.prev = -1
    token.next = person.listening
    if person.listening >= 0:
        m.s.tokens[person.listening].prev = t
    person.listening = t


cdef inline void unlisten(MachineC* m, PersonC* person, int32_t t) noexcept nogil:
    cdef TokenC* token = &m.s.tokens[t]
    if token.prev >= 0:
        m.s.tokens[token.prev].next = token.next
    else:
        person.listening = token.next
    if token.next >= 0:
        m.s.tokens[token.next].prev = token.prev


cdef inline void set_timer(MachineC* m, PersonC* person, int32_t t, int64_t due_ms) noexcept nogil:
    m.s.timers[t].key = due_ms
    person.timers = heap_push(m.s.timers, person.timers, t)


cdef inline void stop_waiting(MachineC* m, PersonC* person, int32_t t) noexcept nogil:
    """Take a token out of the timers and out of those that listen."""
    if m.s.timers[t].prev != -2:
        person.timers = heap_remove(m.s.timers, person.timers, t)
    if m.s.tokens[t].state == TOKEN_LISTENING:
        unlisten(m, person, t)


cdef inline int32_t token_make(
    MachineC* m, int32_t entry, int32_t node, uint8_t state
) noexcept nogil:
    """A new token of an entry, last in its order (D6)."""
    cdef int32_t t = token_new(m)
    cdef TokenC* token
    cdef EntryC* e
    if t < 0:
        return -1
    e = &m.s.entries[entry]
    token = &m.s.tokens[t]
    token.node = node
    token.entry = entry
    token.state = state
    token.port = 0
    token.modelled = 0
    token.entry_next = -1
    token.entry_prev = e.last
    if e.last >= 0:
        m.s.tokens[e.last].entry_next = t
    else:
        e.first = t
    e.last = t
    m.s.timers[t].tie = (<uint64_t>e.number << 32) | e.forks
    m.s.timers[t].prev = -2
    e.forks += 1
    e.tokens += 1
    return t


cdef inline void token_leave_entry(MachineC* m, int32_t t) noexcept nogil:
    """Take a token out of its entry; the entry ends with its last (10)."""
    cdef TokenC* token = &m.s.tokens[t]
    cdef EntryC* e = &m.s.entries[token.entry]
    if token.entry_prev >= 0:
        m.s.tokens[token.entry_prev].entry_next = token.entry_next
    else:
        e.first = token.entry_next
    if token.entry_next >= 0:
        m.s.tokens[token.entry_next].entry_prev = token.entry_prev
    else:
        e.last = token.entry_prev
    e.tokens -= 1
    if e.tokens == 0:
        m.s.admissions[e.admission].active -= 1
        entry_free(m, token.entry)


cdef inline void token_end(MachineC* m, int32_t t) noexcept nogil:
    token_leave_entry(m, t)
    token_free(m, t)


cdef inline void open_watch(
    MachineC* m, int32_t c, int32_t watch, int32_t counter, int64_t row
) noexcept nogil:
    """Begin to watch for a success (D31)."""
    cdef PersonC* person = &m.s.persons[c]
    cdef int32_t i = watch_new(m)
    cdef WatchOpenC* w
    if i < 0:
        return
    w = &m.s.open_watches[i]
    w.watch = watch
    w.counter = counter
    w.row = row
    w.deadline_ms = person.now_ms + m.p.watches[watch].within_ms
    w.matured = w.deadline_ms < m.p.horizon_ms
    w.next = person.watches
    person.watches = i
    m.t.watch_opened[counter] += 1
    m.t.watch_matured[counter] += w.matured


cdef inline bint leave(MachineC* m, int32_t c, int32_t t, int32_t port) noexcept nogil:
    """Take a port: on to its first edge, new tokens for the others (D7).

    Return whether the token goes on.
    """
    cdef TokenC* token = &m.s.tokens[t]
    cdef int32_t node = token.node, entry = token.entry, k, fork
    cdef const PortC* p = &m.p.ports[m.p.nodes[node].port0 + port]
    cdef uint64_t identity = m.s.entries[entry].hash
    if p.edges == 0 and p.outcome != 0:
        note_outcome(m, c, node, p.outcome, identity)
        token_end(m, t)
        return 0
    m.t.port[m.p.nodes[node].port0 + port] += 1
    note(m, c, node, port, identity)
    if p.edges == 0:
        token.state = TOKEN_IDLE
        return 0
    token.node = m.p.edges[p.edge0]
    token.state = TOKEN_READY
    for k in range(1, p.edges):
        fork = token_make(m, entry, m.p.edges[p.edge0 + k], TOKEN_READY)
        if fork < 0:
            return 0
        ready_push(m, &m.s.persons[c], fork)
    return 1


cdef inline void park(MachineC* m, int32_t c, int32_t t, int32_t outcome) noexcept nogil:
    """Leave a token where it stands for good, with the reason (7, D5)."""
    note_outcome(m, c, m.s.tokens[t].node, outcome, m.s.entries[m.s.tokens[t].entry].hash)
    m.s.tokens[t].state = TOKEN_PARKED


cdef inline bint arrive(MachineC* m, int32_t c, int32_t t, int32_t node) noexcept nogil:
    """Count an arrival; return whether the node is to be carried out."""
    cdef PersonC* person = &m.s.persons[c]
    cdef int64_t delay = person.now_ms - m.s.entries[m.s.tokens[t].entry].start_ms
    m.t.entered[node] += 1
    m.t.steps += 1
    if first_visit(m.s.visited, m.p.words, c, node):
        m.t.unique[node] += 1
    if delay > 0:
        count_delay(m, node, delay)
    if person.budget == 0:
        park(m, c, t, OUT_PARKED_BUDGET)
        return 0
    person.budget -= 1
    if m.p.nodes[node].flags & FLAG_TOUCH:
        judge(m, c, node)
    return 1


cdef inline uint32_t visit_of(MachineC* m, int32_t entry, int32_t slot) noexcept nogil:
    """Which arrival of the entry at the node this is, 1 for the first (D12)."""
    cdef uint32_t* count
    if slot < 0:
        return 1
    count = &m.s.visits[<int64_t>entry * m.p.n_slots + slot]
    count[0] += 1
    return count[0]


cdef inline void end_whole_flow(MachineC* m, int32_t c, int32_t t) noexcept nogil:
    """End all other tokens of the entry, by fork number, then this one (D8)."""
    cdef PersonC* person = &m.s.persons[c]
    cdef EntryC* e = &m.s.entries[m.s.tokens[t].entry]
    cdef int32_t other = e.first, following
    cdef uint64_t identity = e.hash
    cdef uint8_t state
    while other >= 0:
        following = m.s.tokens[other].entry_next
        if other != t:
            note_outcome(m, c, m.s.tokens[other].node, OUT_WHOLE_FLOW, identity)
            state = m.s.tokens[other].state
            stop_waiting(m, person, other)
            token_leave_entry(m, other)
            if state == TOKEN_READY or state == TOKEN_WOKEN:
                m.s.tokens[other].state = TOKEN_DEAD
            else:
                token_free(m, other)
        other = following
    token_end(m, t)
