"""Philox4x32-10 for other compiled modules: inline, without the GIL.

The rules, constants and source are those of core/philox.py.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    static inline uint64_t headrace_multiply_high(uint64_t a, uint64_t b) {
        return (uint64_t)(((unsigned __int128)a * b) >> 64);
    }
    #define HEADRACE_VISIT_STEP 0x9E3779B97F4A7C15ULL
    """
    uint64_t multiply_high "headrace_multiply_high"(uint64_t a, uint64_t b) noexcept nogil
    const uint64_t VISIT_STEP "HEADRACE_VISIT_STEP"


cdef inline void philox_block(uint32_t* block, uint32_t key0, uint32_t key1) noexcept nogil:
    """Replace the four counter words at `block` by the four words of output."""
    cdef uint64_t product0, product1
    cdef uint32_t c0 = block[0], c1 = block[1], c2 = block[2], c3 = block[3]
    cdef int i
    for i in range(10):
        product0 = <uint64_t>0xD2511F53U * c0
        product1 = <uint64_t>0xCD9E8D57U * c2
        c0 = <uint32_t>(product1 >> 32) ^ c1 ^ key0
        c1 = <uint32_t>product1
        c2 = <uint32_t>(product0 >> 32) ^ c3 ^ key1
        c3 = <uint32_t>product0
        key0 = key0 + <uint32_t>0x9E3779B9U
        key1 = key1 + <uint32_t>0xBB67AE85U
    block[0] = c0
    block[1] = c1
    block[2] = c2
    block[3] = c3


cdef inline uint64_t draw64(uint64_t key, uint64_t customer, uint64_t slot) noexcept nogil:
    """The draw at an address: the first two words of the block, low word first."""
    cdef uint32_t[4] block
    block[0] = <uint32_t>customer
    block[1] = <uint32_t>(customer >> 32)
    block[2] = <uint32_t>slot
    block[3] = <uint32_t>(slot >> 32)
    philox_block(block, <uint32_t>key, <uint32_t>(key >> 32))
    return <uint64_t>block[0] | (<uint64_t>block[1] << 32)


cdef inline uint64_t slot_of(uint64_t entry_hash, uint64_t visit) noexcept nogil:
    """The slot of the visit-th arrival (1 is the first) within an entry."""
    return entry_hash + visit * VISIT_STEP


cdef inline uint64_t scale(uint64_t u, uint64_t total) noexcept nogil:
    """floor(u * total / 2**64): a draw as an integer in [0, total)."""
    return multiply_high(u, total)
