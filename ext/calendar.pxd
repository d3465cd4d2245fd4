"""Keep customers by the time of their next work, so that a later call touches no others.

A calendar queue (Brown 1988): buckets of equal width over the run's span, each a list threaded
through one array. A customer stands in it at most once, and only between two calls of `apply`.
"""

from libc.stdint cimport int32_t, int64_t


cdef struct CalendarC:
    int64_t begin_ms
    int64_t width_ms
    int32_t buckets
    int32_t at  # the first bucket that may hold anybody
    int32_t* heads
    int32_t* next  # by customer
    int64_t* due_ms  # by customer


cdef inline int32_t bucket_of(const CalendarC* q, int64_t ms) noexcept nogil:
    cdef int64_t b
    if ms <= q.begin_ms:
        return 0
    b = (ms - q.begin_ms) // q.width_ms
    return <int32_t>b if b < q.buckets else q.buckets - 1


cdef inline void calendar_put(CalendarC* q, int32_t c, int64_t due_ms) noexcept nogil:
    cdef int32_t b = bucket_of(q, due_ms)
    q.due_ms[c] = due_ms
    q.next[c] = q.heads[b]
    q.heads[b] = c
    if b < q.at:
        q.at = b


cdef inline int32_t calendar_take(CalendarC* q, int64_t until_ms, int32_t* out) noexcept nogil:
    """Take everybody due before `until_ms` into `out`; return how many."""
    cdef int32_t last = bucket_of(q, until_ms - 1), n = 0, b, c, following, kept
    for b in range(q.at, last + 1):
        c = q.heads[b]
        kept = -1
        while c >= 0:
            following = q.next[c]
            if q.due_ms[c] < until_ms:
                out[n] = c
                n += 1
            else:
                q.next[c] = kept
                kept = c
            c = following
        q.heads[b] = kept
    q.at = last
    return n
