"""Let tests reach the inline queues of ext: the pairing heap and the timing wheel.

Compiled by the test that uses it, so that no wheel carries it.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from ext.calendar cimport (
    BUCKETS, OUTSIDE, CalendarC, calendar_due, calendar_next, calendar_put, calendar_remove,
    calendar_take,
)
from ext.heap cimport heap_push, heap_remove
from ext.structs cimport HeapC


cdef class Heap:
    """A pairing heap over the items 0 to n - 1."""

    cdef HeapC* nodes
    cdef int32_t root

    def __cinit__(self, int n):
        self.nodes = <HeapC*>calloc(n, sizeof(HeapC))
        self.root = -1

    def __dealloc__(self):
        free(self.nodes)

    def push(self, int item, int64_t key, uint64_t tie):
        """Put an item in; return the least, by key and then by tie."""
        self.nodes[item].key = key
        self.nodes[item].tie = tie
        self.root = heap_push(self.nodes, self.root, item)
        return self.root

    def remove(self, int item):
        """Take any item out; return the least of the others, -1 for none."""
        self.root = heap_remove(self.nodes, self.root, item)
        return self.root

    def inside(self, int item):
        """Whether the item's links say that it is in a heap."""
        return self.nodes[item].prev != -2


cdef class Calendar:
    """A timing wheel over the customers 0 to n - 1."""

    cdef CalendarC queue
    cdef int32_t* out

    def __cinit__(self, int n, int64_t now_ms):
        cdef int i
        self.queue.now_ms = now_ms
        self.queue.heads = <int32_t*>calloc(BUCKETS, sizeof(int32_t))
        self.queue.next = <int32_t*>calloc(n, sizeof(int32_t))
        self.queue.prev = <int32_t*>calloc(n, sizeof(int32_t))
        self.queue.due_ms = <int64_t*>calloc(n, sizeof(int64_t))
        self.out = <int32_t*>calloc(n, sizeof(int32_t))
        for i in range(BUCKETS):
            self.queue.heads[i] = -1
        for i in range(n):
            self.queue.prev[i] = OUTSIDE

    def __dealloc__(self):
        free(self.queue.heads)
        free(self.queue.next)
        free(self.queue.prev)
        free(self.queue.due_ms)
        free(self.out)

    def put(self, int customer, int64_t due_ms):
        """Put a customer in, who must not be inside."""
        calendar_put(&self.queue, customer, due_ms)

    def remove(self, int customer):
        """Take a customer out, who may be outside."""
        calendar_remove(&self.queue, customer)

    def take(self, int64_t until_ms, int first, int last):
        """Take out those of [first, last) who are due before a time."""
        cdef int n = calendar_take(&self.queue, until_ms, first, last, self.out), i
        return [self.out[i] for i in range(n)]

    def next(self):
        """The earliest time anybody is due; 2**63 - 1 for nobody."""
        return calendar_next(&self.queue)

    def due(self, int64_t until_ms, int64_t enough):
        """How many are due before a time, counted up to `enough`."""
        return calendar_due(&self.queue, until_ms, enough)
