"""Run a bound program on inputs as they come: customers join, rows are fed, timers fire in slices.

The interpreter is that of `ext.machine`; this adds what lasts beyond one call. Every array that has
an element for each customer is a field of one table, so that growing, saving and loading treat all
alike. Rows of inputs lie in arrays that grow at their end and are cleared of what nobody will ask
for. A snapshot copies a block of customers just before work changes it.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memmove, memset
from posix.stdlib cimport posix_memalign

import numpy as np

cimport numpy as cnp

from core import program as layouts
from core.counters import Counters
from core.program import EFFECT

from ext.calendar cimport (
    OUTSIDE, calendar_due, calendar_next, calendar_put, calendar_remove, calendar_take,
)
from ext.admission cimport enter_all
from ext.hashing cimport xxh64
from ext.machine cimport Machine
from ext.predicates cimport read_cell, write_cell
from ext.structs cimport *
from ext.timeline cimport SEGMENT_UNSEEN, remember
from ext.tokens cimport next_ms
from ext.waves cimport begin_person, count_place, run_waves

cnp.import_array()

__all__ = ["SNAPSHOT_BLOCK", "LiveMachine"]

SNAPSHOT_BLOCK = 1024

cdef enum:
    BLOCK_BITS = 10
    LINE = 64
    FIRST_ROWS = 4096
    UNFILLED = 0xFF

_NO_ROOM = "the machine's state can't grow; the partition must be opened again, with more memory"

COUNTED = (
    "entered", "unique", "port", "outcome", "delay_sum_ms", "entries_by_hour", "sends_by_hour",
    "watch_opened", "watch_matured", "watch_succeeded", "watch_succeeded_ever", "watch_modelled",
)

_STORES = {0: (np.int8, 1), 1: (np.int32, 4), 2: (np.int64, 8), 3: (np.float64, 8)}


cdef void* address(object array) except? NULL:
    return cnp.PyArray_DATA(array)


cdef class LiveMachine(Machine):
    """The interpreter for one version of a flow in one partition, for as long as it is live.

    `Machine(bound)` of the customers there are when it begins; customer numbers stay. Nothing is
    judged by an attribute's later value, and no response is modelled. ValueError where `bound` asks
    for either. Not for several threads at once.
    """

    def __cinit__(self, bound, int block_max, int lanes=512, bint log=False):
        if len(bound.responses.rules) or len(bound.inputs.ms):
            raise ValueError("a live machine begins without rows, and models no responses")
        if block_max < bound.customers:
            raise ValueError("block_max must hold all customers")
        self.m.p.live = 1
        self.m.p.named = 1
        self.m.s.lo = 0
        self.begun = 1
        self.retains = bound.keeps_rows
        self._make_fields()
        self._make_rows()
        with nogil:
            self.begin(0)
        self.m.t.log_block = 0  # steps go on from one log to the next
        self._join_first(bound)

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.n_fields):
            if self.fields[i].owned:
                free(self.fields[i].at[0])
        free(self.fields)
        free(self.dirty)
        free(self.owed)
        for i in range(self.n_arenas):
            free(self.arenas[i].at[0])
        free(self.arenas)

    cdef void field(self, void** at, size_t item, uint8_t fill, bint saved, bint owned) except *:
        """Add an array with an element of `item` bytes for each customer to the table."""
        cdef FieldC* f
        if item == 0:
            return
        self.fields = <FieldC*>realloc(self.fields, sizeof(FieldC) * (self.n_fields + 1))
        if self.fields == NULL:
            raise MemoryError(_NO_ROOM)
        f = &self.fields[self.n_fields]
        f.at = at
        f.item = item
        f.fill = fill
        f.saved = saved
        f.owned = owned
        self.n_fields += 1
        if owned:
            at[0] = self.room(self.block_max, item)
        if fill:
            memset(at[0], fill, <size_t>self.block_max * item)

    cdef void _make_fields(self) except *:
        cdef StateC* s = &self.m.s
        cdef ProgramC* p = &self.m.p
        cdef int32_t i, n = p.n_columns + 1
        cdef ColumnC* columns = <ColumnC*>calloc(n, sizeof(ColumnC))
        if columns == NULL:
            raise MemoryError(_NO_ROOM)
        for i in range(p.n_columns):
            columns[i] = p.columns[i]
            columns[i].changed = NULL
        free(p.columns)
        p.columns = columns
        columns[p.n_columns].store = STORE_INT32
        reads = [self.m.p.segment_column[i] for i in range(p.n_columns)] + [1]
        p.segment_column = <const uint8_t*>self.hold(reads, np.uint8)
        self.field(<void**>&s.persons, sizeof(PersonC), 0, 1, 0)
        self.field(<void**>&s.details, sizeof(DetailC), 0, not p.plain, 0)
        self.field(<void**>&s.steps, 4, 0, 1, 0)
        self.field(<void**>&s.hashes, 8, 0, 1, 0)
        self.field(<void**>&s.last_row, 8 * p.n_histories, UNFILLED, 1, 0)
        self.field(<void**>&s.last_past, 8 * p.n_histories, UNFILLED, 0, 0)
        self.field(<void**>&s.segment_state, p.n_segments, SEGMENT_UNSEEN, 1, 0)
        self.field(<void**>&s.schedule_next, 8 * p.n_schedules, 0, 1, 0)
        self.field(<void**>&s.visited, 8 * p.words, 0, 1, 0)
        self.field(<void**>&s.touched, 8 * p.words, 0, 0, 0)
        self.field(<void**>&s.tested, 8 * p.test_words, 0, 1, 0)
        self.field(<void**>&s.listening, 4 * p.n_listeners, UNFILLED, 1, 0)
        self.field(<void**>&self.queue, 4, 0, 0, 0)
        self.field(<void**>&self.calendar.next, 4, 0, 0, 0)
        self.field(<void**>&self.calendar.prev, 4, UNFILLED, 0, 0)
        self.field(<void**>&self.calendar.due_ms, 8, 0, 0, 0)
        self.field(<void**>&p.id_hash, 8, 0, 1, 1)
        self.field(<void**>&p.created_ms, 8, 0, 1, 1)
        for i in range(p.n_columns):
            self.field(&columns[i].data, _STORES[columns[i].store][1], 0, 1, 1)
        self.field(&columns[p.n_columns].data, 4, 0, 1, 1)
        p.zone_of = <const int32_t*>columns[p.n_columns].data
        # A customer's rows end here; read at his number plus one.
        self.field(<void**>&self.row_end, 8, 0, 0, 1)
        self._alias()
        self.dirty = <uint8_t*>self.room((self.block_max >> BLOCK_BITS) + 1, 1)
        self.owed = <uint8_t*>self.room((self.block_max >> BLOCK_BITS) + 1, 1)
        self.blocks_size = (self.block_max >> BLOCK_BITS) + 1
        self.saved = {}
        self.owing = set()

    cdef void _alias(self) noexcept:
        """Point at arrays that are found by another name too."""
        self.m.p.zone_of = <const int32_t*>self.m.p.columns[self.m.p.n_columns].data
        # Of a customer only the end of his rows is asked for, `row_offsets[c + 1]`.
        self.m.p.row_offsets = self.row_end - 1

    cdef void _make_rows(self) except *:
        cdef ProgramC* p = &self.m.p
        cdef int32_t i
        self.n_arenas = 6 + p.n_properties
        self.arenas = <ArenaC*>self.room(self.n_arenas, sizeof(ArenaC))
        self.arena(0, <void**>&p.row_type, 4)
        self.arena(1, <void**>&p.row_past_ms, 8)
        self.arena(2, <void**>&p.row_previous, 8)
        self.arena(3, <void**>&p.row_ms, 8)
        self.arena(4, <void**>&p.row_hash, 8)
        self.arena(5, <void**>&p.row_value, 8)
        for i in range(p.n_properties):
            self.arena(6 + i, &p.properties[i].data, _STORES[p.properties[i].store][1])
        self._rows_room(FIRST_ROWS)

    cdef void arena(self, int32_t i, void** at, size_t item) noexcept:
        at[0] = NULL
        self.arenas[i].at = at
        self.arenas[i].item = item

    cdef void _rows_room(self, int64_t rows) except *:
        """Make room for so many rows in all."""
        cdef int64_t size = max(rows, 2 * self.rows_size)
        cdef int32_t i
        cdef void* larger
        if rows <= self.rows_size:
            return
        for i in range(self.n_arenas):
            larger = realloc(self.arenas[i].at[0], self.arenas[i].item * <size_t>size)
            if larger == NULL:
                self.m.s.trap = 1
                raise MemoryError(_NO_ROOM)
            self.arenas[i].at[0] = larger
        self.rows_size = size

    def _join_first(self, bound):
        audience = bound.audience
        columns = [np.asarray(c.values) for c in bound.columns.customer]
        self.join(audience.id_hash, audience.created_ms, bound.zones.of_customer, columns)

    # -- customers

    @property
    def customers(self):
        """How many there are."""
        return self.m.s.persons_n

    def reserve(self, int64_t customers):
        """Make room for so many customers. MemoryError leaves the machine unusable."""
        cdef int64_t size = max(customers, 2 * <int64_t>self.block_max)
        cdef size_t blocks = (size >> BLOCK_BITS) + 1
        cdef int32_t i
        if customers <= self.block_max:
            return
        if size > 1 << 30:
            size = 1 << 30
            if customers > size:
                raise MemoryError("a partition holds at most 2**30 customers")
        for i in range(self.n_fields):
            self._grow(&self.fields[i], size)
        self._grow_visits(size)
        self.dirty = <uint8_t*>self._longer(self.dirty, self.blocks_size, blocks)
        self.owed = <uint8_t*>self._longer(self.owed, self.blocks_size, blocks)
        self.blocks_size = blocks
        self.block_max = <int>size
        self.m.s.persons_size = <int32_t>size
        self._alias()

    cdef void* _longer(self, void* data, size_t used, size_t size) except NULL:
        cdef void* larger = realloc(data, size)
        if larger == NULL:
            self.m.s.trap = 1
            raise MemoryError(_NO_ROOM)
        memset(<uint8_t*>larger + used, 0, size - used)
        return larger

    cdef void _grow(self, FieldC* f, int64_t size) except *:
        cdef void* larger = NULL
        cdef size_t used = f.item * <size_t>self.block_max
        if posix_memalign(&larger, LINE, f.item * <size_t>size):
            self.m.s.trap = 1
            raise MemoryError(_NO_ROOM)
        memcpy(larger, f.at[0], used)
        memset(<uint8_t*>larger + used, f.fill, f.item * <size_t>size - used)
        free(f.at[0])
        f.at[0] = larger

    cdef void _grow_visits(self, int64_t size) except *:
        """The rows of customers come first, those of entries in a crowd behind them."""
        cdef size_t item = 4 * <size_t>self.m.p.n_slots, entries = self.m.s.entries_size
        cdef size_t had = self.m.s.persons_size
        cdef void* larger
        if item == 0:
            return
        larger = realloc(self.m.s.visits, item * (<size_t>size + entries))
        if larger == NULL:
            self.m.s.trap = 1
            raise MemoryError(_NO_ROOM)
        memmove(<uint8_t*>larger + item * <size_t>size, <uint8_t*>larger + item * had, item * entries)
        memset(<uint8_t*>larger + item * had, 0, item * (<size_t>size - had))
        self.m.s.visits = <uint32_t*>larger

    def join(self, id_hash, created_ms, zones, columns):
        """Add customers behind the last: uint64[k], int64[k], int32[k], and a column of k each.

        Each begins his timeline; what he has of columns is what he had before it.
        """
        cdef int64_t first = self.m.s.persons_n, k = len(id_hash), c, due_ms
        cdef int32_t i
        if k == 0:
            return
        self.reserve(first + k)
        self._put(<void*>self.m.p.id_hash, first, id_hash, np.uint64, k)
        self._put(<void*>self.m.p.created_ms, first, created_ms, np.int64, k)
        self._put(self.m.p.columns[self.m.p.n_columns].data, first, zones, np.int32, k)
        for i in range(self.m.p.n_columns):
            self._put(self.m.p.columns[i].data, first, columns[i], _STORES[self.m.p.columns[i].store][0], k)
        self.m.s.persons_n = <int32_t>(first + k)
        with nogil:
            for c in range(first, first + k):
                begin_person(&self.m, &self.m.s.persons[c])
                due_ms = next_ms(&self.m.s.persons[c])
                self.calendar.prev[c] = OUTSIDE
                self.dirty[c >> BLOCK_BITS] = 1
                if due_ms < self.m.p.horizon_ms:
                    calendar_put(&self.calendar, <int32_t>c, due_ms)

    cdef void _put(self, void* data, int64_t first, values, dtype, int64_t k) except *:
        array = np.ascontiguousarray(values, dtype)
        if array.shape != (k,):
            raise ValueError(f"{k} values expected, not {array.shape}")
        memcpy(<uint8_t*>data + <size_t>first * <size_t>array.itemsize, address(array), <size_t>array.nbytes)

    # -- inputs

    def feed(self, customer, type, ms, past_ms, hash, value, properties):
        """Hand over rows, sorted by customer and then as they came; `work` carries them out.

        `customer` int32[r]; `type` int32[r] as in `core.binding_inputs` (plus HISTORICAL where the
        event came too late; -1 - columns is the customer's zone); `ms`, `past_ms` int64[r], when it
        takes effect and when it happened; `hash` uint64[r], `value` int64[r]; a property column of
        r each. Times of one customer never fall, and none is before his last work.
        """
        cdef int64_t r = len(customer), first, row, end
        cdef int32_t i, c, last = -1, fed = 0
        cdef const int32_t* who
        cdef PersonC* person
        who_array = np.ascontiguousarray(customer, np.int32)
        if r == 0:
            return
        if who_array.min() < 0 or who_array.max() >= self.m.s.persons_n or np.any(np.diff(who_array) < 0):
            raise ValueError("rows must be sorted by customer, and customers must have joined")
        if not self.retains:
            self.rows_used = 0
        first = self.rows_used
        self._rows_room(first + r)
        self._put(<void*>self.m.p.row_type, first, type, np.int32, r)
        self._put(<void*>self.m.p.row_ms, first, ms, np.int64, r)
        self._put(<void*>self.m.p.row_past_ms, first, past_ms, np.int64, r)
        self._put(<void*>self.m.p.row_hash, first, hash, np.uint64, r)
        self._put(<void*>self.m.p.row_value, first, value, np.int64, r)
        for i in range(self.m.p.n_properties):
            self._put(self.m.p.properties[i].data, first, properties[i], _STORES[self.m.p.properties[i].store][0], r)
        self.rows_used = end = first + r
        self.m.p.last_row = end - 1
        who = <const int32_t*>address(who_array)
        with nogil:
            for row in range(first, end):
                self.m.p.row_previous[row] = -1
                c = who[row - first]
                self.row_end[c] = row + 1
                if c == last:
                    continue
                last = c
                person = &self.m.s.persons[c]
                person.row = row
                person.input_ms = self.m.p.row_ms[row]
                calendar_remove(&self.calendar, c)
                self.queue[fed] = c
                fed += 1
        self.fed = fed

    def work(self, int64_t until_ms):
        """Carry out all work before `until_ms` of those who were fed, and of nobody else.

        Returns how many they were. MemoryError leaves the machine unusable.
        """
        cdef int32_t n = self.fed
        self.fed = 0
        self._run(n, until_ms)
        return n

    def tick(self, int64_t until_ms, int64_t first=0, int64_t last=INT64_MAX):
        """Carry out all work before `until_ms` of the customers [first, last).

        Returns how many had any. MemoryError leaves the machine unusable.
        """
        cdef int32_t n, low, high
        low = <int32_t>max(0, min(first, <int64_t>self.m.s.persons_n))
        high = <int32_t>max(0, min(last, <int64_t>self.m.s.persons_n))
        with nogil:
            n = calendar_take(&self.calendar, until_ms, low, high, self.queue)
        self._run(n, until_ms)
        return n

    cdef void _run(self, int32_t n, int64_t until_ms) except *:
        cdef int32_t k, b
        cdef bint owes = bool(self.owing)
        if self.m.s.trap:
            raise MemoryError(_NO_ROOM)
        if n == 0:
            return
        for k in range(n if owes else 0):
            b = self.queue[k] >> BLOCK_BITS
            if self.owed[b]:
                self._keep(b)
        with nogil:
            for k in range(n):
                self.dirty[self.queue[k] >> BLOCK_BITS] = 1
            self.m.w.fresh = 0
            run_waves(&self.m, &self.calendar, self.queue, n, until_ms, &self.stop_flag)
        if self.m.s.trap:
            raise MemoryError(_NO_ROOM)

    def observe(self):
        """Remember the rows that were fed, and let nobody move: events are history, changes are made."""
        cdef int32_t k, c, type
        cdef int64_t row
        cdef PersonC* person
        for k in range(self.fed):
            c = self.queue[k]
            if self.owed[c >> BLOCK_BITS]:
                self._keep(c >> BLOCK_BITS)
        with nogil:
            for k in range(self.fed):
                c = self.queue[k]
                person = &self.m.s.persons[c]
                self.dirty[c >> BLOCK_BITS] = 1
                for row in range(person.row, self.row_end[c]):
                    type = self.m.p.row_type[row]
                    if type < 0:
                        write_cell(&self.m.p.columns[-1 - type], c, self.m.p.row_value[row])
                    else:
                        remember(&self.m, person, type | HISTORICAL, row)
                person.row = self.row_end[c]
                person.input_ms = INT64_MAX
                person.stage = STAGE_REST
                if self.m.p.n_segments:
                    self.m.s.details[c].dirty = 1
                self.m.w.idles = 0
                if next_ms(person) < self.m.p.horizon_ms:
                    calendar_put(&self.calendar, c, next_ms(person))
        self.fed = 0

    def admit(self, customers, int64_t at_ms):
        """Let customers, int32[k] ascending, begin at the first trigger's node, if they may enter.

        What they do then is carried out up to that time.
        """
        cdef TriggerC trigger
        cdef PersonC* person
        cdef int32_t k, n = 0
        who_array = np.ascontiguousarray(customers, np.int32)
        cdef const int32_t* who = <const int32_t*>address(who_array)
        if self.m.s.trap:
            raise MemoryError(_NO_ROOM)
        if len(who_array) and not 0 <= who_array.min() <= who_array.max() < self.m.s.persons_n:
            raise ValueError("no such customers")
        for k in range(<int32_t>len(who_array)):
            if self.owed[who[k] >> BLOCK_BITS]:
                self._keep(who[k] >> BLOCK_BITS)
        trigger = self.m.p.triggers[0]
        trigger.kind = TRIGGER_SEGMENT
        trigger.cond = -1
        for k in range(<int32_t>len(who_array)):
            person = &self.m.s.persons[who[k]]
            calendar_remove(&self.calendar, who[k])
            person.now_ms = at_ms
            enter_all(&self.m, &trigger, &person, 1, NO_ROW, 0)
            person.stage = STAGE_SEGMENTS
            self.queue[n] = who[k]
            n += 1
        self._run(n, at_ms + 1)

    def drop(self):
        """Take all tokens out; returns the numbers of the customers who had any, int32[k]."""
        cdef int32_t c
        cdef PersonC* person
        inside = []
        for c in range(self.m.s.persons_n):
            person = &self.m.s.persons[c]
            if person.state > TOKEN_GONE or person.crowd:
                inside.append(c)
                if self.owed[c >> BLOCK_BITS]:
                    self._keep(c >> BLOCK_BITS)
                self.dirty[c >> BLOCK_BITS] = 1
                person.state = TOKEN_GONE
                person.crowd = person.stage = 0
                person.due_ms = person.other_ms = INT64_MAX
            calendar_remove(&self.calendar, c)
        self.m.s.tokens_used = self.m.s.entries_used = self.m.s.watches_used = 0
        self.m.s.tokens_free = self.m.s.entries_free = self.m.s.watches_free = -1
        return np.array(inside, np.int32)

    def next_due_ms(self):
        """The earliest time at which somebody has work; None for never."""
        cdef int64_t best
        with nogil:
            best = calendar_next(&self.calendar)
        return None if best == INT64_MAX else best

    def due(self, int64_t until_ms, int64_t enough):
        """How many have work before `until_ms`, counted up to `enough`."""
        cdef int64_t n
        with nogil:
            n = calendar_due(&self.calendar, until_ms, enough)
        return n

    def take_effects(self):
        """The messages asked for since the last call, EFFECT records in the order of the work."""
        records = np.empty(self.m.t.effects_used, EFFECT)
        memcpy(address(records), self.m.t.effects, <size_t>records.nbytes)
        self.m.t.effects_used = 0
        return records

    def close_entries(self, int64_t until_ms):
        """Let nobody enter from `until_ms` on; who is inside goes on."""
        self.m.p.entry_until_ms = min(self.m.p.entry_until_ms, until_ms)

    def rebind(self, bound):
        """Take the tables of the same program bound anew: text that is new, zones that are new."""
        cdef ProgramC* p = &self.m.p
        cdef ProgramC old = self.m.p
        self.bound = bound
        self.held = []
        self._bind_program(bound)
        if len(bound.nodes) != old.n_nodes or p.n_columns != old.n_columns or p.n_properties != old.n_properties:
            raise ValueError("another program")
        p.entry_until_ms = min(p.entry_until_ms, old.entry_until_ms)
        zones = bound.zones
        p.zone_offsets = <const int32_t*>self.hold(zones.offsets, np.int32)
        p.zone_utc = <const int64_t*>self.hold(zones.utc_ms, np.int64)
        p.zone_offset = <const int64_t*>self.hold(zones.offset_ms, np.int64)
        reads = [p.segment_column[i] for i in range(p.n_columns)] + [1]
        p.segment_column = <const uint8_t*>self.hold(reads, np.uint8)
        self.m.w.order = <const int32_t*>self.hold(bound.passage.order, np.int32)

    # -- what is there

    def rows(self):
        """How many rows are kept."""
        return self.rows_used

    def forget(self, before_ms):
        """Drop rows that nobody will ask for; returns how many are left.

        `before_ms` int64[event types]: no look-back reaches events of a type that happened at that
        time or before. Rows that began an entry under way stay.
        """
        cdef const int64_t* bound_ms
        cdef int64_t n = self.rows_used, row, kept, c
        cdef int64_t* place
        cdef int64_t* link
        cdef int32_t h, i
        limits = np.ascontiguousarray(before_ms, np.int64)
        if limits.shape != (self.m.p.n_events,):
            raise ValueError("one time for each event type")
        if not self.retains:
            return 0
        bound_ms = <const int64_t*>address(limits)
        places = np.full(n, -1, np.int64)
        place = <int64_t*>address(places)
        with nogil:
            for c in range(<int64_t>self.m.s.persons_n * self.m.p.n_histories):
                link = &self.m.s.last_row[c]
                while link[0] >= 0:
                    row = link[0]
                    if self.m.p.row_past_ms[row] <= bound_ms[self.m.p.row_type[row] & ~HISTORICAL]:
                        link[0] = -1
                        break
                    place[row] = 0
                    link = &self.m.p.row_previous[row]
            for c in range(self.m.s.persons_n):
                row = self.m.s.persons[c].entry_row
                if self.m.s.persons[c].state > TOKEN_GONE and row >= 0:
                    place[row] = 0
            for i in range(self.m.s.entries_used):
                if self.m.s.entries[i].tokens > 0 and self.m.s.entries[i].row >= 0:
                    place[self.m.s.entries[i].row] = 0
            for c in range(self.m.s.persons_n):
                if self.m.s.persons[c].state == TOKEN_FREE:
                    continue
                i = self.m.s.details[c].watches
                while i >= 0:
                    if self.m.s.open_watches[i].row >= 0:
                        place[self.m.s.open_watches[i].row] = 0
                    i = self.m.s.open_watches[i].next
            kept = 0
            for row in range(n):
                if place[row] == 0:
                    place[row] = kept
                    kept += 1
            for row in range(n):
                if place[row] >= 0:
                    if self.m.p.row_previous[row] >= 0:
                        self.m.p.row_previous[row] = place[self.m.p.row_previous[row]]
                    for i in range(self.n_arenas):
                        memmove(
                            <uint8_t*>self.arenas[i].at[0] + place[row] * <int64_t>self.arenas[i].item,
                            <uint8_t*>self.arenas[i].at[0] + row * <int64_t>self.arenas[i].item,
                            self.arenas[i].item,
                        )
            for c in range(<int64_t>self.m.s.persons_n * self.m.p.n_histories):
                if self.m.s.last_row[c] >= 0:
                    self.m.s.last_row[c] = place[self.m.s.last_row[c]]
            for c in range(self.m.s.persons_n):
                row = self.m.s.persons[c].entry_row
                self.m.s.persons[c].entry_row = place[row] if 0 <= row < n else NO_ROW
                self.dirty[c >> BLOCK_BITS] = 1
            for i in range(self.m.s.entries_used):
                row = self.m.s.entries[i].row
                self.m.s.entries[i].row = place[row] if 0 <= row < n else NO_ROW
            for i in range(self.m.s.watches_used):
                row = self.m.s.open_watches[i].row
                self.m.s.open_watches[i].row = place[row] if 0 <= row < n else NO_ROW
        self.rows_used = kept
        return kept

    def count(self):
        """What has been counted since the beginning, and where tokens stand now, as `Counters`."""
        cdef StateC* s = &self.m.s
        cdef int32_t c, i, word
        counted = self.counters
        counted.waiting[:] = 0
        counted.idle[:] = 0
        counted.layer_people[:] = 0
        with nogil:
            for c in range(s.persons_n):
                if not s.persons[c].crowd:
                    count_place(&self.m, s.persons[c].state, s.persons[c].node)
            for i in range(s.tokens_used):
                count_place(&self.m, s.tokens[i].state, s.tokens[i].node)
            for i in range(self.m.p.n_layers):
                for c in range(s.persons_n):
                    for word in range(self.m.p.words):
                        if s.visited[<int64_t>c * self.m.p.words + word] & self.m.p.layers[i * self.m.p.words + word]:
                            self.m.t.layer_people[i] += 1
                            break
        copy = Counters.zeros(self.bound.program.flow, self.bound.hours, self.bound.responses.outcomes)
        copy.add(counted)
        copy.customers = s.persons_n
        copy.people = self.m.t.people
        copy.steps = self.m.t.steps
        copy.delays = self._delays()
        copy.invalid_zones = self.bound.zones.invalid
        return copy

    def _delays(self):
        """The cells that counted a delay, as `Counters.delays` has them."""
        cdef int64_t pages = <int64_t>self.m.p.n_nodes * DELAY_OCTAVES, page
        cdef int64_t* cells
        cdef int i
        rows = []
        for page in range(pages):
            cells = self.m.t.delays[page]
            if cells == NULL:
                continue
            for i in range(1 << DELAY_SUB_BITS):
                if cells[2 * i]:
                    rows.append(((page << DELAY_SUB_BITS) + i, cells[2 * i], cells[2 * i + 1]))
        return np.array(rows, np.int64).reshape(-1, 3)

    def places(self, int32_t customer):
        """Where a customer's tokens stand: (node, state, due ms, entry identity, start ms) of each."""
        cdef PersonC* person
        cdef const EntryC* entry
        cdef int32_t i, t
        if not 0 <= customer < self.m.s.persons_n:
            raise IndexError(f"no customer {customer}")
        person = &self.m.s.persons[customer]
        found = []
        if not person.crowd:
            if person.state > TOKEN_GONE:
                due = None if person.due_ms == INT64_MAX else person.due_ms
                found.append((person.node, person.state, due, self.m.s.hashes[customer], person.start_ms))
            return found
        for i in range(self.m.s.entries_used):
            entry = &self.m.s.entries[i]
            t = entry.first if entry.person == customer and entry.tokens > 0 else -1
            while t >= 0:
                due = None if self.m.s.timers[t].prev == -2 else self.m.s.timers[t].key
                token = self.m.s.tokens[t]
                found.append((token.node, token.state, due, entry.hash, entry.start_ms))
                t = token.entry_next
        return found

    def inside(self):
        """How many customers have a token under way."""
        cdef int32_t c
        cdef int64_t n = 0
        with nogil:
            for c in range(self.m.s.persons_n):
                if self.m.s.persons[c].state > TOKEN_GONE or self.m.s.persons[c].crowd:
                    n += 1
        return n

    def digest(self, node_hashes, column_hashes):
        """A sum over customers and tokens of a hash of what is remembered of each, modulo 2**64.

        `node_hashes` uint64[nodes] stand for nodes, and `column_hashes` for the codes of columns of
        text (uint64[codes] each, None for others; the last is that of zones), so that no number of
        a row or a dictionary goes in.
        """
        cdef uint64_t total = 0
        cdef int32_t i, c, t, code
        cdef uint64_t[8] words
        cdef const EntryC* entry
        cdef const uint64_t* hashes
        cdef ColumnC* column
        cdef int64_t value
        cdef PersonC* person
        nodes = np.ascontiguousarray(node_hashes, np.uint64)
        cdef const uint64_t* node_hash = <const uint64_t*>address(nodes)
        for c in range(self.m.s.persons_n):
            person = &self.m.s.persons[c]
            if not person.crowd and person.state > TOKEN_GONE:
                words[0] = self.m.p.id_hash[c]
                words[1] = self.m.s.hashes[c]
                words[2] = node_hash[person.node]
                words[3] = person.state
                words[4] = <uint64_t>person.due_ms
                words[5] = <uint64_t>person.start_ms
                total += xxh64(<const unsigned char*>words, 48)
        for i in range(self.m.s.entries_used):
            entry = &self.m.s.entries[i]
            t = entry.first if entry.tokens > 0 else -1
            while t >= 0:
                words[0] = self.m.p.id_hash[entry.person]
                words[1] = entry.hash
                words[2] = node_hash[self.m.s.tokens[t].node]
                words[3] = self.m.s.tokens[t].state
                words[4] = <uint64_t>(INT64_MAX if self.m.s.timers[t].prev == -2 else self.m.s.timers[t].key)
                words[5] = <uint64_t>entry.start_ms
                total += xxh64(<const unsigned char*>words, 48)
                t = self.m.s.tokens[t].entry_next
        for i in range(self.m.p.n_columns + 1):
            column = &self.m.p.columns[i]
            texts = column_hashes[i]
            hashes = NULL
            if texts is not None:
                texts = np.ascontiguousarray(texts, np.uint64)
                hashes = <const uint64_t*>address(texts)
            words[2] = <uint64_t>i
            for c in range(self.m.s.persons_n):
                if not read_cell(column.data, column.store, c, &value):
                    continue
                words[0] = self.m.p.id_hash[c]
                words[1] = hashes[value] if hashes != NULL else <uint64_t>value
                total += xxh64(<const unsigned char*>words, 24)
        return total

    # -- snapshots

    def begin_snapshot(self):
        """Fix what is remembered now; returns the numbers of the blocks that changed since the last.

        `take_block` gives each of them as it is now, however much is worked meanwhile. What is not
        in blocks is `rest`, which must be taken before any more work.
        """
        cdef int64_t b, blocks = (<int64_t>self.m.s.persons_n + SNAPSHOT_BLOCK - 1) >> BLOCK_BITS
        self.saved = {}
        memset(self.owed, 0, self.blocks_size)
        changed = []
        for b in range(blocks):
            if self.dirty[b]:
                self.dirty[b] = 0
                self.owed[b] = 1
                changed.append(b)
        self.owing = set(changed)
        return changed

    cdef void _keep(self, int64_t b) except *:
        self.owed[b] = 0
        self.owing.discard(b)
        self.saved[b] = self._block(b)

    def take_block(self, int64_t b):
        """The bytes of a block that `begin_snapshot` named."""
        if b in self.saved:
            return self.saved.pop(b)
        if b not in self.owing:
            raise KeyError(b)
        self.owed[b] = 0
        self.owing.discard(b)
        return self._block(b)

    def give_up_snapshot(self):
        """Forget that a snapshot was begun: what it had not written counts as changed again."""
        cdef int64_t b
        for b in [*self.owing, *self.saved]:
            self.dirty[b] = 1
        self.owing = set()
        self.saved = {}
        memset(self.owed, 0, self.blocks_size)

    def mark_all(self):
        """Count every block as changed, so that the next snapshot is whole."""
        memset(self.dirty, 1, self.blocks_size)

    cdef size_t _block_bytes(self) noexcept:
        cdef size_t total = 4 * <size_t>self.m.p.n_slots
        cdef int32_t i
        for i in range(self.n_fields):
            if self.fields[i].saved:
                total += self.fields[i].item
        return total << BLOCK_BITS

    cdef object _block(self, int64_t b):
        data = np.zeros(self._block_bytes(), np.uint8)
        self._copy_block(b, <uint8_t*>address(data), 1)
        return data

    cdef void _copy_block(self, int64_t b, uint8_t* data, bint out) noexcept:
        """Copy a block's customers out to `data`, or in from there; the last block may be short."""
        cdef int64_t first = b << BLOCK_BITS
        cdef size_t n = <size_t>(min(<int64_t>self.m.s.persons_n - first, <int64_t>SNAPSHOT_BLOCK)), item
        cdef int32_t i
        cdef uint8_t* mine
        for i in range(self.n_fields + 1):
            if i < self.n_fields:
                if not self.fields[i].saved:
                    continue
                item = self.fields[i].item
                mine = <uint8_t*>self.fields[i].at[0]
            else:
                item = 4 * <size_t>self.m.p.n_slots
                mine = <uint8_t*>self.m.s.visits
            mine += first * <int64_t>item
            if out:
                memcpy(data, mine, n * item)
            else:
                memcpy(mine, data, n * item)
            data += item << BLOCK_BITS

    def rest(self):
        """What is remembered beside the blocks: arrays by name, and numbers by name."""
        cdef StateC* s = &self.m.s
        cdef int32_t i
        arrays = {
            "tokens": self._bytes(s.tokens, s.tokens_used * sizeof(TokenC)),
            "timers": self._bytes(s.timers, s.tokens_used * sizeof(HeapC)),
            "entries": self._bytes(s.entries, s.entries_used * sizeof(EntryC)),
            "entry_visits": self._bytes(
                <uint8_t*>s.visits + <size_t>s.persons_size * self.m.p.n_slots * 4 if self.m.p.n_slots else NULL,
                <size_t>s.entries_used * self.m.p.n_slots * 4,
            ),
            "admissions": self._bytes(s.admissions, s.admissions_used * sizeof(AdmissionC)),
            "keys": self._bytes(s.keys, s.keys_size * sizeof(KeySlotC)),
            "watches": self._bytes(s.open_watches, s.watches_used * sizeof(WatchOpenC)),
            "delays": self._delays(),
        }
        for i in range(self.n_arenas):
            if self.retains and not 3 <= i < 6:
                arrays[f"rows{i}"] = self._bytes(self.arenas[i].at[0], self.rows_used * self.arenas[i].item)
        for name in COUNTED:
            arrays["count_" + name] = getattr(self.counters, name).copy()
        numbers = {
            "customers": s.persons_n, "tokens_used": s.tokens_used, "tokens_free": s.tokens_free,
            "entries_used": s.entries_used, "entries_free": s.entries_free,
            "admissions_used": s.admissions_used, "keys_used": s.keys_used, "keys_size": s.keys_size,
            "watches_used": s.watches_used, "watches_free": s.watches_free,
            "rows_used": self.rows_used if self.retains else 0,
            "people": self.m.t.people, "steps": self.m.t.steps, "now_ms": self.calendar.now_ms,
            "entry_until_ms": self.m.p.entry_until_ms, "block_bytes": self._block_bytes(),
        }
        return arrays, numbers

    cdef object _bytes(self, const void* data, size_t size):
        found = np.empty(size, np.uint8)
        if size:
            memcpy(address(found), data, size)
        return found

    def load_state(self, blocks, arrays, numbers):
        """Remember what was taken: blocks by number in order, and what `rest` gave.

        The machine must be bound to the same program and have no customers. ValueError where sizes
        do not fit.
        """
        cdef StateC* s = &self.m.s
        cdef int64_t b = 0, c, due_ms
        cdef int32_t i
        if s.persons_n or numbers["block_bytes"] != self._block_bytes():
            raise ValueError("the state of another program")
        self.reserve(numbers["customers"])
        s.persons_n = numbers["customers"]
        for data in blocks:
            block = np.frombuffer(data, np.uint8)
            if len(block) != <int64_t>self._block_bytes() or b << BLOCK_BITS >= s.persons_n:
                raise ValueError(f"block {b} does not fit")
            self._copy_block(b, <uint8_t*>address(block), 0)
            b += 1
        if b != (<int64_t>s.persons_n + SNAPSHOT_BLOCK - 1) >> BLOCK_BITS:
            raise ValueError("a block is missing")
        s.tokens_used = s.tokens_size = numbers["tokens_used"]
        s.entries_used = s.entries_size = numbers["entries_used"]
        s.admissions_used = s.admissions_size = numbers["admissions_used"]
        s.keys_size = numbers["keys_size"]
        s.keys_used = numbers["keys_used"]
        s.watches_used = s.watches_size = numbers["watches_used"]
        s.tokens_free = numbers["tokens_free"]
        s.entries_free = numbers["entries_free"]
        s.watches_free = numbers["watches_free"]
        self._load(<void**>&s.tokens, arrays["tokens"], s.tokens_used * sizeof(TokenC))
        self._load(<void**>&s.timers, arrays["timers"], s.tokens_used * sizeof(HeapC))
        self._load(<void**>&s.entries, arrays["entries"], s.entries_used * sizeof(EntryC))
        self._load(<void**>&s.admissions, arrays["admissions"], s.admissions_used * sizeof(AdmissionC))
        self._load(<void**>&s.keys, arrays["keys"], s.keys_size * sizeof(KeySlotC))
        self._load(<void**>&s.open_watches, arrays["watches"], s.watches_used * sizeof(WatchOpenC))
        self._load_visits(arrays["entry_visits"])
        self.rows_used = 0
        self._rows_room(numbers["rows_used"])
        for i in range(self.n_arenas):
            if self.retains and not 3 <= i < 6:
                self._fill(self.arenas[i].at[0], arrays[f"rows{i}"], numbers["rows_used"] * self.arenas[i].item)
        self.rows_used = numbers["rows_used"]
        self.m.p.last_row = max(self.rows_used - 1, 0)
        for name in COUNTED:
            counted = getattr(self.counters, name)
            counted[...] = np.frombuffer(arrays["count_" + name], np.int64).reshape(counted.shape)
        self._load_delays(arrays["delays"])
        self.m.t.people = numbers["people"]
        self.m.t.steps = numbers["steps"]
        self.m.p.entry_until_ms = numbers["entry_until_ms"]
        self.calendar.now_ms = numbers["now_ms"]
        memset(self.dirty, 0, self.blocks_size)
        with nogil:
            for c in range(s.persons_n):
                self.calendar.prev[c] = OUTSIDE
                due_ms = next_ms(&s.persons[c])
                if due_ms < self.m.p.horizon_ms:
                    calendar_put(&self.calendar, <int32_t>c, due_ms)

    cdef void _load(self, void** at, array, size_t size) except *:
        free(at[0])
        at[0] = NULL
        at[0] = self.room(size, 1)
        self._fill(at[0], array, size)

    cdef void _fill(self, void* at, array, size_t size) except *:
        data = np.frombuffer(array, np.uint8)
        if <size_t>len(data) != size:
            raise ValueError(f"{size} bytes expected, not {len(data)}")
        if size:
            memcpy(at, address(data), size)

    cdef void _load_visits(self, array) except *:
        cdef size_t item = 4 * <size_t>self.m.p.n_slots
        cdef void* larger
        if item == 0:
            return
        larger = realloc(self.m.s.visits, item * (<size_t>self.m.s.persons_size + self.m.s.entries_size))
        if larger == NULL:
            raise MemoryError(_NO_ROOM)
        self.m.s.visits = <uint32_t*>larger
        self._fill(<uint8_t*>larger + item * self.m.s.persons_size, array, item * self.m.s.entries_used)

    cdef void _load_delays(self, rows) except *:
        cdef int64_t key, count, total
        cdef int64_t* cells
        table = np.frombuffer(rows, np.int64).reshape(-1, 3)
        for key, count, total in table.tolist():
            cells = self.m.t.delays[key >> DELAY_SUB_BITS]
            if cells == NULL:
                cells = <int64_t*>self.room(2 << DELAY_SUB_BITS, sizeof(int64_t))
                self.m.t.delays[key >> DELAY_SUB_BITS] = cells
            key &= (1 << DELAY_SUB_BITS) - 1
            cells[2 * key] = count
            cells[2 * key + 1] = total
