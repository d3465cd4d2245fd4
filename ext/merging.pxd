"""End the tokens of a customer who turned out to be another: each leaves a record where it stood."""

from libc.stdint cimport int32_t

from ext.structs cimport *
from ext.tokens cimport hash_of, note_outcome


cdef inline void merge_alone(MachineC* m, PersonC* person) noexcept nogil:
    """Note the end of a customer's only token, if there is one that is no claim in line."""
    if person.state >= TOKEN_TIMED and person.state != TOKEN_IN_LINE:
        note_outcome(m, person, person.node, OUT_MERGED, hash_of(m, person)[0])


cdef inline void merge_entry(MachineC* m, PersonC* person, int32_t i) noexcept nogil:
    """Note the end of all tokens of an entry, by fork number."""
    cdef int32_t t = m.s.entries[i].first
    while t >= 0:
        note_outcome(m, person, m.s.tokens[t].node, OUT_MERGED, m.s.entries[i].hash)
        t = m.s.tokens[t].entry_next
