"""Declare what the loops call where customers depend on each other."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from ext.claims cimport *
from ext.structs cimport *


cdef void write_claim(
    MachineC* m, const PersonC* person, int32_t kind, int32_t resource, int32_t branch,
    int64_t start_ms,
) noexcept nogil
cdef void claim_all(MachineC* m, int32_t i, PersonC** items, int32_t n) noexcept nogil
cdef void visit_trial(
    MachineC* m, int32_t i, int32_t* ports, PersonC** items, int32_t n
) noexcept nogil
cdef bint line_up(
    MachineC* m, PersonC* person, int32_t node, uint64_t identity, int64_t row
) noexcept nogil
cdef void let_in(MachineC* m, PersonC* person) noexcept nogil
cdef bint answer_claim(
    MachineC* m, PersonC* person, uint32_t number, int64_t time_ms, int32_t result
) noexcept nogil
cdef void answer_token(
    MachineC* m, PersonC* person, int32_t t, int64_t time_ms, int32_t result
) noexcept nogil
cdef void leave_lines(MachineC* m, const uint8_t* gone) noexcept nogil
cdef void count_in_line(MachineC* m, int32_t i, int64_t horizon_ms) noexcept nogil
cdef void count_on(MachineC* m, PersonC* person) noexcept nogil
