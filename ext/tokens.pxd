"""Move tokens: ports are taken, forks are made, tokens end; each decision is counted and logged.

A customer's only token lies in his record; those of a crowd lie in slabs, with heaps of timers and
lists of listeners. Numbers in comments are those of docs/semantics.md.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from ext.heap cimport heap_push, heap_remove
from ext.likely cimport rarely
from ext.queues cimport push, push_all, rest
from ext.slabs cimport *
from ext.structs cimport *

cdef extern from *:
    """
    #define HEADRACE_LOG2(x) (63 - __builtin_clzll((unsigned long long)(x)))
    """
    int log2_of "HEADRACE_LOG2"(int64_t x) noexcept nogil


cdef enum:
    HOUR_MS = 3600000


cdef inline uint64_t hour_of(int64_t ms, int64_t from_ms) noexcept nogil:
    """The hour of the run; unsigned, because it is never before the start and divides faster."""
    return <uint64_t>(ms - from_ms) // <uint64_t>HOUR_MS


cdef inline int32_t at(MachineC* m, const PersonC* person) noexcept nogil:
    """The customer's place in the block."""
    return <int32_t>(person - m.s.persons)


cdef inline DetailC* detail_of(MachineC* m, const PersonC* person) noexcept nogil:
    return &m.s.details[person - m.s.persons]


cdef inline uint64_t* hash_of(MachineC* m, const PersonC* person) noexcept nogil:
    """The identity of the entry whose token runs, or is alone."""
    return &m.s.hashes[person - m.s.persons]


cdef inline void write_record(
    MachineC* m, LogC* record, const PersonC* person, int32_t node, int32_t port, uint64_t entry
) noexcept nogil:
    """Fill a record of the log under the customer's next step number (D13, D14)."""
    cdef int32_t c = at(m, person)
    record.customer = <uint32_t>(m.s.lo + c)
    record.step = m.s.steps[c]
    record.time_ms = person.now_ms
    record.entry = entry
    record.node = node
    record.port = port
    m.s.steps[c] += 1


cdef inline void note(
    MachineC* m, PersonC* person, int32_t node, int32_t port, uint64_t entry
) noexcept nogil:
    """Log a decision."""
    cdef LogC* record = log_room(m, 1)
    if record != NULL:
        write_record(m, record, person, node, port, entry)


cdef inline void note_all(
    MachineC* m, PersonC** items, int32_t n, int32_t node, int32_t port
) noexcept nogil:
    """Log a decision about the running tokens of `items`."""
    cdef LogC* records = log_room(m, n)
    cdef int32_t k
    if records == NULL:
        return
    for k in range(n):
        write_record(m, &records[k], items[k], node, port, hash_of(m, items[k])[0])


cdef inline void note_outcome(
    MachineC* m, PersonC* person, int32_t node, int32_t outcome, uint64_t entry
) noexcept nogil:
    m.t.outcome[<int64_t>node * OUTCOMES - 1 - outcome] += 1
    if m.t.logs:
        note(m, person, node, outcome, entry)


cdef inline bint first_visit(uint64_t* bits, int32_t words, int32_t c, int32_t i) noexcept nogil:
    """Set bit `i` of customer `c`; return whether it was clear."""
    cdef uint64_t* word = &bits[<int64_t>c * words + (i >> 6)]
    cdef uint64_t bit = <uint64_t>1 << (i & 63)
    if word[0] & bit:
        return 0
    word[0] |= bit
    return 1


cdef inline void count_arrivals(
    MachineC* m, int32_t node, PersonC** items, int32_t n
) noexcept nogil:
    """Count the tokens of `items` at a node that they come to, or begin at."""
    cdef int64_t fresh = n
    cdef int32_t k
    m.t.steps += n
    m.t.entered[node] += n
    if m.p.nodes[node].flags & FLAG_AGAIN:
        fresh = 0
        for k in range(n):
            fresh += first_visit(m.s.visited, m.p.words, at(m, items[k]), node)
    m.t.unique[node] += fresh


cdef inline void count_delays(MachineC* m, int32_t node, int64_t ms, int64_t n) noexcept nogil:
    """Count `n` times since the entry began, above 0 (cells: core.counters.delay_cell)."""
    cdef int64_t* cells
    cdef int64_t cell = ms, page
    cdef int shift
    m.t.delay_sum_ms[node] += ms * n
    if ms >= 1 << DELAY_SUB_BITS:
        shift = log2_of(ms) - DELAY_SUB_BITS
        cell = (<int64_t>(shift + 1) << DELAY_SUB_BITS) + ((ms >> shift) - (1 << DELAY_SUB_BITS))
        if cell >= DELAY_CELLS:
            cell = DELAY_CELLS - 1
    page = <int64_t>node * DELAY_OCTAVES + (cell >> DELAY_SUB_BITS)
    cell = 2 * (cell & ((1 << DELAY_SUB_BITS) - 1))
    cells = m.t.delays[page]
    if cells == NULL:
        cells = <int64_t*>calloc(2 << DELAY_SUB_BITS, sizeof(int64_t))
        if cells == NULL:
            m.s.trap = TRAP_MEMORY
            return
        m.t.delays[page] = cells
    cells[cell] += n
    cells[cell + 1] += ms * n


cdef inline void judge(MachineC* m, const PersonC* person, int32_t node) noexcept nogil:
    """Note a customer judged at a node by an attribute value of a later date (D37)."""
    cdef int32_t i, c = at(m, person)
    cdef const uint8_t* changed
    if person.now_ms >= m.p.as_of_ms:
        return
    for i in range(m.p.touch_offsets[node], m.p.touch_offsets[node + 1]):
        changed = m.p.columns[m.p.touch_columns[i]].changed
        if changed == NULL or not changed[m.s.lo + c]:
            if first_visit(m.s.touched, m.p.words, c, node):
                m.t.touched[node] += 1
            return


cdef inline int64_t next_ms(const PersonC* person) noexcept nogil:
    """The time of the customer's next item, INT64_MAX for none."""
    return min(min(person.input_ms, person.due_ms), person.other_ms)


cdef inline int64_t pending_ms(MachineC* m, const DetailC* detail) noexcept nogil:
    return INT64_MAX if detail.pending < 0 else m.s.pending_heap[detail.pending].key


cdef inline void find_other(MachineC* m, PersonC* person) noexcept nogil:
    """Keep `other_ms` true after one of its three has changed."""
    cdef const DetailC* detail = detail_of(m, person)
    person.other_ms = min(min(detail.segment_ms, detail.schedule_ms), pending_ms(m, detail))
    if rarely(m.k.gate >= 0) and detail.line >= 0:
        person.other_ms = min(person.other_ms, m.k.lines[detail.line].due_ms)


cdef inline void ready_push(MachineC* m, DetailC* detail, int32_t t) noexcept nogil:
    m.s.tokens[t].next = -1
    if detail.ready < 0:
        detail.ready = t
    else:
        m.s.tokens[detail.ready_last].next = t
    detail.ready_last = t


cdef inline int32_t* listeners_of(MachineC* m, int32_t c, int32_t event) noexcept nogil:
    """The first of the customer's tokens that wait for events of a type."""
    return &m.s.listening[<int64_t>c * m.p.n_listeners + m.p.listeners[event]]


cdef inline void listen(MachineC* m, int32_t c, int32_t t) noexcept nogil:
    cdef TokenC* token = &m.s.tokens[t]
    cdef int32_t* first = listeners_of(m, c, m.p.nodes[token.node].a)
    token.prev = -1
    token.next = first[0]
    if first[0] >= 0:
        m.s.tokens[first[0]].prev = t
    first[0] = t


cdef inline void unlisten(MachineC* m, int32_t c, int32_t t) noexcept nogil:
    cdef TokenC* token = &m.s.tokens[t]
    if token.prev >= 0:
        m.s.tokens[token.prev].next = token.next
    else:
        listeners_of(m, c, m.p.nodes[token.node].a)[0] = token.next
    if token.next >= 0:
        m.s.tokens[token.next].prev = token.prev


cdef inline void set_timer(MachineC* m, PersonC* person, int32_t t, int64_t due_ms) noexcept nogil:
    cdef DetailC* detail = detail_of(m, person)
    m.s.timers[t].key = due_ms
    detail.timers = heap_push(m.s.timers, detail.timers, t)
    person.due_ms = m.s.timers[detail.timers].key


cdef inline void stop_waiting(MachineC* m, PersonC* person, int32_t t) noexcept nogil:
    """Take a token out of the timers and out of those that listen."""
    cdef DetailC* detail = detail_of(m, person)
    if m.s.timers[t].prev != -2:
        detail.timers = heap_remove(m.s.timers, detail.timers, t)
        person.due_ms = INT64_MAX if detail.timers < 0 else m.s.timers[detail.timers].key
    if m.s.tokens[t].state == TOKEN_LISTENING:
        unlisten(m, at(m, person), t)


cdef inline void take_up(MachineC* m, PersonC* person, int32_t t) noexcept nogil:
    """Let a token of a crowd run: what is asked of its entry is copied to the customer."""
    cdef int32_t entry = m.s.tokens[t].entry
    cdef const EntryC* e = &m.s.entries[entry]
    cdef DetailC* detail = detail_of(m, person)
    person.start_ms = e.start_ms
    person.entry_row = e.row
    hash_of(m, person)[0] = e.hash
    detail.entry_number = e.number
    detail.entry_visits = -1 - entry
    detail.token = t


cdef inline void list_entry(MachineC* m, DetailC* detail, int32_t i) noexcept nogil:
    """Put an entry at the end of its customer's list; `prev_entry` of the first is the last."""
    cdef EntryC* e = &m.s.entries[i]
    cdef int32_t first = detail.first_entry
    e.next_entry = -1
    if first < 0:
        e.prev_entry = detail.first_entry = i
        return
    e.prev_entry = m.s.entries[first].prev_entry
    m.s.entries[e.prev_entry].next_entry = i
    m.s.entries[first].prev_entry = i


cdef inline void insert_entry(MachineC* m, DetailC* detail, int32_t i) noexcept nogil:
    """Put an entry into its customer's list, before those that began later."""
    cdef EntryC* e = &m.s.entries[i]
    cdef int32_t before = detail.first_entry, last = -1
    while before >= 0 and m.s.entries[before].number < e.number:
        last = before
        before = m.s.entries[before].next_entry
    if before < 0:
        list_entry(m, detail, i)
        return
    e.next_entry = before
    e.prev_entry = m.s.entries[before].prev_entry
    m.s.entries[before].prev_entry = i
    if last < 0:
        detail.first_entry = i
    else:
        m.s.entries[last].next_entry = i


cdef inline void list_entries(MachineC* m) noexcept nogil:
    """Make the lists of all customers' entries anew, each by the entries' numbers."""
    cdef int32_t c, i
    cdef EntryC* e
    for c in range(m.s.persons_n):
        m.s.details[c].first_entry = -1
    for i in range(m.s.entries_used):
        e = &m.s.entries[i]
        if e.tokens > 0:
            insert_entry(m, &m.s.details[e.person], i)


cdef inline void unlist_entry(MachineC* m, DetailC* detail, int32_t i) noexcept nogil:
    cdef EntryC* e = &m.s.entries[i]
    if detail.first_entry == i:
        detail.first_entry = e.next_entry
    else:
        m.s.entries[e.prev_entry].next_entry = e.next_entry
    if e.next_entry >= 0:
        m.s.entries[e.next_entry].prev_entry = e.prev_entry
    elif detail.first_entry >= 0:
        m.s.entries[detail.first_entry].prev_entry = e.prev_entry


cdef inline int32_t entry_make(MachineC* m, PersonC* person) noexcept nogil:
    """A new entry without tokens, its other fields those that the customer's record holds."""
    cdef int32_t i = entry_new(m)
    cdef EntryC* e
    cdef const DetailC* detail = detail_of(m, person)
    if i < 0:
        return -1
    e = &m.s.entries[i]
    e.start_ms = person.start_ms
    e.row = person.entry_row
    e.hash = hash_of(m, person)[0]
    e.number = detail.entry_number
    e.admission = detail.entry_admission
    e.person = at(m, person)
    e.forks = 0
    e.tokens = 0
    e.first = -1
    e.last = -1
    if m.p.n_exits:
        list_entry(m, detail_of(m, person), i)
    return i


cdef inline int32_t token_make(
    MachineC* m, DetailC* detail, int32_t entry, int32_t node, uint8_t state
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
    detail.tokens += 1
    return t


cdef inline bint spill(MachineC* m, PersonC* person) noexcept nogil:
    """Move the customer's only token to the slabs, where there is room for more.

    Returns 0 without memory.
    """
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t entry, t, c = at(m, person)
    cdef int64_t due_ms = person.due_ms
    cdef uint8_t state = person.state
    person.crowd = 1
    person.state = TOKEN_GONE
    person.due_ms = INT64_MAX
    if state <= TOKEN_GONE:
        return 1
    entry = entry_make(m, person)
    if entry < 0:
        return 0
    if m.p.n_slots:
        memcpy(
            visits_at(m, -1 - entry), visits_at(m, c), 4 * <size_t>m.p.n_slots
        )
    t = token_make(m, detail, entry, person.node, state)
    if t < 0:
        return 0
    if due_ms != INT64_MAX:
        set_timer(m, person, t, due_ms)
    if state == TOKEN_LISTENING:
        listen(m, c, t)
    elif state == TOKEN_CLAIMED:
        m.s.tokens[t].port = person.port
        m.s.tokens[t].next = <int32_t>detail.claim
    elif state == TOKEN_WOKEN:
        ready_push(m, detail, t)
    elif state == TOKEN_READY:
        take_up(m, person, t)
    return 1


cdef inline AdmissionC* admission_at(MachineC* m, PersonC* person, int32_t number) noexcept nogil:
    if number == NO_ADMISSION:
        return &detail_of(m, person).admission
    return &m.s.admissions[number]


cdef inline void token_leave_entry(MachineC* m, PersonC* person, int32_t t) noexcept nogil:
    """Take a token of a crowd out of its entry; the entry ends with its last (10)."""
    cdef TokenC* token = &m.s.tokens[t]
    cdef EntryC* e = &m.s.entries[token.entry]
    detail_of(m, person).tokens -= 1
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
        admission_at(m, person, e.admission).active -= 1
        if m.p.n_exits:
            unlist_entry(m, detail_of(m, person), token.entry)
        entry_free(m, token.entry)


cdef inline void end_token(MachineC* m, PersonC* person) noexcept nogil:
    """End the running token."""
    cdef DetailC* detail
    if rarely(person.crowd):
        detail = detail_of(m, person)
        token_leave_entry(m, person, detail.token)
        token_free(m, detail.token)
        return
    person.state = TOKEN_GONE
    if m.p.policy == POLICY_AFTER_EXIT:
        admission_at(m, person, detail_of(m, person).entry_admission).active -= 1


cdef inline void stay(MachineC* m, PersonC* person, int32_t node, uint8_t state) noexcept nogil:
    """Leave the running token at a node, for good where it neither waits nor listens."""
    cdef TokenC* token
    if rarely(person.crowd):
        token = &m.s.tokens[detail_of(m, person).token]
        token.node = node
        token.state = state
    else:
        person.node = node
        person.state = state


cdef inline void open_watch(
    MachineC* m, PersonC* person, int32_t watch, int32_t counter, int64_t row
) noexcept nogil:
    """Begin to watch for a success (D31)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t i = watch_new(m)
    cdef WatchOpenC* w
    if i < 0:
        return
    w = &m.s.open_watches[i]
    w.watch = watch
    w.counter = counter
    w.row = row
    w.deadline_ms = person.now_ms + m.p.watches[watch].within_ms
    w.state = WATCH_MATURED if w.deadline_ms < m.p.horizon_ms else 0
    w.next = detail.watches
    detail.watches = i
    m.t.watch_opened[counter] += 1
    m.t.watch_matured[counter] += w.state


cdef inline bint leave_open(
    MachineC* m, PersonC* person, int32_t node, int32_t port
) noexcept nogil:
    """Take a port that has not exactly one edge (D7); return whether the token goes on."""
    cdef DetailC* detail = detail_of(m, person)
    cdef const PortC* p = &m.p.ports[m.p.nodes[node].port0 + port]
    cdef int32_t k, entry, fork
    if p.edges == 0 and p.outcome != 0:
        note_outcome(m, person, node, p.outcome, hash_of(m, person)[0])
        end_token(m, person)
        return 0
    m.t.port[m.p.nodes[node].port0 + port] += 1
    if m.t.logs:
        note(m, person, node, port, hash_of(m, person)[0])
    if p.edges == 0:
        stay(m, person, node, TOKEN_IDLE)
        return 0
    if not person.crowd and not spill(m, person):
        return 0
    entry = m.s.tokens[detail.token].entry
    for k in range(1, p.edges):
        fork = token_make(m, detail, entry, m.p.edges[p.edge0 + k], TOKEN_READY)
        if fork < 0:
            return 0
        ready_push(m, detail, fork)
    push(m, m.p.edges[p.edge0], person)
    return 1


cdef inline bint leave(MachineC* m, PersonC* person, int32_t node, int32_t port) noexcept nogil:
    """Take a port of `node` with the running token; return whether the token goes on."""
    cdef int32_t number = m.p.port0[node] + port, target = m.p.routes[number]
    if rarely(target < 0):
        return leave_open(m, person, node, port)
    m.t.port[number] += 1
    if rarely(m.t.logs):
        note(m, person, node, port, hash_of(m, person)[0])
    push(m, target, person)
    return 1


cdef inline void leave_one(MachineC* m, PersonC* person, int32_t node, int32_t port) noexcept nogil:
    if not leave(m, person, node, port):
        rest(m, person)


cdef inline void leave_all(
    MachineC* m, int32_t node, int32_t port, PersonC** items, int32_t n
) noexcept nogil:
    """Let the running tokens of all of `items` leave by one port."""
    cdef int32_t number = m.p.port0[node] + port, target = m.p.routes[number], k
    if target < 0:
        for k in range(n):
            leave_one(m, items[k], node, port)
    elif n > 0:
        m.t.port[number] += n
        if m.t.logs:
            note_all(m, items, n, node, port)
        push_all(m, target, items, n)


cdef inline void park(MachineC* m, PersonC* person, int32_t node, int32_t outcome) noexcept nogil:
    """Leave the running token where it stands for good, with the reason (7, D5)."""
    note_outcome(m, person, node, outcome, hash_of(m, person)[0])
    stay(m, person, node, TOKEN_PARKED)


cdef inline uint32_t visit_of(MachineC* m, PersonC* person, int32_t slot) noexcept nogil:
    """Which arrival of the running token's entry at the node this is, 1 for the first (D12)."""
    cdef uint32_t* count
    if slot < 0:
        return 1
    count = &visits_at(m, detail_of(m, person).entry_visits)[slot]
    count[0] += 1
    return count[0]


cdef inline void end_whole_flow(MachineC* m, PersonC* person) noexcept nogil:
    """End all other tokens of the running one's entry, by fork number, then this one (D8)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t t = detail.token, other, following
    cdef uint8_t state
    if person.crowd:
        other = m.s.entries[m.s.tokens[t].entry].first
        while other >= 0:
            following = m.s.tokens[other].entry_next
            if other != t:
                note_outcome(
                    m, person, m.s.tokens[other].node, OUT_WHOLE_FLOW, hash_of(m, person)[0]
                )
                state = m.s.tokens[other].state
                stop_waiting(m, person, other)
                token_leave_entry(m, person, other)
                if state == TOKEN_READY or state == TOKEN_WOKEN:
                    m.s.tokens[other].state = TOKEN_DEAD
                else:
                    token_free(m, other)
            other = following
    end_token(m, person)
