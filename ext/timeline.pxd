"""Choose a customer's next item of work and carry it out to the tokens it makes ready (D1 to D4).

Items are recorded inputs, modelled events, token timers, segment re-checks and schedules, merged by
(time, rank); that is also their order of rank.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from ext.admission cimport enter, hash_named, modelled_identity
from ext.heap cimport heap_remove
from ext.predicates cimport decide, filter_passes, next_change
from ext.queues cimport push
from ext.slabs cimport *
from ext.structs cimport *
from ext.tokens cimport (
    at, detail_of, judge, leave, listeners_of, ready_push, stop_waiting, take_up,
)

cdef enum:
    SEGMENT_UNSEEN = 2


cdef inline int64_t next_ms(const PersonC* person) noexcept nogil:
    """The time of the customer's next item, INT64_MAX for none."""
    return min(min(person.input_ms, person.due_ms), person.other_ms)


cdef inline int64_t pending_ms(MachineC* m, const DetailC* detail) noexcept nogil:
    return INT64_MAX if detail.pending < 0 else m.s.pending_heap[detail.pending].key


cdef inline void find_other(MachineC* m, PersonC* person) noexcept nogil:
    """Keep `other_ms` true after one of its three has changed."""
    cdef const DetailC* detail = detail_of(m, person)
    person.other_ms = min(min(detail.segment_ms, detail.schedule_ms), pending_ms(m, detail))


cdef inline void write_cell(const ColumnC* column, int64_t at, int64_t bits) noexcept nogil:
    if column.store == STORE_INT8:
        (<int8_t*>column.data)[at] = <int8_t>bits
    elif column.store == STORE_INT32:
        (<int32_t*>column.data)[at] = <int32_t>bits
    else:
        (<int64_t*>column.data)[at] = bits


cdef inline void see_watches(
    MachineC* m, PersonC* person, int32_t event, int64_t row
) noexcept nogil:
    """Let open success watches see an event; those it fulfils, or that are over, close (D31)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t i = detail.watches, before = -1, following
    cdef WatchOpenC* w
    cdef const WatchC* spec
    cdef bint over
    while i >= 0:
        w = &m.s.open_watches[i]
        following = w.next
        spec = &m.p.watches[w.watch]
        over = w.deadline_ms < person.now_ms
        if not over and spec.event == event and filter_passes(
            m, spec.cond, at(m, person), row, w.row, person.now_ms
        ):
            m.t.watch_succeeded_ever[w.counter] += 1
            m.t.watch_succeeded[w.counter] += w.matured
            m.t.watch_modelled[w.counter] += row < 0
            over = 1
        if over:
            if before >= 0:
                m.s.open_watches[before].next = following
            else:
                detail.watches = following
            watch_free(m, i)
        else:
            before = i
        i = following


cdef inline bint scratch_room(MachineC* m, int32_t n) noexcept nogil:
    cdef int32_t* larger
    if n < m.scratch_size:
        return 1
    larger = <int32_t*>realloc(m.scratch, sizeof(int32_t) * 2 * <size_t>(n + 512))
    if larger == NULL:
        m.s.trap = TRAP_MEMORY
        return 0
    m.scratch = larger
    m.scratch_size = 2 * (n + 512)
    return 1


cdef inline void sift(MachineC* m, int32_t* run, int32_t at, int32_t n) noexcept nogil:
    """Heapsort's step: sink run[at] below its greater children, by tie."""
    cdef int32_t value = run[at], child = 2 * at + 1
    while child < n:
        if child + 1 < n and m.s.timers[run[child]].tie < m.s.timers[run[child + 1]].tie:
            child += 1
        if m.s.timers[run[child]].tie <= m.s.timers[value].tie:
            break
        run[at] = run[child]
        at = child
        child = 2 * at + 1
    run[at] = value


cdef inline void sort_by_tie(MachineC* m, int32_t* run, int32_t n) noexcept nogil:
    """Sort tokens by (entry number, fork number): insertion for a few, heapsort for many."""
    cdef int32_t i, k, value
    if n <= 16:
        for i in range(1, n):
            value = run[i]
            k = i
            while k > 0 and m.s.timers[run[k - 1]].tie > m.s.timers[value].tie:
                run[k] = run[k - 1]
                k -= 1
            run[k] = value
        return
    for i in range(n // 2 - 1, -1, -1):
        sift(m, run, i, n)
    for i in range(n - 1, 0, -1):
        value = run[0]
        run[0] = run[i]
        run[i] = value
        sift(m, run, 0, i)


cdef inline bint hears(
    MachineC* m, PersonC* person, const NodeC* node, int64_t row, int64_t entry_row,
    uint32_t entry_number, int32_t sender, uint32_t sending_entry,
) noexcept nogil:
    """Whether a token that waits at `node` for events of this type waits for this one (D28)."""
    if node.b >= 0 and (node.b != sender or entry_number != sending_entry):
        return 0
    return filter_passes(m, node.cond, at(m, person), row, entry_row, person.now_ms)


cdef inline bint wake_crowd(
    MachineC* m, PersonC* person, int32_t event, int64_t row, int32_t sender,
    uint32_t sending_entry,
) noexcept nogil:
    """Wake all tokens that wait for this event, judged before any runs (6, D28)."""
    cdef int32_t t = listeners_of(m, at(m, person), event)[0], n = 0, i
    cdef const EntryC* e
    while t >= 0:
        e = &m.s.entries[m.s.tokens[t].entry]
        if hears(
            m, person, &m.p.nodes[m.s.tokens[t].node], row, e.row, e.number, sender,
            sending_entry,
        ):
            if not scratch_room(m, n):
                return 0
            m.scratch[n] = t
            n += 1
        t = m.s.tokens[t].next
    if n > 1:
        sort_by_tie(m, m.scratch, n)
    for i in range(n):
        t = m.scratch[i]
        stop_waiting(m, person, t)
        m.s.tokens[t].state = TOKEN_WOKEN
        m.s.tokens[t].port = 0
        m.s.tokens[t].modelled = row < 0
        ready_push(m, detail_of(m, person), t)
    return n > 0


cdef inline bint wake(
    MachineC* m, PersonC* person, int32_t event, int64_t row, int32_t sender,
    uint32_t sending_entry,
) noexcept nogil:
    """Wake those of the customer's tokens that wait for this event; whether there are any."""
    cdef const NodeC* node
    if person.crowd:
        return wake_crowd(m, person, event, row, sender, sending_entry)
    if person.state != TOKEN_LISTENING:
        return 0
    node = &m.p.nodes[person.node]
    if node.a != event or not hears(
        m, person, node, row, person.entry_row, detail_of(m, person).entry_number, sender,
        sending_entry,
    ):
        return 0
    person.due_ms = INT64_MAX
    person.state = TOKEN_WOKEN
    person.port = 0
    m.t.modelled_wakes[person.node] += row < 0
    return 1


cdef inline void fire_triggers(
    MachineC* m, PersonC* person, int32_t type, int64_t row, uint64_t hash
) noexcept nogil:
    """Try the event triggers of an event, in declared order (D3 d)."""
    cdef const EventC* event = &m.p.events[type]
    cdef const TriggerC* trigger
    cdef int32_t i
    person.stage = m.p.after
    for i in range(event.trigger0, event.trigger0 + event.triggers):
        trigger = &m.p.triggers[m.p.event_triggers[i]]
        if filter_passes(m, trigger.cond, at(m, person), row, row, person.now_ms):
            enter(m, person, trigger.node, hash_named(m, b"event", 5, hash), row, row < 0)


cdef inline void check_segments(MachineC* m, PersonC* person) noexcept nogil:
    """Evaluate all segment triggers; an edge from false to true is an entry (9, D32)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int64_t now = person.now_ms, place, best = INT64_MAX
    cdef const TriggerC* trigger
    cdef int32_t k, c = at(m, person)
    cdef uint8_t before
    cdef bint holds_now
    if not detail.judged:
        return
    if now >= m.p.entry_until_ms:
        detail.segment_ms = INT64_MAX
        find_other(m, person)
        return
    for k in range(m.p.n_segments):
        place = <int64_t>c * m.p.n_segments + k
        before = m.s.segment_state[place]
        trigger = &m.p.triggers[m.p.segment_triggers[k]]
        if m.p.nodes[trigger.node].flags & FLAG_TOUCH:
            judge(m, person, trigger.node)
        holds_now = decide(m, trigger.cond, c, NO_ROW, NO_ROW, now)
        m.s.segment_state[place] = holds_now
        best = min(best, next_change(m, trigger.cond, trigger.cond_end, c, now))
        if holds_now and before != 1 and trigger.members & (1 if before == SEGMENT_UNSEEN else 2):
            enter(m, person, trigger.node, hash_named(m, b"segment", 7, <uint64_t>now), NO_ROW, 0)
    detail.segment_ms = best
    find_other(m, person)


cdef inline int64_t schedule_at(MachineC* m, int32_t c, int32_t k) noexcept nogil:
    """The next time of schedule `k` for customer `c`, INT64_MAX for none."""
    cdef int64_t run = <int64_t>k * m.p.n_zones + m.p.zone_of[m.s.lo + c]
    cdef int64_t place = m.p.schedule_offsets[run]
    place += m.s.schedule_next[<int64_t>c * m.p.n_schedules + k]
    return m.p.schedule_ms[place] if place < m.p.schedule_offsets[run + 1] else INT64_MAX


cdef inline void find_schedule(MachineC* m, PersonC* person) noexcept nogil:
    cdef int32_t k
    cdef int64_t best = INT64_MAX
    for k in range(m.p.n_schedules):
        best = min(best, schedule_at(m, at(m, person), k))
    detail_of(m, person).schedule_ms = best
    find_other(m, person)


cdef inline void fire_schedule(MachineC* m, PersonC* person) noexcept nogil:
    """Try the first schedule trigger, in declared order, whose time this is (D33)."""
    cdef const TriggerC* trigger
    cdef int32_t k, c = at(m, person)
    cdef int64_t now = person.now_ms
    for k in range(m.p.n_schedules):
        if schedule_at(m, c, k) == now:
            break
    else:
        # Beyond reach: it was the least of these times.
        detail_of(m, person).schedule_ms = INT64_MAX
        find_other(m, person)
        return
    m.s.schedule_next[<int64_t>c * m.p.n_schedules + k] += 1
    find_schedule(m, person)
    trigger = &m.p.triggers[m.p.schedule_triggers[k]]
    if now < m.p.created_ms[m.s.lo + c]:
        return
    if m.p.nodes[trigger.node].flags & FLAG_TOUCH:
        judge(m, person, trigger.node)
    if decide(m, trigger.cond, c, NO_ROW, NO_ROW, now):
        enter(m, person, trigger.node, hash_named(m, b"schedule", 8, <uint64_t>now), NO_ROW, 0)


cdef inline void see_event(
    MachineC* m, PersonC* person, int32_t type, int64_t row, uint64_t hash, int32_t sender,
    uint32_t sending_entry,
) noexcept nogil:
    """An event has happened within the window: watches, wakes, then triggers (D3 b to d).

    Triggers come after the woken tokens have run: at once where there are none.
    """
    cdef DetailC* detail
    cdef const EventC* event = &m.p.events[type]
    cdef bint woken = 0
    if event.flags & EVENT_WATCHED:
        see_watches(m, person, type, row)
    if event.flags & EVENT_WAITED:
        woken = wake(m, person, type, row, sender, sending_entry)
    if event.flags & EVENT_SEGMENT:
        detail_of(m, person).dirty = 1
    person.stage = m.p.after
    if event.triggers == 0:
        return
    if not woken:
        fire_triggers(m, person, type, row, hash)
        return
    detail = detail_of(m, person)
    detail.event_type = type
    detail.event_row = row
    detail.event_hash = hash
    person.stage = STAGE_TRIGGERS


cdef inline void take_input(MachineC* m, PersonC* person) noexcept nogil:
    """Apply the customer's next recorded input (D3 a, D38)."""
    cdef int64_t row = person.row
    cdef int32_t type = m.p.row_type[row], c = at(m, person)
    cdef const EventC* event
    person.row = row + 1
    person.input_ms = INT64_MAX
    if row + 1 < m.p.row_offsets[m.s.lo + c + 1]:
        person.input_ms = m.p.row_ms[row + 1]
    if type < 0:
        write_cell(&m.p.columns[-1 - type], c, m.p.row_value[row])
        if m.p.segment_column[-1 - type] and person.now_ms >= m.p.from_ms:
            detail_of(m, person).dirty = 1
            person.stage = STAGE_SEGMENTS
        return
    event = &m.p.events[type]
    if event.history >= 0:
        m.s.last_row[<int64_t>c * m.p.n_histories + event.history] = row
    if person.now_ms < m.p.from_ms:
        return
    see_event(m, person, type, row, m.p.row_hash[row], -1, 0)


cdef inline void take_modelled(MachineC* m, PersonC* person) noexcept nogil:
    """Let the customer's next modelled event happen."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t i = detail.pending, k
    cdef const PendingC* pending = &m.s.pending[i]
    cdef const DrawC* draw = &m.p.draws[pending.draw]
    cdef int64_t row = -2 - <int64_t>draw.constants, place
    cdef int32_t history = m.p.events[draw.event].history, sender = pending.node
    cdef uint32_t sending_entry = pending.entry_number
    cdef uint64_t hash = 0
    detail.pending = heap_remove(m.s.pending_heap, i, i)
    find_other(m, person)
    if m.p.events[draw.event].triggers:
        hash = modelled_identity(m, draw.ident, pending.entry_hash, pending.visit)
    pending_free(m, i)
    if history >= 0:
        k = past_new(m)
        if k < 0:
            return
        place = <int64_t>at(m, person) * m.p.n_histories + history
        m.s.past[k].ms = person.now_ms
        m.s.past[k].row = row
        m.s.past[k].previous = m.s.last_past[place]
        m.s.last_past[place] = k
    see_event(m, person, draw.event, row, hash, sender, sending_entry)


cdef inline void take_timer(MachineC* m, PersonC* person) noexcept nogil:
    """Wake the token whose timer is due: a wait's only port, or an event wait's timeout."""
    cdef int32_t t
    cdef TokenC* token
    person.stage = m.p.after
    if not person.crowd:
        person.due_ms = INT64_MAX
        person.port = person.state == TOKEN_LISTENING
        person.state = TOKEN_WOKEN
        return
    t = detail_of(m, person).timers
    token = &m.s.tokens[t]
    token.port = token.state == TOKEN_LISTENING
    token.modelled = 0
    stop_waiting(m, person, t)
    token.state = TOKEN_WOKEN
    ready_push(m, detail_of(m, person), t)


cdef inline void take_other(MachineC* m, PersonC* person) noexcept nogil:
    """Carry out an item that is no input, at a time at which something but a timer is due."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int64_t now = person.now_ms
    if pending_ms(m, detail) == now:
        take_modelled(m, person)
    elif person.due_ms == now:
        take_timer(m, person)
    elif detail.segment_ms == now:
        person.stage = STAGE_SEGMENTS
        detail.dirty = 1
        detail.judged = 1
    else:
        person.stage = m.p.after
        fire_schedule(m, person)


cdef inline bint drain(MachineC* m, PersonC* person) noexcept nogil:
    """Let the first token of a crowd's FIFO that goes on stand before its node; 0 for none (D4)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef TokenC* token
    cdef int32_t t
    while detail.ready >= 0:
        t = detail.ready
        token = &m.s.tokens[t]
        detail.ready = token.next
        if token.state == TOKEN_DEAD:
            token_free(m, t)
            continue
        take_up(m, person, t)
        if token.state == TOKEN_READY:
            push(m, token.node, person)
            return 1
        m.t.modelled_wakes[token.node] += token.modelled
        token.state = TOKEN_READY
        if leave(m, person, token.node, token.port):
            return 1
    if detail.tokens == 0:
        person.crowd = 0
    return 0


cdef inline bint advance(MachineC* m, PersonC* person) noexcept nogil:
    """Bring the customer's next token that is to run before its node.

    False where nothing is left before the wave's `until_ms`.
    """
    cdef DetailC* detail
    cdef int64_t now
    while True:
        if person.crowd:
            if drain(m, person):
                return 1
        elif person.state == TOKEN_WOKEN:
            person.state = TOKEN_READY
            if leave(m, person, person.node, person.port):
                return 1
        if person.stage != STAGE_REST:
            detail = detail_of(m, person)
            if person.stage == STAGE_TRIGGERS:
                fire_triggers(m, person, detail.event_type, detail.event_row, detail.event_hash)
                continue
            if detail.dirty:
                detail.dirty = 0
                check_segments(m, person)
                continue
            person.stage = STAGE_REST
        now = next_ms(person)
        if now >= m.w.until_ms or m.s.trap:
            return 0
        person.now_ms = now
        if m.p.budgeted:
            detail_of(m, person).budget = m.p.budget
        if person.input_ms == now:
            take_input(m, person)
        elif person.other_ms == now:
            take_other(m, person)
        else:
            take_timer(m, person)
