"""Move what waits for a local time to the instant that new tables of zones give it (semantics D46).

The instant that the old tables gave is read on the wall clock of the old tables, and that local
time is turned into an instant by the new ones. Whatever waits for elapsed time stays.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t

from ext.civil cimport (
    DAY_MS, OFFSET_MAX_MS, floor_div, local_to_utc, utc_to_local, weekday, zone_row,
)
from ext.kernels cimport date_in, spread_in
from ext.predicates cimport DAYS_MAX, decide, next_change, read_customer
from ext.structs cimport *
from ext.timeline cimport SEGMENT_HELD, find_schedule
from ext.tokens cimport at, detail_of, find_other, hash_of


# The table of one zone.
cdef struct ClockC:
    const int64_t* utc
    const int64_t* offset
    Py_ssize_t n


cdef inline ClockC clock_at(
    const int32_t* offsets, const int64_t* utc, const int64_t* offset, int32_t zone
) noexcept nogil:
    """The table of a zone, of all tables one after the other."""
    cdef ClockC clock
    clock.utc = &utc[offsets[zone]]
    clock.offset = &offset[offsets[zone]]
    clock.n = offsets[zone + 1] - offsets[zone]
    return clock


cdef inline bint is_local(const NodeC* node) noexcept nogil:
    """Whether a timer at a node is set by the customer's wall clock (D24 to D27)."""
    if node.op == OP_WAIT_FOR or node.op == OP_WAIT_EVENT:
        return node.months != 0 or node.days != 0
    if node.op == OP_WAIT_AT:
        return (node.flags & FLAG_LOCAL) != 0
    if node.op == OP_WAIT_DATE:
        return node.flags & FLAG_LOCAL or node.months != 0 or node.days != 0 or node.x >= 0
    return node.op == OP_WAIT_SLOT


cdef inline bint names(const MachineC* m, const NodeC* node, int64_t local_ms) noexcept nogil:
    """Whether the flow itself names this local time at a node."""
    cdef int64_t day = floor_div(local_ms, DAY_MS), time_ms = local_ms - day * DAY_MS
    cdef const SlotC* slot
    cdef int32_t i
    if node.op == OP_WAIT_AT:
        return node.x == local_ms
    if node.op == OP_WAIT_SLOT:
        for i in range(node.b):
            slot = &m.p.slots[node.a + i]
            if slot.from_ms == time_ms and slot.weekdays >> weekday(day) & 1:
                return 1
    return 0


cdef inline int64_t wall_of(
    const MachineC* m, const NodeC* node, const ClockC* old, int64_t ms
) noexcept nogil:
    """The local time that an instant stood for under the old tables.

    An instant just behind a gap may stand for one that the gap skipped: so it is where the flow
    names that one, and not what the clock shows.
    """
    cdef int64_t local_ms = utc_to_local(old.utc, old.offset, old.n, ms), gap_ms
    cdef Py_ssize_t i = zone_row(old.utc, old.n, ms)
    if i > 0:
        gap_ms = old.offset[i] - old.offset[i - 1]
        if ms - old.utc[i] < gap_ms and not names(m, node, local_ms):
            if names(m, node, local_ms - gap_ms):
                return local_ms - gap_ms
    return local_ms


cdef inline int64_t moved_due(
    MachineC* m, int32_t c, int32_t i, const int64_t* old_x, const ClockC* old, const ClockC* new,
    uint64_t entry_hash, int64_t due_ms,
) noexcept nogil:
    """When a customer's timer at node `i` that was due at `due_ms` is due.

    `old_x` is `x` of all nodes under the old tables. A wait for a date is worked out anew, unless
    the date is another one by now.
    """
    cdef const NodeC* node = &m.p.nodes[i]
    cdef int64_t elapsed_ms = node.ms, base_ms, local_ms, value
    if node.op == OP_WAIT_SLOT and node.ms:
        elapsed_ms = spread_in(node, m.p.id_hash[c], entry_hash)
    base_ms = due_ms - elapsed_ms
    if node.op == OP_WAIT_AT and not node.flags & FLAG_LOCAL:
        # A literal on the flow's clock.
        return due_ms + (node.x - old_x[i])
    if not is_local(node):
        return due_ms
    if node.op == OP_WAIT_DATE and read_customer(m, node.a, c, &value):
        if date_in(old.utc, old.offset, old.n, node, value) == due_ms:
            return date_in(new.utc, new.offset, new.n, node, value)
    local_ms = wall_of(m, node, old, base_ms)
    if local_to_utc(old.utc, old.offset, old.n, local_ms) != base_ms:
        # The second of two instants that the clock shows alike: another zone's clock meant it.
        return due_ms
    return local_to_utc(new.utc, new.offset, new.n, local_ms) + elapsed_ms


cdef inline bint later_dates(
    MachineC* m, int32_t begin, int32_t end, int32_t c, int64_t now, const ClockC* old,
    const ClockC* new,
) noexcept nogil:
    """Whether a date that a predicate of [begin, end) asks a customer for begins later now.

    The same of the hours, days and months of the clock itself: where it was put back.
    """
    cdef const PredC* p
    cdef int64_t day
    cdef bint back = (
        utc_to_local(new.utc, new.offset, new.n, now) < utc_to_local(old.utc, old.offset, old.n, now)
    )
    cdef int32_t i
    for i in range(begin, end):
        p = &m.p.preds[i]
        if back and (
            p.op == PRED_CLOCK or p.op == PRED_ANNIVERSARY or (p.op == PRED_HISTORY and p.hi)
        ):
            return 1
        if not PRED_LAST <= p.op <= PRED_OLDER or not p.col2 or p.source != SOURCE_CUSTOMER:
            continue
        if not read_customer(m, p.col, c, &day):
            continue
        day = max(-DAYS_MAX, min(day, DAYS_MAX)) * DAY_MS
        if (
            local_to_utc(new.utc, new.offset, new.n, day)
            > local_to_utc(old.utc, old.offset, old.n, day)
        ):
            return 1
    return 0


cdef inline void move_segments(
    MachineC* m, PersonC* person, const ClockC* old, const ClockC* new
) noexcept nogil:
    """Find a customer's next re-check, and keep an edge that has been from coming again.

    Dates that begin later repeat what was seen already: no entry comes of that. Dates that begin
    earlier may have begun: that is judged at once, at the time of the customer's last work.
    """
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t k, c = at(m, person)
    cdef int64_t now = person.now_ms, first_ms, change_ms, best = INT64_MAX
    cdef const TriggerC* trigger
    cdef uint8_t* state
    cdef bint holds_now
    if not detail.judged:
        first_ms = max(m.p.entry_from_ms, m.p.created_ms[c])
        detail.segment_ms = max(first_ms, now) if first_ms < m.p.entry_until_ms else INT64_MAX
        return
    for k in range(m.p.n_segments):
        state = &m.s.segment_state[<int64_t>c * m.p.n_segments + k]
        trigger = &m.p.triggers[m.p.segment_triggers[k]]
        holds_now = decide(m, trigger.cond, c, NO_ROW, NO_ROW, now)
        change_ms = next_change(m, trigger.cond, trigger.cond_end, c, now)
        best = min(best, change_ms)
        if not holds_now and trigger.members & MEMBERS_OF_MOMENTS:
            state[0] = 0
        if holds_now == (state[0] & 1):
            continue
        if not later_dates(m, trigger.cond, trigger.cond_end, c, now, old, new):
            best = now
        elif holds_now:
            state[0] = 1
        elif change_ms - now <= OFFSET_MAX_MS:
            state[0] = SEGMENT_HELD
        else:
            best = now
    detail.segment_ms = best


cdef inline void move_person(
    MachineC* m, PersonC* person, const int64_t* old_x, const ClockC* old, const ClockC* new
) noexcept nogil:
    """Move what a customer waits for, but the tokens of a crowd; none is due before his last work."""
    cdef int64_t due_ms
    if not person.crowd and person.due_ms != INT64_MAX and (
        person.state == TOKEN_TIMED or person.state == TOKEN_LISTENING
    ):
        due_ms = moved_due(
            m, at(m, person), person.node, old_x, old, new, hash_of(m, person)[0], person.due_ms
        )
        if due_ms != person.due_ms:
            person.due_ms = max(due_ms, person.now_ms)
    if m.p.n_segments:
        move_segments(m, person, old, new)
    if m.p.n_schedules:
        find_schedule(m, person)
    if m.p.n_segments or m.p.n_schedules:
        find_other(m, person)
