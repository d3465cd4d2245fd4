"""Number customers by the hash of their id, gather ids, and recognise messages that came before.

`IdMap` numbers 64-bit keys in order of first appearance. `FingerprintSet` remembers 128-bit
fingerprints for a time and up to a number, the oldest leaving first. Both are functions of the
calls made, so a replay ends in the same state. One thread at a time may use either.
"""

from collections import deque

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from ext.spans cimport munmap, span

__all__ = ["NUMBERS_MAX", "RUN_MS", "FingerprintSet", "IdMap", "take_strings"]

NUMBERS_MAX = 2**31 - 1
RUN_MS = 1000  # times are kept to the second, rounded up
cdef int BITS_MIN = 6
cdef Py_ssize_t AHEAD = 12  # slots asked for before they are read
cdef Py_ssize_t SLOTS_MOVED = 1024  # by each `add`, and two for each key that it adds


cdef int _bits_for(uint64_t count) noexcept:
    """The bits of a table that `count` entries fill to two thirds at most."""
    cdef int bits = BITS_MIN
    while (<uint64_t>1 << bits) * 2 < count * 3:
        bits += 1
    return bits


cdef inline int32_t _find(const KeySlotC* slots, int bits, uint64_t key) noexcept nogil:
    cdef uint64_t mask = (<uint64_t>1 << bits) - 1
    cdef uint64_t i = home_of(key, 64 - bits)
    while slots[i].above:
        if slots[i].key == key:
            return slots[i].above - 1
        i = (i + 1) & mask
    return -1


cdef inline int32_t _add(KeySlotC* slots, int bits, uint64_t key, int32_t number) noexcept nogil:
    """The key's number, which is `number` where it is new."""
    cdef uint64_t mask = (<uint64_t>1 << bits) - 1
    cdef uint64_t i = home_of(key, 64 - bits)
    while slots[i].above:
        if slots[i].key == key:
            return slots[i].above - 1
        i = (i + 1) & mask
    slots[i].key = key
    slots[i].above = number + 1
    return number


cdef class IdMap:
    """Numbers uint64 keys 0, 1, 2 ... in order of first appearance; at most 2**31 - 1 of them.

    24 to 48 bytes a key, half more while a table grows, and those of `keys`. A table that is full
    is not copied at once, which would hold up whoever waits: each `add` moves a few thousand slots,
    one after the other so that few pages are new to it; until all are moved a key is sought in both.
    """

    def __cinit__(self):
        self._bits = BITS_MIN
        self._slots = <KeySlotC*>span(sizeof(KeySlotC) << BITS_MIN)
        if self._slots == NULL:
            raise MemoryError("no memory for a table of keys")
        self._old = NULL
        self._keys = np.empty(0, np.uint64)
        self._count = 0

    def __dealloc__(self):
        if self._slots != NULL:
            munmap(self._slots, sizeof(KeySlotC) << self._bits)
        if self._old != NULL:
            munmap(self._old, sizeof(KeySlotC) << self._old_bits)

    def __len__(self):
        return self._count

    cdef int _reserve(self, Py_ssize_t count) except -1:
        """Make room for `count` keys in all."""
        if count > NUMBERS_MAX:
            raise OverflowError(f"a map numbers at most {NUMBERS_MAX:,} keys")
        if count > self._keys.shape[0]:
            # What is not used of it costs no memory.
            larger = np.empty(max(count, self._keys.shape[0] * 4), np.uint64)
            larger[: self._count] = self.keys()
            self._keys = larger
        cdef int bits = _bits_for(count)
        if bits <= self._bits:
            return 0
        if self._old != NULL:
            self._move(<Py_ssize_t>1 << self._old_bits)
        cdef KeySlotC* slots = <KeySlotC*>span(sizeof(KeySlotC) << bits)
        if slots == NULL:
            raise MemoryError(f"no memory for a table of {count:,} keys")
        self._old = self._slots
        self._old_bits = self._bits
        self._moved = 0
        self._slots = slots
        self._bits = bits
        return 0

    cdef void _move(self, Py_ssize_t slots) noexcept nogil:
        """Move so many slots of the smaller table that is being left."""
        cdef Py_ssize_t i, size = <Py_ssize_t>1 << self._old_bits
        cdef Py_ssize_t end = min(self._moved + slots, size)
        for i in range(self._moved, end):
            if self._old[i].above:
                _add(self._slots, self._bits, self._old[i].key, self._old[i].above - 1)
        self._moved = end
        if end == size:
            munmap(self._old, sizeof(KeySlotC) << self._old_bits)
            self._old = NULL

    cdef int32_t _number(self, uint64_t key) noexcept nogil:
        cdef int32_t number = _find(self._slots, self._bits, key)
        if number < 0 and self._old != NULL:
            number = _find(self._old, self._old_bits, key)
        return number

    def find(self, const uint64_t[::1] hashes):
        """Return int32[n]: the numbers of uint64[n] keys, -1 for those that have none."""
        cdef Py_ssize_t i, n = hashes.shape[0]
        result = np.empty(n, np.int32)
        cdef int32_t[::1] out = result
        with nogil:
            for i in range(n):
                if i + AHEAD < n:
                    prefetch(&self._slots[home_of(hashes[i + AHEAD], 64 - self._bits)])
                out[i] = self._number(hashes[i])
        return result

    def add(self, const uint64_t[::1] hashes):
        """Return int32[n]: the numbers of uint64[n] keys; new keys get the next ones in order.

        Raises OverflowError and MemoryError, with nothing added.
        """
        cdef Py_ssize_t i, n = hashes.shape[0]
        self._reserve(self._count + n)
        result = np.empty(n, np.int32)
        cdef int32_t[::1] out = result
        with nogil:
            if self._old != NULL:
                self._move(SLOTS_MOVED + 2 * n)
            for i in range(n):
                if i + AHEAD < n:
                    prefetch(&self._slots[home_of(hashes[i + AHEAD], 64 - self._bits)])
                out[i] = -1
                if self._old != NULL:
                    out[i] = _find(self._old, self._old_bits, hashes[i])
                if out[i] < 0:
                    out[i] = _add(self._slots, self._bits, hashes[i], <int32_t>self._count)
                if out[i] == self._count:
                    self._keys[self._count] = hashes[i]
                    self._count += 1
        return result

    def keys(self):
        """Return uint64[count]: the keys by number, a read-only view that holds until `add`."""
        view = np.asarray(self._keys)[: self._count]
        view.flags.writeable = False
        return view

    @staticmethod
    def of_keys(keys):
        """Return the map whose `keys` are these, uint64[n]; ValueError if one is there twice."""
        made = IdMap()
        made.add(keys)
        if len(made) != len(keys):
            raise ValueError(f"{len(keys) - len(made):,} of {len(keys):,} keys are there twice")
        return made


cdef bint _measure(
    const int64_t* offsets,
    Py_ssize_t strings,
    int64_t size,
    const int64_t[::1] places,
    int64_t* out,
) noexcept nogil:
    """The offsets of the strings taken; False where one is not there."""
    cdef Py_ssize_t i
    cdef int64_t place
    out[0] = 0
    for i in range(places.shape[0]):
        place = places[i]
        if place < 0 or place >= strings:
            return False
        if offsets[place] < 0 or offsets[place] > offsets[place + 1] or offsets[place + 1] > size:
            return False
        out[i + 1] = out[i] + offsets[place + 1] - offsets[place]
    return True


def take_strings(
    const int64_t[::1] offsets, const unsigned char[::1] data, const int64_t[::1] places
):
    """Return the strings at `places` int64[m] in that order: int64[m + 1] offsets, uint8[] bytes.

    String i of k is data[offsets[i]:offsets[i + 1]], `offsets` int64[k + 1]. Raises IndexError for
    a place that is not there, or offsets that leave the data.
    """
    cdef Py_ssize_t i, m = places.shape[0]
    if offsets.shape[0] == 0:
        raise IndexError("offsets hold one more entry than there are strings, so at least one")
    found = np.zeros(m + 1, np.int64)
    cdef int64_t[::1] ends = found
    cdef bint fit
    with nogil:
        fit = _measure(&offsets[0], offsets.shape[0] - 1, data.shape[0], places, &ends[0])
    if not fit:
        raise IndexError(f"a place is not among the {offsets.shape[0] - 1:,} strings")
    taken = np.empty(found[m], np.uint8)
    cdef unsigned char[::1] out = taken
    if taken.size:
        with nogil:
            for i in range(m):
                memcpy(&out[0] + ends[i], &data[0] + offsets[places[i]], ends[i + 1] - ends[i])
    return found, taken


cdef inline uint32_t _tag(PrintC key) noexcept nogil:
    return <uint32_t>(key.high)


cdef inline bint _same(PrintC a, PrintC b) noexcept nogil:
    return a.low == b.low and a.high == b.high


cdef inline void _link(
    PrintSlotC* slots, int bits, PrintC key, int32_t place
) noexcept nogil:
    cdef uint64_t mask = (<uint64_t>1 << bits) - 1
    cdef uint64_t i = home_of(key.low, 64 - bits)
    while slots[i].place >= 0:
        i = (i + 1) & mask
    slots[i].place = place
    slots[i].tag = _tag(key)


cdef inline void _unlink(
    PrintSlotC* slots, int bits, const PrintC* ring, int32_t place
) noexcept nogil:
    """Take an entry out, and close the gap (Knuth, section 6.4, algorithm R)."""
    cdef uint64_t mask = (<uint64_t>1 << bits) - 1
    cdef uint64_t gap = home_of(ring[place].low, 64 - bits), i, home
    while slots[gap].place != place:
        gap = (gap + 1) & mask
    i = gap
    while True:
        i = (i + 1) & mask
        if slots[i].place < 0:
            break
        home = home_of(ring[slots[i].place].low, 64 - bits)
        # It may move to the gap unless its home lies after the gap, up to where it is.
        if ((i - home) & mask) >= ((i - gap) & mask):
            slots[gap] = slots[i]
            gap = i
    slots[gap].place = -1


cdef void _judge(
    const PrintSlotC* slots,
    int bits,
    const PrintC* ring,
    uint64_t head,
    uint64_t dead,
    uint64_t ring_mask,
    const uint64_t[:, ::1] prints,
    PrintSlotC* own,
    int own_bits,
    unsigned char[::1] out,
) noexcept nogil:
    """Whether each is new: not among the living of the ring, nor before it in `prints`.

    The first `dead` entries after `head` count as forgotten. `own` is a free table for the call.
    """
    cdef uint64_t mask = (<uint64_t>1 << bits) - 1
    cdef uint64_t own_mask = (<uint64_t>1 << own_bits) - 1
    cdef Py_ssize_t r, n = prints.shape[0]
    cdef uint64_t i
    cdef int32_t place
    cdef PrintC key
    cdef bint known
    for r in range(n):
        if r + AHEAD < n:
            prefetch(&slots[home_of(prints[r + AHEAD, 0], 64 - bits)])
        key.low = prints[r, 0]
        key.high = prints[r, 1]
        known = False
        i = home_of(key.low, 64 - bits)
        while slots[i].place >= 0:
            place = slots[i].place
            if (
                slots[i].tag == _tag(key)
                and _same(ring[place], key)
                and ((<uint64_t>place - head) & ring_mask) >= dead
            ):
                known = True
                break
            i = (i + 1) & mask
        if not known:
            i = home_of(key.low, 64 - own_bits)
            while own[i].place >= 0:
                place = own[i].place
                if prints[place, 0] == key.low and prints[place, 1] == key.high:
                    known = True
                    break
                i = (i + 1) & own_mask
            if not known:
                own[i].place = <int32_t>r
        out[r] = not known


cdef class FingerprintSet:
    """Remembers fingerprints of 16 bytes for `horizon_ms` ms, and never more than `maximum`.

    One taken in at t is known until t + horizon_ms and up to a second longer, unless the maximum
    makes it leave earlier. 32 to 64 bytes a fingerprint.
    """

    def __cinit__(self, int64_t horizon_ms, int64_t maximum):
        if horizon_ms < 0 or not 1 <= maximum <= 1 << 30:
            raise ValueError(
                "a set needs a horizon of 0 or more and a maximum from 1 to 2**30, "
                f"not {horizon_ms} and {maximum}"
            )
        self.horizon_ms = horizon_ms
        self.maximum = maximum
        self._head = self._tail = 0
        self._runs = deque()
        self._reserve(1)

    def __dealloc__(self):
        free(self._slots)
        free(self._ring)

    def __len__(self):
        return self._tail - self._head

    cdef int _reserve(self, uint64_t count) except -1:
        """Make room for `count` entries in all."""
        if self._ring != NULL and count <= <uint64_t>1 << self._ring_bits:
            return 0
        if count > <uint64_t>1 << 31:
            raise OverflowError("a set takes in at most 2**30 fingerprints at once")
        cdef int ring_bits = BITS_MIN
        while <uint64_t>1 << ring_bits < count:
            ring_bits += 1
        cdef int slot_bits = ring_bits + 1
        cdef PrintC* ring = <PrintC*>malloc(sizeof(PrintC) << ring_bits)
        cdef PrintSlotC* slots = <PrintSlotC*>malloc(sizeof(PrintSlotC) << slot_bits)
        if ring == NULL or slots == NULL:
            free(ring)
            free(slots)
            raise MemoryError(f"no memory to remember {count:,} fingerprints")
        cdef uint64_t old_mask = (<uint64_t>1 << self._ring_bits) - 1
        cdef uint64_t mask = (<uint64_t>1 << ring_bits) - 1
        cdef uint64_t at
        with nogil:
            memset(slots, 0xFF, sizeof(PrintSlotC) << slot_bits)
            for at in range(self._head, self._tail):
                ring[at & mask] = self._ring[at & old_mask]
            for at in range(self._head, self._tail):
                if at + AHEAD < self._tail:
                    prefetch(&slots[home_of(ring[(at + AHEAD) & mask].low, 64 - slot_bits)])
                _link(slots, slot_bits, ring[at & mask], <int32_t>(at & mask))
        free(self._ring)
        free(self._slots)
        self._ring = ring
        self._slots = slots
        self._ring_bits = ring_bits
        self._slot_bits = slot_bits
        return 0

    cdef uint64_t _first_alive(self, int64_t ms) except? 0:
        """Where the entries that are known at `ms` begin, counted as `_head` is."""
        cdef uint64_t at = self._head
        for run_ms, rows in self._runs:
            if run_ms >= ms - self.horizon_ms:
                break
            at += rows
        return at

    cdef int _forget(self, uint64_t head) except -1:
        """Forget all entries before `head`."""
        cdef uint64_t mask = (<uint64_t>1 << self._ring_bits) - 1
        cdef uint64_t left = head - self._head
        with nogil:
            while self._head < head:
                _unlink(self._slots, self._slot_bits, self._ring, <int32_t>(self._head & mask))
                self._head += 1
        while left:
            rows = min(left, self._runs[0][1])
            left -= rows
            self._runs[0][1] -= rows
            if not self._runs[0][1]:
                self._runs.popleft()
        return 0

    cdef int _append(self, const uint64_t[:, ::1] prints, int64_t run_ms) except -1:
        """Take in at the end; there is room."""
        cdef Py_ssize_t i, n = prints.shape[0]
        cdef uint64_t mask = (<uint64_t>1 << self._ring_bits) - 1
        cdef PrintC key
        with nogil:
            for i in range(n):
                if i + AHEAD < n:
                    prefetch(&self._slots[home_of(prints[i + AHEAD, 0], 64 - self._slot_bits)])
                key.low = prints[i, 0]
                key.high = prints[i, 1]
                self._ring[self._tail & mask] = key
                _link(self._slots, self._slot_bits, key, <int32_t>(self._tail & mask))
                self._tail += 1
        cdef Py_ssize_t last = len(self._runs) - 1
        if n == 0:
            return 0
        if last >= 0 and self._runs[last][0] >= run_ms:
            self._runs[last][1] += n
        else:
            self._runs.append([run_ms, n])
        return 0

    def unseen(self, const uint64_t[:, ::1] prints, int64_t ms):
        """Return bool[n]: which of uint64[n, 2] are new at `ms` (UTC), the first of equals only.

        Changes nothing; `admit` and `add` do.
        """
        if prints.shape[1] != 2:
            raise ValueError(f"a fingerprint is two words, not {prints.shape[1]}")
        cdef Py_ssize_t n = prints.shape[0]
        result = np.empty(n, np.bool_)
        if n == 0:
            return result
        cdef unsigned char[::1] out = result.view(np.uint8)
        cdef uint64_t dead = self._first_alive(ms) - self._head
        cdef int own_bits = _bits_for(n)
        cdef PrintSlotC* own = <PrintSlotC*>malloc(sizeof(PrintSlotC) << own_bits)
        if own == NULL:
            raise MemoryError(f"no memory to compare {n:,} fingerprints")
        cdef uint64_t ring_mask = (<uint64_t>1 << self._ring_bits) - 1
        with nogil:
            memset(own, 0xFF, sizeof(PrintSlotC) << own_bits)
            _judge(
                self._slots, self._slot_bits, self._ring, self._head, dead, ring_mask,
                prints, own, own_bits, out,
            )
            free(own)
        return result

    def add(self, const uint64_t[:, ::1] prints, ms):
        """Take in uint64[n, 2], all of which `unseen` called new at `ms`; then forget what is over.

        Raises OverflowError and MemoryError, with nothing taken in.
        """
        if prints.shape[1] != 2:
            raise ValueError(f"a fingerprint is two words, not {prints.shape[1]}")
        cdef uint64_t head = self._first_alive(ms)
        self._reserve(self._tail - head + prints.shape[0])
        self._forget(head)
        self._append(prints, -(-ms // RUN_MS) * RUN_MS)
        if self._tail - self._head > <uint64_t>self.maximum:
            self._forget(self._tail - <uint64_t>self.maximum)

    def admit(self, prints, ms):
        """Return what `unseen` does, and take in those that are new."""
        new = self.unseen(prints, ms)
        self.add(np.ascontiguousarray(prints[new]), ms)
        return new

    def span(self):
        """Return where those it knows begin and end: ever growing counts since the beginning."""
        return int(self._head), int(self._tail)

    def prints(self, uint64_t first, uint64_t stop):
        """Return a copy of those from `first` to before `stop` that it still knows, uint64[n, 2]."""
        cdef uint64_t mask = (<uint64_t>1 << self._ring_bits) - 1
        cdef uint64_t at, start = max(first, self._head), end = min(stop, self._tail)
        found = np.empty((max(0, <int64_t>end - <int64_t>start), 2), np.uint64)
        cdef uint64_t[:, ::1] out = found
        with nogil:
            for at in range(start, end):
                out[at - start, 0] = self._ring[at & mask].low
                out[at - start, 1] = self._ring[at & mask].high
        return found

    def runs(self):
        """Return int64[r, 2], oldest first: times of runs of them, and the number in each."""
        return np.array(self._runs, np.int64).reshape(-1, 2)

    def arrays(self):
        """Return copies that tell all of it, oldest first: uint64[n, 2], int64[r], int64[r].

        The fingerprints, and the times of runs of them with the number in each.
        """
        runs = self.runs()
        return self.prints(self._head, self._tail), runs[:, 0].copy(), runs[:, 1].copy()

    @staticmethod
    def of_arrays(prints, run_ms, run_rows, horizon_ms, maximum):
        """Return the set that gave these `arrays`; ValueError if they contradict each other."""
        made = FingerprintSet(horizon_ms, maximum)
        if (
            prints.ndim != 2
            or len(run_ms) != len(run_rows)
            or run_rows.sum() != len(prints)
            or np.any(run_rows < 1)
            or np.any(np.diff(run_ms) <= 0)
            or len(prints) > maximum
        ):
            raise ValueError("the runs of fingerprints do not fit them, or do not ascend")
        if not np.all(made.unseen(prints, 0)):
            raise ValueError("a fingerprint is there twice")
        made._restore(prints, run_ms, run_rows)
        return made

    def _restore(self, prints, run_ms, run_rows):
        self._reserve(len(prints))
        start = 0
        for ms, rows in zip(run_ms.tolist(), run_rows.tolist(), strict=True):
            self._append(prints[start : start + rows], ms)
            start += rows
