"""Let customers claim what they compete for, and stand in line until they are answered (D39 to D45).

Who is granted what is found elsewhere: here an answer is read, or waited for. This is a module of its
own, so that loops that couple nobody are compiled as though it did not exist.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from ext.admission cimport begin_admitted, hold_out, key_admission, refused
from ext.internals cimport is_modelled, kept_out
from ext.queues cimport rest
from ext.slabs cimport FIRST_SIZE, TRAP_MEMORY, grow
from ext.tokens cimport (
    admission_at, at, count_arrivals, detail_of, find_other, hour_of, note, note_outcome, pending_ms,
    set_timer, stay,
)

__all__ = []


cdef void write_claim(
    MachineC* m, const PersonC* person, int32_t kind, int32_t resource, int32_t branch,
    int64_t start_ms,
) noexcept nogil:
    """Write a claim or a report down, where anybody asks for them."""
    cdef int64_t size
    cdef ClaimC* larger
    cdef ClaimC* claim
    cdef int32_t c = at(m, person)
    if not m.k.keeps:
        return
    if m.k.claims_used == m.k.claims_size:
        size = m.k.claims_size * 2 if m.k.claims_size else FIRST_SIZE
        larger = <ClaimC*>realloc(m.k.claims, sizeof(ClaimC) * <size_t>size)
        if larger == NULL:
            m.s.trap = TRAP_MEMORY
            return
        m.k.claims = larger
        m.k.claims_size = size
    claim = &m.k.claims[m.k.claims_used]
    m.k.claims_used += 1
    claim.time_ms = person.now_ms
    claim.hash = m.p.id_hash[m.s.lo + c]
    claim.start_ms = start_ms
    claim.customer = <int32_t>(m.s.lo + c)
    claim.number = m.s.details[c].claims
    claim.kind = kind
    claim.resource = resource
    claim.branch = branch
    claim.pad = 0


cdef inline bint ask_for(
    MachineC* m, PersonC* person, int32_t kind, int32_t resource, AnswerC* answer
) noexcept nogil:
    """Claim a resource; whether the answer is known. Its time is INT64_MAX where it is not.

    A customer in a search who lacks an answer is brought to the end of the item at hand, which
    `settle` sees to, and leaves his lane there.
    """
    cdef DetailC* detail = detail_of(m, person)
    cdef int64_t c = m.s.lo + at(m, person), place
    write_claim(m, person, kind, resource, 0, 0)
    detail.claims += 1
    if m.k.answer_offsets != NULL:
        place = m.k.answer_offsets[c] + detail.claims - 1
        if place < m.k.answer_offsets[c + 1]:
            answer[0] = m.k.answers[place]
            # Time never goes back, whatever the answers say.
            answer.time_ms = max(answer.time_ms, person.now_ms)
            return 1
        m.k.lacked = 1
    answer.time_ms = INT64_MAX
    answer.result = 0
    if m.k.searches:
        detail.lacking = 1
        if person.stage == STAGE_REST:
            person.stage = STAGE_SEGMENTS
    return 0


cdef void claim_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil:
    """Claim a coupon for each token; it waits for the answer, which is its port (D44)."""
    cdef AnswerC answer
    cdef PersonC* person
    cdef DetailC* detail
    cdef TokenC* token
    cdef int32_t k
    for k in range(n):
        person = items[k]
        detail = detail_of(m, person)
        ask_for(m, person, CLAIM_COUPON, m.k.resources[i], &answer)
        stay(m, person, i, TOKEN_CLAIMED)
        if person.crowd:
            token = &m.s.tokens[detail.token]
            token.port = <uint8_t>answer.result
            token.next = <int32_t>(detail.claims - 1)
            if answer.time_ms != INT64_MAX:
                set_timer(m, person, detail.token, answer.time_ms)
        else:
            person.port = <uint8_t>answer.result
            detail.claim = detail.claims - 1
            person.due_ms = answer.time_ms
        rest(m, person)


cdef void visit_trial(
    MachineC* m, int32_t i, int32_t* ports, PersonC** items, int32_t n
) noexcept nogil:
    """Report visits of a test that ends; once it has, all take the branch decided for (D45)."""
    cdef int64_t decided_ms = m.k.decided_ms[i]
    cdef int32_t k
    for k in range(n):
        write_claim(m, items[k], REPORT_ARRIVED, m.k.resources[i], 0, 0)
        if items[k].now_ms >= decided_ms:
            ports[k] = m.k.decided_branch[i]


cdef inline void note_coupled(
    MachineC* m, PersonC* person, int32_t node, int64_t* counts, int32_t outcome, uint64_t entry
) noexcept nogil:
    """Count and log an outcome that only couplings have."""
    counts[node] += 1
    if m.t.logs:
        note(m, person, node, outcome, entry)


# -- the line before a flow


cdef inline void put_in_line(MachineC* m, DetailC* detail, int32_t i) noexcept nogil:
    """Link a record into its customer's line by (due, number): nearly always as the last."""
    cdef LineC* mine = &m.k.lines[i]
    cdef LineC* other
    cdef int32_t before = detail.line_last
    while before >= 0:
        other = &m.k.lines[before]
        if other.due_ms < mine.due_ms or (
            other.due_ms == mine.due_ms and other.number < mine.number
        ):
            break
        before = other.prev
    mine.prev = before
    mine.next = m.k.lines[before].next if before >= 0 else detail.line
    if before >= 0:
        m.k.lines[before].next = i
    else:
        detail.line = i
    if mine.next >= 0:
        m.k.lines[mine.next].prev = i
    else:
        detail.line_last = i


cdef inline void cut_from_line(MachineC* m, DetailC* detail, int32_t i) noexcept nogil:
    cdef LineC* mine = &m.k.lines[i]
    if mine.prev >= 0:
        m.k.lines[mine.prev].next = mine.next
    else:
        detail.line = mine.next
    if mine.next >= 0:
        m.k.lines[mine.next].prev = mine.prev
    else:
        detail.line_last = mine.prev


cdef inline void free_line(MachineC* m, int32_t i) noexcept nogil:
    m.k.lines[i].person = -1
    m.k.lines[i].next = m.k.lines_free
    m.k.lines_free = i


cdef inline int32_t line_new(MachineC* m) noexcept nogil:
    cdef int32_t i = m.k.lines_free, size
    if i >= 0:
        m.k.lines_free = m.k.lines[i].next
        return i
    if m.k.lines_used == m.k.lines_size:
        size = m.k.lines_size * 2 if m.k.lines_size else FIRST_SIZE
        if not grow(&m.s, <void**>&m.k.lines, sizeof(LineC), size):
            return -1
        m.k.lines_size = size
    m.k.lines_used += 1
    return m.k.lines_used - 1


cdef inline bint hindered_in_line(
    MachineC* m, PersonC* person, int32_t admission, int32_t node, uint64_t identity
) noexcept nogil:
    """Whether who stands in line already may not claim another entry (D9, D41).

    The last in line who came by the same key came latest: answers keep the order of claims.
    """
    cdef int32_t i = detail_of(m, person).line_last, why
    while i >= 0 and m.k.lines[i].admission != admission:
        i = m.k.lines[i].prev
    if i < 0:
        return 0
    if m.p.policy == POLICY_ONCE:
        why = OUT_REFUSED_ONCE
    elif m.p.policy == POLICY_AFTER_EXIT:
        why = OUT_REFUSED_INSIDE
    elif m.p.gap_ms >= 0 and m.k.lines[i].claimed_ms > person.now_ms - m.p.gap_ms:
        why = OUT_REFUSED_GAP
    else:
        return 0
    note_outcome(m, person, node, why, identity)
    return 1


cdef inline void stand_in_line(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row, int32_t admission
) noexcept nogil:
    """Claim an entry (D41)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef AnswerC answer
    cdef LineC* mine
    cdef bint known = ask_for(m, person, CLAIM_ENTRY, m.k.gate, &answer)
    cdef int32_t i = line_new(m)
    if i < 0:
        return
    mine = &m.k.lines[i]
    mine.due_ms = answer.time_ms
    mine.claimed_ms = person.now_ms
    mine.row = row
    mine.hash = identity
    mine.node = node
    mine.admission = admission
    mine.number = detail.claims - 1
    mine.result = answer.result
    mine.person = at(m, person)
    mine.pad = 0
    m.k.queued[node] += known and answer.time_ms > person.now_ms
    put_in_line(m, detail, i)
    find_other(m, person)


cdef inline LineC leave_line(MachineC* m, PersonC* person) noexcept nogil:
    """Take the first out of the customer's line: what it said."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t i = detail.line
    cdef LineC mine = m.k.lines[i]
    cut_from_line(m, detail, i)
    free_line(m, i)
    find_other(m, person)
    m.k.line_sum_ms[mine.node] += person.now_ms - mine.claimed_ms
    return mine


cdef bint line_up(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row
) noexcept nogil:
    """Claim an entry if the customer may; it begins when he is let in (D41). Always 0."""
    cdef AdmissionC* admission = &detail_of(m, person).admission
    cdef int32_t number = NO_ADMISSION
    if m.p.key_property >= 0:
        admission = key_admission(m, person, node, identity, row, &number)
        if admission == NULL:
            return 0
    if hindered_in_line(m, person, number, node, identity):
        return 0
    if admission.last_ms != INT64_MIN and refused(m, person, admission, node, identity):
        return 0
    if m.p.holdout_points and kept_out(m, person):
        admission.last_ms = person.now_ms
        hold_out(m, person, node, identity, row)
    else:
        stand_in_line(m, person, node, identity, row, number)
    return 0


cdef void let_in(MachineC* m, PersonC* person) noexcept nogil:
    """Let the first of the customer's line enter, if he still may (D41)."""
    cdef LineC mine = leave_line(m, person)
    cdef int64_t now = person.now_ms
    cdef AdmissionC* admission = admission_at(m, person, mine.admission)
    person.stage = STAGE_SEGMENTS
    if mine.result:
        note_coupled(m, person, mine.node, m.k.refused_cap, COUPLED_REFUSED_CAP, mine.hash)
    elif now < m.p.entry_from_ms or now >= m.p.entry_until_ms:
        note_coupled(m, person, mine.node, m.k.refused_late, COUPLED_REFUSED_LATE, mine.hash)
    elif admission.last_ms == INT64_MIN or not refused(m, person, admission, mine.node, mine.hash):
        admission.last_ms = now
        admission.active += 1
        if begin_admitted(m, person, mine.node, mine.hash, mine.row, mine.admission):
            m.t.entries_by_hour[hour_of(now, m.p.from_ms)] += 1
            m.t.modelled_entries[mine.node] += is_modelled(m, mine.row)
            count_arrivals(m, mine.node, &person, 1)
    rest(m, person)


cdef bint answer_claim(
    MachineC* m, PersonC* person, uint32_t number, int64_t time_ms, int32_t result
) noexcept nogil:
    """Answer a claim of a live customer's, by its number; 0 where it is none of his own records.

    It is then the claim of a token in a crowd, or of one that is gone.
    """
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t i = detail.line
    while i >= 0 and m.k.lines[i].number != number:
        i = m.k.lines[i].next
    if i >= 0:
        cut_from_line(m, detail, i)
        m.k.lines[i].due_ms = time_ms
        m.k.lines[i].result = result
        m.k.queued[m.k.lines[i].node] += time_ms > m.k.lines[i].claimed_ms
        put_in_line(m, detail, i)
        find_other(m, person)
        return 1
    if not person.crowd and person.state == TOKEN_CLAIMED and detail.claim == number:
        person.due_ms = time_ms
        person.port = <uint8_t>result
        return 1
    return 0


cdef void answer_token(
    MachineC* m, PersonC* person, int32_t t, int64_t time_ms, int32_t result
) noexcept nogil:
    """Answer the claim of a live token in a crowd."""
    m.s.tokens[t].port = <uint8_t>result
    set_timer(m, person, t, time_ms)


cdef void leave_lines(MachineC* m, const uint8_t* gone) noexcept nogil:
    """Take everybody out of line of whom `gone` is set, by customer; all where it is NULL."""
    cdef int32_t i, c
    for i in range(m.k.lines_used):
        c = m.k.lines[i].person
        if c >= 0 and (gone == NULL or gone[c]):
            cut_from_line(m, &m.s.details[c], i)
            free_line(m, i)


cdef void count_in_line(MachineC* m, int32_t i, int64_t horizon_ms) noexcept nogil:
    """Count a record that is in line at the horizon."""
    cdef const LineC* mine = &m.k.lines[i]
    if mine.person >= 0:
        m.k.in_line[mine.node] += 1
        m.k.line_sum_ms[mine.node] += horizon_ms - mine.claimed_ms


cdef inline bint answer_next(MachineC* m, const PersonC* person) noexcept nogil:
    """Whether the item that comes now is an answer."""
    cdef const DetailC* detail = detail_of(m, person)
    cdef int64_t now = person.now_ms
    if person.input_ms == now:
        return 0
    if pending_ms(m, detail) == now:
        return 0
    if person.due_ms == now:
        if person.crowd:
            return m.s.tokens[detail.timers].state == TOKEN_CLAIMED
        return person.state == TOKEN_CLAIMED
    return detail.segment_ms != now and detail.schedule_ms != now


cdef void count_on(MachineC* m, PersonC* person) noexcept nogil:
    """Set the budget for an item at the same instant as the one before.

    An answer goes on with the count of the last in which a token arrived (D40), others count anew.
    """
    cdef DetailC* detail = detail_of(m, person)
    cdef LeftC* left = &m.k.left[at(m, person)]
    if detail.budget != m.p.budget or left.ms != person.now_ms:
        left.ms = person.now_ms
        left.budget = detail.budget
    detail.budget = left.budget if answer_next(m, person) else m.p.budget
