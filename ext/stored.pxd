"""Declare the stored machine and the tables of its arrays."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from ext.machine cimport Machine


cdef enum:
    BLOCK_BITS = 10


# An array with an element for each customer.
cdef struct FieldC:
    void** at
    size_t item
    uint8_t fill  # the byte that a new element consists of
    uint8_t saved  # whether a snapshot needs it


# An array with an element for each row.
cdef struct ArenaC:
    void** at
    size_t item


cdef class StoredMachine(Machine):
    cdef FieldC* fields
    cdef ArenaC* arenas
    cdef int64_t* row_end
    cdef uint8_t* dirty  # by block of customers: whether it changed since the last snapshot
    cdef uint8_t* owed  # whether a snapshot under way has yet to take it
    cdef object owing
    cdef list kept
    cdef const int64_t* absent  # by column, as `write_cell` takes it
    cdef dict saved
    cdef int64_t rows_used
    cdef int64_t rows_size
    cdef size_t blocks_size
    cdef int32_t n_fields
    cdef int32_t n_arenas
    cdef bint retains

    cdef void field(self, void** at, size_t item, uint8_t fill, bint saved) except *
    cdef void arena(self, int32_t i, void** at, size_t item) noexcept
    cdef void _make_fields(self) except *
    cdef void _make_absent(self, bound) except *
    cdef void* hold_for_good(self, array) except? NULL
    cdef void _alias(self) noexcept
    cdef void _renew(self, int32_t c, int64_t at_ms) noexcept
    cdef void _make_rows(self) except *
    cdef void _rows_room(self, int64_t rows) except *
    cdef void* _longer(self, void* data, size_t used, size_t size) except NULL
    cdef void _grow(self, FieldC* f, int64_t size) except *
    cdef void _put(self, void* data, int64_t first, values, dtype, int64_t k) except *
    cdef void _fill_fields(self, int64_t first, int64_t k) noexcept
    cdef object dtype_of(self, int32_t store)
    cdef void _keep(self, int64_t b) except *
    cdef size_t _block_bytes(self) noexcept
    cdef object _block(self, int64_t b)
    cdef void _copy_block(self, int64_t b, uint8_t* data, bint out) noexcept
    cdef object _bytes(self, const void* data, size_t size)
    cdef void _load(self, void** at, array, size_t size) except *
    cdef void _fill(self, void* at, array, size_t size) except *
    cdef void _load_delays(self, rows) except *
