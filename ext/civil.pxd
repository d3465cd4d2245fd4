"""Wall-clock time for other compiled modules: inline, without the GIL, over raw offset tables.

The rules and sources are those of core/zones.py and core/calendar_days.py. A table is `utc` and
`offset`, n >= 1 rows of ms: offset[i] holds from utc[i]; the first row also holds before it.
Division truncates in C, so where an operand can be negative `floor_div` is called.
"""

from libc.stdint cimport int32_t, int64_t

cdef extern from *:
    """
    #define HEADRACE_DAY_MS 86400000LL
    #define HEADRACE_OFFSET_MAX_MS 93600000LL
    #define HEADRACE_NEVER_MS INT64_MAX
    """
    const int64_t DAY_MS "HEADRACE_DAY_MS"
    const int64_t OFFSET_MAX_MS "HEADRACE_OFFSET_MAX_MS"
    const int64_t NEVER_MS "HEADRACE_NEVER_MS"


# Local [from_ms, until_ms) on the days of the mask; bit 0 is Monday.
ctypedef struct SlotC:
    int32_t weekdays
    int32_t pad
    int64_t from_ms
    int64_t until_ms


ctypedef struct DateC:
    int64_t year
    int64_t month
    int64_t day


cdef inline int64_t floor_div(int64_t a, int64_t b) noexcept nogil:
    """floor(a / b) for b > 0."""
    cdef int64_t quotient = a // b
    return quotient - (a - quotient * b < 0)


cdef inline int64_t days_from_civil(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Days since 1970-01-01 of a date; month in 1..12."""
    cdef int64_t era, year_of_era, day_of_year
    if month <= 2:
        year -= 1
    era = floor_div(year, 400)
    year_of_era = year - era * 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return (
        era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100
        + day_of_year - 719468
    )


cdef inline DateC civil_from_days(int64_t days) noexcept nogil:
    """The date of days since 1970-01-01."""
    cdef int64_t era, day_of_era, year_of_era, day_of_year, month_from_march
    cdef DateC date
    days += 719468
    era = floor_div(days, 146097)
    day_of_era = days - era * 146097
    year_of_era = (
        day_of_era - (day_of_era // 1460 - day_of_era // 36524 + day_of_era // 146096)
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    date.day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    date.month = (month_from_march + 2) % 12 + 1
    date.year = era * 400 + year_of_era
    if date.month <= 2:
        date.year += 1
    return date


cdef inline int64_t month_days(int64_t year, int64_t month) noexcept nogil:
    """The number of days of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef inline int64_t add_months(int64_t days, int64_t months) noexcept nogil:
    """The day `months` later; a day the month lacks becomes its last."""
    cdef DateC date = civil_from_days(days)
    cdef int64_t months_total = date.year * 12 + date.month - 1 + months
    cdef int64_t year = floor_div(months_total, 12)
    cdef int64_t month = months_total - year * 12 + 1
    cdef int64_t day_max = month_days(year, month)
    return days_from_civil(year, month, date.day if date.day < day_max else day_max)


cdef inline int weekday(int64_t days) noexcept nogil:
    """The weekday of days since 1970-01-01, 0 for Monday to 6 for Sunday."""
    return <int>(days + 3 - floor_div(days + 3, 7) * 7)


cdef inline Py_ssize_t zone_row(const int64_t* utc, Py_ssize_t n, int64_t utc_ms) noexcept nogil:
    """The last row that begins at or before the instant; row 0 if none does."""
    cdef Py_ssize_t low = 0, high = n, middle
    while high - low > 1:
        middle = low + (high - low) // 2
        if utc[middle] <= utc_ms:
            low = middle
        else:
            high = middle
    return low


cdef inline int64_t utc_to_local(
    const int64_t* utc, const int64_t* offset, Py_ssize_t n, int64_t utc_ms
) noexcept nogil:
    """The local ms of an instant."""
    return utc_ms + offset[zone_row(utc, n, utc_ms)]


cdef inline int64_t local_to_utc(
    const int64_t* utc, const int64_t* offset, Py_ssize_t n, int64_t local_ms
) noexcept nogil:
    """The instant of a local time; in a gap shifted forward by it, in a fold the first."""
    cdef Py_ssize_t i = zone_row(utc, n, local_ms - OFFSET_MAX_MS)
    while i + 1 < n and local_ms >= utc[i + 1] + offset[i]:
        i += 1
    if i > 0 and local_ms < utc[i] + offset[i]:
        i -= 1
    return local_ms - offset[i]


cdef inline int64_t local_date_ms(
    const int64_t* utc, const int64_t* offset, Py_ssize_t n, int64_t utc_ms
) noexcept nogil:
    """The local ms of the 00:00 that begins an instant's local date."""
    return floor_div(utc_to_local(utc, offset, n, utc_ms), DAY_MS) * DAY_MS


cdef inline int64_t first_of_week(int64_t day) noexcept nogil:
    """The Monday of a day's week."""
    return day - weekday(day)


cdef inline int64_t first_of_month(int64_t day) noexcept nogil:
    """The first day of a day's month."""
    return day - civil_from_days(day).day + 1


cdef inline int64_t add_wall(
    const int64_t* utc, const int64_t* offset, Py_ssize_t n,
    int64_t utc_ms, int64_t months, int64_t days, int64_t ms,
) noexcept nogil:
    """The instant a duration later: months, then days on the wall clock, then elapsed ms."""
    cdef int64_t local_ms, day
    if months != 0 or days != 0:
        local_ms = utc_to_local(utc, offset, n, utc_ms)
        day = floor_div(local_ms, DAY_MS)
        local_ms -= day * DAY_MS
        if months != 0:
            day = add_months(day, months)
        utc_ms = local_to_utc(utc, offset, n, (day + days) * DAY_MS + local_ms)
    return utc_ms + ms


cdef inline bint in_slots(
    int64_t local_ms, const SlotC* slots, Py_ssize_t n_slots
) noexcept nogil:
    """Whether a local time is inside a slot."""
    cdef int64_t today = floor_div(local_ms, DAY_MS), time_ms = local_ms - today * DAY_MS
    cdef int today_bit = 1 << weekday(today)
    cdef Py_ssize_t i
    for i in range(n_slots):
        if slots[i].weekdays & today_bit and slots[i].from_ms <= time_ms < slots[i].until_ms:
            return 1
    return 0


cdef inline int64_t next_slot(
    const int64_t* utc, const int64_t* offset, Py_ssize_t n,
    int64_t utc_ms, const SlotC* slots, Py_ssize_t n_slots,
) noexcept nogil:
    """`utc_ms` itself inside a slot, else the next start of a slot, or NEVER_MS."""
    cdef int64_t local_ms = utc_to_local(utc, offset, n, utc_ms)
    cdef int64_t today = floor_div(local_ms, DAY_MS)
    cdef int64_t soonest = NEVER_MS, start, day
    cdef int day_bit
    cdef Py_ssize_t i
    if in_slots(local_ms, slots, n_slots):
        return utc_ms
    for day in range(today - 1, today + 9):
        day_bit = 1 << weekday(day)
        for i in range(n_slots):
            if slots[i].weekdays & day_bit:
                start = local_to_utc(utc, offset, n, day * DAY_MS + slots[i].from_ms)
                if utc_ms < start < soonest:
                    soonest = start
    return soonest
