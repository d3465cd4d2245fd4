"""Let an event happen to customers: watches see it, tokens that wait for it wake, triggers fire."""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from ext.admission cimport enter_all
from ext.claims cimport REPORT_SUCCEEDED
from ext.couplings cimport write_claim
from ext.internals cimport is_modelled, leave_flow
from ext.likely cimport rarely
from ext.predicates cimport filter_passes, read_property
from ext.queues cimport rest, rest_all
from ext.slabs cimport *
from ext.structs cimport *
from ext.tokens cimport (
    at, detail_of, hash_of, leave_all, leave_one, listeners_of, ready_push, stop_waiting,
)


cdef inline void see_watches(
    MachineC* m, PersonC* person, int32_t event, int64_t row
) noexcept nogil:
    """Let open success watches see an event; those it fulfils, or that are over, close (D31).

    Live, one that is fulfilled stays until it is over: only then is it counted as matured.
    """
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
        if not over and not w.state & WATCH_SUCCEEDED and spec.event == event and filter_passes(
            m, spec.cond, at(m, person), row, w.row, person.now_ms
        ):
            m.t.watch_succeeded_ever[w.counter] += 1
            m.t.watch_succeeded[w.counter] += w.state & WATCH_MATURED
            m.t.watch_modelled[w.counter] += is_modelled(m, row)
            if rarely(m.k.trials[w.watch] >= 0):
                write_claim(
                    m, person, REPORT_SUCCEEDED, m.k.trials[w.watch], w.counter - spec.counter0,
                    w.deadline_ms - spec.within_ms,
                )
            w.state |= WATCH_SUCCEEDED
            over = not m.p.live
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


cdef inline bint reverse_run(MachineC* m, int32_t* run, int32_t n) noexcept nogil:
    """Turn a run round, and say whether it is sorted by tie then."""
    cdef int32_t i, swap
    cdef bint rises = 1
    for i in range(n // 2):
        swap = run[i]
        run[i] = run[n - 1 - i]
        run[n - 1 - i] = swap
    for i in range(1, n):
        rises &= m.s.timers[run[i - 1]].tie < m.s.timers[run[i]].tie
    return rises


cdef inline void sort_by_tie(MachineC* m, int32_t* run, int32_t n) noexcept nogil:
    """Sort tokens, the latest to come first, by (entry number, fork number).

    Most come in that order, so it is tried to turn them round; else heapsort.
    """
    cdef int32_t i, value
    if reverse_run(m, run, n):
        return
    for i in range(n // 2 - 1, -1, -1):
        sift(m, run, i, n)
    for i in range(n - 1, 0, -1):
        value = run[0]
        run[0] = run[i]
        run[i] = value
        sift(m, run, 0, i)


cdef inline int32_t heard_among(
    MachineC* m, PersonC* person, const NodeC* node, int32_t event, int64_t row, int64_t entry_row
) noexcept nogil:
    """The first of the events for which a token waits at `node` that this one is, -1 for none."""
    cdef const ListenC* listens = &m.p.listens[node.x]
    cdef int32_t k
    for k in range(node.ports - ((node.flags & FLAG_TIMEOUT) != 0)):
        if listens[k].event == event and filter_passes(
            m, listens[k].cond, at(m, person), row, entry_row, person.now_ms
        ):
            return k
    return -1


cdef inline bint answers(
    MachineC* m, const NodeC* node, int64_t row, uint64_t entry_hash
) noexcept nogil:
    """Whether a recorded event says that it answers the message that a node's token waits for."""
    cdef int64_t key
    return row >= 0 and m.p.answers >= 0 and read_property(m, m.p.answers, row, &key) and (
        <uint64_t>key == <uint64_t>node.x ^ entry_hash
    )


cdef inline int32_t heard(
    MachineC* m, PersonC* person, const NodeC* node, int32_t event, int64_t row, int64_t entry_row,
    uint32_t entry_number, uint64_t entry_hash, int32_t sender, uint32_t sending_entry,
) noexcept nogil:
    """The port by which a token that waits at `node` leaves on an event, -1 if it goes on waiting (D28)."""
    if rarely(node.flags & FLAG_SEVERAL):
        return heard_among(m, person, node, event, row, entry_row)
    if node.a != event or node.b >= 0 and (
        (node.b != sender or entry_number != sending_entry)
        and not answers(m, node, row, entry_hash)
    ):
        return -1
    return filter_passes(m, node.cond, at(m, person), row, entry_row, person.now_ms) - 1


cdef inline bint wake_crowd(
    MachineC* m, PersonC* person, int32_t event, int64_t row, int32_t sender,
    uint32_t sending_entry,
) noexcept nogil:
    """Wake all tokens that wait for this event, judged before any runs (6, D28)."""
    cdef int32_t t = listeners_of(m, at(m, person), event)[0], n = 0, i, port
    cdef const EntryC* e
    while t >= 0:
        e = &m.s.entries[m.s.tokens[t].entry]
        port = heard(
            m, person, &m.p.nodes[m.s.tokens[t].node], event, row, e.row, e.number, e.hash, sender,
            sending_entry,
        )
        if port >= 0:
            if not scratch_room(m, n):
                return 0
            m.scratch[n] = t
            m.s.tokens[t].port = port
            n += 1
        t = m.s.tokens[t].next
    if n > 1:
        sort_by_tie(m, m.scratch, n)
    for i in range(n):
        t = m.scratch[i]
        stop_waiting(m, person, t)
        m.s.tokens[t].state = TOKEN_WOKEN
        m.s.tokens[t].modelled = is_modelled(m, row)
        ready_push(m, detail_of(m, person), t)
    return n > 0


cdef inline bint wake(
    MachineC* m, PersonC* person, int32_t event, int64_t row, int32_t sender,
    uint32_t sending_entry,
) noexcept nogil:
    """Wake those of the customer's tokens that wait for this event; whether there are any."""
    cdef int32_t port
    if rarely(person.crowd):
        return wake_crowd(m, person, event, row, sender, sending_entry)
    if person.state != TOKEN_LISTENING:
        return 0
    port = heard(
        m, person, &m.p.nodes[person.node], event, row, person.entry_row,
        detail_of(m, person).entry_number, hash_of(m, person)[0], sender, sending_entry,
    )
    if port < 0:
        return 0
    person.due_ms = INT64_MAX
    person.state = TOKEN_WOKEN
    person.port = <uint8_t>port
    m.t.modelled_wakes[person.node] += is_modelled(m, row)
    return 1


cdef inline void postpone(
    MachineC* m, PersonC* person, int32_t type, int64_t row, uint64_t hash
) noexcept nogil:
    """Leave an event's triggers until the tokens that it woke have run."""
    cdef DetailC* detail = detail_of(m, person)
    detail.event_type = type
    detail.event_row = row
    detail.event_hash = hash
    person.stage = STAGE_TRIGGERS


cdef inline void fire(
    MachineC* m, int32_t type, PersonC** items, int32_t n, int64_t modelled_row, uint64_t hash
) noexcept nogil:
    """Try an event's triggers, in declared order (D3 d); all customers are queued or at rest then.

    `modelled_row` and `hash` are those of a modelled event, or of one that has been postponed;
    NO_ROW where it is each customer's latest recorded one.
    """
    cdef const EventC* event = &m.p.events[type]
    cdef PersonC* person
    cdef int32_t i, k, onward = 0
    for i in range(event.trigger0, event.trigger0 + event.triggers):
        enter_all(m, &m.p.triggers[m.p.event_triggers[i]], items, n, modelled_row, hash)
    for k in range(n):
        person = items[k]
        if person.state != TOKEN_WOKEN:
            rest(m, person)
            continue
        person.state = TOKEN_READY
        if event.triggers > 1:
            leave_one(m, person, person.node, 0)
        else:
            items[onward] = person
            onward += 1
    if onward:
        leave_all(m, items[0].node, 0, items, onward)


cdef inline void exit_by(
    MachineC* m, PersonC* person, int32_t event, int64_t row
) noexcept nogil:
    """Take a customer out of the flow if the event is one that does (D48)."""
    cdef int32_t k
    for k in range(m.p.n_exits):
        if m.p.exits[k].event == event and filter_passes(
            m, m.p.exits[k].cond, at(m, person), row, NO_ROW, person.now_ms
        ):
            leave_flow(m, person)
            return


cdef inline int32_t notice(
    MachineC* m, int32_t type, PersonC** items, int32_t n, const HappeningC* modelled
) noexcept nogil:
    """Let watches and waiting tokens see an event of each customer (D3 b, c).

    Whom it wakes is queued or at rest; the others are moved to the front: returns how many.
    """
    cdef const EventC* event = &m.p.events[type]
    cdef PersonC* person
    cdef HappeningC own
    cdef int32_t k, kept = 0
    cdef bint woken
    own.row = NO_ROW
    own.hash = 0
    own.sender = -1
    own.sending_entry = 0
    if modelled != NULL:
        own = modelled[0]
    for k in range(n):
        person = items[k]
        if modelled == NULL:
            own.row = person.row - 1
            own.hash = m.p.row_hash[own.row]
        person.stage = m.p.after
        if event.flags & EVENT_WATCHED and person.state != TOKEN_FREE:
            see_watches(m, person, type, own.row)
        if event.flags & EVENT_SEGMENT:
            detail_of(m, person).dirty = 1
        if rarely(event.flags & EVENT_EXITS):
            exit_by(m, person, type, own.row)
        woken = event.flags & EVENT_WAITED and wake(
            m, person, type, own.row, own.sender, own.sending_entry
        )
        if not woken:
            items[kept] = person
            kept += 1
            continue
        if event.triggers:
            postpone(m, person, type, own.row, own.hash)
        if person.crowd:
            rest(m, person)
        else:
            person.state = TOKEN_READY
            leave_one(m, person, person.node, person.port)
    return kept


cdef inline void happen(
    MachineC* m, int32_t type, PersonC** items, int32_t n, const HappeningC* modelled
) noexcept nogil:
    """Let events of a type happen, to each customer his own (D3 b to d).

    `modelled` is a modelled one, NULL where they are recorded. The customers are at rest before,
    and queued or at rest then.
    """
    if m.p.events[type].flags or m.p.after != STAGE_REST:
        n = notice(m, type, items, n, modelled)
    if m.p.events[type].triggers == 0:
        rest_all(m, items, n)
    elif modelled == NULL:
        fire(m, type, items, n, NO_ROW, 0)
    else:
        fire(m, type, items, n, modelled.row, modelled.hash)
