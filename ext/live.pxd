"""Declare the live machine."""

from libc.stdint cimport int32_t, int64_t

from ext.stored cimport StoredMachine


cdef class LiveMachine(StoredMachine):
    cdef int32_t fed

    cdef void _run(self, int32_t n, int64_t until_ms) except *
