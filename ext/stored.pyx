"""Keep a live machine's state in tables that grow, and save and load it block by block.

Every array that has an element for each customer is a field of one table, and every array that has
one for each row of inputs is in another, so that growing, saving and loading treat all alike. A
snapshot copies a block of customers just before work changes it.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memmove, memset
import numpy as np

cimport numpy as cnp

from ext.calendar cimport OUTSIDE, calendar_put
from ext.claims cimport LeftC, LineC
from ext.machine cimport Machine
from ext.predicates cimport write_cell
from ext.sound cimport unsound
from ext.spans cimport longer_span, munmap, span
from ext.structs cimport *
from ext.timeline cimport SEGMENT_UNSEEN
from ext.tokens cimport list_entries, next_ms
from ext.waves cimport begin_person

cnp.import_array()

__all__ = ["SNAPSHOT_BLOCK", "StoredMachine"]

SNAPSHOT_BLOCK = 1024
ABSENT = {"bool": -1, "string": -1, "float64": int(np.float64(np.nan).view(np.int64))}

cdef enum:
    FIRST_CUSTOMERS = 1 << 16
    FIRST_ROWS = 4096
    UNFILLED = 0xFF

_NO_ROOM = "the machine's state can't grow; the partition must be opened again, with more memory"

COUNTED = (
    "entered", "unique", "port", "outcome", "delay_sum_ms", "entries_by_hour", "sends_by_hour",
    "queued", "line_sum_ms", "refused_cap", "refused_late", "watch_opened", "watch_matured", "watch_succeeded", "watch_succeeded_ever", "watch_modelled",
)

_STORES = {0: (np.int8, 1), 1: (np.int32, 4), 2: (np.int64, 8), 3: (np.float64, 8)}


cdef void* address(object array) except? NULL:
    return cnp.PyArray_DATA(array)


cdef class StoredMachine(Machine):
    """A machine whose customers and rows come while it runs, and whose state can be saved.

    It remembers the customers of `bound` at the beginning. Nothing is judged by an attribute's
    later value, and no response is modelled: ValueError where `bound` asks for either.
    """

    def __cinit__(self, bound, int block_max, int lanes=512, bint log=False):
        if len(bound.responses.rules) or len(bound.inputs.ms):
            raise ValueError("a live machine begins without rows, and models no responses")
        self.m.p.live = 1
        self.m.k.answer_offsets = NULL
        self.m.k.keeps = self.m.k.on
        self.m.p.named = 1
        self.m.s.lo = 0
        self.begun = 1
        self.retains = bound.keeps_rows
        self.kept = []
        self._make_fields()
        self._make_rows()
        self._make_absent(bound)
        with nogil:
            self.begin(0)
        self.m.t.log_block = 0  # steps go on from one log to the next
        self._join_first(bound)

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.n_fields):
            munmap(self.fields[i].at[0], self.fields[i].item * <size_t>self.block_max)
            self.fields[i].at[0] = NULL
        free(self.fields)
        free(self.dirty)
        free(self.owed)
        for i in range(self.n_arenas):
            free(self.arenas[i].at[0])
        free(self.arenas)

    cdef void field(self, void** at, size_t item, uint8_t fill, bint saved) except *:
        """Let an array with an element of `item` bytes for each customer be one of the table.

        Its memory is zero and costs nothing until a customer comes; so it can be ample, and need
        seldom be moved.
        """
        cdef FieldC* f
        cdef void* room
        if item == 0:
            return
        self.fields = <FieldC*>realloc(self.fields, sizeof(FieldC) * (self.n_fields + 1))
        room = span(item * <size_t>self.block_max)
        if self.fields == NULL or room == NULL:
            raise MemoryError(_NO_ROOM)
        free(at[0])
        at[0] = room
        f = &self.fields[self.n_fields]
        f.at = at
        f.item = item
        f.fill = fill
        f.saved = saved
        self.n_fields += 1

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
            columns[i].data = NULL  # its memory belongs to an array of NumPy
        free(p.columns)
        p.columns = columns
        p.id_hash = NULL
        p.created_ms = NULL
        self.block_max = max(FIRST_CUSTOMERS, self.block_max)
        s.persons_size = self.block_max
        columns[p.n_columns].store = STORE_INT32
        reads = [self.m.p.segment_column[i] for i in range(p.n_columns)] + [1]
        p.segment_column = <const uint8_t*>self.hold(reads, np.uint8)
        self.field(<void**>&s.persons, sizeof(PersonC), 0, 1)
        self.field(<void**>&s.details, sizeof(DetailC), 0, not p.plain)
        self.field(<void**>&s.steps, 4, 0, 1)
        self.field(<void**>&s.hashes, 8, 0, 1)
        self.field(<void**>&s.last_row, 8 * p.n_histories, UNFILLED, 1)
        self.field(<void**>&s.last_past, 8 * p.n_histories, UNFILLED, 1)
        self.field(<void**>&s.segment_state, p.n_segments, SEGMENT_UNSEEN, 1)
        self.field(<void**>&s.schedule_next, 8 * p.n_schedules, 0, 1)
        self.field(<void**>&s.visited, 8 * p.words, 0, 1)
        self.field(<void**>&s.touched, 8 * p.words, 0, 0)
        self.field(<void**>&s.tested, 8 * p.test_words, 0, 1)
        self.field(<void**>&s.listening, 4 * p.n_listeners, UNFILLED, 1)
        self.field(<void**>&s.visits, 4 * p.n_slots, 0, 1)
        self.field(<void**>&self.m.k.left, sizeof(LeftC) * self.m.k.on, UNFILLED, 1)
        self.field(<void**>&self.queue, 4, 0, 0)
        self.field(<void**>&self.calendar.next, 4, 0, 0)
        self.field(<void**>&self.calendar.prev, 4, UNFILLED, 0)
        self.field(<void**>&self.calendar.due_ms, 8, 0, 0)
        self.field(<void**>&p.id_hash, 8, 0, 1)
        self.field(<void**>&p.created_ms, 8, 0, 1)
        for i in range(p.n_columns):
            self.field(&columns[i].data, _STORES[columns[i].store][1], 0, 1)
        self.field(&columns[p.n_columns].data, 4, 0, 1)
        p.zone_of = <const int32_t*>columns[p.n_columns].data
        # A customer's rows end here; read at his number plus one.
        self.field(<void**>&self.row_end, 8, 0, 0)
        self._alias()
        self.dirty = <uint8_t*>self.room((self.block_max >> BLOCK_BITS) + 1, 1)
        self.owed = <uint8_t*>self.room((self.block_max >> BLOCK_BITS) + 1, 1)
        self.blocks_size = (self.block_max >> BLOCK_BITS) + 1
        self.saved = {}
        self.owing = set()

    cdef void _make_absent(self, bound) except *:
        """What each column holds of somebody of whom nothing is known."""
        cdef int32_t i
        values = [
            0 if name.family != "attribute" else ABSENT.get(column.kind, -(2**63))
            for name, column in zip(bound.program.columns, bound.columns.customer)
        ]
        self.absent = <const int64_t*>self.hold_for_good(np.array(values, np.int64))

    cdef void* hold_for_good(self, array) except? NULL:
        """Keep an array for as long as the machine is, whatever it is bound to."""
        self.kept.append(array)
        return address(array)

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
        cdef int64_t size = max(customers, 4 * <int64_t>self.block_max)
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
        cdef void* larger = longer_span(
            f.at[0], f.item * <size_t>self.block_max,
            f.item * <size_t>self.m.s.persons_n, f.item * <size_t>size,
        )
        if larger == NULL:
            self.m.s.trap = 1
            raise MemoryError(_NO_ROOM)
        f.at[0] = larger

    def join(self, id_hash, created_ms, zones, columns):
        """Add customers behind the last: uint64[k], int64[k], int32[k], and a column of k each.

        Each begins his timeline; what he has of columns is what he had before it.
        """
        cdef int64_t first = self.m.s.persons_n, k = len(id_hash), c, due_ms
        cdef int32_t i
        if k == 0:
            return
        zones = np.ascontiguousarray(zones, np.int32)
        if len(columns) != self.m.p.n_columns or not 0 <= zones.min(initial=0) <= zones.max(initial=0) < self.m.p.n_zones:
            raise ValueError("customers need a value of each column, and a zone that there is")
        self.reserve(first + k)
        self._put(<void*>self.m.p.id_hash, first, id_hash, np.uint64, k)
        self._put(<void*>self.m.p.created_ms, first, created_ms, np.int64, k)
        self._put(self.m.p.columns[self.m.p.n_columns].data, first, zones, np.int32, k)
        for i in range(self.m.p.n_columns):
            self._put(self.m.p.columns[i].data, first, columns[i], _STORES[self.m.p.columns[i].store][0], k)
        self._fill_fields(first, k)
        self.m.s.persons_n = <int32_t>(first + k)
        with nogil:
            for c in range(first, first + k):
                begin_person(&self.m, &self.m.s.persons[c])
                due_ms = next_ms(&self.m.s.persons[c])
                self.calendar.prev[c] = OUTSIDE
                self.dirty[c >> BLOCK_BITS] = 1
                if due_ms < self.m.p.horizon_ms:
                    calendar_put(&self.calendar, <int32_t>c, due_ms)

    cdef void _renew(self, int32_t c, int64_t at_ms) noexcept:
        """Let a customer be as one who joins now, of whom nothing is known."""
        cdef uint64_t id_hash = self.m.p.id_hash[c]
        cdef uint32_t step = self.m.s.steps[c]
        cdef ColumnC* column
        cdef int32_t i
        for i in range(self.n_fields):
            memset(
                <uint8_t*>self.fields[i].at[0] + self.fields[i].item * <size_t>c,
                self.fields[i].fill, self.fields[i].item,
            )
        for i in range(self.m.p.n_columns):
            column = &self.m.p.columns[i]
            write_cell(column, c, self.absent[i])
        (<uint64_t*>self.m.p.id_hash)[c] = id_hash
        (<int64_t*>self.m.p.created_ms)[c] = at_ms
        self.m.s.steps[c] = step
        self.calendar.prev[c] = OUTSIDE
        begin_person(&self.m, &self.m.s.persons[c])

    cdef void _fill_fields(self, int64_t first, int64_t k) noexcept:
        """Give new elements the bytes of fields that do not begin as zero."""
        cdef int32_t i
        for i in range(self.n_fields):
            if self.fields[i].fill:
                memset(
                    <uint8_t*>self.fields[i].at[0] + self.fields[i].item * <size_t>first,
                    self.fields[i].fill, self.fields[i].item * <size_t>k,
                )

    cdef object dtype_of(self, int32_t store):
        """The dtype of a column stored so."""
        return _STORES[store][0]

    cdef void _put(self, void* data, int64_t first, values, dtype, int64_t k) except *:
        array = np.ascontiguousarray(values, dtype)
        if array.shape != (k,):
            raise ValueError(f"{k} values expected, not {array.shape}")
        memcpy(<uint8_t*>data + <size_t>first * <size_t>array.itemsize, address(array), <size_t>array.nbytes)

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
        cdef size_t total = 0
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
        for i in range(self.n_fields):
            if not self.fields[i].saved:
                continue
            item = self.fields[i].item
            mine = <uint8_t*>self.fields[i].at[0] + first * <int64_t>item
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
            "entry_visits": self._bytes(s.entry_visits, <size_t>s.entries_used * self.m.p.n_slots * 4),
            "admissions": self._bytes(s.admissions, s.admissions_used * sizeof(AdmissionC)),
            "keys": self._bytes(s.keys, s.keys_size * sizeof(KeySlotC)),
            "watches": self._bytes(s.open_watches, s.watches_used * sizeof(WatchOpenC)),
            "past": self._bytes(s.past, s.past_used * sizeof(PastC)),
            "lines": self._bytes(self.m.k.lines, self.m.k.lines_used * sizeof(LineC)),
            "decided_ms": self.grants[2].copy(),
            "decided_branch": self.grants[3].copy(),
            "delays": self._delays(),
        }
        for i in range(self.n_arenas):
            if self.retains and not 3 <= i < 6:
                arrays[f"rows{i}"] = self._bytes(self.arenas[i].at[0], self.rows_used * self.arenas[i].item)
        counted = self.counters.cut()
        arrays |= {"count_" + name: getattr(counted, name).copy() for name in COUNTED}
        numbers = {
            "customers": s.persons_n, "tokens_used": s.tokens_used, "tokens_free": s.tokens_free,
            "entries_used": s.entries_used, "entries_free": s.entries_free,
            "admissions_used": s.admissions_used, "keys_used": s.keys_used, "keys_size": s.keys_size,
            "watches_used": s.watches_used, "watches_free": s.watches_free,
            "past_used": s.past_used, "lines_used": self.m.k.lines_used, "lines_free": self.m.k.lines_free,
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
        do not fit, or where anything names what is not there; the machine is of no use then.
        """
        cdef StateC* s = &self.m.s
        cdef const int64_t* codes
        cdef int64_t watches = self.counters.watch_opened.size
        cdef int wrong
        cdef int64_t b = 0, c, due_ms
        cdef int32_t i
        if s.persons_n or numbers["block_bytes"] != self._block_bytes():
            raise ValueError("the state of another program")
        self._check_numbers(numbers)
        self.reserve(numbers["customers"])
        s.persons_n = numbers["customers"]
        self._fill_fields(0, s.persons_n)
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
        s.past_used = s.past_size = numbers["past_used"]
        self._load(<void**>&s.past, arrays["past"], s.past_used * sizeof(PastC))
        self.m.k.lines_used = self.m.k.lines_size = numbers["lines_used"]
        self.m.k.lines_free = numbers["lines_free"]
        self._load(<void**>&self.m.k.lines, arrays["lines"], self.m.k.lines_used * sizeof(LineC))
        for i, name in ((2, "decided_ms"), (3, "decided_branch")):
            self.grants[i][...] = np.frombuffer(arrays[name], self.grants[i].dtype)
        self._load(
            <void**>&s.entry_visits, arrays["entry_visits"], <size_t>s.entries_used * self.m.p.n_slots * 4
        )
        self._check_kept_rows(arrays, numbers["rows_used"])
        self.rows_used = 0
        self._rows_room(numbers["rows_used"])
        for i in range(self.n_arenas):
            if self.retains and not 3 <= i < 6:
                self._fill(self.arenas[i].at[0], arrays[f"rows{i}"], numbers["rows_used"] * self.arenas[i].item)
        self.rows_used = numbers["rows_used"]
        self.m.p.last_row = max(self.rows_used - 1, 0)
        for name in COUNTED:
            self.counters.fill(name, np.frombuffer(arrays["count_" + name], np.int64))
        self._load_delays(arrays["delays"])
        self.m.t.people = numbers["people"]
        self.m.t.steps = numbers["steps"]
        self.m.p.entry_until_ms = numbers["entry_until_ms"]
        self.calendar.now_ms = numbers["now_ms"]
        known = np.array([*(len(each.dictionary or ()) for each in self.bound.columns.customer), 0], np.int64)
        codes = <const int64_t*>address(known)
        with nogil:
            wrong = unsound(&self.m, self.rows_used, self.retains, codes, watches)
        if wrong:
            raise ValueError(f"the state contradicts itself: BAD_* {wrong} of ext/sound.pxd")
        memset(self.dirty, 0, self.blocks_size)
        if self.m.p.n_exits:
            list_entries(&self.m)
        with nogil:
            for c in range(s.persons_n):
                self.calendar.prev[c] = OUTSIDE
                due_ms = next_ms(&s.persons[c])
                if due_ms < self.m.p.horizon_ms:
                    calendar_put(&self.calendar, <int32_t>c, due_ms)

    def _check_numbers(self, numbers):
        """ValueError where counts and first places of lists contradict each other."""
        counts = ("customers", "tokens_used", "entries_used", "admissions_used", "keys_size", "watches_used", "rows_used", "past_used")
        lists = ("tokens", "entries", "watches")
        if any(numbers[name] < 0 for name in counts) or any(
            not -1 <= numbers[f"{name}_free"] < numbers[f"{name}_used"] for name in lists
        ):
            raise ValueError("the state contradicts itself: its counts")

    def _check_kept_rows(self, arrays, rows):
        """ValueError unless so many rows are there, before room is made: it may be any number."""
        cdef int32_t i
        kept = [i for i in range(self.n_arenas) if self.retains and not 3 <= i < 6]
        sizes = [memoryview(arrays[f"rows{i}"]).nbytes for i in kept]
        if sizes != [rows * self.arenas[i].item for i in kept] or (rows and not kept):
            raise ValueError(f"the state contradicts itself: {rows} rows have other bytes")

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

    cdef void _load_delays(self, rows) except *:
        cdef int64_t key, count, total
        cdef int64_t* cells
        table = np.frombuffer(rows, np.int64).reshape(-1, 3)
        if np.any(table[:, 0] < 0) or np.any(table[:, 0] >= self.m.p.n_nodes * <int64_t>DELAY_CELLS):
            raise ValueError("the state contradicts itself: its delays")
        for key, count, total in table.tolist():
            cells = self.m.t.delays[key >> DELAY_SUB_BITS]
            if cells == NULL:
                cells = <int64_t*>self.room(2 << DELAY_SUB_BITS, sizeof(int64_t))
                self.m.t.delays[key >> DELAY_SUB_BITS] = cells
            key &= (1 << DELAY_SUB_BITS) - 1
            cells[2 * key] = count
            cells[2 * key + 1] = total
