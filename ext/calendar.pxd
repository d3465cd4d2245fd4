"""Keep customers by the time of their next work, so that a later call touches no others.

A hierarchical timing wheel (Varghese and Lauck 1987): four wheels of 256 buckets, each bucket of a
wheel as wide as the whole wheel below it, each a list threaded through arrays. A customer stands in
it at most once, and only between two calls of `apply`; he moves to a finer wheel at most three
times, unless his work is further ahead than the widest one reaches (two years).
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t

cdef extern from *:
    """
    #define HEADRACE_HIGHEST(x) (63 - __builtin_clzll((unsigned long long)(x)))
    """
    int highest_bit "HEADRACE_HIGHEST"(uint64_t x) noexcept nogil

cdef enum:
    WHEELS = 4
    WHEEL_BITS = 8
    BUCKETS = 1024  # of all wheels
    TICK_BITS = 4  # a bucket of the finest wheel is 16 ms wide
    OUTSIDE = -2  # the `prev` of a customer who is not in the calendar


cdef struct CalendarC:
    int64_t now_ms  # everybody in it is due then or later
    int32_t* heads  # by bucket, the finest wheel first
    int32_t* next  # by customer, as are the next two
    int32_t* prev  # -3 - bucket for the first of its list, OUTSIDE for who is in none
    int64_t* due_ms


cdef inline int32_t bucket_of(const CalendarC* q, int64_t due_ms) noexcept nogil:
    cdef uint64_t tick = <uint64_t>(due_ms >> TICK_BITS)
    cdef uint64_t differs = tick ^ <uint64_t>(q.now_ms >> TICK_BITS)
    cdef int32_t wheel = highest_bit(differs | 1) // WHEEL_BITS
    if wheel >= WHEELS:
        wheel = WHEELS - 1
    return (wheel << WHEEL_BITS) + <int32_t>((tick >> (wheel * WHEEL_BITS)) & 255)


cdef inline void calendar_put(CalendarC* q, int32_t c, int64_t due_ms) noexcept nogil:
    """Put a customer in who is not in it; who is late already is due at once."""
    cdef int32_t b = bucket_of(q, max(due_ms, q.now_ms)), first = q.heads[b]
    q.due_ms[c] = due_ms
    q.next[c] = first
    q.prev[c] = -3 - b
    if first >= 0:
        q.prev[first] = c
    q.heads[b] = c


cdef inline void calendar_remove(CalendarC* q, int32_t c) noexcept nogil:
    """Take a customer out, if he is in it."""
    cdef int32_t before = q.prev[c], after = q.next[c]
    if before == OUTSIDE:
        return
    if before >= 0:
        q.next[before] = after
    else:
        q.heads[-3 - before] = after
    if after >= 0:
        q.prev[after] = before
    q.prev[c] = OUTSIDE


cdef inline int32_t calendar_take(
    CalendarC* q, int64_t until_ms, int32_t first, int32_t last, int32_t* out
) noexcept nogil:
    """Take those of the customers [first, last) into `out` who are due before `until_ms`.

    Returns how many. The others are put where they belong at `until_ms`.
    """
    cdef int64_t tick, begin, end
    cdef int32_t wheel, n = 0, b, c, following
    cdef int64_t before_ms = q.now_ms
    q.now_ms = max(before_ms, until_ms)
    for wheel in range(WHEELS):
        begin = before_ms >> (TICK_BITS + wheel * WHEEL_BITS)
        end = q.now_ms >> (TICK_BITS + wheel * WHEEL_BITS)
        if end - begin > 255:
            begin = end - 255
        for tick in range(begin, end + 1):
            b = (wheel << WHEEL_BITS) + <int32_t>(tick & 255)
            c = q.heads[b]
            q.heads[b] = -1
            while c >= 0:
                following = q.next[c]
                if q.due_ms[c] < until_ms and first <= c < last:
                    q.prev[c] = OUTSIDE
                    out[n] = c
                    n += 1
                else:
                    calendar_put(q, c, q.due_ms[c])
                c = following
    return n


cdef inline int64_t calendar_next(const CalendarC* q) noexcept nogil:
    """The earliest time anybody is due, INT64_MAX for nobody.

    Everybody in a wheel is due before everybody in a wider one, and buckets follow each other from
    that of the present on; only the widest may hold somebody a round later.
    """
    cdef int64_t best = INT64_MAX
    cdef int32_t wheel, k, c, at
    for wheel in range(WHEELS):
        at = <int32_t>((q.now_ms >> (TICK_BITS + wheel * WHEEL_BITS)) & 255)
        for k in range(256):
            c = q.heads[(wheel << WHEEL_BITS) + ((at + k) & 255)]
            if c < 0:
                continue
            while c >= 0:
                best = min(best, q.due_ms[c])
                c = q.next[c]
            if wheel < WHEELS - 1:
                return best
    return best


cdef inline int64_t calendar_due(
    const CalendarC* q, int64_t until_ms, int64_t enough
) noexcept nogil:
    """How many are due before `until_ms`, counted up to `enough`."""
    cdef int64_t tick, begin, end, n = 0
    cdef int32_t wheel, c
    for wheel in range(WHEELS):
        begin = q.now_ms >> (TICK_BITS + wheel * WHEEL_BITS)
        end = max(q.now_ms, until_ms) >> (TICK_BITS + wheel * WHEEL_BITS)
        if end - begin > 255:
            begin = end - 255
        for tick in range(begin, end + 1):
            c = q.heads[(wheel << WHEEL_BITS) + <int32_t>(tick & 255)]
            while c >= 0 and n < enough:
                n += q.due_ms[c] < until_ms
                c = q.next[c]
    return n
