"""Admit entries: identity, eligibility and the entry's beginning (D9 to D11)."""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from ext.couplings cimport line_up
from ext.hashing cimport xxh64
from ext.internals cimport is_modelled, kept_out
from ext.likely cimport rarely
from ext.predicates cimport as_double, filter_passes, read_property
from ext.slabs cimport *
from ext.structs cimport *
from ext.tokens cimport (
    at, count_arrivals, detail_of, entry_make, hash_of, hour_of, note_outcome, open_watch,
    ready_push, spill, token_make,
)


cdef inline uint64_t hash_named(const char* name, uint32_t size, uint64_t value) noexcept nogil:
    """core.hashing.hash_parts(name, value) for a name of at most 8 bytes."""
    cdef unsigned char[24] data
    cdef uint32_t i
    data[0] = <unsigned char>size
    data[1] = data[2] = data[3] = 0
    memcpy(&data[4], name, size)
    data[4 + size] = 8
    data[5 + size] = data[6 + size] = data[7 + size] = 0
    for i in range(8):
        data[8 + size + i] = <unsigned char>(value >> (8 * i))
    return xxh64(data, 16 + size)


cdef inline uint64_t internal_identity(MachineC* m, int64_t now_ms) noexcept nogil:
    """The identity of an internal event (D47)."""
    return hash_named(b"internal", 8, <uint64_t>now_ms)


cdef inline uint64_t modelled_identity(
    MachineC* m, int32_t ident, uint64_t entry_hash, uint32_t visit
) noexcept nogil:
    """The identity of a modelled event: its bytes with the entry at 16 and the visit last (D11)."""
    cdef unsigned char[4096] data
    cdef int32_t begin = m.p.ident_offsets[ident], size = m.p.ident_offsets[ident + 1] - begin, i
    memcpy(data, &m.p.idents[begin], size)
    for i in range(8):
        data[16 + i] = <unsigned char>(entry_hash >> (8 * i))
        data[size - 8 + i] = <unsigned char>(<uint64_t>visit >> (8 * i)) if i < 4 else 0
    return xxh64(data, size)


cdef inline uint64_t key_place(int32_t person, int64_t key) noexcept nogil:
    cdef uint64_t x = <uint64_t>key * <uint64_t>0x9E3779B97F4A7C15U
    x ^= <uint64_t>person * <uint64_t>0xC2B2AE3D27D4EB4FU
    x ^= x >> 29
    x *= <uint64_t>0xBF58476D1CE4E5B9U
    return x ^ (x >> 32)


cdef inline bint keys_grow(MachineC* m) noexcept nogil:
    cdef int32_t size = m.s.keys_size * 2 if m.s.keys_size else 1024, i
    cdef uint64_t at
    cdef KeySlotC* larger = <KeySlotC*>calloc(size, sizeof(KeySlotC))
    if larger == NULL:
        m.s.trap = TRAP_MEMORY
        return 0
    for i in range(size):
        larger[i].admission = -1
    for i in range(m.s.keys_size):
        if m.s.keys[i].admission >= 0:
            at = key_place(m.s.keys[i].person, m.s.keys[i].key) & <uint64_t>(size - 1)
            while larger[at].admission >= 0:
                at = (at + 1) & <uint64_t>(size - 1)
            larger[at] = m.s.keys[i]
    free(m.s.keys)
    m.s.keys = larger
    m.s.keys_size = size
    return 1


cdef inline int32_t admission_of(MachineC* m, int32_t c, int64_t key) noexcept nogil:
    """The admission record of a customer and a key, made where there is none.

    Open addressing, -1 without memory.
    """
    cdef uint64_t at
    cdef int32_t made
    if 2 * m.s.keys_used >= m.s.keys_size and not keys_grow(m):
        return -1
    at = key_place(c, key) & <uint64_t>(m.s.keys_size - 1)
    while m.s.keys[at].admission >= 0:
        if m.s.keys[at].person == c and m.s.keys[at].key == key:
            return m.s.keys[at].admission
        at = (at + 1) & <uint64_t>(m.s.keys_size - 1)
    made = admission_new(m)
    if made < 0:
        return -1
    m.s.admissions[made].last_ms = INT64_MIN
    m.s.admissions[made].active = 0
    m.s.keys[at].person = c
    m.s.keys[at].key = key
    m.s.keys[at].admission = made
    m.s.keys_used += 1
    return made


cdef inline AdmissionC* key_admission(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row, int32_t* number
) noexcept nogil:
    """The record of the customer and the entry's key, and its number; NULL where refused."""
    cdef int64_t key = 0
    if not read_property(m, m.p.key_property, row, &key):
        note_outcome(m, person, node, OUT_REFUSED_NO_KEY, identity)
        return NULL
    if m.p.properties[m.p.key_property].store == STORE_FLOAT64 and as_double(key) == 0.0:
        key = 0  # -0.0 is the same key
    number[0] = admission_of(m, at(m, person), key)
    return NULL if number[0] < 0 else &m.s.admissions[number[0]]


cdef inline bint refused(
    MachineC* m, PersonC* person, const AdmissionC* admission, int32_t node, uint64_t identity
) noexcept nogil:
    """Whether who has entered before may not now (D9); refusals are counted and logged."""
    if m.p.policy == POLICY_ONCE:
        note_outcome(m, person, node, OUT_REFUSED_ONCE, identity)
        return 1
    if m.p.policy == POLICY_AFTER_EXIT and admission.active > 0:
        note_outcome(m, person, node, OUT_REFUSED_INSIDE, identity)
        return 1
    if m.p.gap_ms >= 0 and admission.last_ms > person.now_ms - m.p.gap_ms:
        note_outcome(m, person, node, OUT_REFUSED_GAP, identity)
        return 1
    return 0


cdef inline void enter_crowd(MachineC* m, PersonC* person, int32_t node) noexcept nogil:
    """Begin an entry beside others, with what the customer's record says of it."""
    cdef DetailC* detail = detail_of(m, person)
    cdef int32_t entry = entry_make(m, person), t
    if entry < 0:
        return
    t = token_make(m, detail, entry, node, TOKEN_WOKEN)
    if t >= 0:
        ready_push(m, detail, t)


cdef inline uint64_t identity_of(
    MachineC* m, const PersonC* person, int32_t kind, int64_t row, uint64_t hash
) noexcept nogil:
    """The identity of an entry that begins now (D11); 0 where nobody asks."""
    if not m.p.named:
        return 0
    if kind == TRIGGER_SEGMENT:
        return hash_named(b"segment", 7, <uint64_t>person.now_ms)
    if kind == TRIGGER_SCHEDULE:
        return hash_named(b"schedule", 8, <uint64_t>person.now_ms)
    return hash_named(b"event", 5, m.p.row_hash[row] if row >= 0 else hash)


cdef inline void hold_out(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row
) noexcept nogil:
    """Keep a customer out, and watch him for the goal like those who entered (D49)."""
    if person.state == TOKEN_FREE:
        person.state = TOKEN_GONE
    note_outcome(m, person, node, OUT_REFUSED_HOLDOUT, identity)
    if m.p.goal >= 0:
        open_watch(m, person, m.p.goal, m.p.watches[m.p.goal].counter0 + 1, row)


cdef inline bint admitted(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row, int32_t* number
) noexcept nogil:
    """Whether the customer may enter now (D9), and by which record, which notes that he has."""
    cdef DetailC* detail = detail_of(m, person)
    cdef AdmissionC* admission = &detail.admission
    number[0] = NO_ADMISSION
    if person.state == TOKEN_FREE and not m.p.detailed:
        detail[0] = m.s.blank
    if rarely(m.p.key_property >= 0):
        admission = key_admission(m, person, node, identity, row, number)
        if admission == NULL:
            return 0
    if admission.last_ms != INT64_MIN and refused(m, person, admission, node, identity):
        return 0
    admission.last_ms = person.now_ms
    if rarely(m.p.holdout_points) and kept_out(m, person):
        hold_out(m, person, node, identity, row)
        return 0
    admission.active += 1
    return 1


cdef inline bint begin_admitted(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row, int32_t admission
) noexcept nogil:
    """Begin an entry, with all that may be asked of it; 0 without memory."""
    cdef DetailC* detail = detail_of(m, person)
    if person.state > TOKEN_GONE and not person.crowd and not spill(m, person):
        return 0
    m.t.people += detail.entries == 0
    person.start_ms = person.now_ms
    person.entry_row = row
    hash_of(m, person)[0] = identity
    detail.entry_number = detail.entries
    detail.entry_admission = admission
    detail.entries += 1
    if person.crowd:
        enter_crowd(m, person, node)
    else:
        detail.entry_visits = at(m, person)
        if m.p.n_slots:
            memset(visits_at(m, detail.entry_visits), 0, 4 * <size_t>m.p.n_slots)
        person.node = node
        person.state = TOKEN_WOKEN
    if m.p.goal >= 0:
        open_watch(m, person, m.p.goal, m.p.watches[m.p.goal].counter0, row)
    return 1


cdef inline bint begin_entry(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row
) noexcept nogil:
    """Begin an entry if the customer may."""
    cdef int32_t admission
    if not admitted(m, person, node, identity, row, &admission):
        return 0
    return begin_admitted(m, person, node, identity, row, admission)


cdef inline bint begin_plainly(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row
) noexcept nogil:
    """The same where nothing asks for details: everybody enters once, and has one token."""
    if person.state != TOKEN_FREE:
        note_outcome(m, person, node, OUT_REFUSED_ONCE, identity)
        return 0
    if m.p.named:
        hash_of(m, person)[0] = identity
    person.start_ms = person.now_ms
    person.entry_row = row
    person.node = node
    person.state = TOKEN_WOKEN
    return 1


cdef inline void enter_all(
    MachineC* m, const TriggerC* trigger, PersonC** items, int32_t n, int64_t modelled_row,
    uint64_t hash,
) noexcept nogil:
    """Begin an entry for each customer who may, and count them.

    `modelled_row` and `hash` are those of the event that triggers it, NO_ROW where that is each
    customer's latest recorded one, or where no event does.
    """
    cdef int32_t node = trigger.node, k, entered = 0
    cdef int64_t now, row = modelled_row, from_ms = m.p.from_ms
    cdef int64_t entry_from_ms = m.p.entry_from_ms, entry_until_ms = m.p.entry_until_ms
    cdef int64_t* by_hour = m.t.entries_by_hour
    cdef bint event = trigger.kind == TRIGGER_EVENT, plain = m.p.plain, begun
    cdef PersonC** sorted = m.w.sorted
    cdef PersonC* person
    cdef uint64_t identity
    for k in range(n):
        person = items[k]
        now = person.now_ms
        if event:
            if modelled_row == NO_ROW:
                row = person.row - 1
            if not filter_passes(m, trigger.cond, at(m, person), row, row, now):
                continue
        if now < entry_from_ms or now >= entry_until_ms:
            continue
        identity = identity_of(m, person, trigger.kind, row, hash)
        if plain:
            begun = begin_plainly(m, person, node, identity, row)
        elif rarely(m.k.gate >= 0):
            begun = line_up(m, person, node, identity, row)
        else:
            begun = begin_entry(m, person, node, identity, row)
        if not begun:
            continue
        by_hour[hour_of(now, from_ms)] += 1
        sorted[entered] = person
        entered += 1
    m.t.people += entered * plain
    if is_modelled(m, row):
        m.t.modelled_entries[node] += entered
    count_arrivals(m, node, sorted, entered)
