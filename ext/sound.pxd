"""Check that a state which was loaded names nothing outside itself.

What is stored carries checksums; this is for what was wrong before it was stored. Every index that
the machine would follow lies within its array, and every list ends.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t

from ext.claims cimport LineC
from ext.predicates cimport read_cell
from ext.structs cimport *


cdef enum:
    SOUND = 0
    BAD_PERSON = 1
    BAD_DETAIL = 2
    BAD_TOKEN = 3
    BAD_TIMER = 4
    BAD_ENTRY = 5
    BAD_WATCH = 6
    BAD_KEY = 7
    BAD_ROW = 8
    BAD_VALUE = 9
    BAD_FREE = 10
    BAD_LINE = 11


cdef inline bint link(int64_t i, int64_t n) noexcept nogil:
    """Whether `i` is an index below `n`, or -1 for none."""
    return -1 <= i < n


cdef inline bint lasts(uint8_t state) noexcept nogil:
    """Whether a token can be in this state, or in a lesser one, between two calls."""
    return state <= TOKEN_PARKED or state == TOKEN_CLAIMED


cdef inline bint names_row(
    const MachineC* m, int64_t row, int64_t rows, bint retains
) noexcept nogil:
    """Whether a number is that of a row, of constants, or of none."""
    if row < NO_ROW:
        return -2 - row < m.p.n_constants
    return not retains or row < rows


cdef inline int unsound(
    MachineC* m, int64_t rows, bint retains, const int64_t* codes, int64_t counters
) noexcept nogil:
    """What is wrong first, SOUND for nothing.

    `codes` is how many a column has, 0 for one without; `counters` how many watches count into.
    """
    cdef int found = unsound_zones(m)
    if not found:
        found = unsound_slabs(m, rows, retains, counters)
    if not found:
        found = unsound_persons(m, rows, retains, codes)
    if not found and retains:
        found = unsound_rows(m, rows) or unsound_past(m)
    if not found and m.k.on:
        found = unsound_lines(m, rows, retains)
    return found


cdef inline int unsound_lines(MachineC* m, int64_t rows, bint retains) noexcept nogil:
    """Check the lines of entries that are claimed."""
    cdef int32_t i, c, n = m.k.lines_used, steps = 0
    cdef const LineC* line
    if not link(m.k.lines_free, n):
        return BAD_LINE
    for i in range(n):
        line = &m.k.lines[i]
        if not link(line.next, n) or (line.person >= 0 and not link(line.prev, n)):
            return BAD_LINE
        if not -1 <= line.person < m.s.persons_n or not 0 <= line.node < m.p.n_nodes:
            return BAD_LINE
        if not link(line.admission, m.s.admissions_used):
            return BAD_LINE
        if line.person >= 0 and not names_row(m, line.row, rows, retains):
            return BAD_LINE
    for c in range(m.s.persons_n):
        i = m.s.details[c].line
        if not link(i, n) or not link(m.s.details[c].line_last, n):
            return BAD_LINE
        while i >= 0:
            steps += 1
            if steps > n or m.k.lines[i].person != c:
                return BAD_LINE
            i = m.k.lines[i].next
    i = m.k.lines_free
    steps = 0
    while i >= 0:
        steps += 1
        if steps > n or m.k.lines[i].person >= 0:
            return BAD_LINE
        i = m.k.lines[i].next
    return SOUND


cdef inline int unsound_slabs(
    MachineC* m, int64_t rows, bint retains, int64_t counters
) noexcept nogil:
    """Check tokens, timers, entries, watches and keys."""
    cdef StateC* s = &m.s
    cdef int32_t i, k, n = s.tokens_used, steps = 0
    cdef const TokenC* token
    cdef const HeapC* timer
    cdef const EntryC* entry
    for i in range(n):
        token = &s.tokens[i]
        timer = &s.timers[i]
        if token.state == TOKEN_FREE:
            if not link(token.next, n):
                return BAD_TOKEN
            continue
        if not 0 <= token.node < m.p.n_nodes or token.state <= TOKEN_WOKEN or not lasts(token.state):
            return BAD_TOKEN
        if not 0 <= token.entry < s.entries_used or not link(token.entry_next, n):
            return BAD_TOKEN
        if not link(token.entry_prev, n) or s.entries[token.entry].tokens < 1:
            return BAD_TOKEN
        k = token.entry_next
        if k >= 0 and (s.tokens[k].entry_prev != i or s.tokens[k].entry != token.entry):
            return BAD_TOKEN
        if token.state == TOKEN_LISTENING:
            if not link(token.next, n) or not link(token.prev, n):
                return BAD_TOKEN
            if token.next >= 0 and s.tokens[token.next].prev != i:
                return BAD_TOKEN
            if not 0 <= m.p.nodes[token.node].a < m.p.n_events:
                return BAD_TOKEN
            if m.p.listeners[m.p.nodes[token.node].a] < 0:
                return BAD_TOKEN
        if timer.prev == -2:
            continue
        if not link(timer.prev, n) or not link(timer.child, n) or not link(timer.next, n):
            return BAD_TIMER
        if timer.child >= 0 and s.timers[timer.child].prev != i:
            return BAD_TIMER
        if timer.next >= 0 and (timer.prev < 0 or s.timers[timer.next].prev != i):
            return BAD_TIMER
        if timer.key < m.p.from_ms:
            return BAD_TIMER
    for i in range(s.entries_used):
        entry = &s.entries[i]
        if entry.tokens <= 0:
            if not link(entry.last, s.entries_used):
                return BAD_ENTRY
            continue
        if not 0 <= entry.person < s.persons_n or not link(entry.admission, s.admissions_used):
            return BAD_ENTRY
        if not 0 <= entry.first < n or not 0 <= entry.last < n or entry.start_ms < m.p.from_ms:
            return BAD_ENTRY
        if s.tokens[entry.first].entry_prev != -1 or s.tokens[entry.first].entry != i:
            return BAD_ENTRY
        if not names_row(m, entry.row, rows, retains):
            return BAD_ENTRY
    for i in range(s.watches_used):
        if not link(s.open_watches[i].next, s.watches_used):
            return BAD_WATCH
        if not 0 <= s.open_watches[i].watch < m.p.n_watches:
            return BAD_WATCH
        if not names_row(m, s.open_watches[i].row, rows, retains):
            return BAD_WATCH
        if not 0 <= s.open_watches[i].counter < counters:
            return BAD_WATCH
    k = 0
    for i in range(s.keys_size):
        if s.keys[i].admission >= 0:
            k += 1
            if s.keys[i].admission >= s.admissions_used or not 0 <= s.keys[i].person < s.persons_n:
                return BAD_KEY
    if k != s.keys_used or (k and k >= s.keys_size) or s.keys_size & (s.keys_size - 1):
        return BAD_KEY
    i = s.tokens_free
    while i >= 0:
        steps += 1
        if steps > n or s.tokens[i].state != TOKEN_FREE:
            return BAD_FREE
        i = s.tokens[i].next
    i = s.entries_free
    steps = 0
    while i >= 0:
        steps += 1
        if steps > s.entries_used or s.entries[i].tokens > 0:
            return BAD_FREE
        i = s.entries[i].last
    i = s.watches_free
    steps = 0
    while i >= 0:
        steps += 1
        if steps > s.watches_used:
            return BAD_FREE
        i = s.open_watches[i].next
    return SOUND


cdef inline int unsound_persons(
    MachineC* m, int64_t rows, bint retains, const int64_t* codes
) noexcept nogil:
    """Check customers, and what they have of columns."""
    cdef StateC* s = &m.s
    cdef int32_t c, i, watches = 0
    cdef int64_t value, place, run
    cdef const PersonC* person
    for c in range(s.persons_n):
        person = &s.persons[c]
        if person.stage != STAGE_REST or person.crowd > 1 or person.input_ms != INT64_MAX:
            return BAD_PERSON
        if not 0 <= person.node < m.p.n_nodes or not lasts(person.state):
            return BAD_PERSON
        if person.state == TOKEN_READY or person.state == TOKEN_WOKEN:
            return BAD_PERSON
        if person.due_ms < m.p.from_ms or person.other_ms < m.p.from_ms:
            return BAD_PERSON
        if person.state > TOKEN_GONE:
            if person.start_ms < m.p.from_ms or person.crowd:
                return BAD_PERSON
            if not names_row(m, person.entry_row, rows, retains):
                return BAD_PERSON
        if not m.p.plain and (person.state != TOKEN_FREE or person.crowd or m.p.detailed):
            i = unsound_detail(m, c, &watches)
            if i:
                return i
        for i in range(m.p.n_schedules):
            run = <int64_t>i * m.p.n_zones + m.p.zone_of[c]
            place = s.schedule_next[<int64_t>c * m.p.n_schedules + i]
            if not 0 <= place <= m.p.schedule_offsets[run + 1] - m.p.schedule_offsets[run]:
                return BAD_PERSON
    i = s.watches_free
    while i >= 0:
        watches += 1
        i = s.open_watches[i].next
    if watches != s.watches_used:
        return BAD_WATCH  # one that is in no list would be in two after a while
    for i in range(m.p.n_columns):
        for c in range(s.persons_n if codes[i] else 0):
            if read_cell(m.p.columns[i].data, m.p.columns[i].store, c, &value) and value >= codes[i]:
                return BAD_VALUE
    return SOUND


cdef inline int unsound_zones(MachineC* m) noexcept nogil:
    """Check that every customer is in a zone that there is."""
    cdef int32_t c
    for c in range(m.s.persons_n):
        if not 0 <= m.p.zone_of[c] < m.p.n_zones:
            return BAD_VALUE
    return SOUND


cdef inline int unsound_detail(MachineC* m, int32_t c, int32_t* watches) noexcept nogil:
    cdef StateC* s = &m.s
    cdef const DetailC* detail = &s.details[c]
    cdef int32_t i, k
    if s.persons[c].state > TOKEN_GONE or s.persons[c].crowd:
        if not -s.entries_used <= detail.entry_visits < s.persons_n:
            return BAD_DETAIL
        if not link(detail.entry_admission, s.admissions_used):
            return BAD_DETAIL
    if not link(detail.watches, s.watches_used):
        return BAD_DETAIL
    i = detail.watches
    while i >= 0:
        watches[0] += 1
        if watches[0] > s.watches_used:
            return BAD_WATCH
        i = s.open_watches[i].next
    if detail.ready >= 0 or detail.pending >= 0:
        return BAD_DETAIL
    if not s.persons[c].crowd:
        return SOUND
    if not link(detail.timers, s.tokens_used) or not link(detail.token, s.tokens_used):
        return BAD_DETAIL
    if detail.timers >= 0 and s.timers[detail.timers].prev != -1:
        return BAD_DETAIL
    for k in range(m.p.n_listeners):
        i = s.listening[<int64_t>c * m.p.n_listeners + k]
        if not link(i, s.tokens_used):
            return BAD_DETAIL
        if i >= 0 and (s.tokens[i].state != TOKEN_LISTENING or s.tokens[i].prev != -1):
            return BAD_DETAIL
    return SOUND


cdef inline int unsound_past(MachineC* m) noexcept nogil:
    """Check the lists of internal events that look-backs go through."""
    cdef int64_t place
    cdef int32_t i
    for i in range(m.s.past_used):
        if not -1 <= m.s.past[i].previous < i or m.s.past[i].row > -2 - m.p.internal0:
            return BAD_ROW
        if not names_row(m, m.s.past[i].row, 0, 0):
            return BAD_ROW
    for place in range(<int64_t>m.s.persons_n * m.p.n_histories):
        if not -1 <= m.s.last_past[place] < m.s.past_used:
            return BAD_ROW
    return SOUND


cdef inline int unsound_rows(MachineC* m, int64_t rows) noexcept nogil:
    """Check rows, and the lists of those that look-backs go through."""
    cdef int64_t row, place, steps = 0
    for row in range(rows):
        if not link(m.p.row_previous[row], rows):
            return BAD_ROW
        if m.p.row_type[row] >= 0 and (m.p.row_type[row] & ~(HISTORICAL | ECHO)) >= m.p.n_events:
            return BAD_ROW
    for place in range(<int64_t>m.s.persons_n * m.p.n_histories):
        row = m.s.last_row[place]
        if not link(row, rows):
            return BAD_ROW
        while row >= 0:
            steps += 1
            if steps > rows or m.p.row_type[row] < 0 or m.p.row_type[row] & ECHO:
                return BAD_ROW  # what only echoes is in no list
            row = m.p.row_previous[row]
    return SOUND
