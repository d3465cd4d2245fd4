"""Hash whole columns with XXH64: strings of an Arrow column, and rows of 64-bit words.

The compiled twin of core/hashing.py; the algorithm itself is in hashing.pxd so that other modules
inline it.
"""

import numpy as np

from libc.stdint cimport int64_t, uint64_t


cdef bint _offsets_fit(const int64_t* offsets, Py_ssize_t count, int64_t size) noexcept nogil:
    cdef Py_ssize_t i
    if offsets[0] < 0 or offsets[count] > size:
        return False
    for i in range(count):
        if offsets[i] > offsets[i + 1]:
            return False
    return True


cdef void _hash_strings(
    const unsigned char* data, const int64_t* offsets, Py_ssize_t count, uint64_t* out
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        out[i] = xxh64(data + offsets[i], offsets[i + 1] - offsets[i])


cdef void _hash_rows(
    const unsigned char* data, Py_ssize_t row_size, Py_ssize_t count, uint64_t* out
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        out[i] = xxh64(data + i * row_size, row_size)


def hash_strings(data, offsets):
    """Return uint64[n]: XXH64 with seed 0 of data[offsets[i]:offsets[i + 1]] for each i.

    `data` is any contiguous bytes-like object; `offsets` is int64[n + 1], ascending, within the
    data; the first need not be 0 (a slice of an Arrow column). Raises ValueError for offsets that
    are empty, descend or leave the data.
    """
    cdef const unsigned char[::1] view = np.frombuffer(data, dtype=np.uint8)
    cdef const int64_t[::1] bounds = offsets
    if bounds.shape[0] == 0:
        raise ValueError("offsets hold one more entry than there are strings, so at least one")
    cdef Py_ssize_t count = bounds.shape[0] - 1
    cdef int64_t size = view.shape[0]
    cdef bint fit
    with nogil:
        fit = _offsets_fit(&bounds[0], count, size)
    if not fit:
        raise ValueError(f"offsets must ascend from 0 or more to at most the data's {size} bytes")
    result = np.empty(count, dtype=np.uint64)
    cdef uint64_t[::1] out = result
    if count:
        with nogil:
            _hash_strings(&view[0], &bounds[0], count, &out[0])
    return result


def hash_words(words):
    """Return uint64[n]: XXH64 with seed 0 of each row of uint64[n, k], words little-endian.

    Raises ValueError when `words` is not a two-dimensional array of uint64.
    """
    if not isinstance(words, np.ndarray) or words.ndim != 2 or words.dtype != np.uint64:
        raise ValueError("words must be a two-dimensional array of uint64")
    cdef Py_ssize_t count = words.shape[0]
    cdef Py_ssize_t row_size = words.shape[1] * 8
    flat = np.ascontiguousarray(words, dtype="<u8").reshape(-1).view(np.uint8)
    cdef const unsigned char[::1] view = flat
    result = np.empty(count, dtype=np.uint64)
    cdef uint64_t[::1] out = result
    if count:
        with nogil:
            _hash_rows(&view[0] if row_size else NULL, row_size, count, &out[0])
    return result
