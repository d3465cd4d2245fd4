"""Carry out nodes, one tight loop for each: all tokens at a node pass through it together.

A kernel takes the customers whose running token stands at `node`; afterwards a customer's `token`
is the one that goes on, or -1 where it waits, has ended or stands idle.
"""

from libc.math cimport isfinite, isnan
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint32_t, uint64_t

from ext.civil cimport (
    DAY_MS, add_months, add_wall, floor_div, local_to_utc, next_slot, utc_to_local,
)
from ext.heap cimport heap_push
from ext.philox cimport draw64, scale, slot_of
from ext.predicates cimport (
    DAYS_MAX, as_bits, as_double, bounded, decide, read_customer, to_utc,
)
from ext.slabs cimport *
from ext.structs cimport *
from ext.timeline cimport write_cell
from ext.tokens cimport (
    HOUR_MS, arrive, end_whole_flow, first_visit, leave, listen, note_outcome, open_watch, park,
    set_timer, token_end, visit_of,
)

cdef extern from *:
    """
    #define HEADRACE_ADD_OVERFLOWS(a, b, sum) \\
        __builtin_add_overflow((int64_t)(a), (int64_t)(b), sum)
    static inline int64_t headrace_interpolate(int64_t low, int64_t high, uint64_t place) {
        return low + (int64_t)(((__int128)(high - low) * (__int128)place) >> 32);
    }
    """
    bint add_overflows "HEADRACE_ADD_OVERFLOWS"(int64_t a, int64_t b, int64_t* sum) noexcept nogil
    int64_t interpolate "headrace_interpolate"(
        int64_t low, int64_t high, uint64_t place
    ) noexcept nogil

cdef enum:
    CELLS = 4096
    DRAWS_MAX = 128
    WEIGHT_TOTAL = 10000
    PROBABILITY_TOTAL = 1000000000


cdef inline void go_on(MachineC* m, int32_t c, int32_t t, int32_t port) noexcept nogil:
    if not leave(m, c, t, port):
        m.s.persons[c].token = -1


cdef inline void wait_until(MachineC* m, int32_t c, int32_t t, int64_t due_ms) noexcept nogil:
    """Wait for a time; one that has come already lets the token pass at once (D23)."""
    cdef PersonC* person = &m.s.persons[c]
    if due_ms <= person.now_ms:
        go_on(m, c, t, 0)
        return
    m.s.tokens[t].state = TOKEN_TIMED
    set_timer(m, person, t, due_ms)
    person.token = -1


cdef inline int64_t later(MachineC* m, int32_t c, const NodeC* node) noexcept nogil:
    """Now and the node's duration, days and months on the customer's wall clock (D24)."""
    cdef int64_t now = m.s.persons[c].now_ms
    cdef int32_t z, at
    if node.days == 0 and node.months == 0:
        return now + node.ms
    z = m.p.zone_of[m.s.lo + c]
    at = m.p.zone_offsets[z]
    return add_wall(
        &m.p.zone_utc[at], &m.p.zone_offset[at], m.p.zone_offsets[z + 1] - at,
        now, node.months, node.days, node.ms,
    )


cdef inline int64_t date_due(
    MachineC* m, int32_t c, const NodeC* node, int64_t value
) noexcept nogil:
    """When a `wait_date` ends, from its date (days) or time (ms) (D26)."""
    cdef int32_t z = m.p.zone_of[m.s.lo + c]
    cdef int32_t at = m.p.zone_offsets[z]
    cdef const int64_t* utc = &m.p.zone_utc[at]
    cdef const int64_t* offset = &m.p.zone_offset[at]
    cdef Py_ssize_t n = m.p.zone_offsets[z + 1] - at
    cdef int64_t day = max(-DAYS_MAX, min(value, DAYS_MAX)), time = 0, local
    if not node.flags & FLAG_LOCAL:
        if node.months == 0 and node.days == 0 and node.x < 0:
            return bounded(value) + node.ms
        local = utc_to_local(utc, offset, n, bounded(value))
        day = floor_div(local, DAY_MS)
        time = local - day * DAY_MS
    if node.months:
        day = add_months(day, node.months)
    day += node.days
    if node.x >= 0:
        time = node.x
    return local_to_utc(utc, offset, n, day * DAY_MS + time) + node.ms


cdef inline int32_t port_of(MachineC* m, const ValueTableC* table, int64_t value) noexcept nogil:
    """The port of a value that is there."""
    cdef int64_t low = table.start, high = low + table.size, end = high, middle
    if table.store == STORE_INT32:
        return m.p.value_ports[low + value] if value < table.size else table.other
    if table.store == STORE_FLOAT64:
        while low < high:
            middle = (low + high) // 2
            if as_double(m.p.value_keys[middle]) < as_double(value):
                low = middle + 1
            else:
                high = middle
        if low < end and as_double(m.p.value_keys[low]) == as_double(value):
            return m.p.value_ports[low]
        return table.other
    while low < high:
        middle = (low + high) // 2
        if m.p.value_keys[middle] < value:
            low = middle + 1
        else:
            high = middle
    if low < end and m.p.value_keys[low] == value:
        return m.p.value_ports[low]
    return table.other


cdef inline int64_t delay_of(MachineC* m, int32_t table, uint64_t draw) noexcept nogil:
    """A delay from its quantile table (D35)."""
    cdef const int64_t* cells = &m.p.delays[<int64_t>table * 2 * (CELLS + 1)]
    cdef int64_t cell = <int64_t>(draw >> 52)
    cdef uint64_t place = (draw >> 20) & <uint64_t>0xFFFFFFFF
    if cell == CELLS - 1:
        cells += CELLS + 1
        cell = <int64_t>((draw >> 40) & <uint64_t>0xFFF)
        place = (draw >> 8) & <uint64_t>0xFFFFFFFF
    return interpolate(cells[cell], cells[cell + 1], place)


cdef inline void respond(
    MachineC* m, int32_t c, int32_t node, int32_t send, int32_t entry, uint32_t visit
) noexcept nogil:
    """Draw what follows a message, by the first rule that fits (D34)."""
    cdef PersonC* person = &m.s.persons[c]
    cdef EntryC* e = &m.s.entries[entry]
    cdef const RuleC* rule = NULL
    cdef const DrawC* draw
    cdef int64_t[DRAWS_MAX] at
    cdef uint64_t customer = m.p.id_hash[m.s.lo + c], slot = slot_of(e.hash, visit)
    cdef int32_t i, k
    cdef int64_t before
    for i in range(m.p.sends[send], m.p.sends[send + 1]):
        if decide(m, m.p.rules[i].cond, c, NO_ROW, e.row, person.now_ms):
            rule = &m.p.rules[i]
            break
    if rule == NULL:
        return
    for i in range(rule.draws):
        draw = &m.p.draws[rule.draw0 + i]
        before = person.now_ms if draw.parent < 0 else at[draw.parent]
        at[i] = INT64_MIN
        if before == INT64_MIN:
            continue
        if <int64_t>scale(draw64(draw.key, customer, slot), PROBABILITY_TOTAL) >= draw.probability:
            continue
        at[i] = before + delay_of(m, draw.table, draw64(draw.delay_key, customer, slot))
        if at[i] >= m.p.horizon_ms:
            continue
        m.t.modelled[draw.outcome] += 1
        if draw.event < 0:
            continue
        k = pending_new(m)
        if k < 0:
            return
        m.s.pending[k].entry_hash = e.hash
        m.s.pending[k].entry_number = e.number
        m.s.pending[k].visit = visit
        m.s.pending[k].node = node
        m.s.pending[k].draw = rule.draw0 + i
        m.s.pending_heap[k].key = at[i]
        m.s.pending_heap[k].tie = person.pending_count
        person.pending_count += 1
        person.pending = heap_push(m.s.pending_heap, person.pending, k)


cdef inline void add_to(MachineC* m, int32_t c, int32_t t, const NodeC* node) noexcept nogil:
    """Add to a number, a missing one counting as 0; what does not fit parks the token (D22)."""
    cdef ColumnC* column = &m.p.columns[node.a]
    cdef int64_t value, total
    cdef double sum
    if not read_customer(m, node.a, c, &value):
        value = 0
    if node.flags & FLAG_FLOAT:
        sum = as_double(value) + as_double(node.x)
        if not isfinite(sum):
            park(m, c, t, OUT_PARKED_OVERFLOW)
            m.s.persons[c].token = -1
            return
        total = as_bits(sum)
    elif add_overflows(value, node.x, &total) or total == INT64_MIN:
        park(m, c, t, OUT_PARKED_OVERFLOW)
        m.s.persons[c].token = -1
        return
    write_cell(column, m.s.lo + c - column.base, total)
    if node.flags & FLAG_SEGMENT:
        m.s.persons[c].dirty = 1
    go_on(m, c, t, 0)


cdef inline void split(MachineC* m, int32_t c, int32_t t, const NodeC* node) noexcept nogil:
    """Assign a branch (D30); an A/B test begins to watch the customer's first token (D31)."""
    cdef int32_t entry = m.s.tokens[t].entry, port = 0
    cdef uint64_t slot = 0, drawn
    cdef int64_t row = m.s.entries[entry].row
    cdef const WatchC* watch
    if not node.flags & FLAG_STICKY:
        slot = slot_of(m.s.entries[entry].hash, visit_of(m, entry, node.slot))
    drawn = scale(draw64(<uint64_t>node.x, m.p.id_hash[m.s.lo + c], slot), WEIGHT_TOTAL)
    while drawn >= <uint64_t>m.p.weights[node.a + port]:
        port += 1
    if node.b >= 0:
        watch = &m.p.watches[node.b]
        if first_visit(m.s.tested, m.p.test_words, c, watch.test):
            open_watch(m, c, node.b, watch.counter0 + port, row)
    go_on(m, c, t, port)


cdef inline void wait_for_event(
    MachineC* m, int32_t c, int32_t t, const NodeC* node
) noexcept nogil:
    """Wait for an event, with a timer where there is a timeout."""
    cdef PersonC* person = &m.s.persons[c]
    cdef int64_t due_ms
    if node.flags & FLAG_TIMEOUT:
        due_ms = later(m, c, node)
        if due_ms <= person.now_ms:
            go_on(m, c, t, 1)
            return
        set_timer(m, person, t, due_ms)
    m.s.tokens[t].state = TOKEN_LISTENING
    listen(m, person, t)
    person.token = -1


cdef inline void carry_out(MachineC* m, int32_t i, const int32_t* lanes, int32_t n) noexcept nogil:
    """Take the running tokens of `lanes` (n customers) through node `i`."""
    cdef const NodeC* node = &m.p.nodes[i]
    cdef PersonC* person
    cdef int32_t k, c, t, entry, z, at
    cdef int64_t value
    cdef uint32_t visit
    for k in range(n):
        c = lanes[k]
        person = &m.s.persons[c]
        t = person.token
        if not arrive(m, c, t, i):
            person.token = -1
            continue
        if node.op == OP_DECIDE:
            value = m.s.entries[m.s.tokens[t].entry].row
            go_on(m, c, t, decide(m, node.cond, c, NO_ROW, value, person.now_ms))
        elif node.op == OP_WAIT_EVENT:
            wait_for_event(m, c, t, node)
        elif node.op == OP_WAIT_FOR:
            wait_until(m, c, t, later(m, c, node))
        elif node.op == OP_SEND:
            entry = m.s.tokens[t].entry
            visit = visit_of(m, entry, node.slot)
            m.t.sends_by_hour[node.a * m.t.hours + (person.now_ms - m.p.from_ms) // HOUR_MS] += 1
            if m.p.sends[node.b] < m.p.sends[node.b + 1]:
                respond(m, c, i, node.b, entry, visit)
            go_on(m, c, t, 0)
        elif node.op == OP_SPLIT:
            split(m, c, t, node)
        elif node.op == OP_VALUE:
            if read_customer(m, node.a, c, &value):
                go_on(m, c, t, port_of(m, &m.p.value_tables[node.b], value))
            else:
                go_on(m, c, t, m.p.value_tables[node.b].other)
        elif node.op == OP_SET:
            write_cell(&m.p.columns[node.a], m.s.lo + c - m.p.columns[node.a].base, node.x)
            if node.flags & FLAG_SEGMENT:
                person.dirty = 1
            go_on(m, c, t, 0)
        elif node.op == OP_ADD:
            add_to(m, c, t, node)
        elif node.op == OP_WAIT_AT:
            wait_until(m, c, t, to_utc(m, c, node.x) if node.flags & FLAG_LOCAL else node.x)
        elif node.op == OP_WAIT_DATE:
            if read_customer(m, node.a, c, &value):
                wait_until(m, c, t, date_due(m, c, node, value))
            else:
                go_on(m, c, t, 1)
        elif node.op == OP_WAIT_SLOT:
            z = m.p.zone_of[m.s.lo + c]
            at = m.p.zone_offsets[z]
            wait_until(
                m, c, t,
                next_slot(
                    &m.p.zone_utc[at], &m.p.zone_offset[at], m.p.zone_offsets[z + 1] - at,
                    person.now_ms, &m.p.slots[node.a], node.b,
                ),
            )
        else:
            person.token = -1
            note_outcome(m, c, i, OUT_END, m.s.entries[m.s.tokens[t].entry].hash)
            if node.flags & FLAG_WHOLE:
                end_whole_flow(m, c, t)
            else:
                token_end(m, t)
