"""Run a bound program over blocks of customers, without the GIL and without a Python object per token.

A block of customers is loaded, `apply` carries their work out up to a time, once or in as many
calls as one likes, and what was counted and logged is taken out. Within `apply` a few hundred
customers are under way at once; in each wave each of them has at most one running token and stands
in the queue of its node, and each node takes its queue through one loop. A customer with nothing
left to do gives his lane to the next.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset
from posix.stdlib cimport posix_memalign

import numpy as np

cimport numpy as cnp

from core import couplings
from core import program as layouts
from core.binding import VALUE_TABLE
from core.binding_check import check_bound
from core.counters import DELAY_CELLS as CELLS_OF_CORE
from core.counters import Counters

from ext.calendar cimport BUCKETS, calendar_take
from ext.civil cimport SlotC
from ext.claims cimport AnswerC, ClaimC, LeftC
from ext.couplings cimport count_in_line
from ext.log cimport sort_log
from ext.slabs cimport free_state
from ext.structs cimport *
from ext.timeline cimport SEGMENT_UNSEEN
from ext.waves cimport count_place, run_waves

cnp.import_array()

__all__ = ["BLOCK", "LANES", "Machine", "record_sizes"]

LANES = 512
BLOCK = 4096

cdef enum:
    LINE = 64

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
    "LISTEN": (layouts.LISTEN, sizeof(ListenC)),
    "INTERNAL": (layouts.INTERNAL, sizeof(InternalC)),
    "LOG": (layouts.LOG, sizeof(LogC)),
    "EFFECT": (layouts.EFFECT, sizeof(EffectC)),
    "CHANGE": (layouts.CHANGE, sizeof(ChangeC)),
    "VALUE_TABLE": (VALUE_TABLE, sizeof(ValueTableC)),
    "CLAIM": (couplings.CLAIM, sizeof(ClaimC)),
    "ANSWER": (couplings.ANSWER, sizeof(AnswerC)),
}


def record_sizes():
    """The records' sizes in bytes, name -> (declared in core, compiled here); a test holds them equal."""
    return {name: (dtype.itemsize, size) for name, (dtype, size) in _SIZES.items()}


cdef void* address(object array) except? NULL:
    """Where a contiguous array lies; a valid pointer for an empty one too."""
    return cnp.PyArray_DATA(array)


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
        free_state(s)
        if self.m.t.delays != NULL:
            for i in range(<int64_t>self.m.p.n_nodes * DELAY_OCTAVES):
                free(self.m.t.delays[i])
        free(self.m.t.delays)
        free(self.m.t.log)
        free(self.m.t.effects)
        free(self.m.t.changes)
        free(self.m.k.lines)
        free(self.m.k.claims)
        free(self.m.k.left)
        free(self.m.p.columns)
        free(self.m.p.properties)
        free(self.m.scratch)
        free(self.m.w.queues)
        free(self.m.w.filled)
        free(self.m.w.spare)
        free(self.m.w.idle)
        free(self.m.w.seeing)
        free(self.m.w.ports)
        free(self.m.w.sorted)
        free(self.m.w.counts)
        free(self.buffers)
        free(self.queue)
        free(self.calendar.heads)
        free(self.calendar.next)
        free(self.calendar.prev)
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

    cdef void* lines(self, size_t items, size_t size) except NULL:
        """Zeroed memory that begins with a line of the cache, so that no record lies across two."""
        cdef void* data = NULL
        if posix_memalign(&data, LINE, items * size):
            raise MemoryError(f"no memory for {items} items of {size} bytes")
        memset(data, 0, items * size)
        return data

    def _bind_program(self, bound):
        cdef ProgramC* p = &self.m.p
        program = bound.program
        p.nodes = <const NodeC*>self.hold(bound.nodes, layouts.NODE)
        p.ports = <const PortC*>self.hold(program.ports, layouts.PORT)
        p.edges = <const int32_t*>self.hold(program.edges, np.int32)
        p.port0 = <const int32_t*>self.hold(bound.nodes["port0"], np.int32)
        p.routes = <const int32_t*>self.hold(bound.passage.routes, np.int32)
        p.preds = <const PredC*>self.hold(bound.preds, layouts.PRED)
        p.pred_bytes = <const uint8_t*>self.hold(bound.pred_bytes, np.uint8)
        p.sets = <const int64_t*>self.hold(bound.sets, np.int64)
        p.float_sets = <const double*>self.hold(bound.float_sets, np.float64)
        p.value_tables = <const ValueTableC*>self.hold(bound.values.tables, VALUE_TABLE)
        p.value_keys = <const int64_t*>self.hold(bound.values.keys, np.int64)
        p.value_ports = <const int32_t*>self.hold(bound.values.ports, np.int32)
        p.triggers = <const TriggerC*>self.hold(bound.triggers, layouts.TRIGGER)
        p.events = <const EventC*>self.hold(bound.events, layouts.EVENT)
        self._bind_internals(bound)
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
        self._bind_couplings(bound)
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
        p.n_events = len(bound.events)
        p.n_columns = len(program.columns)
        p.n_properties = len(program.properties)
        p.answers = self.bound.answers_property
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
        again = bound.nodes["flags"] & FLAG_AGAIN
        p.budgeted = again.any() or p.budget < <uint32_t>p.n_nodes
        p.after = STAGE_SEGMENTS if p.n_segments else STAGE_REST
        p.goal = p.n_watches - 1 if p.n_watches > p.n_tests else -1

    def _bind_internals(self, bound):
        cdef ProgramC* p = &self.m.p
        own = bound.internals
        p.internals = <const InternalC*>self.hold(own.events, layouts.INTERNAL)
        p.listens = <const ListenC*>self.hold(own.listens, layouts.LISTEN)
        p.exits = <const ListenC*>self.hold(own.exits, layouts.LISTEN)
        p.guards = <const int32_t*>self.hold(own.guards, np.int32)
        p.column_fires = <const int32_t*>self.hold(own.column_fires, np.int32)
        # One more, for rows that change the customer's zone.
        p.column_watched = <const uint8_t*>self.hold(np.append(own.column_watched, 0), np.uint8)
        p.listeners = <const int32_t*>self.hold(own.listeners, np.int32)
        p.n_listeners = own.lists
        p.n_exits = len(own.exits)
        p.internal0 = len(bound.responses.draws)
        p.n_constants = len(bound.responses.constants)
        p.holdout_points = own.holdout_points
        p.holdout_key = own.holdout_key

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

    def _bind_couplings(self, bound):
        cdef CoupledC* k = &self.m.k
        coupled = bound.couplings
        k.on = len(coupled.specs) > 0
        k.gate = coupled.gate
        k.resources = <const int32_t*>self.hold(coupled.resources, np.int32)
        k.trials = <const int32_t*>self.hold(coupled.trials, np.int32)
        self.bind_grants(bound.grants or couplings.Grants.none(bound.customers))

    cdef void bind_grants(self, grants) except *:
        cdef CoupledC* k = &self.m.k
        arrays = (grants.offsets, grants.answers, *self.bound.couplings.decided(grants))
        dtypes = (np.int64, couplings.ANSWER, np.int64, np.int32)
        self.grants = [np.ascontiguousarray(a, dtype) for a, dtype in zip(arrays, dtypes)]
        k.answer_offsets = <const int64_t*>address(self.grants[0])
        k.answers = <const AnswerC*>address(self.grants[1])
        k.decided_ms = <const int64_t*>address(self.grants[2])
        k.decided_branch = <const int32_t*>address(self.grants[3])

    cdef bint asks_names(self, bound) except -1:
        """Whether anything asks for an entry's identity: draws for each entry, events, answers."""
        splits = bound.nodes["flags"][bound.nodes["op"] == OP_SPLIT]
        spread = np.any(bound.nodes["ms"][bound.nodes["op"] == OP_WAIT_SLOT])
        answers = bound.answers_property >= 0
        return bool(np.any((splits & FLAG_STICKY) == 0) or len(bound.responses.rules) or spread or answers)

    def _bind_inputs(self, bound):
        cdef ProgramC* p = &self.m.p
        inputs, audience, zones = bound.inputs, bound.audience, bound.zones
        p.row_offsets = <const int64_t*>self.hold(inputs.offsets, np.int64)
        p.row_type = <const int32_t*>self.hold(inputs.type, np.int32)
        p.row_ms = p.row_past_ms = <const int64_t*>self.hold(inputs.ms, np.int64)
        p.last_row = max(len(inputs.ms) - 1, 0)
        p.row_hash = <const uint64_t*>self.hold(inputs.hash, np.uint64)
        p.row_previous = <int64_t*>self.hold(inputs.previous, np.int64)
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
        s.persons = <PersonC*>self.lines(n, sizeof(PersonC))
        s.details = <DetailC*>self.lines(n, sizeof(DetailC))
        s.steps = <uint32_t*>self.room(n, sizeof(uint32_t))
        s.hashes = <uint64_t*>self.room(n, sizeof(uint64_t))
        s.last_row = <int64_t*>self.room(n * p.n_histories, sizeof(int64_t))
        s.last_past = <int64_t*>self.room(n * p.n_histories, sizeof(int64_t))
        s.segment_state = <uint8_t*>self.room(n * p.n_segments, 1)
        s.schedule_next = <int64_t*>self.room(n * p.n_schedules, sizeof(int64_t))
        s.visited = <uint64_t*>self.room(n * p.words, sizeof(uint64_t))
        s.touched = <uint64_t*>self.room(n * p.words, sizeof(uint64_t))
        s.tested = <uint64_t*>self.room(n * p.test_words, sizeof(uint64_t))
        s.visits = <uint32_t*>self.room(n * p.n_slots, sizeof(uint32_t))
        s.listening = <int32_t*>self.room(n * p.n_listeners, sizeof(int32_t))
        self.queue = <int32_t*>self.room(n, sizeof(int32_t))
        self.calendar.heads = <int32_t*>self.room(BUCKETS, sizeof(int32_t))
        self.calendar.next = <int32_t*>self.room(n, sizeof(int32_t))
        self.calendar.prev = <int32_t*>self.room(n, sizeof(int32_t))
        self.calendar.due_ms = <int64_t*>self.room(n, sizeof(int64_t))
        self.m.t.logs = log
        self.m.k.left = <LeftC*>self.room(n if self.m.k.on else 0, sizeof(LeftC))
        asks_names = self.asks_names(self.bound)
        p.named = log or asks_names
        p.detailed = (
            p.n_segments > 0 or p.n_schedules > 0 or p.key_property >= 0 or self.m.k.on
            or len(self.bound.internals.events) > 0 or p.n_exits > 0 or p.holdout_points > 0
        )
        p.plain = not (
            p.detailed or asks_names or p.budgeted or p.n_watches or p.n_slots or len(self.bound.responses.rules)
            or p.policy != POLICY_ONCE or np.any(self.bound.passage.routes == ROUTE_FORK)
        )
        s.blank.segment_ms = s.blank.schedule_ms = INT64_MAX
        s.blank.timers = s.blank.pending = s.blank.ready = s.blank.watches = -1
        s.blank.line = s.blank.line_last = s.blank.first_entry = -1
        s.blank.admission.last_ms = INT64_MIN
        s.blank.budget = p.budget  # whoever has never had a token has spent nothing of it
        self._make_queues()
        self._make_tally()

    def _make_queues(self):
        """Room for as many queues at once as there can be: no more than nodes, no more than lanes."""
        cdef WaveC* w = &self.m.w
        cdef int32_t nodes = self.m.p.n_nodes, i
        cdef size_t lanes = self.lanes
        w.lanes = self.lanes
        w.order = <const int32_t*>self.hold(self.bound.passage.order, np.int32)
        w.words = self.m.p.words
        w.queues = <QueueC*>self.room(nodes, sizeof(QueueC))
        for i in range(nodes):
            w.queues[w.order[i]].rank = i
        w.filled = <uint64_t*>self.room(w.words, sizeof(uint64_t))
        w.spares = min(nodes, self.lanes) + 1
        self.buffers = <PersonC**>self.room(w.spares * lanes, sizeof(PersonC*))
        w.spare = <PersonC***>self.room(w.spares, sizeof(PersonC**))
        for i in range(w.spares):
            w.spare[i] = &self.buffers[i * lanes]
        w.idle = <PersonC**>self.room(lanes, sizeof(PersonC*))
        w.seeing = <PersonC**>self.room(lanes, sizeof(PersonC*))
        choices = max(self.bound.nodes["ports"].max(initial=0), len(self.bound.events)) + 1
        w.ports = <int32_t*>self.room(max(lanes, choices), sizeof(int32_t))
        w.sorted = <PersonC**>self.room(lanes, sizeof(PersonC*))
        w.counts = <int32_t*>self.room(choices, sizeof(int32_t))

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
        self.m.k.queued = <int64_t*>address(counters.queued)
        self.m.k.line_sum_ms = <int64_t*>address(counters.line_sum_ms)
        self.m.k.in_line = <int64_t*>address(counters.in_line)
        self.m.k.refused_cap = <int64_t*>address(counters.refused_cap)
        self.m.k.refused_late = <int64_t*>address(counters.refused_late)

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
            if copy is None:
                self.m.p.columns[i].data = address(self.columns[i][first:])
            else:
                copy[:n] = self.columns[i][first:last]
        with nogil:
            self.begin(n)
        self.counters.customers += n

    cdef void begin(self, int64_t n) noexcept nogil:
        """Forget the block before; customers begin when they are given a lane."""
        cdef StateC* s = &self.m.s
        cdef ProgramC* p = &self.m.p
        cdef int32_t c
        cdef int64_t at
        s.persons_n = <int32_t>n
        s.tokens_used = s.entries_used = s.pending_used = s.past_used = s.watches_used = 0
        s.tokens_free = s.entries_free = s.pending_free = s.watches_free = -1
        s.admissions_used = 0
        s.keys_used = 0
        self.m.k.lines_used = 0
        self.m.k.lines_free = -1
        if self.m.k.on:
            for c in range(n):
                self.m.k.left[c].ms = INT64_MIN
        for c in range(s.keys_size):
            s.keys[c].admission = -1
        memset(s.steps, 0, <size_t>n * 4)
        self.m.t.log_block = self.m.t.log_used == 0
        if p.budgeted:
            memset(s.visited, 0, <size_t>(n * p.words) * 8)
        if p.as_of_ms > p.from_ms:
            memset(s.touched, 0, <size_t>(n * p.words) * 8)
        memset(s.tested, 0, <size_t>(n * p.test_words) * 8)
        for at in range(n * p.n_histories):
            s.last_row[at] = -1
            s.last_past[at] = -1
        for at in range(n * p.n_listeners):
            s.listening[at] = -1
        memset(s.schedule_next, 0, <size_t>(n * p.n_schedules) * 8)
        memset(s.segment_state, SEGMENT_UNSEEN, <size_t>(n * p.n_segments))
        self.calendar.now_ms = self.m.p.from_ms
        for c in range(BUCKETS):
            self.calendar.heads[c] = -1
        self.begun = 0

    def apply(self, int64_t until_ms):
        """Carry out all work before `until_ms`, at most to the horizon. One call or many decide the same.

        Returns False where `stop` was asked for meanwhile, the work then being unfinished.
        MemoryError where the state can't grow, ValueError where the grants lack an answer to a claim.
        """
        cdef int32_t n, c
        cdef int result
        until_ms = max(self.m.p.from_ms, min(until_ms, self.m.p.horizon_ms))
        if self.m.s.trap:
            raise MemoryError(_NO_ROOM)
        with nogil:
            if self.begun:
                n = calendar_take(&self.calendar, until_ms, 0, self.m.s.persons_n, self.queue)
            else:
                n = self.m.s.persons_n
                for c in range(n):
                    self.queue[c] = c
            self.m.w.fresh = not self.begun
            self.begun = 1
            result = run_waves(
                &self.m, &self.calendar, self.queue, n, until_ms, &self.stop_flag
            )
        if self.m.s.trap:
            raise MemoryError(_NO_ROOM)
        if self.m.k.lacked:
            raise ValueError("the grants lack an answer to a claim")
        return result == 0

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
        for i in range(BUCKETS):
            c = self.calendar.heads[i]
            while c >= 0:
                count_place(&self.m, s.persons[c].state, s.persons[c].node)
                c = self.calendar.next[c]
        for i in range(s.tokens_used):
            count_place(&self.m, s.tokens[i].state, s.tokens[i].node)
        for i in range(self.m.k.lines_used):
            count_in_line(&self.m, i, self.m.p.horizon_ms)
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
                    used += cells[2 * i] != 0
        table = np.empty((used, 3), np.int64)
        row = <int64_t*>address(table)
        for page in range(pages):
            cells = self.m.t.delays[page]
            if cells == NULL:
                continue
            for i in range(1 << DELAY_SUB_BITS):
                if cells[2 * i]:
                    row[0] = (page << DELAY_SUB_BITS) + i
                    row[1] = cells[2 * i]
                    row[2] = cells[2 * i + 1]
                    row += 3
            free(cells)
        free(self.m.t.delays)
        self.m.t.delays = NULL
        return table

    def logged(self):
        """The number of decisions logged since the last `take_log`."""
        return self.m.t.log_used

    def take_log(self, into=None):
        """The decisions since the last call, LOG records sorted by (customer row, step); the log is empty then.

        They are written to `into`, a contiguous LOG array of `logged()` records, where it is given:
        memory that has been used before is several times as fast as fresh one.
        """
        records = np.empty(self.m.t.log_used, layouts.LOG) if into is None else into
        if records.dtype != layouts.LOG or records.shape != (self.m.t.log_used,) or not records.flags.carray:
            raise ValueError(f"the log needs a writable, contiguous array of {self.m.t.log_used} LOG records")
        cdef LogC* by_customer = <LogC*>address(records)
        cdef bint done
        with nogil:
            done = sort_log(&self.m, by_customer)
        if not done:
            raise MemoryError(_NO_ROOM)
        self.m.t.log_used = 0
        self.m.t.log_block = 0
        return records
