"""Carry out nodes, one tight loop for each: all tokens at a node pass through it together.

A kernel takes the customers whose running token stands at node `i`. Afterwards each of them stands
in the queue of another node, or is at rest, his token waiting, ended, parked or idle. What is
counted alike for all of them is counted once.
"""

from libc.math cimport isfinite
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from ext.civil cimport (
    DAY_MS, add_months, add_wall, floor_div, local_to_utc, next_slot, utc_to_local,
)
from ext.effects cimport ask, tell
from ext.claims cimport REPORT_OPENED
from ext.couplings cimport claim_all, visit_trial, write_claim
from ext.internals cimport make_happen, write_watched
from ext.likely cimport rarely
from ext.philox cimport draw64, scale, slot_of
from ext.predicates cimport (
    DAYS_MAX, as_bits, as_double, bounded, decide, read_cell, to_utc, write_cell,
)
from ext.responses cimport respond
from ext.queues cimport count_ports, push_all, rest, rest_all, sort_by_port
from ext.slabs cimport *
from ext.structs cimport *
from ext.tokens cimport (
    at, count_arrivals, count_delays, detail_of, end_token, end_whole_flow, find_other,
    first_visit, hash_of, hour_of, judge, leave_all, leave_one, listen, note_all, open_watch, park,
    set_timer, stay, visit_of,
)

cdef extern from *:
    """
    #define HEADRACE_ADD_OVERFLOWS(a, b, sum) \\
        __builtin_add_overflow((int64_t)(a), (int64_t)(b), sum)
    """
    bint add_overflows "HEADRACE_ADD_OVERFLOWS"(int64_t a, int64_t b, int64_t* sum) noexcept nogil

cdef enum:
    WEIGHT_TOTAL = 10000


cdef inline int32_t arrive(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Count arrivals; move those who may go on to the front of `items` and return their number."""
    cdef int32_t flags = m.p.nodes[i].flags, k, kept = 0
    cdef int64_t delay, last = 0, alike = 0
    cdef PersonC* person
    cdef DetailC* detail
    count_arrivals(m, i, items, n)
    if flags & FLAG_LATE:
        for k in range(n):
            delay = items[k].now_ms - items[k].start_ms
            if delay != last:
                if last > 0:
                    count_delays(m, i, last, alike)
                last = delay
                alike = 0
            alike += 1
        if last > 0:
            count_delays(m, i, last, alike)
    if m.p.budgeted:
        for k in range(n):
            person = items[k]
            detail = detail_of(m, person)
            if detail.budget == 0:
                park(m, person, i, OUT_PARKED_BUDGET)
                rest(m, person)
            else:
                detail.budget -= 1
                items[kept] = person
                kept += 1
        n = kept
    if flags & FLAG_TOUCH:
        for k in range(n):
            judge(m, items[k], i)
    return n


cdef inline void leave_by_two(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Let each of `items` leave by one of two ports; a branch would be a coin's toss."""
    cdef PersonC** firsts = m.w.sorted
    cdef const int32_t* ports = m.w.ports
    cdef PersonC* person
    cdef int32_t k, first = 0, second = 0
    for k in range(n):
        person = items[k]
        firsts[first] = person
        items[second] = person
        first += 1 - ports[k]
        second += ports[k]
    leave_all(m, i, 0, firsts, first)
    leave_all(m, i, 1, items, second)


cdef inline void leave_by(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Let each of `items` leave by its own port of `m.w.ports`."""
    cdef const NodeC* node = &m.p.nodes[i]
    cdef int32_t port, begin = 0, end
    if n == 0:
        return
    if node.ports == 2:
        leave_by_two(m, i, items, n)
        return
    count_ports(m, node.ports, n)
    if node.flags & FLAG_JOINT and not m.t.logs:
        for port in range(node.ports):
            m.t.port[node.port0 + port] += m.w.counts[port]
        push_all(m, m.p.routes[node.port0], items, n)
        return
    sort_by_port(m, node.ports, items, n)
    for port in range(node.ports):
        end = m.w.counts[port]
        if end > begin:
            leave_all(m, i, port, &m.w.sorted[begin], end - begin)
        begin = end


cdef inline bint passes_until(MachineC* m, const PersonC* person, int64_t due_ms) noexcept nogil:
    """Whether the only token of a customer can wait until `due_ms` and nothing comes before that.

    His timer is then his next item of work, and `pass_until` all that it does: a wait costs no
    more than another node.
    """
    return (
        (person.crowd | person.stage) == 0
    ) & (due_ms < min(min(person.input_ms, person.other_ms), m.w.until_ms))


cdef inline void pass_until(MachineC* m, PersonC* person, int64_t due_ms) noexcept nogil:
    """Let the timer of a customer's only token be his next item of work."""
    person.now_ms = due_ms
    person.stage = m.p.after
    if m.p.budgeted:
        detail_of(m, person).budget = m.p.budget


cdef inline void wait_until(
    MachineC* m, PersonC* person, int32_t i, uint8_t state, int64_t due_ms
) noexcept nogil:
    """Wait at node `i`, with a timer unless `due_ms` is INT64_MAX."""
    cdef int32_t t
    stay(m, person, i, state)
    if not rarely(person.crowd):
        person.due_ms = due_ms
        person.port = <uint8_t>(m.p.nodes[i].ports - 1)  # by which a listening token's time is up
    else:
        t = detail_of(m, person).token
        if due_ms != INT64_MAX:
            set_timer(m, person, t, due_ms)
        if state == TOKEN_LISTENING:
            listen(m, at(m, person), t)
    rest(m, person)


cdef inline bint passes_or_waits(
    MachineC* m, PersonC* person, int32_t i, uint8_t state, int64_t due_ms
) noexcept nogil:
    """Let a token wait at node `i`; 1 where it passes instead, its time having come (D23)."""
    if due_ms <= person.now_ms:
        return 1
    if passes_until(m, person, due_ms):
        pass_until(m, person, due_ms)
        return 1
    wait_until(m, person, i, state, due_ms)
    return 0


cdef inline int64_t later(
    MachineC* m, const PersonC* person, const NodeC* node
) noexcept nogil:
    """Now and the node's duration, days and months on the customer's wall clock (D24)."""
    cdef int32_t z, first
    if node.days == 0 and node.months == 0:
        return person.now_ms + node.ms
    z = m.p.zone_of[m.s.lo + at(m, person)]
    first = m.p.zone_offsets[z]
    return add_wall(
        &m.p.zone_utc[first], &m.p.zone_offset[first], m.p.zone_offsets[z + 1] - first,
        person.now_ms, node.months, node.days, node.ms,
    )


cdef inline int64_t date_in(
    const int64_t* utc, const int64_t* offset, Py_ssize_t n, const NodeC* node, int64_t value
) noexcept nogil:
    """When a `wait_date` ends by a zone's table, from its date (days) or time (ms) (D26)."""
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


cdef inline int64_t date_due(
    MachineC* m, int32_t c, const NodeC* node, int64_t value
) noexcept nogil:
    """The same, for a customer."""
    cdef int32_t z = m.p.zone_of[m.s.lo + c]
    cdef int32_t first = m.p.zone_offsets[z]
    return date_in(
        &m.p.zone_utc[first], &m.p.zone_offset[first], m.p.zone_offsets[z + 1] - first, node, value
    )


cdef inline int32_t port_of(MachineC* m, const ValueTableC* table, int64_t value) noexcept nogil:
    """The port of a value that is there."""
    cdef int64_t low = table.start, high = low + table.size, end = high, middle
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


cdef inline void wait_alike(
    MachineC* m, int32_t i, uint8_t state, int64_t ms, int32_t port, PersonC** items, int32_t n
) noexcept nogil:
    """Wait for `ms` > 0; who can pass at once leaves by `port`.

    Sorted apart without a branch first: whether something comes before is a coin's toss.
    """
    cdef PersonC** onward = m.w.sorted
    cdef PersonC* person
    cdef int32_t k, kept = 0, stays = 0
    cdef bint passes
    for k in range(n):
        person = items[k]
        passes = passes_until(m, person, person.now_ms + ms)
        onward[kept] = person
        items[stays] = person
        kept += passes
        stays += not passes
    for k in range(kept):
        pass_until(m, onward[k], onward[k].now_ms + ms)
    for k in range(stays):
        wait_until(m, items[k], i, state, items[k].now_ms + ms)
    leave_all(m, i, port, onward, kept)


cdef inline void decide_range(
    MachineC* m, const PredC* p, const void* data, int32_t store, PersonC** items, int32_t n
) noexcept nogil:
    """Choose ports by one range of a customer's column; `store` is a constant where inlined."""
    cdef int32_t k, on_true = -1 - p.on_true, on_false = -1 - p.on_false
    cdef int64_t lo = p.lo, hi = p.hi, value
    cdef bint there, hit, negate = p.negate
    for k in range(n):
        there = read_cell(data, store, at(m, items[k]), &value)
        hit = there & ((value >= lo) & (value <= hi) ^ negate)
        m.w.ports[k] = on_false + (on_true - on_false) * hit


cdef inline void decide_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    cdef int32_t k, cond = m.p.nodes[i].cond
    cdef const PersonC* person
    cdef const PredC* p = &m.p.preds[cond] if cond >= 0 else NULL
    if p != NULL and p.op == PRED_RANGE and p.on_true < 0 and p.on_false < 0 and (
        p.source == SOURCE_CUSTOMER
    ):
        if m.p.columns[p.col].store == STORE_INT8:
            decide_range(m, p, m.p.columns[p.col].data, STORE_INT8, items, n)
        elif m.p.columns[p.col].store == STORE_INT32:
            decide_range(m, p, m.p.columns[p.col].data, STORE_INT32, items, n)
        else:
            decide_range(m, p, m.p.columns[p.col].data, STORE_INT64, items, n)
    else:
        for k in range(n):
            person = items[k]
            m.w.ports[k] = decide(m, cond, at(m, person), NO_ROW, person.entry_row, person.now_ms)
    leave_by(m, i, items, n)


cdef inline void branch_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    cdef const NodeC* node = &m.p.nodes[i]
    cdef const ColumnC* column = &m.p.columns[node.a]
    cdef const ValueTableC* table = &m.p.value_tables[node.b]
    cdef const int32_t* of_code = &m.p.value_ports[table.start]
    cdef const int32_t* codes = <const int32_t*>column.data
    cdef int32_t k, other = table.other
    cdef uint32_t code, size = table.size
    cdef int64_t value
    if table.store == STORE_INT32:
        for k in range(n):
            code = <uint32_t>codes[at(m, items[k])]
            m.w.ports[k] = of_code[code] if code < size else other
    else:
        for k in range(n):
            m.w.ports[k] = other
            if read_cell(column.data, column.store, at(m, items[k]), &value):
                m.w.ports[k] = port_of(m, table, value)
    leave_by(m, i, items, n)


cdef inline int32_t guard_of(
    MachineC* m, const NodeC* node, const PersonC* person
) noexcept nogil:
    """The port of the first reason not to send that holds, 0 where none does."""
    cdef int32_t k
    for k in range(node.ports - 1):
        if decide(
            m, m.p.guards[node.x + k], at(m, person), NO_ROW, person.entry_row, person.now_ms
        ):
            return k + 1
    return 0


cdef inline void send_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    cdef const NodeC* node = &m.p.nodes[i]
    cdef int64_t* by_hour = &m.t.sends_by_hour[<int64_t>node.a * m.t.hours]
    cdef int64_t from_ms = m.p.from_ms
    cdef bint answered = m.p.sends[node.b] < m.p.sends[node.b + 1]
    cdef bint guarded = node.ports > 1
    cdef int32_t k
    cdef uint32_t visit
    if rarely(guarded):
        for k in range(n):
            m.w.ports[k] = guard_of(m, node, items[k])
            by_hour[hour_of(items[k].now_ms, from_ms)] += m.w.ports[k] == 0
    else:
        for k in range(n):
            by_hour[hour_of(items[k].now_ms, from_ms)] += 1
    if answered or node.slot >= 0 or m.p.live or node.fires >= 0:
        for k in range(n):
            visit = visit_of(m, items[k], node.slot)
            if guarded and m.w.ports[k]:
                continue
            if answered:
                respond(m, items[k], i, node.b, visit)
            if m.p.live:
                ask(m, items[k], i, visit)
            if rarely(node.fires >= 0):
                make_happen(m, items[k], node.fires, i, detail_of(m, items[k]).entry_number)
    if guarded:
        leave_by(m, i, items, n)
    else:
        leave_all(m, i, 0, items, n)


cdef inline void set_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    cdef const NodeC* node = &m.p.nodes[i]
    cdef int32_t k
    if rarely(m.p.column_watched[node.a]):
        for k in range(n):
            write_watched(m, items[k], node.a, node.x)
    else:
        for k in range(n):
            write_cell(&m.p.columns[node.a], at(m, items[k]), node.x)
    if m.p.live:
        for k in range(n):
            tell(m, items[k], node.a, node.x)
    if node.flags & FLAG_SEGMENT:
        for k in range(n):
            detail_of(m, items[k]).dirty = 1
    leave_all(m, i, 0, items, n)


cdef inline bint sum_of(
    const ColumnC* column, int32_t c, const NodeC* node, int64_t* total
) noexcept nogil:
    """A number and what is added to it, a missing one counting as 0 (D22); 0 if it does not fit."""
    cdef int64_t value
    cdef double sum
    if not read_cell(column.data, column.store, c, &value):
        value = 0
    if node.flags & FLAG_FLOAT:
        sum = as_double(value) + as_double(node.x)
        total[0] = as_bits(sum)
        return isfinite(sum)
    return not add_overflows(value, node.x, total) and total[0] != INT64_MIN


cdef inline void add_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    cdef const NodeC* node = &m.p.nodes[i]
    cdef const ColumnC* column = &m.p.columns[node.a]
    cdef PersonC* person
    cdef int32_t k, kept = 0
    cdef int64_t total
    for k in range(n):
        person = items[k]
        if not sum_of(column, at(m, person), node, &total):
            park(m, person, i, OUT_PARKED_OVERFLOW)
            rest(m, person)
            continue
        if rarely(m.p.column_watched[node.a]):
            write_watched(m, person, node.a, total)
        else:
            write_cell(column, at(m, person), total)
        if m.p.live:
            tell(m, person, node.a, total)
        if node.flags & FLAG_SEGMENT:
            detail_of(m, person).dirty = 1
        m.w.sorted[kept] = person
        kept += 1
    leave_all(m, i, 0, m.w.sorted, kept)


cdef inline void watch_test(
    MachineC* m, PersonC* person, int32_t number, int32_t port
) noexcept nogil:
    """Begin to watch a customer's first token at an A/B test for success in its branch (D31)."""
    cdef const WatchC* watch = &m.p.watches[number]
    if first_visit(m.s.tested, m.p.test_words, at(m, person), watch.test):
        open_watch(m, person, number, watch.counter0 + port, person.entry_row)
        if rarely(m.k.trials[number] >= 0):
            write_claim(m, person, REPORT_OPENED, m.k.trials[number], port, person.now_ms)


cdef inline void split_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Assign branches (D30)."""
    cdef const NodeC* node = &m.p.nodes[i]
    cdef const int64_t* weights = &m.p.weights[node.a]
    cdef const uint64_t* id_hash = &m.p.id_hash[m.s.lo]
    cdef int32_t* ports = m.w.ports
    cdef PersonC* person
    cdef int32_t k, drawn, port, last = node.ports - 1
    cdef uint64_t slot = 0, key = <uint64_t>node.x
    cdef bint sticky = node.flags & FLAG_STICKY
    # The draws apart from the comparisons: a branch on a draw would spoil the overlap of draws.
    for k in range(n):
        person = items[k]
        if not sticky:
            slot = slot_of(hash_of(m, person)[0], visit_of(m, person, node.slot))
        ports[k] = <int32_t>scale(draw64(key, id_hash[at(m, person)], slot), WEIGHT_TOTAL)
    for k in range(n):
        drawn = ports[k]
        ports[k] = 0
        for port in range(last):
            ports[k] += drawn >= weights[port]
    if rarely(m.k.resources[i] >= 0):
        visit_trial(m, i, ports, items, n)
    if node.b >= 0:
        for k in range(n):
            watch_test(m, items[k], node.b, ports[k])
    leave_by(m, i, items, n)


cdef inline int64_t spread_in(
    const NodeC* node, uint64_t id_hash, uint64_t entry_hash
) noexcept nogil:
    """The same, of a customer and an entry by their hashes."""
    cdef uint64_t slot = slot_of(entry_hash, 1)
    return <int64_t>scale(draw64(<uint64_t>node.x, id_hash, slot), <uint64_t>node.ms)


cdef inline int64_t spread_of(
    MachineC* m, const PersonC* person, const NodeC* node
) noexcept nogil:
    """How much later than the others a customer goes on, of `node.ms` at most (D50)."""
    return spread_in(node, m.p.id_hash[m.s.lo + at(m, person)], hash_of(m, person)[0])


cdef inline int64_t due_of(MachineC* m, const PersonC* person, const NodeC* node) noexcept nogil:
    """When a token that comes to a waiting node is due there; INT64_MIN for no date."""
    cdef const ColumnC* column
    cdef int64_t value
    cdef int32_t z, first, c = at(m, person)
    if node.op == OP_WAIT_FOR:
        return later(m, person, node)
    if node.op == OP_WAIT_AT:
        return to_utc(m, c, node.x) if node.flags & FLAG_LOCAL else node.x
    if node.op == OP_WAIT_DATE:
        column = &m.p.columns[node.a]
        if read_cell(column.data, column.store, c, &value):
            return date_due(m, c, node, value)
        return INT64_MIN
    z = m.p.zone_of[m.s.lo + c]
    first = m.p.zone_offsets[z]
    value = next_slot(
        &m.p.zone_utc[first], &m.p.zone_offset[first], m.p.zone_offsets[z + 1] - first,
        person.now_ms, &m.p.slots[node.a], node.b,
    )
    if rarely(node.ms and value > person.now_ms):
        value += spread_of(m, person, node)
    return value


cdef inline void wait_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Wait for a time; one that has come already lets the token pass at once (D23)."""
    cdef const NodeC* node = &m.p.nodes[i]
    cdef PersonC** onward = m.w.sorted
    cdef PersonC* person
    cdef int32_t k, kept = 0
    cdef int64_t due_ms
    if node.op == OP_WAIT_FOR and node.days == 0 and node.months == 0 and node.ms > 0:
        wait_alike(m, i, TOKEN_TIMED, node.ms, 0, items, n)
        return
    for k in range(n):
        person = items[k]
        due_ms = due_of(m, person, node)
        if rarely(due_ms == INT64_MIN and node.op == OP_WAIT_DATE):
            leave_one(m, person, i, 1)
        elif passes_or_waits(m, person, i, TOKEN_TIMED, due_ms):
            onward[kept] = person
            kept += 1
    leave_all(m, i, 0, onward, kept)


cdef inline int32_t pass_met(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Let those leave for whom the condition of a wait holds already; returns how many are left."""
    cdef int32_t k, stays = 0, passed = 0, cond = <int32_t>m.p.nodes[i].x
    cdef PersonC* person
    for k in range(n):
        person = items[k]
        if decide(m, cond, at(m, person), NO_ROW, person.entry_row, person.now_ms):
            m.w.sorted[passed] = person
            passed += 1
        else:
            items[stays] = person
            stays += 1
    leave_all(m, i, 0, m.w.sorted, passed)
    return stays


cdef inline void listen_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Wait for an event, with a timer where there is a timeout."""
    cdef const NodeC* node = &m.p.nodes[i]
    cdef PersonC** onward = m.w.sorted
    cdef PersonC* person
    cdef int32_t k, kept = 0
    cdef int64_t due_ms = INT64_MAX
    cdef int32_t timeout = node.ports - 1
    cdef bint timed = node.flags & FLAG_TIMEOUT
    if rarely(node.flags & FLAG_NOW):
        n = pass_met(m, i, items, n)
    if timed and node.days == 0 and node.months == 0 and node.ms > 0:
        wait_alike(m, i, TOKEN_LISTENING, node.ms, timeout, items, n)
        return
    for k in range(n):
        person = items[k]
        if timed:
            due_ms = later(m, person, node)
        if passes_or_waits(m, person, i, TOKEN_LISTENING, due_ms):
            onward[kept] = person
            kept += 1
    leave_all(m, i, timeout, onward, kept)


cdef inline void end_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    cdef bint plain = m.p.policy != POLICY_AFTER_EXIT, whole = m.p.nodes[i].flags & FLAG_WHOLE
    cdef int32_t k
    m.t.outcome[<int64_t>i * OUTCOMES - 1 - OUT_END] += n
    if m.t.logs:
        note_all(m, items, n, i, OUT_END)
    for k in range(n):
        if plain and not items[k].crowd:
            items[k].state = TOKEN_GONE
        elif whole:
            end_whole_flow(m, items[k])
        else:
            end_token(m, items[k])
    rest_all(m, items, n)


cdef inline void carry_out(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Take the running tokens of `items` (n customers) through node `i`."""
    cdef int32_t op = m.p.nodes[i].op
    n = arrive(m, i, items, n)
    if op == OP_DECIDE:
        decide_all(m, i, items, n)
    elif op == OP_VALUE:
        branch_all(m, i, items, n)
    elif op == OP_SEND:
        send_all(m, i, items, n)
    elif op == OP_WAIT_EVENT:
        listen_all(m, i, items, n)
    elif op == OP_SPLIT:
        split_all(m, i, items, n)
    elif op == OP_SET:
        set_all(m, i, items, n)
    elif op == OP_ADD:
        add_all(m, i, items, n)
    elif op == OP_END:
        end_all(m, i, items, n)
    elif op == OP_CLAIM:
        claim_all(m, i, items, n)
    else:
        wait_all(m, i, items, n)
