"""Order the timers of a crowd and pending events by pairing heaps laid into arrays.

One heap for each customer. Fredman, Sedgewick, Sleator and Tarjan 1986: insert and merge in
constant time, removal in O(log n) amortised. A heap of one is its root and nothing else. Ties go by
the smaller `tie`, so the order is total.
"""

from libc.stdint cimport int32_t, int64_t

from ext.structs cimport HeapC


cdef inline bint heap_before(const HeapC* h, int32_t a, int32_t b) noexcept nogil:
    if h[a].key != h[b].key:
        return h[a].key < h[b].key
    return h[a].tie < h[b].tie


cdef inline int32_t heap_merge(HeapC* h, int32_t a, int32_t b) noexcept nogil:
    """Merge two roots (-1 for empty); the result is a root."""
    cdef int32_t swap
    if a < 0:
        return b
    if b < 0:
        return a
    if heap_before(h, b, a):
        swap = a
        a = b
        b = swap
    h[b].next = h[a].child
    if h[a].child >= 0:
        h[h[a].child].prev = b
    h[b].prev = a
    h[a].child = b
    return a


cdef inline int32_t heap_push(HeapC* h, int32_t root, int32_t i) noexcept nogil:
    h[i].child = -1
    h[i].next = -1
    h[i].prev = -1
    root = heap_merge(h, root, i)
    h[root].prev = -1
    h[root].next = -1
    return root


cdef inline int32_t heap_pair(HeapC* h, int32_t first) noexcept nogil:
    """Merge a list of siblings in pairs from the left, then all from the right.

    The result is a root.
    """
    cdef int32_t a, b, rest, done = -1, root
    while first >= 0:
        a = first
        b = h[a].next
        if b < 0:
            first = -1
        else:
            first = h[b].next
            h[b].next = -1
        h[a].next = -1
        a = heap_merge(h, a, b)
        h[a].next = done
        done = a
    root = -1
    while done >= 0:
        rest = h[done].next
        h[done].next = -1
        root = heap_merge(h, root, done)
        done = rest
    if root >= 0:
        h[root].prev = -1
        h[root].next = -1
    return root


cdef inline int32_t heap_remove(HeapC* h, int32_t root, int32_t i) noexcept nogil:
    """Take `i` out of the heap; return the new root, -1 if none is left."""
    cdef int32_t before, sub
    if i == root:
        root = heap_pair(h, h[i].child)
    else:
        before = h[i].prev
        if h[before].child == i:
            h[before].child = h[i].next
        else:
            h[before].next = h[i].next
        if h[i].next >= 0:
            h[h[i].next].prev = before
        sub = heap_pair(h, h[i].child)
        root = heap_merge(h, root, sub)
        h[root].prev = -1
        h[root].next = -1
    h[i].child = -1
    h[i].next = -1
    h[i].prev = -2
    return root
