"""Draw what customers do after a message, by a response model (D34 to D36)."""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint32_t, uint64_t

from ext.heap cimport heap_push
from ext.philox cimport draw64, scale, slot_of
from ext.predicates cimport decide
from ext.slabs cimport *
from ext.structs cimport *
from ext.tokens cimport at, detail_of, find_other, hash_of

cdef extern from *:
    """
    static inline int64_t headrace_interpolate(int64_t low, int64_t high, uint64_t place) {
        return low + (int64_t)(((__int128)(high - low) * (__int128)place) >> 32);
    }
    """
    int64_t interpolate "headrace_interpolate"(
        int64_t low, int64_t high, uint64_t place
    ) noexcept nogil

cdef enum:
    CELLS = 4096
    DRAWS_MAX = 128
    PROBABILITY_TOTAL = 1000000000


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
    MachineC* m, PersonC* person, int32_t node, int32_t send, uint32_t visit
) noexcept nogil:
    """Draw what follows a message, by the first rule that fits (D34)."""
    cdef DetailC* detail = detail_of(m, person)
    cdef const RuleC* rule = NULL
    cdef const DrawC* draw
    cdef int64_t[DRAWS_MAX] times
    cdef int32_t i, k, c = at(m, person)
    cdef uint64_t customer = m.p.id_hash[m.s.lo + c], slot = slot_of(m.s.hashes[c], visit)
    cdef int64_t before
    for i in range(m.p.sends[send], m.p.sends[send + 1]):
        if decide(m, m.p.rules[i].cond, c, NO_ROW, person.entry_row, person.now_ms):
            rule = &m.p.rules[i]
            break
    if rule == NULL:
        return
    for i in range(rule.draws):
        draw = &m.p.draws[rule.draw0 + i]
        before = person.now_ms if draw.parent < 0 else times[draw.parent]
        times[i] = INT64_MIN
        if before == INT64_MIN:
            continue
        if <int64_t>scale(draw64(draw.key, customer, slot), PROBABILITY_TOTAL) >= draw.probability:
            continue
        times[i] = before + delay_of(m, draw.table, draw64(draw.delay_key, customer, slot))
        if times[i] >= m.p.horizon_ms:
            continue
        m.t.modelled[draw.outcome] += 1
        if draw.event < 0:
            continue
        k = pending_new(m)
        if k < 0:
            return
        m.s.pending[k].entry_hash = hash_of(m, person)[0]
        m.s.pending[k].entry_number = detail.entry_number
        m.s.pending[k].visit = visit
        m.s.pending[k].node = node
        m.s.pending[k].draw = rule.draw0 + i
        m.s.pending_heap[k].key = times[i]
        m.s.pending_heap[k].tie = detail.pending_count
        detail.pending_count += 1
        detail.pending = heap_push(m.s.pending_heap, detail.pending, k)
    find_other(m, person)
