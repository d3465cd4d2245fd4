"""Declare the machine for other compiled modules."""

from libc.stdint cimport int32_t, int64_t

from ext.calendar cimport CalendarC
from ext.structs cimport MachineC, PersonC


cdef class Machine:
    cdef MachineC m
    cdef CalendarC calendar
    cdef object bound
    cdef object counters
    cdef list held
    cdef list grants
    cdef list copies
    cdef list columns
    cdef int32_t lanes
    cdef int32_t block_max
    cdef bint begun
    cdef PersonC** buffers
    cdef int32_t* queue
    cdef int32_t stop_flag

    cdef void* hold(self, array, dtype) except? NULL
    cdef void* lines(self, size_t items, size_t size) except NULL
    cdef void* room(self, size_t items, size_t size) except NULL
    cdef void bind_grants(self, grants) except *
    cdef bint asks_names(self, bound) except -1
    cdef void begin(self, int64_t n) noexcept nogil
    cdef void census(self) noexcept nogil
