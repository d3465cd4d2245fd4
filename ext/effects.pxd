"""Note what a live flow asks of the world, and what it does to customers' records."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from ext.slabs cimport change_room, effect_room
from ext.structs cimport *
from ext.tokens cimport at, detail_of, hash_of


cdef inline void ask(MachineC* m, const PersonC* person, int32_t i, uint32_t visit) noexcept nogil:
    """Ask the world to send the message of node `i`."""
    cdef EffectC* effect = effect_room(m)
    if effect == NULL:
        return
    effect.customer = <uint32_t>at(m, person)
    effect.node = i
    effect.time_ms = person.now_ms
    effect.entry = hash_of(m, person)[0]
    effect.id_hash = m.p.id_hash[at(m, person)]
    effect.visit = visit
    effect.number = 0 if m.p.plain else detail_of(m, person).entry_number
    effect.row = person.entry_row


cdef inline void tell(
    MachineC* m, const PersonC* person, int32_t column, int64_t value
) noexcept nogil:
    """Tell of a change of the customer's record, for his other flows."""
    cdef ChangeC* change = change_room(m)
    if change == NULL:
        return
    change.customer = <uint32_t>at(m, person)
    change.column = column
    change.time_ms = person.now_ms
    change.value = value
