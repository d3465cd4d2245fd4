"""Number 64-bit keys in open addressing, and remember 128-bit fingerprints for a while.

Both tables probe linearly. A table's size is a power of two; where a key begins is taken from the
top bits of its product with 2**64 over the golden ratio (Knuth, The Art of Computer Programming,
volume 3, section 6.4), because the keys of one partition share their own top bits.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #define HEADRACE_GOLDEN 0x9E3779B97F4A7C15ULL
    #define HEADRACE_PREFETCH(p) __builtin_prefetch(p)
    """
    const uint64_t GOLDEN "HEADRACE_GOLDEN"
    void prefetch "HEADRACE_PREFETCH"(const void* p) noexcept nogil


# A slot of IdMap: a key and the number above its own, 0 where the slot is free.
ctypedef struct KeySlotC:
    uint64_t key
    int32_t above
    int32_t pad


# A slot of FingerprintSet: the place in the ring, -1 where the slot is free, and a part of the key.
ctypedef struct PrintSlotC:
    int32_t place
    uint32_t tag


ctypedef struct PrintC:
    uint64_t low
    uint64_t high


cdef inline uint64_t home_of(uint64_t key, int shift) noexcept nogil:
    return (key * GOLDEN) >> shift


cdef class IdMap:
    cdef KeySlotC* _slots
    cdef int _bits
    cdef KeySlotC* _old  # the table before, while keys are being moved
    cdef int _old_bits
    cdef Py_ssize_t _moved  # slots of it before this one are in `_slots` too
    cdef uint64_t[::1] _keys
    cdef Py_ssize_t _count

    cdef int _reserve(self, Py_ssize_t count) except -1
    cdef void _move(self, Py_ssize_t slots) noexcept nogil
    cdef int32_t _number(self, uint64_t key) noexcept nogil


cdef class FingerprintSet:
    cdef PrintSlotC* _slots
    cdef PrintC* _ring
    cdef int _slot_bits
    cdef int _ring_bits
    cdef uint64_t _head  # of the oldest, counted since the beginning; the place is its low bits
    cdef uint64_t _tail
    cdef readonly int64_t horizon_ms
    cdef readonly int64_t maximum
    cdef object _runs  # entries by time, oldest first: [ms, rows]

    cdef int _reserve(self, uint64_t count) except -1
    cdef uint64_t _first_alive(self, int64_t ms) except? 0
    cdef int _forget(self, uint64_t head) except -1
    cdef int _append(self, const uint64_t[:, ::1] prints, int64_t run_ms) except -1
