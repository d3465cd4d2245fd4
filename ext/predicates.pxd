"""Walk decision graphs over columns: comparisons, sets, text tables, look-backs into history.

A value comes from the customer, from the event at hand or from the entering event; `row` and
`entry_row` name the last two (NO_ROW for none, -2 - k for a modelled event with the constants of
row k). What each predicate means is in docs/semantics.md D16 to D21; a missing value makes all but
PRESENT false.
"""

from libc.math cimport isnan
from libc.stdint cimport INT64_MAX, INT64_MIN, int8_t, int32_t, int64_t, uint8_t, uint64_t

from ext.civil cimport DAY_MS, local_to_utc
from ext.structs cimport *


cdef extern from *:
    """
    #define HEADRACE_TIME_MS_MAX ((int64_t)1 << 61)
    #define HEADRACE_DAYS_MAX ((int64_t)1 << 34)
    """
    const int64_t TIME_MS_MAX "HEADRACE_TIME_MS_MAX"
    const int64_t DAYS_MAX "HEADRACE_DAYS_MAX"


cdef union BitsC:
    int64_t i
    double d


cdef inline double as_double(int64_t bits) noexcept nogil:
    cdef BitsC b
    b.i = bits
    return b.d


cdef inline int64_t as_bits(double value) noexcept nogil:
    cdef BitsC b
    b.d = value
    return b.i


cdef inline bint read_cell(
    const void* data, int32_t store, int64_t at, int64_t* value
) noexcept nogil:
    """Read a cell as int64, a double by its bits; return whether it is there."""
    cdef double d
    if store == STORE_INT64:
        value[0] = (<const int64_t*>data)[at]
        return value[0] != INT64_MIN
    if store == STORE_INT32:
        value[0] = (<const int32_t*>data)[at]
        return value[0] >= 0
    if store == STORE_INT8:
        value[0] = (<const int8_t*>data)[at]
        return value[0] >= 0
    d = (<const double*>data)[at]
    value[0] = as_bits(d)
    return not isnan(d)


cdef inline void write_cell(const ColumnC* column, int64_t at, int64_t bits) noexcept nogil:
    if column.store == STORE_INT8:
        (<int8_t*>column.data)[at] = <int8_t>bits
    elif column.store == STORE_INT32:
        (<int32_t*>column.data)[at] = <int32_t>bits
    else:
        (<int64_t*>column.data)[at] = bits


cdef inline bint read_customer(MachineC* m, int32_t col, int32_t c, int64_t* value) noexcept nogil:
    """Read column `col` of the block's customer `c`."""
    cdef ColumnC* column = &m.p.columns[col]
    return read_cell(column.data, column.store, c, value)


cdef inline bint read_property(
    MachineC* m, int32_t col, int64_t row, int64_t* value
) noexcept nogil:
    """Read property `col` of an event."""
    cdef int64_t at
    if row >= 0:
        return read_cell(m.p.properties[col].data, m.p.properties[col].store, row, value)
    if row == NO_ROW:
        return 0
    at = (-2 - row) * m.p.n_properties + col
    value[0] = m.p.constants[at]
    return m.p.known[at]


cdef inline bint read_value(
    MachineC* m, int32_t source, int32_t col, int32_t c, int64_t row, int64_t entry_row,
    int64_t* value,
) noexcept nogil:
    if source == SOURCE_CUSTOMER:
        return read_customer(m, col, c, value)
    return read_property(m, col, row if source == SOURCE_EVENT else entry_row, value)


cdef inline int64_t to_utc(MachineC* m, int32_t c, int64_t local_ms) noexcept nogil:
    """The instant of a local time of customer `c`."""
    cdef int32_t z = m.p.zone_of[m.s.lo + c]
    cdef int32_t at = m.p.zone_offsets[z]
    return local_to_utc(
        &m.p.zone_utc[at], &m.p.zone_offset[at], m.p.zone_offsets[z + 1] - at, local_ms
    )


cdef inline int64_t bounded(int64_t ms) noexcept nogil:
    """`ms`, or the nearest time to which any duration can be added: columns hold what they like."""
    return max(-TIME_MS_MAX, min(ms, TIME_MS_MAX))


cdef inline int64_t midnight(MachineC* m, int32_t c, int64_t day) noexcept nogil:
    """The instant at which a date begins where customer `c` lives (D19)."""
    return to_utc(m, c, max(-DAYS_MAX, min(day, DAYS_MAX)) * DAY_MS)


cdef inline int compare_mixed(int64_t whole, double fraction) noexcept nogil:
    """Compare a whole number with a double exactly: -1, 0 or 1."""
    cdef int64_t floor
    if fraction >= 9223372036854775808.0:
        return -1
    if fraction < -9223372036854775808.0:
        return 1
    floor = <int64_t>fraction
    if <double>floor > fraction:
        floor -= 1
    if whole != floor:
        return -1 if whole < floor else 1
    return -1 if <double>floor < fraction else 0


cdef inline bint related(const PredC* p, int64_t a, int64_t b) noexcept nogil:
    """Compare two values that are there, by the relation in `hi`."""
    cdef int order
    cdef double x, y
    if p.store == STORE_FLOAT64 and p.store2 == STORE_FLOAT64:
        x = as_double(a)
        y = as_double(b)
        order = (x > y) - (x < y)
    elif p.store == STORE_FLOAT64:
        order = -compare_mixed(b, as_double(a))
    elif p.store2 == STORE_FLOAT64:
        order = compare_mixed(a, as_double(b))
    else:
        order = (a > b) - (a < b)
    if p.hi == REL_IS:
        return order == 0
    if p.hi == REL_IS_NOT:
        return order != 0
    if p.hi == REL_ABOVE:
        return order > 0
    if p.hi == REL_AT_LEAST:
        return order >= 0
    if p.hi == REL_BELOW:
        return order < 0
    return order <= 0


cdef inline bint in_ints(const int64_t* run, int64_t n, int64_t value) noexcept nogil:
    cdef int64_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) // 2
        if run[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < n and run[low] == value


cdef inline bint in_doubles(const double* run, int64_t n, double value) noexcept nogil:
    cdef int64_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) // 2
        if run[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < n and run[low] == value


cdef inline bint holds(
    MachineC* m, const PredC* p, int32_t c, int64_t row, int64_t entry_row, int64_t now
) noexcept nogil:
    """Whether a predicate other than HISTORY holds."""
    cdef int64_t value, other
    cdef bint hit
    if not read_value(m, p.source, p.col, c, row, entry_row, &value):
        return p.op == PRED_PRESENT and p.negate
    if p.op == PRED_RANGE:
        hit = p.lo <= value <= p.hi
    elif p.op == PRED_TABLE:
        hit = <uint64_t>value < <uint64_t>p.hi and m.p.pred_bytes[p.lo + value]
    elif p.op == PRED_RANGE_FLOAT:
        hit = as_double(p.lo) <= as_double(value) <= as_double(p.hi)
    elif p.op == PRED_IN:
        hit = in_ints(&m.p.sets[p.lo], p.hi, value)
    elif p.op == PRED_IN_FLOAT:
        hit = in_doubles(&m.p.float_sets[p.lo], p.hi, as_double(value))
    elif p.op == PRED_PRESENT:
        hit = 1
    elif p.op == PRED_COMPARE:
        if not read_property(m, p.col2, entry_row if p.source2 == SOURCE_ENTRY else row, &other):
            return 0
        return related(p, value, other)
    elif p.op == PRED_NEVER:
        return 0
    else:
        if p.col2:
            value = midnight(m, c, value)
        if p.op == PRED_LAST:
            hit = now - p.lo < value <= now
        elif p.op == PRED_NEXT:
            hit = now < value <= now + p.lo
        else:
            hit = value <= now - p.lo
    return hit != p.negate


cdef inline int filter_passes(
    MachineC* m, int32_t pc, int32_t c, int64_t row, int64_t entry_row, int64_t now
) noexcept nogil:
    """Walk a graph that has no HISTORY in it: the filter of an event; -1 passes everything."""
    cdef const PredC* p
    if pc < 0:
        return 1
    while pc >= 0:
        p = &m.p.preds[pc]
        pc = p.on_true if holds(m, p, c, row, entry_row, now) else p.on_false
    return -1 - pc


cdef inline int64_t matches(
    MachineC* m, const PredC* p, int32_t c, int64_t entry_row, int64_t now, int64_t enough,
    int64_t* last_ms,
) noexcept nogil:
    """Count matching events in the window, newest first, up to `enough`.

    `last_ms` is the time of the last counted.

    Recorded and modelled events each have a backward chain; they are merged by time.
    """
    cdef int64_t at = <int64_t>c * m.p.n_histories + p.col2
    cdef int64_t recorded = m.s.last_row[at], modelled = m.s.last_past[at]
    cdef int64_t begin = INT64_MIN if p.lo == INT64_MAX else now - p.lo
    cdef int64_t count = 0, ms, row
    while count < enough:
        if modelled >= 0 and (recorded < 0 or m.s.past[modelled].ms >= m.p.row_past_ms[recorded]):
            ms = m.s.past[modelled].ms
            row = m.s.past[modelled].row
            modelled = m.s.past[modelled].previous
        elif recorded >= 0:
            ms = m.p.row_past_ms[recorded]
            row = recorded
            recorded = m.p.row_previous[recorded]
        else:
            break
        if ms <= begin:
            break
        if ms > now:
            continue  # known already, of another flow that was worked before this one
        if filter_passes(m, p.source2, c, row, entry_row, now):
            count += 1
            last_ms[0] = ms
    return count


cdef inline bint history_holds(
    MachineC* m, const PredC* p, int32_t c, int64_t entry_row, int64_t now
) noexcept nogil:
    """Whether the count of matching events lies in [col, store2]; store2 < 0 is no bound."""
    cdef int64_t last = 0, count
    cdef int64_t enough = p.col if p.store2 < 0 else <int64_t>p.store2 + 1
    count = matches(m, p, c, entry_row, now, enough, &last)
    return count >= p.col and (p.store2 < 0 or count <= p.store2)


cdef inline int decide(
    MachineC* m, int32_t pc, int32_t c, int64_t row, int64_t entry_row, int64_t now
) noexcept nogil:
    """Walk a decision graph to its result; -1 for none is true."""
    cdef const PredC* p
    cdef bint hit
    if pc < 0:
        return 1
    while pc >= 0:
        p = &m.p.preds[pc]
        if p.op == PRED_HISTORY:
            hit = history_holds(m, p, c, entry_row, now)
        else:
            hit = holds(m, p, c, row, entry_row, now)
        pc = p.on_true if hit else p.on_false
    return -1 - pc


cdef inline int64_t sooner(int64_t best, int64_t candidate, int64_t now) noexcept nogil:
    return candidate if now < candidate < best else best


cdef inline int64_t next_turn(
    MachineC* m, const PredC* p, int32_t c, int64_t row, int64_t now, int64_t best
) noexcept nogil:
    """The sooner of `best` and the next time > now at which a test of a date turns by itself."""
    cdef int64_t value
    if not read_value(m, p.source, p.col, c, row, NO_ROW, &value):
        return best
    value = midnight(m, c, value) if p.col2 else bounded(value)
    if p.op == PRED_NEXT:
        return sooner(sooner(best, value - p.lo, now), value, now)
    if p.op == PRED_LAST:
        return sooner(sooner(best, value, now), value + p.lo, now)
    return sooner(best, value + p.lo, now)


cdef inline int64_t next_turn_of_past(
    MachineC* m, const PredC* p, int32_t filters_end, int32_t c, int64_t now, int64_t best
) noexcept nogil:
    """The same for the dates that a look-back's filter asks past events for.

    The filter lies in [p.source2, filters_end), with others perhaps: a re-check too many does no
    harm.
    """
    cdef int64_t at = <int64_t>c * m.p.n_histories + p.col2, row
    cdef int32_t i
    for i in range(p.source2, filters_end):
        if not PRED_LAST <= m.p.preds[i].op <= PRED_OLDER:
            continue
        row = m.s.last_row[at]
        while row >= 0:
            best = next_turn(m, &m.p.preds[i], c, row, now, best)
            row = m.p.row_previous[row]
        row = m.s.last_past[at]
        while row >= 0:
            best = next_turn(m, &m.p.preds[i], c, m.s.past[row].row, now, best)
            row = m.s.past[row].previous
    return best


cdef inline int64_t next_change(
    MachineC* m, int32_t begin, int32_t end, int32_t c, int64_t now
) noexcept nogil:
    """The next time > now at which time alone may change a predicate of [begin, end).

    A look-back changes when its n-th latest match leaves the window (semantics 9).
    """
    cdef int64_t best = INT64_MAX, most, last = 0
    cdef const PredC* p
    cdef int32_t i
    for i in range(begin, end):
        p = &m.p.preds[i]
        if PRED_LAST <= p.op <= PRED_OLDER:
            best = next_turn(m, p, c, NO_ROW, now, best)
        elif p.op == PRED_HISTORY:
            if p.source2 >= 0:
                best = next_turn_of_past(m, p, begin, c, now, best)
            if p.lo == INT64_MAX:
                continue
            if p.col > 0 and matches(m, p, c, NO_ROW, now, p.col, &last) == p.col:
                best = sooner(best, last + p.lo, now)
            most = <int64_t>p.store2 + 1
            if most > 0 and matches(m, p, c, NO_ROW, now, most, &last) == most:
                best = sooner(best, last + p.lo, now)
    return best
