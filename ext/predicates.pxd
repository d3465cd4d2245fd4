"""Walk decision graphs over columns: comparisons, sets, text tables, look-backs into history.

A value comes from the customer, from the event at hand or from the entering event; `row` and
`entry_row` name the last two (NO_ROW for none, -2 - k for a modelled event with the constants of
row k). What each predicate means is in docs/semantics.md D16 to D21 and D55 to D57; a missing value
makes all but PRESENT false.
"""

from libc.math cimport isnan
from libc.stdint cimport INT64_MAX, INT64_MIN, int8_t, int32_t, int64_t, uint8_t, uint64_t

from ext.civil cimport (
    DAY_MS, OFFSET_MAX_MS, DateC, add_months, civil_from_days, days_from_civil, first_of_month,
    first_of_week, floor_div, in_slots, local_to_utc, month_days, utc_to_local, weekday, zone_row,
)
from ext.structs cimport *


cdef extern from *:
    """
    #define HEADRACE_TIME_MS_MAX ((int64_t)1 << 61)
    #define HEADRACE_DAYS_MAX ((int64_t)1 << 34)
    #define HEADRACE_CALENDAR_FIRST (-719162LL)
    #define HEADRACE_CALENDAR_LAST 2932896LL
    """
    const int64_t TIME_MS_MAX "HEADRACE_TIME_MS_MAX"
    const int64_t DAYS_MAX "HEADRACE_DAYS_MAX"
    # The first day of the year 1 and the last of the year 9999.
    const int64_t CALENDAR_FIRST "HEADRACE_CALENDAR_FIRST"
    const int64_t CALENDAR_LAST "HEADRACE_CALENDAR_LAST"


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


cdef inline int64_t to_local(MachineC* m, int32_t c, int64_t utc_ms) noexcept nogil:
    """The local time of an instant where customer `c` lives, ms."""
    cdef int32_t z = m.p.zone_of[m.s.lo + c]
    cdef int32_t at = m.p.zone_offsets[z]
    return utc_to_local(
        &m.p.zone_utc[at], &m.p.zone_offset[at], m.p.zone_offsets[z + 1] - at, utc_ms
    )


cdef inline int64_t local_day(MachineC* m, int32_t c, int64_t utc_ms) noexcept nogil:
    """The local date of an instant where customer `c` lives."""
    return floor_div(to_local(m, c, utc_ms), DAY_MS)


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


cdef inline bint date_of(
    MachineC* m, const PredC* p, int32_t c, int64_t value, int64_t* day
) noexcept nogil:
    """The date that a value is, or on which an instant lies; whether a calendar has it."""
    if not p.col2 and not CALENDAR_FIRST * DAY_MS <= value < (CALENDAR_LAST + 1) * DAY_MS:
        return 0
    day[0] = value if p.col2 else local_day(m, c, value)
    return CALENDAR_FIRST <= day[0] <= CALENDAR_LAST


cdef inline int64_t round_day(DateC date, int64_t year) noexcept nogil:
    """The day of its month on which a date comes round in a year."""
    return month_days(year, 2) if date.month == 2 and date.day == 29 else date.day


cdef inline bint is_round(int64_t day, int64_t then) noexcept nogil:
    """Whether a date comes round on the day `then`; 29 February on the 28th in other years."""
    cdef DateC date = civil_from_days(day), other = civil_from_days(then)
    return day <= then and date.month == other.month and other.day == round_day(date, other.year)


cdef inline bint comes_round(
    MachineC* m, const PredC* p, int32_t c, int64_t value, int64_t now
) noexcept nogil:
    """Whether a date comes round in `lo` days (D57); with a time of day, at this millisecond."""
    cdef int32_t z = m.p.zone_of[m.s.lo + c], at = m.p.zone_offsets[z]
    cdef Py_ssize_t n = m.p.zone_offsets[z + 1] - at, row = zone_row(&m.p.zone_utc[at], n, now)
    cdef int64_t local_ms = now + m.p.zone_offset[at + row], today = floor_div(local_ms, DAY_MS)
    cdef int64_t day
    if p.hi >= 0 and now - m.p.zone_utc[at + row] > 2 * OFFSET_MAX_MS:
        # No clock was set lately, so that only what the clock shows can be the moment.
        if local_ms - today * DAY_MS != p.hi:
            return 0
    elif p.hi >= 0:
        # A gap may have moved the moment behind midnight; in a fold it is the first of two.
        if to_utc(m, c, today * DAY_MS + p.hi) != now:
            today -= 1
            if to_utc(m, c, today * DAY_MS + p.hi) != now:
                return 0
    return date_of(m, p, c, value, &day) and is_round(day, today + p.lo)


cdef inline bint clock_holds(MachineC* m, const PredC* p, int32_t c, int64_t now) noexcept nogil:
    """Whether the customer's time of the week is in a slot (D56)."""
    return in_slots(to_local(m, c, now), &m.p.slots[p.lo], p.hi)


cdef inline int64_t period_at(
    MachineC* m, const PredC* p, int32_t c, int64_t now, int ahead
) noexcept nogil:
    """When the day, week or month of `now` begins for a customer, or with `ahead` the next (D55)."""
    cdef int64_t day = local_day(m, c, now)
    if p.hi == PERIOD_WEEK:
        day = first_of_week(day) + 7 * ahead
    elif p.hi == PERIOD_MONTH:
        day = add_months(first_of_month(day), ahead)
    else:
        day += ahead
    return midnight(m, c, day)


cdef inline bint holds(
    MachineC* m, const PredC* p, int32_t c, int64_t row, int64_t entry_row, int64_t now
) noexcept nogil:
    """Whether a predicate other than HISTORY and CLOCK holds."""
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
    elif p.op == PRED_ANNIVERSARY:
        return comes_round(m, p, c, value, now)
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
    if p.hi:
        begin = period_at(m, p, c, now, 0) - 1
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
        if p.op < PRED_HISTORY:
            hit = holds(m, p, c, row, entry_row, now)
        elif p.op == PRED_HISTORY:
            hit = history_holds(m, p, c, entry_row, now)
        else:
            hit = clock_holds(m, p, c, now)
        pc = p.on_true if hit else p.on_false
    return -1 - pc


cdef inline int64_t sooner(int64_t best, int64_t candidate, int64_t now) noexcept nogil:
    return candidate if now < candidate < best else best


cdef inline int64_t next_round(
    MachineC* m, const PredC* p, int32_t c, int64_t value, int64_t now, int64_t best
) noexcept nogil:
    """The sooner of `best` and the next time > now at which a day begins or ends that is asked for.

    It is the one on which the date comes round in `lo` days.
    """
    cdef int64_t day, first, begins, ends, from_day, year
    cdef DateC date
    if not date_of(m, p, c, value, &day):
        return best
    # Not later than the customer's yesterday, wherever he lives; nor is the year later than its.
    from_day = floor_div(now, DAY_MS) - 3
    date = civil_from_days(day)
    year = max(date.year, 1970 + floor_div(from_day + p.lo, 366 if from_day > 366 else 365))
    while 1:
        first = days_from_civil(year, date.month, round_day(date, year)) - p.lo
        year += 1
        if first < from_day:
            continue
        if p.hi >= 0:
            # That a moment is over is known without looking (check_segments).
            begins = to_utc(m, c, first * DAY_MS + p.hi)
            if begins > now:
                return min(best, begins)
            continue
        begins, ends = midnight(m, c, first), midnight(m, c, first + 1)
        if ends > now:
            return sooner(sooner(best, begins, now), ends, now)


cdef inline int64_t next_bound(
    MachineC* m, const PredC* p, int32_t c, int64_t now, int64_t best
) noexcept nogil:
    """The sooner of `best` and the next time > now at which a slot of CLOCK begins or ends."""
    cdef int64_t today = local_day(m, c, now), day, i
    cdef const SlotC* slot
    for day in range(today - 1, today + 9):
        for i in range(p.lo, p.lo + p.hi):
            slot = &m.p.slots[i]
            if slot.weekdays >> weekday(day) & 1:
                best = sooner(best, to_utc(m, c, day * DAY_MS + slot.from_ms), now)
                best = sooner(best, to_utc(m, c, day * DAY_MS + slot.until_ms), now)
    return best


cdef inline int64_t next_turn(
    MachineC* m, const PredC* p, int32_t c, int64_t row, int64_t now, int64_t best
) noexcept nogil:
    """The sooner of `best` and the next time > now at which a test of a date turns by itself."""
    cdef int64_t value
    if not read_value(m, p.source, p.col, c, row, NO_ROW, &value):
        return best
    if p.op == PRED_ANNIVERSARY:
        return next_round(m, p, c, value, now, best)
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
        if not PRED_LAST <= m.p.preds[i].op <= PRED_ANNIVERSARY:
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


cdef inline int64_t leaves_at(
    MachineC* m, const PredC* p, int32_t c, int64_t ms, int64_t now
) noexcept nogil:
    """When an event of the window leaves it."""
    return period_at(m, p, c, now, 1) if p.hi else ms + p.lo


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
        if PRED_LAST <= p.op <= PRED_ANNIVERSARY:
            best = next_turn(m, p, c, NO_ROW, now, best)
        elif p.op == PRED_CLOCK:
            best = next_bound(m, p, c, now, best)
        elif p.op == PRED_HISTORY:
            if p.source2 >= 0:
                best = next_turn_of_past(m, p, begin, c, now, best)
            if p.lo == INT64_MAX:
                continue
            if p.col > 0 and matches(m, p, c, NO_ROW, now, p.col, &last) == p.col:
                best = sooner(best, leaves_at(m, p, c, last, now), now)
            most = <int64_t>p.store2 + 1
            if most > 0 and matches(m, p, c, NO_ROW, now, most, &last) == most:
                best = sooner(best, leaves_at(m, p, c, last, now), now)
    return best
