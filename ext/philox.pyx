"""Draw chance in bulk: Philox4x32-10 over arrays of customers and slots.

The compiled twin of core/philox.py; the generator itself is in philox.pxd so that the interpreter
inlines it.
"""

import numpy as np

from libc.stdint cimport uint32_t, uint64_t


cdef void _draw_many(
    uint64_t key, const uint64_t* customers, const uint64_t* slots, Py_ssize_t count, uint64_t* out
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        out[i] = draw64(key, customers[i], slots[i])


cdef void _slot_many(
    const uint64_t* entries, const uint64_t* visits, Py_ssize_t count, uint64_t* out
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        out[i] = slot_of(entries[i], visits[i])


cdef void _scale_many(
    const uint64_t* draws, uint64_t total, Py_ssize_t count, uint64_t* out
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        out[i] = scale(draws[i], total)


def philox4x32(counter, key):
    """Return the block (four u32) of Philox4x32-10 for a counter of four u32 and a key of two."""
    cdef uint32_t[4] block
    block[0], block[1], block[2], block[3] = counter
    cdef uint32_t key0, key1
    key0, key1 = key
    philox_block(block, key0, key1)
    return block[0], block[1], block[2], block[3]


def draw_many(uint64_t key, const uint64_t[::1] customers, const uint64_t[::1] slots):
    """Return uint64[n]: the draws of one u64 key over uint64[n] customers and slots.

    Raises ValueError when the lengths differ.
    """
    cdef Py_ssize_t count = customers.shape[0]
    if slots.shape[0] != count:
        raise ValueError(
            f"customers and slots must be equally long, not {count} and {slots.shape[0]}"
        )
    result = np.empty(count, dtype=np.uint64)
    cdef uint64_t[::1] out = result
    if count:
        with nogil:
            _draw_many(key, &customers[0], &slots[0], count, &out[0])
    return result


def slot_many(const uint64_t[::1] entries, const uint64_t[::1] visits):
    """Return uint64[n]: the slots of uint64[n] entry hashes and visit numbers.

    Raises ValueError when the lengths differ.
    """
    cdef Py_ssize_t count = entries.shape[0]
    if visits.shape[0] != count:
        raise ValueError(
            f"entries and visits must be equally long, not {count} and {visits.shape[0]}"
        )
    result = np.empty(count, dtype=np.uint64)
    cdef uint64_t[::1] out = result
    if count:
        with nogil:
            _slot_many(&entries[0], &visits[0], count, &out[0])
    return result


def scale_many(const uint64_t[::1] draws, uint64_t total):
    """Return uint64[n]: floor(draws * total / 2**64), each in [0, total)."""
    cdef Py_ssize_t count = draws.shape[0]
    result = np.empty(count, dtype=np.uint64)
    cdef uint64_t[::1] out = result
    if count:
        with nogil:
            _scale_many(&draws[0], total, count, &out[0])
    return result
