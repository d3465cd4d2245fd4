"""Declare the machine for other compiled modules."""

from libc.stdint cimport int32_t, int64_t

from ext.calendar cimport CalendarC
from ext.structs cimport MachineC


cdef class Machine:
    cdef MachineC m
    cdef CalendarC calendar
    cdef object bound
    cdef object counters
    cdef list held
    cdef list copies
    cdef list columns
    cdef int32_t lanes
    cdef int32_t block_max
    cdef bint begun
    cdef int32_t* active
    cdef int32_t* order
    cdef int32_t* counts
    cdef int32_t* touched
    cdef int32_t* queue
    cdef int32_t stop_flag

    cdef void* hold(self, array, dtype) except? NULL
    cdef void* room(self, size_t items, size_t size) except NULL
    cdef int run(self, int32_t n, int64_t until_ms) noexcept nogil
    cdef void begin(self, int64_t n) noexcept nogil
    cdef void census(self) noexcept nogil
