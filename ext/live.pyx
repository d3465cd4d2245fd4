"""Run a bound program on inputs as they come: rows are fed, timers fire in slices.

The interpreter is that of `ext.machine`; customers, rows and snapshots are those of `ext.stored`.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memmove

import numpy as np

cimport numpy as cnp

from core.counters import Counters
from core.couplings import CLAIM
from core.program import CHANGE, EFFECT

from ext.admission cimport enter_all
from ext.calendar cimport (
    calendar_due, calendar_next, calendar_put, calendar_remove, calendar_take,
)
from ext.couplings cimport answer_claim, answer_token, leave_lines
from ext.hashing cimport xxh64
from ext.predicates cimport read_cell, write_cell
from ext.rows cimport forget_past, keep_rows, renumber_rows
from ext.slabs cimport entry_free, token_free, watch_free
from ext.standing cimport count_standing, not_matured
from ext.stored cimport BLOCK_BITS, StoredMachine
from ext.structs cimport *
from ext.timeline cimport remember
from ext.tokens cimport next_ms
from ext.waves cimport run_waves

cnp.import_array()

__all__ = ["LiveMachine"]

_NO_ROOM = "the machine's state can't grow; the partition must be opened again, with more memory"


cdef void* address(object array) except? NULL:
    return cnp.PyArray_DATA(array)


cdef inline uint64_t standing(
    uint64_t customer, uint64_t entry, uint64_t node, uint64_t state, int64_t due_ms, int64_t since_ms
) noexcept nogil:
    """A token's share of a digest."""
    cdef uint64_t[6] words = [customer, entry, node, state, <uint64_t>due_ms, <uint64_t>since_ms]
    return xxh64(<const unsigned char*>words, 48)


cdef class LiveMachine(StoredMachine):
    """The interpreter for one version of a flow in one partition, for as long as it is live.

    `LiveMachine(bound, block_max)` begins with the customers of `bound`, whose numbers stay, and
    room for `block_max`, which grows. Not for several threads at once.
    """

    # -- inputs

    def feed(self, customer, type, ms, past_ms, hash, value, properties):
        """Hand over rows, sorted by customer and then as they came; `work` carries them out.

        `customer` int32[r]; `type` int32[r] as in `core.binding_inputs` (plus HISTORICAL where the
        event came too late, ECHO if a HISTORICAL one told of it before; -1 - columns is the customer's zone); `ms`, `past_ms` int64[r], when it
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
        self._check_rows(np.asarray(type), properties)
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
            self._put(self.m.p.properties[i].data, first, properties[i], self.dtype_of(self.m.p.properties[i].store), r)
        self.rows_used = end = first + r
        self.m.p.last_row = end - 1
        who = <const int32_t*>address(who_array)
        for row in range(r if self.owing else 0):
            # A snapshot has customers as they were before anything is written to them.
            if self.owed[who[row] >> BLOCK_BITS]:
                self._keep(who[row] >> BLOCK_BITS)
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

    def _check_rows(self, types, properties):
        """ValueError for types that the program does not have, or another number of properties."""
        events = types[types >= 0] & ~(HISTORICAL | ECHO)
        if events.max(initial=-1) >= self.m.p.n_events or types.min(initial=0) < -1 - self.m.p.n_columns:
            raise ValueError("a row has a type that the program does not know")
        if np.any((types[types >= 0] & (HISTORICAL | ECHO)) == (HISTORICAL | ECHO)):
            raise ValueError("a row cannot be history alone and happen now")
        if len(properties) != self.m.p.n_properties:
            raise ValueError(f"{self.m.p.n_properties} properties expected, not {len(properties)}")

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
        """Remember the rows that were fed; nobody moves: events are history, changes are made."""
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
                        # Nobody is to rest: of many rows of one customer the list has no room.
                        self.m.w.idles = 0
                person.row = self.row_end[c]
                person.input_ms = INT64_MAX
                person.stage = STAGE_REST
                if self.m.p.n_segments:
                    self.m.s.details[c].dirty = 1
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

    def erase(self, customers, int64_t at_ms):
        """Forget all about customers, int32[k], but their numbers: each begins anew at a time.

        Rows of theirs that others do not need are dropped by the next `forget`.
        """
        cdef int32_t i, c, f, t, following
        cdef int64_t k
        cdef int64_t due_ms
        cdef EntryC* entry
        who = np.unique(np.ascontiguousarray(customers, np.int32))
        if len(who) and not 0 <= who[0] <= who[len(who) - 1] < self.m.s.persons_n:
            raise ValueError("no such customers")
        gone = np.zeros(self.m.s.persons_n, np.uint8)
        gone[who] = 1
        cdef const uint8_t* is_gone = <const uint8_t*>address(gone)
        leave_lines(&self.m, is_gone)
        for i in range(self.m.s.entries_used):
            entry = &self.m.s.entries[i]
            if entry.tokens == 0 or not is_gone[entry.person]:
                continue
            t = entry.first
            while t >= 0:
                following = self.m.s.tokens[t].entry_next
                token_free(&self.m, t)
                t = following
            entry.tokens = 0
            entry_free(&self.m, i)
        for i in range(self.m.s.keys_size):
            if self.m.s.keys[i].admission >= 0 and is_gone[self.m.s.keys[i].person]:
                self.m.s.admissions[self.m.s.keys[i].admission].last_ms = INT64_MIN
                self.m.s.admissions[self.m.s.keys[i].admission].active = 0
        for c in who:
            if self.owed[c >> BLOCK_BITS]:
                self._keep(c >> BLOCK_BITS)
            self.dirty[c >> BLOCK_BITS] = 1
            calendar_remove(&self.calendar, c)
            not_matured(&self.m, c, at_ms, self.m.t.watch_matured, self.m.t.watch_succeeded)
            if self.m.s.persons[c].state != TOKEN_FREE:
                t = self.m.s.details[c].watches if self.m.p.n_watches else -1
                while t >= 0:
                    following = self.m.s.open_watches[t].next
                    watch_free(&self.m, t)
                    t = following
            self._renew(c, at_ms)
            due_ms = next_ms(&self.m.s.persons[c])
            if due_ms < self.m.p.horizon_ms:
                calendar_put(&self.calendar, c, due_ms)

    def drop(self, int64_t at_ms):
        """Take all tokens out; returns the numbers of the customers who had any, int32[k].

        Watches that are not over at a time never count as matured.
        """
        cdef int32_t c
        cdef PersonC* person
        inside = []
        for c in range(self.m.s.persons_n):
            person = &self.m.s.persons[c]
            not_matured(&self.m, c, at_ms, self.m.t.watch_matured, self.m.t.watch_succeeded)
            if person.state > TOKEN_GONE or person.crowd:
                inside.append(c)
                if self.owed[c >> BLOCK_BITS]:
                    self._keep(c >> BLOCK_BITS)
                self.dirty[c >> BLOCK_BITS] = 1
                person.state = TOKEN_GONE
                person.crowd = person.stage = 0
                person.due_ms = person.other_ms = INT64_MAX
                if self.m.p.n_exits:
                    self.m.s.details[c].first_entry = -1
            calendar_remove(&self.calendar, c)
            if not self.m.p.plain and self.m.s.details[c].watches >= 0 and person.state != TOKEN_FREE:
                if self.owed[c >> BLOCK_BITS]:
                    self._keep(c >> BLOCK_BITS)
                self.dirty[c >> BLOCK_BITS] = 1
                self.m.s.details[c].watches = -1
        leave_lines(&self.m, NULL)
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

    def cells(self, int column, rows):
        """The cells of property `column` of events `rows`, int64[k], as they lie in the column."""
        cdef int64_t[::1] places = np.ascontiguousarray(rows, np.int64)
        cdef int64_t k
        cdef size_t size
        if not 0 <= column < self.m.p.n_properties:
            raise ValueError(f"there is no property {column}")
        dtype = np.dtype(self.dtype_of(self.m.p.properties[column].store))
        found = np.empty(len(places), dtype)
        size = dtype.itemsize
        for k in range(len(places)):
            if not 0 <= places[k] < self.rows_used:
                raise ValueError(f"there is no row {places[k]}")
            memcpy(
                <uint8_t*>address(found) + <size_t>k * size,
                <const uint8_t*>self.m.p.properties[column].data + <size_t>places[k] * size,
                size,
            )
        return found

    def take_claims(self):
        """The claims and reports since the last call, CLAIM records, a customer's in his own order."""
        records = np.empty(self.m.k.claims_used, CLAIM)
        memcpy(address(records), self.m.k.claims, <size_t>records.nbytes)
        self.m.k.claims_used = 0
        return records

    def grant(self, customers, numbers, time_ms, result):
        """Answer claims: customers int32[k], their claims' numbers uint32[k], int64[k], int32[k].

        An answer is an item of its customer at its time, which is not before his last work. One to
        a claim that nobody waits for any more is passed over.
        """
        cdef int64_t k, due_ms
        cdef int32_t c, t, i
        cdef PersonC* person
        who, claims = np.ascontiguousarray(customers, np.int32), np.ascontiguousarray(numbers, np.uint32)
        if len(who) and not 0 <= who.min() <= who.max() < self.m.s.persons_n:
            raise ValueError("no such customers")
        in_crowds = None
        for k in range(len(who)):
            c = who[k]
            person = &self.m.s.persons[c]
            if self.owed[c >> BLOCK_BITS]:
                self._keep(c >> BLOCK_BITS)
            self.dirty[c >> BLOCK_BITS] = 1
            calendar_remove(&self.calendar, c)
            if not answer_claim(&self.m, person, claims[k], time_ms[k], result[k]) and person.crowd:
                if in_crowds is None:
                    in_crowds = self._claimed_in_crowds()
                t = in_crowds.get((c, int(claims[k])), -1)
                if t >= 0:
                    answer_token(&self.m, person, t, time_ms[k], result[k])
            due_ms = next_ms(person)
            if due_ms < self.m.p.horizon_ms:
                calendar_put(&self.calendar, c, due_ms)

    def _claimed_in_crowds(self):
        """The tokens in crowds whose claims are not answered, by (customer, number of the claim)."""
        cdef int32_t t
        found = {}
        for t in range(self.m.s.tokens_used):
            if self.m.s.tokens[t].state == TOKEN_CLAIMED and self.m.s.timers[t].prev == -2:
                person = self.m.s.entries[self.m.s.tokens[t].entry].person
                found[(person, <uint32_t>self.m.s.tokens[t].next)] = t
        return found

    def decide(self, int32_t node, int64_t at_ms, int32_t branch):
        """Let everybody who comes to an A/B test from a time on take one branch, for good."""
        if not 0 <= node < self.m.p.n_nodes or not 0 <= branch < self.m.p.nodes[node].ports:
            raise ValueError(f"no branch {branch} of node {node}")
        self.grants[2][node], self.grants[3][node] = at_ms, branch

    def take_changes(self):
        """The changes of records since the last call, CHANGE records as they were made."""
        records = np.empty(self.m.t.changes_used, CHANGE)
        memcpy(address(records), self.m.t.changes, <size_t>records.nbytes)
        self.m.t.changes_used = 0
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
        decided = self.grants[2:]
        self._bind_couplings(bound)
        self.grants[2][...], self.grants[3][...] = decided
        self.m.k.answer_offsets = NULL
        zones = bound.zones
        p.zone_offsets = <const int32_t*>self.hold(zones.offsets, np.int32)
        p.zone_utc = <const int64_t*>self.hold(zones.utc_ms, np.int64)
        p.zone_offset = <const int64_t*>self.hold(zones.offset_ms, np.int64)
        reads = [p.segment_column[i] for i in range(p.n_columns)] + [1]
        p.segment_column = <const uint8_t*>self.hold(reads, np.uint8)
        self.m.w.order = <const int32_t*>self.hold(bound.passage.order, np.int32)

    # -- what is there

    def rows(self):
        """How many rows are kept, and internal events of the past."""
        return self.rows_used + self.m.s.past_used

    def forget(self, before_ms):
        """Drop rows, and internal events, that nobody will ask for; returns how many are left.

        `before_ms` int64[event types]: no look-back reaches events of a type that happened at that
        time or before. Rows that began an entry under way stay.
        """
        cdef int64_t n = self.rows_used, row, kept
        cdef int64_t* place
        cdef int32_t i
        limits = np.ascontiguousarray(before_ms, np.int64)
        if limits.shape != (self.m.p.n_events,):
            raise ValueError("one time for each event type")
        if not self.retains:
            return 0
        places = np.full(n, -1, np.int64)
        place = <int64_t*>address(places)
        kept = keep_rows(&self.m, <const int64_t*>address(limits), place, n)
        renumber_rows(&self.m, place, n)
        past_places = np.empty(self.m.s.past_used, np.int32)
        forget_past(&self.m, <const int64_t*>address(limits), <int32_t*>address(past_places))
        with nogil:
            for row in range(n):
                for i in range(self.n_arenas if place[row] >= 0 else 0):
                    memmove(
                        <uint8_t*>self.arenas[i].at[0] + place[row] * <int64_t>self.arenas[i].item,
                        <uint8_t*>self.arenas[i].at[0] + row * <int64_t>self.arenas[i].item,
                        self.arenas[i].item,
                    )
        self.mark_all()
        self.rows_used = kept
        return kept + self.m.s.past_used

    def count(self, now_ms=None):
        """What has been counted since the beginning, and where tokens stand now, as `Counters`.

        By `now_ms`: watches count as matured, and their successes too, if they ended before, and
        hours end with the last in which anything was counted. Without it all do, and all are there.
        """
        cdef int64_t* matured
        cdef int64_t* succeeded
        cdef int64_t until_ms
        cdef int32_t c, i
        counted = self.counters if now_ms is None else self.counters.cut()
        counted.waiting[:] = 0
        counted.idle[:] = 0
        counted.layer_people[:] = 0
        counted.in_line[:] = 0
        for i in range(self.m.k.lines_used):
            if self.m.k.lines[i].person >= 0:
                counted.in_line[self.m.k.lines[i].node] += 1
        with nogil:
            count_standing(&self.m)
        copy = Counters.zeros(self.bound.program.flow, counted.entries_by_hour.size, self.bound.responses.outcomes)
        copy.add(counted)
        copy.customers = self.m.s.persons_n
        copy.people = self.m.t.people
        copy.steps = self.m.t.steps
        copy.delays = self._delays()
        copy.invalid_zones = self.bound.zones.invalid
        if now_ms is not None and self.m.p.n_watches:
            until_ms = now_ms
            matured = <int64_t*>address(copy.watch_matured)
            succeeded = <int64_t*>address(copy.watch_succeeded)
            for c in range(self.m.s.persons_n):
                not_matured(&self.m, c, until_ms, matured, succeeded)
        return copy

    def places(self, int32_t customer):
        """Where a customer's tokens stand: node, state, due ms, entry identity, start ms of each."""
        cdef PersonC* person
        cdef const EntryC* entry
        cdef int32_t i, t
        if not 0 <= customer < self.m.s.persons_n:
            raise IndexError(f"no customer {customer}")
        person = &self.m.s.persons[customer]
        found = []
        for i in range(self.m.k.lines_used):
            if self.m.k.lines[i].person == customer:
                line = self.m.k.lines[i]
                due = None if line.due_ms == INT64_MAX else line.due_ms
                found.append((line.node, TOKEN_IN_LINE, due, line.hash, line.claimed_ms))
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
        cdef uint64_t[3] words
        cdef const EntryC* entry
        cdef const uint64_t* hashes
        cdef ColumnC* column
        cdef int64_t value, due_ms
        cdef PersonC* person
        nodes = np.ascontiguousarray(node_hashes, np.uint64)
        cdef const uint64_t* node_hash = <const uint64_t*>address(nodes)
        for c in range(self.m.s.persons_n):
            person = &self.m.s.persons[c]
            if not person.crowd and person.state > TOKEN_GONE:
                total += standing(
                    self.m.p.id_hash[c], self.m.s.hashes[c], node_hash[person.node], person.state,
                    person.due_ms, person.start_ms,
                )
        for i in range(self.m.s.entries_used):
            entry = &self.m.s.entries[i]
            t = entry.first if entry.tokens > 0 else -1
            while t >= 0:
                due_ms = INT64_MAX if self.m.s.timers[t].prev == -2 else self.m.s.timers[t].key
                total += standing(
                    self.m.p.id_hash[entry.person], entry.hash, node_hash[self.m.s.tokens[t].node],
                    self.m.s.tokens[t].state, due_ms, entry.start_ms,
                )
                t = self.m.s.tokens[t].entry_next
        for i in range(self.m.k.lines_used):
            if self.m.k.lines[i].person >= 0:
                total += standing(
                    self.m.p.id_hash[self.m.k.lines[i].person], self.m.k.lines[i].hash,
                    node_hash[self.m.k.lines[i].node], TOKEN_IN_LINE, self.m.k.lines[i].due_ms,
                    self.m.k.lines[i].claimed_ms,
                )
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
