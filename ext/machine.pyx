"""Run a bound program over blocks of customers, without the GIL and without a Python object per token.

A block of customers is loaded, `apply` carries their work out up to a time, once or in as many
calls as one likes, and what was counted and logged is taken out. Within `apply` a few hundred
customers are under way at once; in each wave every one of them has one running token, the tokens
are gathered by node, and each node takes its tokens through one loop. A customer with nothing left
to do gives his lane to the next.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

import numpy as np

cimport numpy as cnp

from core import program as layouts
from core.binding import VALUE_TABLE
from core.binding_check import check_bound
from core.counters import DELAY_CELLS as CELLS_OF_CORE
from core.counters import Counters

from ext.calendar cimport calendar_put, calendar_take
from ext.civil cimport SlotC
from ext.kernels cimport carry_out
from ext.structs cimport *
from ext.timeline cimport advance, find_schedule, next_item, SEGMENT_UNSEEN

cnp.import_array()

__all__ = ["BLOCK", "BUCKETS", "LANES", "Machine", "record_sizes"]

LANES = 512
BLOCK = 4096
BUCKETS = 4096

_NO_ROOM = "the machine's state can't grow; use smaller blocks or fewer workers"

NUMPY_OF_STORE = {0: np.int8, 1: np.int32, 2: np.int64, 3: np.float64}

_SIZES = {
    "NODE": (layouts.NODE, sizeof(NodeC)),
    "PORT": (layouts.PORT, sizeof(PortC)),
    "PRED": (layouts.PRED, sizeof(PredC)),
    "TRIGGER": (layouts.TRIGGER, sizeof(TriggerC)),
    "WATCH": (layouts.WATCH, sizeof(WatchC)),
    "RULE": (layouts.RULE, sizeof(RuleC)),
    "DRAW": (layouts.DRAW, sizeof(DrawC)),
    "EVENT": (layouts.EVENT, sizeof(EventC)),
    "LOG": (layouts.LOG, sizeof(LogC)),
    "VALUE_TABLE": (VALUE_TABLE, sizeof(ValueTableC)),
}


def record_sizes():
    """The records' sizes in bytes, name -> (declared in core, compiled here); a test holds them equal."""
    return {name: (dtype.itemsize, size) for name, (dtype, size) in _SIZES.items()}


cdef void* address(object array) except? NULL:
    """Where a contiguous array lies; a valid pointer for an empty one too."""
    return cnp.PyArray_DATA(array)


cdef bint sort_log(const LogC* log, int64_t n, LogC* into) noexcept nogil:
    """Copy `n` records by customer, whose decisions are in the order of their steps; 0 without memory."""
    cdef uint32_t first, last
    cdef int64_t* places
    cdef int64_t i, at = 0, here
    if n == 0:
        return 1
    first = last = log[0].customer
    for i in range(1, n):
        first = min(first, log[i].customer)
        last = max(last, log[i].customer)
    places = <int64_t*>calloc(<size_t>(last - first) + 1, sizeof(int64_t))
    if places == NULL:
        return 0
    for i in range(n):
        places[log[i].customer - first] += 1
    for i in range(<int64_t>(last - first) + 1):
        here = places[i]
        places[i] = at
        at += here
    for i in range(n):
        into[places[log[i].customer - first]] = log[i]
        places[log[i].customer - first] += 1
    free(places)
    return 1


cdef class Machine:
    """The interpreter for one thread: a bound program, and state for `block_max` customers at a time.

    `lanes` customers are under way at once; neither number changes any decision. With `log` every
    decision is kept for `take_log`. Raises ValueError where the arrays of `bound` are inconsistent,
    MemoryError where there is no room.
    """

    def __cinit__(self, bound, int block_max=BLOCK, int lanes=LANES, bint log=False):
        if block_max < 1 or lanes < 1:
            raise ValueError("a machine needs room for at least one customer and one lane")
        if CELLS_OF_CORE != DELAY_CELLS or any(a != b for a, b in record_sizes().values()):
            raise ValueError("core and ext were not built together; build the extensions again")
        check_bound(bound)
        self.bound = bound
        self.held = []
        self.copies = []
        self.columns = []
        self.block_max = block_max
        self.lanes = lanes
        self.stop_flag = 0
        self._bind_program(bound)
        self._bind_inputs(bound)
        self._bind_columns(bound)
        self._make_state(log)

    def __dealloc__(self):
        cdef StateC* s = &self.m.s
        cdef int64_t i
        free(s.persons)
        free(s.tokens)
        free(s.timers)
        free(s.entries)
        free(s.visits)
        free(s.admissions)
        free(s.keys)
        free(s.pending)
        free(s.pending_heap)
        free(s.past)
        free(s.open_watches)
        free(s.last_row)
        free(s.last_past)
        free(s.segment_state)
        free(s.schedule_next)
        free(s.visited)
        free(s.touched)
        free(s.tested)
        if self.m.t.delays != NULL:
            for i in range(<int64_t>self.m.p.n_nodes * DELAY_OCTAVES):
                free(self.m.t.delays[i])
        free(self.m.t.delays)
        free(self.m.t.log)
        free(self.m.p.columns)
        free(self.m.p.properties)
        free(self.m.scratch)
        free(self.active)
        free(self.order)
        free(self.counts)
        free(self.touched)
        free(self.queue)
        free(self.calendar.heads)
        free(self.calendar.next)
        free(self.calendar.due_ms)

    cdef void* hold(self, array, dtype) except? NULL:
        """Keep a contiguous array of a type alive and return its address."""
        kept = np.ascontiguousarray(array, dtype)
        self.held.append(kept)
        return address(kept)

    cdef void* room(self, size_t items, size_t size) except NULL:
        """Zeroed memory for so many items."""
        cdef void* data = calloc(items if items else 1, size)
        if data == NULL:
            raise MemoryError(f"no memory for {items} items of {size} bytes")
        return data

    def _bind_program(self, bound):
        cdef ProgramC* p = &self.m.p
        program = bound.program
        p.nodes = <const NodeC*>self.hold(bound.nodes, layouts.NODE)
        p.ports = <const PortC*>self.hold(program.ports, layouts.PORT)
        p.edges = <const int32_t*>self.hold(program.edges, np.int32)
        p.preds = <const PredC*>self.hold(bound.preds, layouts.PRED)
        p.pred_bytes = <const uint8_t*>self.hold(bound.pred_bytes, np.uint8)
        p.sets = <const int64_t*>self.hold(bound.sets, np.int64)
        p.float_sets = <const double*>self.hold(bound.float_sets, np.float64)
        p.value_tables = <const ValueTableC*>self.hold(bound.values.tables, VALUE_TABLE)
        p.value_keys = <const int64_t*>self.hold(bound.values.keys, np.int64)
        p.value_ports = <const int32_t*>self.hold(bound.values.ports, np.int32)
        p.triggers = <const TriggerC*>self.hold(bound.triggers, layouts.TRIGGER)
        p.events = <const EventC*>self.hold(bound.events, layouts.EVENT)
        p.event_triggers = <const int32_t*>self.hold(bound.event_triggers, np.int32)
        p.watches = <const WatchC*>self.hold(bound.watches, layouts.WATCH)
        p.weights = <const int64_t*>self.hold(program.weights, np.int64)
        slots = np.zeros(len(bound.slots), [("days", "i4"), ("pad", "i4"), ("from", "i8"), ("until", "i8")])
        slots["days"], slots["from"], slots["until"] = bound.slots.T
        p.slots = <const SlotC*>self.hold(slots, slots.dtype)
        p.schedule_offsets = <const int64_t*>self.hold(bound.schedule_offsets, np.int64)
        p.schedule_ms = <const int64_t*>self.hold(bound.schedule_ms, np.int64)
        p.layers = <const uint64_t*>self.hold(bound.layers, np.uint64)
        p.touch_offsets = <const int32_t*>self.hold(bound.touch_offsets, np.int32)
        p.touch_columns = <const int32_t*>self.hold(bound.touch_columns, np.int32)
        kinds = bound.triggers["kind"]
        segments, schedules = (np.flatnonzero(kinds == k) for k in (TRIGGER_SEGMENT, TRIGGER_SCHEDULE))
        p.segment_triggers = <const int32_t*>self.hold(segments, np.int32)
        p.schedule_triggers = <const int32_t*>self.hold(schedules, np.int32)
        reads = [c in program.segment_columns for c in range(len(program.columns))]
        p.segment_column = <const uint8_t*>self.hold(reads, np.uint8)
        self._bind_responses(bound.responses)
        p.from_ms = bound.options.from_ms
        p.horizon_ms = bound.options.horizon_ms
        p.entry_from_ms = bound.entry_from_ms
        p.entry_until_ms = bound.entry_until_ms
        p.as_of_ms = bound.as_of_ms
        p.gap_ms = bound.gap_ms
        p.policy = bound.policy
        p.key_property = bound.key_property
        p.budget = bound.options.step_budget
        p.n_nodes = len(bound.nodes)
        p.n_columns = len(program.columns)
        p.n_properties = len(program.properties)
        p.n_histories = len(program.histories)
        p.n_watches = len(bound.watches)
        p.n_segments = len(segments)
        p.n_schedules = len(schedules)
        p.n_zones = len(bound.zones.tables)
        p.n_layers = len(bound.layers)
        p.n_slots = program.visit_slots
        p.words = (p.n_nodes + 63) // 64
        p.n_tests = len([w for w in program.watches if w.test >= 0])
        p.test_words = (p.n_tests + 63) // 64
        p.goal = p.n_watches - 1 if p.n_watches > p.n_tests else -1

    def _bind_responses(self, responses):
        cdef ProgramC* p = &self.m.p
        p.sends = <const int32_t*>self.hold(responses.sends, np.int32)
        p.rules = <const RuleC*>self.hold(responses.rules, layouts.RULE)
        p.draws = <const DrawC*>self.hold(responses.draws, layouts.DRAW)
        p.delays = <const int64_t*>self.hold(responses.delays, np.int64)
        p.constants = <const int64_t*>self.hold(responses.constants, np.int64)
        p.known = <const uint8_t*>self.hold(responses.known, np.uint8)
        p.idents = <const uint8_t*>self.hold(responses.idents, np.uint8)
        p.ident_offsets = <const int32_t*>self.hold(responses.ident_offsets, np.int32)

    def _bind_inputs(self, bound):
        cdef ProgramC* p = &self.m.p
        inputs, audience, zones = bound.inputs, bound.audience, bound.zones
        p.row_offsets = <const int64_t*>self.hold(inputs.offsets, np.int64)
        p.row_type = <const int32_t*>self.hold(inputs.type, np.int32)
        p.row_ms = <const int64_t*>self.hold(inputs.ms, np.int64)
        p.row_hash = <const uint64_t*>self.hold(inputs.hash, np.uint64)
        p.row_previous = <const int64_t*>self.hold(inputs.previous, np.int64)
        p.row_value = <const int64_t*>self.hold(inputs.value, np.int64)
        p.id_hash = <const uint64_t*>self.hold(audience.id_hash, np.uint64)
        p.created_ms = <const int64_t*>self.hold(audience.created_ms, np.int64)
        p.zone_of = <const int32_t*>self.hold(zones.of_customer, np.int32)
        p.zone_offsets = <const int32_t*>self.hold(zones.offsets, np.int32)
        p.zone_utc = <const int64_t*>self.hold(zones.utc_ms, np.int64)
        p.zone_offset = <const int64_t*>self.hold(zones.offset_ms, np.int64)

    def _bind_columns(self, bound):
        """Point at every column; one that a run may change gets room for a block's copy."""
        cdef ProgramC* p = &self.m.p
        cdef Py_ssize_t i
        columns = bound.columns
        p.columns = <ColumnC*>self.room(len(columns.customer), sizeof(ColumnC))
        p.properties = <ColumnC*>self.room(len(columns.property), sizeof(ColumnC))
        for i, column in enumerate(columns.property):
            p.properties[i].store = columns.store(column)
            p.properties[i].data = self.hold(column.values, NUMPY_OF_STORE[p.properties[i].store])
        for i, column in enumerate(columns.customer):
            p.columns[i].store = columns.store(column)
            p.columns[i].written = columns.written[i]
            dtype = NUMPY_OF_STORE[p.columns[i].store]
            values = np.ascontiguousarray(column.values, dtype)
            copy = np.empty(self.block_max, dtype) if columns.written[i] else values
            p.columns[i].data = self.hold(copy, dtype)
            self.columns.append(values)
            self.copies.append(self.held[len(self.held) - 1] if columns.written[i] else None)
            changed = columns.changed[i]
            if changed is not None:
                p.columns[i].changed = <const uint8_t*>self.hold(changed, np.uint8)

    def _make_state(self, bint log):
        cdef StateC* s = &self.m.s
        cdef ProgramC* p = &self.m.p
        cdef size_t n = self.block_max
        s.persons_size = self.block_max
        s.persons = <PersonC*>self.room(n, sizeof(PersonC))
        s.last_row = <int64_t*>self.room(n * p.n_histories, sizeof(int64_t))
        s.last_past = <int64_t*>self.room(n * p.n_histories, sizeof(int64_t))
        s.segment_state = <uint8_t*>self.room(n * p.n_segments, 1)
        s.schedule_next = <int64_t*>self.room(n * p.n_schedules, sizeof(int64_t))
        s.visited = <uint64_t*>self.room(n * p.words, sizeof(uint64_t))
        s.touched = <uint64_t*>self.room(n * p.words, sizeof(uint64_t))
        s.tested = <uint64_t*>self.room(n * p.test_words, sizeof(uint64_t))
        s.admissions = <AdmissionC*>self.room(n, sizeof(AdmissionC))
        s.admissions_size = self.block_max
        self.active = <int32_t*>self.room(self.lanes, sizeof(int32_t))
        self.order = <int32_t*>self.room(self.lanes, sizeof(int32_t))
        self.counts = <int32_t*>self.room(p.n_nodes + 1, sizeof(int32_t))
        self.touched = <int32_t*>self.room(p.n_nodes + 1, sizeof(int32_t))
        self.queue = <int32_t*>self.room(n, sizeof(int32_t))
        self.calendar.buckets = BUCKETS
        self.calendar.begin_ms = p.from_ms
        self.calendar.width_ms = max(1, (p.horizon_ms - p.from_ms) // BUCKETS + 1)
        self.calendar.heads = <int32_t*>self.room(BUCKETS, sizeof(int32_t))
        self.calendar.next = <int32_t*>self.room(n, sizeof(int32_t))
        self.calendar.due_ms = <int64_t*>self.room(n, sizeof(int64_t))
        self.m.t.logs = log
        self._make_tally()

    def _make_tally(self):
        """Counters at zero, held as one NumPy-backed `Counters` that the loop counts into."""
        cdef TallyC* t = &self.m.t
        bound = self.bound
        self.m.t.delays = <int64_t**>self.room(
            <size_t>self.m.p.n_nodes * DELAY_OCTAVES, sizeof(int64_t*)
        )
        t.hours = bound.hours
        counters = Counters.zeros(bound.program.flow, bound.hours, bound.responses.outcomes)
        self.counters = counters
        t.entered = <int64_t*>address(counters.entered)
        t.unique = <int64_t*>address(counters.unique)
        t.port = <int64_t*>address(counters.port)
        t.outcome = <int64_t*>address(counters.outcome)
        t.waiting = <int64_t*>address(counters.waiting)
        t.idle = <int64_t*>address(counters.idle)
        t.delay_sum_ms = <int64_t*>address(counters.delay_sum_ms)
        t.entries_by_hour = <int64_t*>address(counters.entries_by_hour)
        t.sends_by_hour = <int64_t*>address(counters.sends_by_hour)
        t.layer_people = <int64_t*>address(counters.layer_people)
        t.watch_opened = <int64_t*>address(counters.watch_opened)
        t.watch_matured = <int64_t*>address(counters.watch_matured)
        t.watch_succeeded = <int64_t*>address(counters.watch_succeeded)
        t.watch_succeeded_ever = <int64_t*>address(counters.watch_succeeded_ever)
        t.watch_modelled = <int64_t*>address(counters.watch_modelled)
        t.touched = <int64_t*>address(counters.touched)
        t.modelled = <int64_t*>address(counters.modelled)
        t.modelled_wakes = <int64_t*>address(counters.modelled_wakes)
        t.modelled_entries = <int64_t*>address(counters.modelled_entries)

    def load(self, int64_t first, int64_t last):
        """Begin with the customers [first, last) of the audience, at most `block_max`; earlier ones are forgotten.

        What was counted and logged stays. IndexError where there are no such customers.
        """
        cdef int64_t n = last - first
        cdef Py_ssize_t i
        if not 0 <= first <= last <= self.bound.customers or n > self.block_max:
            raise IndexError(f"no block of customers [{first}, {last})")
        self.m.s.lo = first
        for i, copy in enumerate(self.copies):
            if copy is not None:
                copy[:n] = self.columns[i][first:last]
                self.m.p.columns[i].base = first
        with nogil:
            self.begin(n)
        self.counters.customers += n

    cdef void begin(self, int64_t n) noexcept nogil:
        """Put every customer of the block at the beginning of his timeline."""
        cdef StateC* s = &self.m.s
        cdef ProgramC* p = &self.m.p
        cdef PersonC* person
        cdef int32_t c, k
        cdef int64_t at, first
        s.persons_n = <int32_t>n
        s.tokens_used = s.entries_used = s.pending_used = s.past_used = s.watches_used = 0
        s.tokens_free = s.entries_free = s.pending_free = s.watches_free = -1
        s.admissions_used = <int32_t>n
        s.keys_used = 0
        for c in range(s.keys_size):
            s.keys[c].admission = -1
        memset(s.visited, 0, <size_t>(n * p.words) * 8)
        memset(s.touched, 0, <size_t>(n * p.words) * 8)
        memset(s.tested, 0, <size_t>(n * p.test_words) * 8)
        for at in range(n * p.n_histories):
            s.last_row[at] = -1
            s.last_past[at] = -1
        memset(s.schedule_next, 0, <size_t>(n * p.n_schedules) * 8)
        memset(s.persons, 0, <size_t>n * sizeof(PersonC))
        for c in range(<int32_t>n):
            person = &s.persons[c]
            person.row = p.row_offsets[s.lo + c]
            person.row_end = p.row_offsets[s.lo + c + 1]
            person.timers = person.pending = person.listening = -1
            person.ready = person.token = person.watches = -1
            person.segment_ms = person.schedule_ms = INT64_MAX
            s.admissions[c].last_ms = INT64_MIN
            s.admissions[c].active = 0
            if p.n_segments:
                first = max(p.entry_from_ms, p.created_ms[s.lo + c])
                if first < p.entry_until_ms:
                    person.segment_ms = first
                for k in range(p.n_segments):
                    s.segment_state[<int64_t>c * p.n_segments + k] = SEGMENT_UNSEEN
            if p.n_schedules:
                find_schedule(&self.m, c)
        self.calendar.at = self.calendar.buckets
        for c in range(self.calendar.buckets):
            self.calendar.heads[c] = -1
        self.begun = 0

    def apply(self, int64_t until_ms):
        """Carry out all work before `until_ms`, at most to the horizon. One call or many decide the same.

        Returns False where `stop` was asked for meanwhile, the work then being unfinished.
        MemoryError where the state can't grow.
        """
        cdef int32_t n, c
        cdef int result
        until_ms = max(self.m.p.from_ms, min(until_ms, self.m.p.horizon_ms))
        if self.m.s.trap:
            raise MemoryError(_NO_ROOM)
        with nogil:
            if self.begun:
                n = calendar_take(&self.calendar, until_ms, self.queue)
            else:
                n = self.m.s.persons_n
                for c in range(n):
                    self.queue[c] = c
            self.begun = 1
            result = self.run(n, until_ms)
        if self.m.s.trap:
            raise MemoryError(_NO_ROOM)
        return result == 0

    cdef int run(self, int32_t n, int64_t until_ms) noexcept nogil:
        """Take the queue's customers through lanes, in waves; 1 where stopped."""
        cdef MachineC* m = &self.m
        cdef int32_t active = 0, taken = 0, i, c, node, nodes, begin, end
        cdef int64_t due
        cdef int rank
        while True:
            i = 0
            while True:
                if i == active:
                    if active == self.lanes or taken == n:
                        break
                    self.active[active] = self.queue[taken]
                    active += 1
                    taken += 1
                c = self.active[i]
                if m.s.persons[c].token >= 0 or advance(m, c, until_ms):
                    i += 1
                    continue
                due = next_item(m, c, &rank)
                if due < m.p.horizon_ms:
                    calendar_put(&self.calendar, c, due)
                active -= 1
                self.active[i] = self.active[active]
            if active == 0:
                return 0
            if m.s.trap or self.stop_flag:
                return 1
            nodes = 0
            for i in range(active):
                node = m.s.tokens[m.s.persons[self.active[i]].token].node
                if self.counts[node] == 0:
                    self.touched[nodes] = node
                    nodes += 1
                self.counts[node] += 1
            begin = 0
            for i in range(nodes):
                node = self.touched[i]
                begin += self.counts[node]
                self.counts[node] = begin
            for i in range(active - 1, -1, -1):
                c = self.active[i]
                node = m.s.tokens[m.s.persons[c].token].node
                self.counts[node] -= 1
                self.order[self.counts[node]] = c
            begin = 0
            for i in range(nodes):
                node = self.touched[i]
                end = self.counts[self.touched[i + 1]] if i + 1 < nodes else active
                self.counts[node] = 0
                carry_out(m, node, &self.order[begin], end - begin)
                begin = end

    def stop(self):
        """Ask a running `apply` of another thread to return soon."""
        self.stop_flag = 1

    def finish(self):
        """Count where the block's tokens stand now; call it once for each block, after its last `apply`."""
        with nogil:
            self.census()

    cdef void census(self) noexcept nogil:
        cdef StateC* s = &self.m.s
        cdef int32_t i, c, word
        cdef uint8_t state
        for i in range(s.tokens_used):
            state = s.tokens[i].state
            if state == TOKEN_TIMED or state == TOKEN_LISTENING:
                self.m.t.waiting[s.tokens[i].node] += 1
            elif state == TOKEN_IDLE:
                self.m.t.idle[s.tokens[i].node] += 1
        for i in range(self.m.p.n_layers):
            for c in range(s.persons_n):
                for word in range(self.m.p.words):
                    if s.visited[<int64_t>c * self.m.p.words + word] & self.m.p.layers[i * self.m.p.words + word]:
                        self.m.t.layer_people[i] += 1
                        break

    def take_counters(self):
        """What was counted since the last call, as `core.counters.Counters`; counting starts again at zero."""
        counters = self.counters
        counters.people = self.m.t.people
        counters.steps = self.m.t.steps
        counters.delays = self._take_delays()
        self.m.t.people = 0
        self.m.t.steps = 0
        self._make_tally()
        return counters

    def _take_delays(self):
        """The cells that counted a delay, as `Counters.delays` has them; their memory is given back."""
        cdef int64_t pages = <int64_t>self.m.p.n_nodes * DELAY_OCTAVES, page, used = 0
        cdef int64_t* cells
        cdef int64_t* row
        cdef int i
        for page in range(pages):
            cells = self.m.t.delays[page]
            if cells != NULL:
                for i in range(1 << DELAY_SUB_BITS):
                    used += cells[i] != 0
        table = np.empty((used, 3), np.int64)
        row = <int64_t*>address(table)
        for page in range(pages):
            cells = self.m.t.delays[page]
            if cells == NULL:
                continue
            for i in range(1 << DELAY_SUB_BITS):
                if cells[i]:
                    row[0] = (page << DELAY_SUB_BITS) + i
                    row[1] = cells[i]
                    row[2] = cells[(1 << DELAY_SUB_BITS) + i]
                    row += 3
            free(cells)
        free(self.m.t.delays)
        self.m.t.delays = NULL
        return table

    def take_log(self):
        """The decisions since the last call, LOG records sorted by (customer row, step); the log is empty then."""
        records = np.empty(self.m.t.log_used, layouts.LOG)
        cdef LogC* by_customer = <LogC*>address(records)
        cdef bint done
        with nogil:
            done = sort_log(self.m.t.log, self.m.t.log_used, by_customer)
        if not done:
            raise MemoryError(_NO_ROOM)
        self.m.t.log_used = 0
        return records
