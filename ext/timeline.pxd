"""Choose customers' next items of work and carry them out to the tokens they make ready (D1 to D4).

Items are recorded inputs, modelled events, token timers, segment re-checks, schedules and entries
that leave a line, merged by (time, rank); that is also their order of rank.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t

from ext.admission cimport enter_all, internal_identity, modelled_identity
from ext.civil cimport DAY_MS, OFFSET_MAX_MS
from ext.couplings cimport count_on, let_in
from ext.events cimport fire, happen
from ext.heap cimport heap_remove
from ext.internals cimport make_happen, write_watched
from ext.likely cimport rarely
from ext.predicates cimport decide, next_change, write_cell
from ext.queues cimport push, rest
from ext.slabs cimport *
from ext.structs cimport *
from ext.tokens cimport (
    at, detail_of, find_other, judge, leave, leave_one, next_ms, pending_ms, ready_push,
    stop_waiting, take_up,
)

# States of a segment trigger for a customer, beside 0 for false and 1 for true.
cdef enum:
    SEGMENT_UNSEEN = 2
    SEGMENT_HELD = 3  # was true until new tables of zones made its dates later; true once more soon


cdef inline bint is_moment(MachineC* m, const TriggerC* trigger) noexcept nogil:
    """Whether a segment is true for moments of an anniversary alone."""
    return trigger.members & MEMBERS_OF_MOMENTS and trigger.cond_end - trigger.cond == 1


cdef inline void check_segments(MachineC* m, PersonC* person) noexcept nogil:
    """Evaluate all segment triggers; an edge from false to true is an entry (9, D32)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int64_t now = person.now_ms, place, change_ms, best = INT64_MAX
    cdef const TriggerC* trigger
    cdef int32_t k, c = at(m, person)
    cdef uint8_t before
    cdef bint holds_now, closed = now >= m.p.entry_until_ms
    # Judged earlier than now, so that a moment that held then is over.
    cdef bint passed = detail.segment_ms <= now
    if not detail.judged:
        return
    for k in range(m.p.n_segments):
        place = <int64_t>c * m.p.n_segments + k
        before = m.s.segment_state[place]
        trigger = &m.p.triggers[m.p.segment_triggers[k]]
        if closed and trigger.fires < 0:
            continue
        if trigger.fires < 0 and m.p.nodes[trigger.node].flags & FLAG_TOUCH:
            judge(m, person, trigger.node)
        holds_now = decide(m, trigger.cond, c, NO_ROW, NO_ROW, now)
        # A moment that is all that is asked for comes again in a year, and not within ten days.
        change_ms = next_change(
            m, trigger.cond, trigger.cond_end, c,
            now + 10 * DAY_MS if holds_now and is_moment(m, trigger) else now,
        )
        m.s.segment_state[place] = holds_now
        best = min(best, change_ms)
        if rarely(before == SEGMENT_HELD):
            if not holds_now and change_ms - now <= OFFSET_MAX_MS:
                m.s.segment_state[place] = SEGMENT_HELD
            continue
        if not holds_now or (
            before == 1 and not (passed and trigger.members & MEMBERS_OF_MOMENTS)
        ):
            continue
        if rarely(trigger.fires >= 0):
            make_happen(m, person, trigger.fires, -1, 0)
        elif trigger.members & (MEMBERS_AT_START if before == SEGMENT_UNSEEN else MEMBERS_JOINING):
            enter_all(m, trigger, &person, 1, NO_ROW, 0)
    detail.segment_ms = best
    find_other(m, person)


cdef inline int64_t schedule_at(MachineC* m, int32_t c, int32_t k) noexcept nogil:
    """The next time of schedule `k` for customer `c`, INT64_MAX for none."""
    cdef int64_t run = <int64_t>k * m.p.n_zones + m.p.zone_of[m.s.lo + c]
    cdef int64_t place = m.p.schedule_offsets[run]
    place += m.s.schedule_next[<int64_t>c * m.p.n_schedules + k]
    return m.p.schedule_ms[place] if place < m.p.schedule_offsets[run + 1] else INT64_MAX


cdef inline void find_schedule(MachineC* m, PersonC* person) noexcept nogil:
    """Find the next schedule's time: now, where new tables of zones put it into the past (D46)."""
    cdef int32_t k
    cdef int64_t best = INT64_MAX
    for k in range(m.p.n_schedules):
        best = min(best, schedule_at(m, at(m, person), k))
    detail_of(m, person).schedule_ms = max(best, person.now_ms)
    find_other(m, person)


cdef inline void fire_schedule(MachineC* m, PersonC* person) noexcept nogil:
    """Try the first schedule trigger, in declared order, whose time has come (D33)."""
    cdef const TriggerC* trigger
    cdef int32_t k, c = at(m, person)
    cdef int64_t now = person.now_ms
    for k in range(m.p.n_schedules):
        if schedule_at(m, c, k) <= now:
            break
    else:
        # The customer has moved to a zone where it comes later.
        find_schedule(m, person)
        return
    m.s.schedule_next[<int64_t>c * m.p.n_schedules + k] += 1
    find_schedule(m, person)
    trigger = &m.p.triggers[m.p.schedule_triggers[k]]
    if now < m.p.created_ms[m.s.lo + c]:
        return
    if m.p.nodes[trigger.node].flags & FLAG_TOUCH:
        judge(m, person, trigger.node)
    if decide(m, trigger.cond, c, NO_ROW, NO_ROW, now):
        enter_all(m, trigger, &person, 1, NO_ROW, 0)


cdef inline bint remember_past(
    MachineC* m, PersonC* person, int32_t history, int64_t row
) noexcept nogil:
    """Put an event that no input tells of into the customer's history; 0 without memory."""
    cdef int32_t k = past_new(m)
    cdef int64_t* last = &m.s.last_past[<int64_t>at(m, person) * m.p.n_histories + history]
    if k < 0:
        rest(m, person)
        return 0
    m.s.past[k].ms = person.now_ms
    m.s.past[k].row = row
    m.s.past[k].previous = last[0]
    last[0] = k
    return 1


cdef inline void take_modelled(MachineC* m, PersonC* person) noexcept nogil:
    """Let the customer's next modelled event happen."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t i = detail.pending, event, history
    cdef const PendingC* pending = &m.s.pending[i]
    cdef const DrawC* draw = &m.p.draws[pending.draw]
    cdef HappeningC happening
    event = draw.event
    history = m.p.events[event].history
    happening.row = -2 - <int64_t>draw.constants
    happening.sender = pending.node
    happening.sending_entry = pending.entry_number
    happening.hash = 0
    detail.pending = heap_remove(m.s.pending_heap, i, i)
    find_other(m, person)
    if m.p.events[event].triggers:
        happening.hash = modelled_identity(m, draw.ident, pending.entry_hash, pending.visit)
    pending_free(m, i)
    if history >= 0 and not remember_past(m, person, history, happening.row):
        return
    happen(m, event, &person, 1, &happening)


cdef inline void take_internal(MachineC* m, PersonC* person) noexcept nogil:
    """Let the customer's next internal event happen, at the instant of what made it (D47)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t i = detail.pending, internal = m.s.pending[i].draw
    cdef int32_t event = m.p.internals[internal].event, history = m.p.events[event].history
    cdef HappeningC happening
    happening.row = -2 - <int64_t>(m.p.internal0 + internal)
    happening.sender = m.s.pending[i].node
    happening.sending_entry = m.s.pending[i].entry_number
    happening.hash = internal_identity(m, person.now_ms) if m.p.named else 0
    detail.pending = heap_remove(m.s.pending_heap, i, i)
    pending_free(m, i)
    find_other(m, person)
    if history >= 0 and not remember_past(m, person, history, happening.row):
        return
    happen(m, event, &person, 1, &happening)


cdef inline void take_timer(MachineC* m, PersonC* person) noexcept nogil:
    """Wake the token whose timer is due: a wait's only port, a timeout, or a claim's answer."""
    cdef int32_t t
    cdef TokenC* token
    person.stage = m.p.after
    if not rarely(person.crowd):
        t = person.port if person.state != TOKEN_TIMED else 0
        person.due_ms = INT64_MAX
        person.state = TOKEN_READY
        leave_one(m, person, person.node, t)
        return
    t = detail_of(m, person).timers
    token = &m.s.tokens[t]
    if not rarely(token.state == TOKEN_CLAIMED):
        token.port = 0
        if token.state == TOKEN_LISTENING:
            token.port = <uint8_t>(m.p.nodes[token.node].ports - 1)
    token.modelled = 0
    stop_waiting(m, person, t)
    token.state = TOKEN_WOKEN
    ready_push(m, detail_of(m, person), t)
    rest(m, person)


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
        rest(m, person)
    elif m.k.gate < 0 or detail.schedule_ms == now:
        person.stage = STAGE_SEGMENTS
        fire_schedule(m, person)
        rest(m, person)
    else:
        let_in(m, person)


cdef inline int32_t remember(
    MachineC* m, PersonC* person, int32_t type, int64_t row
) noexcept nogil:
    """Link a live event into the customer's history where it happened; -1 if it is no more than that.

    Else returns its type.
    """
    cdef bint historical = type >= HISTORICAL
    cdef const EventC* event
    cdef int64_t* link
    if type & ECHO:
        return type - ECHO
    if historical:
        type -= HISTORICAL
    event = &m.p.events[type]
    if event.history >= 0:
        link = &m.s.last_row[<int64_t>at(m, person) * m.p.n_histories + event.history]
        while link[0] >= 0 and m.p.row_past_ms[link[0]] > m.p.row_past_ms[row]:
            link = &m.p.row_previous[link[0]]
        m.p.row_previous[row] = link[0]
        link[0] = row
    if not historical:
        return type
    if event.flags & EVENT_SEGMENT and person.now_ms >= m.p.from_ms:
        detail_of(m, person).dirty = 1
        person.stage = STAGE_SEGMENTS
        rest(m, person)
    return -1


cdef inline bint take_row(MachineC* m, PersonC* person) noexcept nogil:
    """Apply the next recorded input (D3 a, D38); 1 if there is an event to see, or to settle."""
    cdef int64_t row = person.row
    cdef int32_t type = m.p.row_type[row], c = at(m, person)
    cdef const EventC* event
    cdef int64_t following_ms = m.p.row_ms[min(row + 1, m.p.last_row)]
    person.row = row + 1
    # A conditional move: a branch here would be a coin's toss.
    person.input_ms = (
        following_ms if row + 1 < m.p.row_offsets[m.s.lo + c + 1] else INT64_MAX
    )
    if rarely(type < 0):
        if m.p.column_watched[-1 - type] and person.now_ms >= m.p.from_ms:
            write_watched(m, person, -1 - type, m.p.row_value[row])
        else:
            write_cell(&m.p.columns[-1 - type], c, m.p.row_value[row])
        if not m.p.segment_column[-1 - type] or person.now_ms < m.p.from_ms:
            return 0
        detail_of(m, person).dirty = 1
        person.stage = STAGE_SEGMENTS
        rest(m, person)
        return 1
    if rarely(m.p.live):
        type = remember(m, person, type, row)
        if type < 0:
            return person.stage != STAGE_REST
    event = &m.p.events[type]
    if event.history >= 0 and not m.p.live:
        m.s.last_row[<int64_t>c * m.p.n_histories + event.history] = row
    if person.now_ms < m.p.from_ms:
        return 0
    if event.flags == EVENT_WAITED and event.triggers == 0:
        # At most waits see it: nothing happens to a customer whose only token is no such.
        if person.state != TOKEN_LISTENING and not person.crowd:
            return 0
    m.w.seeing[m.w.seen] = person
    m.w.ports[m.w.seen] = type
    m.w.seen += 1
    return 1


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
        person.crowd = 0  # its state is TOKEN_GONE
    return 0


cdef inline bint settle(MachineC* m, PersonC* person) noexcept nogil:
    """Bring the item at hand to its end; 1 where a token is to run first, or triggers are."""
    cdef DetailC* detail = detail_of(m, person)
    while True:
        if person.crowd:
            if drain(m, person):
                return 1
        elif person.state == TOKEN_WOKEN:
            person.state = TOKEN_READY
            if leave(m, person, person.node, 0):
                return 1
        if person.stage == STAGE_TRIGGERS:
            person.stage = STAGE_SEGMENTS if rarely(detail.lacking) else m.p.after
            fire(m, detail.event_type, &person, 1, detail.event_row, detail.event_hash)
            return 1
        elif person.stage == STAGE_SEGMENTS and detail.dirty:
            detail.dirty = 0
            check_segments(m, person)
        else:
            person.stage = STAGE_REST
            if rarely(detail.lacking):
                person.input_ms = person.due_ms = person.other_ms = INT64_MAX
            return 0


cdef inline bint advance(MachineC* m, PersonC* person) noexcept nogil:
    """Bring a customer at rest on by an item; he is queued then, or at rest again.

    False where nothing is left before the wave's `until_ms`.
    """
    cdef int64_t now, before
    if rarely(person.crowd or person.stage != STAGE_REST) and settle(m, person):
        return 1
    while True:
        now = next_ms(person)
        if now >= m.w.until_ms:
            return 0
        if rarely(now == INT64_MIN):
            take_internal(m, person)
            return 1
        before = person.now_ms
        person.now_ms = now
        if m.p.budgeted:
            if rarely(before == now) and m.k.on:
                count_on(m, person)
            else:
                detail_of(m, person).budget = m.p.budget
        if person.input_ms == now:
            if take_row(m, person):
                return 1
        elif rarely(person.other_ms == now):
            take_other(m, person)
            return 1
        else:
            take_timer(m, person)
            return 1
