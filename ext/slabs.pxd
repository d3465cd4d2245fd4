"""Grow the arrays of a machine's state, and keep free lists inside them.

Growth doubles. Where memory runs out `trap` is set, the new index is -1, and the machine stops
after the wave.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from ext.structs cimport (
    AdmissionC, ChangeC, EffectC, EntryC, HeapC, LogC, MachineC, PastC, PendingC, StateC, TokenC, WatchOpenC,
)

cdef enum:
    TRAP_MEMORY = 1
    FIRST_SIZE = 1024
    LOG_MAX = 1 << 25  # records of one block, a gigabyte


cdef inline bint grow(StateC* s, void** data, size_t item, int32_t size) noexcept nogil:
    cdef void* larger = realloc(data[0], item * <size_t>size)
    if larger == NULL:
        s.trap = TRAP_MEMORY
        return 0
    data[0] = larger
    return 1


cdef inline void free_state(StateC* s) noexcept nogil:
    """Give back every array of a state."""
    free(s.persons)
    free(s.details)
    free(s.steps)
    free(s.hashes)
    free(s.tokens)
    free(s.timers)
    free(s.entries)
    free(s.visits)
    free(s.entry_visits)
    free(s.listening)
    free(s.admissions)
    free(s.keys)
    free(s.pending)
    free(s.pending_heap)
    free(s.past)
    free(s.open_watches)
    free(s.last_row)
    free(s.last_past)
    free(s.segment_state)
    free(s.schedule_next)
    free(s.visited)
    free(s.touched)
    free(s.tested)


cdef inline int32_t token_new(MachineC* m) noexcept nogil:
    cdef StateC* s = &m.s
    cdef int32_t i = s.tokens_free, size
    if i >= 0:
        s.tokens_free = s.tokens[i].next
        return i
    if s.tokens_used == s.tokens_size:
        size = s.tokens_size * 2 if s.tokens_size else FIRST_SIZE
        if not grow(s, <void**>&s.tokens, sizeof(TokenC), size):
            return -1
        if not grow(s, <void**>&s.timers, sizeof(HeapC), size):
            return -1
        s.tokens_size = size
    i = s.tokens_used
    s.tokens_used += 1
    return i


cdef inline void token_free(MachineC* m, int32_t i) noexcept nogil:
    m.s.tokens[i].state = 0
    m.s.tokens[i].next = m.s.tokens_free
    m.s.tokens_free = i


cdef inline uint32_t* visits_at(MachineC* m, int32_t row) noexcept nogil:
    """The visit counters of an entry: in row c >= 0 those of customer c's only one."""
    if row >= 0:
        return &m.s.visits[<int64_t>row * m.p.n_slots]
    return &m.s.entry_visits[<int64_t>(-1 - row) * m.p.n_slots]


cdef inline int32_t entry_new(MachineC* m) noexcept nogil:
    cdef StateC* s = &m.s
    cdef int32_t i = s.entries_free, size, slots = m.p.n_slots
    if i >= 0:
        s.entries_free = s.entries[i].last
    else:
        if s.entries_used == s.entries_size:
            size = s.entries_size * 2 if s.entries_size else FIRST_SIZE
            if not grow(s, <void**>&s.entries, sizeof(EntryC), size):
                return -1
            if slots and not grow(
                s, <void**>&s.entry_visits, 4 * <size_t>slots, size
            ):
                return -1
            s.entries_size = size
        i = s.entries_used
        s.entries_used += 1
    if slots:
        memset(visits_at(m, -1 - i), 0, 4 * <size_t>slots)
    return i


cdef inline void entry_free(MachineC* m, int32_t i) noexcept nogil:
    m.s.entries[i].last = m.s.entries_free
    m.s.entries_free = i


cdef inline int32_t pending_new(MachineC* m) noexcept nogil:
    cdef StateC* s = &m.s
    cdef int32_t i = s.pending_free, size
    if i >= 0:
        s.pending_free = s.pending[i].draw
        return i
    if s.pending_used == s.pending_size:
        size = s.pending_size * 2 if s.pending_size else FIRST_SIZE
        if not grow(s, <void**>&s.pending, sizeof(PendingC), size):
            return -1
        if not grow(s, <void**>&s.pending_heap, sizeof(HeapC), size):
            return -1
        s.pending_size = size
    i = s.pending_used
    s.pending_used += 1
    return i


cdef inline void pending_free(MachineC* m, int32_t i) noexcept nogil:
    m.s.pending[i].draw = m.s.pending_free
    m.s.pending_free = i


cdef inline int32_t past_new(MachineC* m) noexcept nogil:
    cdef StateC* s = &m.s
    cdef int32_t size
    if s.past_used == s.past_size:
        size = s.past_size * 2 if s.past_size else FIRST_SIZE
        if not grow(s, <void**>&s.past, sizeof(PastC), size):
            return -1
        s.past_size = size
    s.past_used += 1
    return s.past_used - 1


cdef inline int32_t watch_new(MachineC* m) noexcept nogil:
    cdef StateC* s = &m.s
    cdef int32_t i = s.watches_free, size
    if i >= 0:
        s.watches_free = s.open_watches[i].next
        return i
    if s.watches_used == s.watches_size:
        size = s.watches_size * 2 if s.watches_size else FIRST_SIZE
        if not grow(s, <void**>&s.open_watches, sizeof(WatchOpenC), size):
            return -1
        s.watches_size = size
    s.watches_used += 1
    return s.watches_used - 1


cdef inline void watch_free(MachineC* m, int32_t i) noexcept nogil:
    m.s.open_watches[i].next = m.s.watches_free
    m.s.watches_free = i


cdef inline int32_t admission_new(MachineC* m) noexcept nogil:
    cdef StateC* s = &m.s
    cdef int32_t size
    if s.admissions_used == s.admissions_size:
        size = s.admissions_size * 2 if s.admissions_size else FIRST_SIZE
        if not grow(s, <void**>&s.admissions, sizeof(AdmissionC), size):
            return -1
        s.admissions_size = size
    s.admissions_used += 1
    return s.admissions_used - 1


cdef inline EffectC* effect_room(MachineC* m) noexcept nogil:
    """The next effect, NULL where memory ran out."""
    cdef int64_t size
    cdef EffectC* larger
    if m.t.effects_used == m.t.effects_size:
        size = m.t.effects_size * 2 if m.t.effects_size else FIRST_SIZE
        larger = <EffectC*>realloc(m.t.effects, sizeof(EffectC) * <size_t>size)
        if larger == NULL:
            m.s.trap = TRAP_MEMORY
            return NULL
        m.t.effects = larger
        m.t.effects_size = size
    m.t.effects_used += 1
    return &m.t.effects[m.t.effects_used - 1]


cdef inline ChangeC* change_room(MachineC* m) noexcept nogil:
    """The next change, NULL where memory ran out."""
    cdef int64_t size
    cdef ChangeC* larger
    if m.t.changes_used == m.t.changes_size:
        size = m.t.changes_size * 2 if m.t.changes_size else FIRST_SIZE
        larger = <ChangeC*>realloc(m.t.changes, sizeof(ChangeC) * <size_t>size)
        if larger == NULL:
            m.s.trap = TRAP_MEMORY
            return NULL
        m.t.changes = larger
        m.t.changes_size = size
    m.t.changes_used += 1
    return &m.t.changes[m.t.changes_used - 1]


cdef inline LogC* log_room(MachineC* m, int32_t n) noexcept nogil:
    """The next `n` records of the log, NULL where memory ran out or a block decides without end."""
    cdef int64_t size
    cdef LogC* larger
    if m.t.log_used + n > m.t.log_size:
        size = m.t.log_size * 2 + n if m.t.log_size else FIRST_SIZE + n
        larger = NULL if size > LOG_MAX else <LogC*>realloc(m.t.log, sizeof(LogC) * <size_t>size)
        if larger == NULL:
            m.s.trap = TRAP_MEMORY
            return NULL
        m.t.log = larger
        m.t.log_size = size
    m.t.log_used += n
    return &m.t.log[m.t.log_used - n]
