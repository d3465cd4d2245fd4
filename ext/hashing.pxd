"""XXH64 for other compiled modules: inline, without the GIL.

Bytes are assembled by shifts, so the result is the same on any byte order; compilers turn that
into one load.
Source: xxHash's doc/xxhash_spec.md, "XXH64 Algorithm Description".
"""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #define HEADRACE_XXH_PRIME_1 0x9E3779B185EBCA87ULL
    #define HEADRACE_XXH_PRIME_2 0xC2B2AE3D27D4EB4FULL
    #define HEADRACE_XXH_PRIME_3 0x165667B19E3779F9ULL
    #define HEADRACE_XXH_PRIME_4 0x85EBCA77C2B2AE63ULL
    #define HEADRACE_XXH_PRIME_5 0x27D4EB2F165667C5ULL
    """
    const uint64_t XXH_PRIME_1 "HEADRACE_XXH_PRIME_1"
    const uint64_t XXH_PRIME_2 "HEADRACE_XXH_PRIME_2"
    const uint64_t XXH_PRIME_3 "HEADRACE_XXH_PRIME_3"
    const uint64_t XXH_PRIME_4 "HEADRACE_XXH_PRIME_4"
    const uint64_t XXH_PRIME_5 "HEADRACE_XXH_PRIME_5"


cdef inline uint64_t xxh_rotate(uint64_t x, int bits) noexcept nogil:
    return (x << bits) | (x >> (64 - bits))


cdef inline uint64_t xxh_read32(const unsigned char* p) noexcept nogil:
    return (
        <uint64_t>p[0] | (<uint64_t>p[1] << 8) | (<uint64_t>p[2] << 16) | (<uint64_t>p[3] << 24)
    )


cdef inline uint64_t xxh_read64(const unsigned char* p) noexcept nogil:
    return (
        <uint64_t>p[0] | (<uint64_t>p[1] << 8) | (<uint64_t>p[2] << 16) | (<uint64_t>p[3] << 24)
        | (<uint64_t>p[4] << 32) | (<uint64_t>p[5] << 40)
        | (<uint64_t>p[6] << 48) | (<uint64_t>p[7] << 56)
    )


cdef inline uint64_t xxh_round(uint64_t lane, uint64_t word) noexcept nogil:
    return xxh_rotate(lane + word * XXH_PRIME_2, 31) * XXH_PRIME_1


cdef inline uint64_t xxh_merge(uint64_t acc, uint64_t lane) noexcept nogil:
    return (acc ^ xxh_round(0, lane)) * XXH_PRIME_1 + XXH_PRIME_4


cdef inline uint64_t xxh64(const unsigned char* data, Py_ssize_t size) noexcept nogil:
    """XXH64 with seed 0 of `size` bytes at `data`; `data` is not read when size is 0."""
    cdef const unsigned char* p = data
    cdef Py_ssize_t left = size
    cdef uint64_t acc, lane1, lane2, lane3, lane4
    if left >= 32:
        lane1 = XXH_PRIME_1 + XXH_PRIME_2
        lane2 = XXH_PRIME_2
        lane3 = 0
        lane4 = <uint64_t>0 - XXH_PRIME_1
        while left >= 32:
            lane1 = xxh_round(lane1, xxh_read64(p))
            lane2 = xxh_round(lane2, xxh_read64(p + 8))
            lane3 = xxh_round(lane3, xxh_read64(p + 16))
            lane4 = xxh_round(lane4, xxh_read64(p + 24))
            p += 32
            left -= 32
        acc = (
            xxh_rotate(lane1, 1) + xxh_rotate(lane2, 7)
            + xxh_rotate(lane3, 12) + xxh_rotate(lane4, 18)
        )
        acc = xxh_merge(acc, lane1)
        acc = xxh_merge(acc, lane2)
        acc = xxh_merge(acc, lane3)
        acc = xxh_merge(acc, lane4)
    else:
        acc = XXH_PRIME_5
    acc += <uint64_t>size
    while left >= 8:
        acc = xxh_rotate(acc ^ xxh_round(0, xxh_read64(p)), 27) * XXH_PRIME_1 + XXH_PRIME_4
        p += 8
        left -= 8
    if left >= 4:
        acc = xxh_rotate(acc ^ (xxh_read32(p) * XXH_PRIME_1), 23) * XXH_PRIME_2 + XXH_PRIME_3
        p += 4
        left -= 4
    while left > 0:
        acc = xxh_rotate(acc ^ (<uint64_t>p[0] * XXH_PRIME_5), 11) * XXH_PRIME_1
        p += 1
        left -= 1
    acc = (acc ^ (acc >> 33)) * XXH_PRIME_2
    acc = (acc ^ (acc >> 29)) * XXH_PRIME_3
    return acc ^ (acc >> 32)
