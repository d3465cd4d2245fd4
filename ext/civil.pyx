"""Tell wall-clock time in bulk: offset tables and calendar arithmetic over arrays of instants.

The compiled twin of core/zones.py; the functions themselves are in civil.pxd so that the
interpreter inlines them. These wrappers take one table for all instants.
"""

import numpy as np

from libc.stdint cimport int64_t

cdef SlotC _slot_example
SLOT_DTYPE = np.asarray(<SlotC[:1]>&_slot_example).dtype


cdef void _check_table(const int64_t[::1] utc, const int64_t[::1] offset):
    if utc.shape[0] == 0 or utc.shape[0] != offset.shape[0]:
        raise ValueError(
            "a zone table needs as many offsets as instants and at least one, "
            f"not {offset.shape[0]} and {utc.shape[0]}"
        )


def civil_from_days_many(const int64_t[::1] days):
    """Return int64[n, 3]: year, month and day of int64[n] days since 1970-01-01."""
    cdef Py_ssize_t i, count = days.shape[0]
    result = np.empty((count, 3), dtype=np.int64)
    cdef int64_t[:, ::1] out = result
    cdef DateC date
    with nogil:
        for i in range(count):
            date = civil_from_days(days[i])
            out[i, 0] = date.year
            out[i, 1] = date.month
            out[i, 2] = date.day
    return result


def days_from_civil_many(const int64_t[:, ::1] dates):
    """Return int64[n]: days since 1970-01-01 of int64[n, 3] years, months (1..12) and days."""
    if dates.shape[1] != 3:
        raise ValueError(f"a date is year, month and day, not {dates.shape[1]} columns")
    cdef Py_ssize_t i, count = dates.shape[0]
    result = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] out = result
    with nogil:
        for i in range(count):
            out[i] = days_from_civil(dates[i, 0], dates[i, 1], dates[i, 2])
    return result


def utc_to_local_many(
    const int64_t[::1] utc, const int64_t[::1] offset, const int64_t[::1] utc_ms
):
    """Return int64[n]: the local ms of int64[n] instants, in the zone of a table."""
    _check_table(utc, offset)
    cdef Py_ssize_t i, rows = utc.shape[0], count = utc_ms.shape[0]
    result = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] out = result
    with nogil:
        for i in range(count):
            out[i] = utc_to_local(&utc[0], &offset[0], rows, utc_ms[i])
    return result


def local_to_utc_many(
    const int64_t[::1] utc, const int64_t[::1] offset, const int64_t[::1] local_ms
):
    """Return int64[n]: the instants of int64[n] local times (gap: forward; fold: the first)."""
    _check_table(utc, offset)
    cdef Py_ssize_t i, rows = utc.shape[0], count = local_ms.shape[0]
    result = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] out = result
    with nogil:
        for i in range(count):
            out[i] = local_to_utc(&utc[0], &offset[0], rows, local_ms[i])
    return result


def local_date_many(
    const int64_t[::1] utc, const int64_t[::1] offset, const int64_t[::1] utc_ms
):
    """Return int64[n]: the local ms of the 00:00 that begins each instant's local date."""
    _check_table(utc, offset)
    cdef Py_ssize_t i, rows = utc.shape[0], count = utc_ms.shape[0]
    result = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] out = result
    with nogil:
        for i in range(count):
            out[i] = local_date_ms(&utc[0], &offset[0], rows, utc_ms[i])
    return result


def add_wall_many(
    const int64_t[::1] utc,
    const int64_t[::1] offset,
    const int64_t[::1] utc_ms,
    const int64_t[:, ::1] durations,
):
    """Return int64[n]: int64[n] instants plus int64[n, 3] durations of months, days and ms."""
    _check_table(utc, offset)
    cdef Py_ssize_t i, rows = utc.shape[0], count = utc_ms.shape[0]
    if durations.shape[0] != count or durations.shape[1] != 3:
        raise ValueError(
            f"durations must be {count} rows of months, days and ms, "
            f"not {durations.shape[0]} of {durations.shape[1]}"
        )
    result = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] out = result
    with nogil:
        for i in range(count):
            out[i] = add_wall(
                &utc[0], &offset[0], rows,
                utc_ms[i], durations[i, 0], durations[i, 1], durations[i, 2],
            )
    return result


def next_slot_many(
    const int64_t[::1] utc, const int64_t[::1] offset, const int64_t[::1] utc_ms, slots
):
    """Return int64[n]: each instant if inside a slot, else the next start of one.

    `slots` is an array of SLOT_DTYPE. Without a weekday in any slot the result is 2**63 - 1.
    """
    _check_table(utc, offset)
    cdef const SlotC[::1] view = np.ascontiguousarray(slots, dtype=SLOT_DTYPE)
    cdef Py_ssize_t i, rows = utc.shape[0], count = utc_ms.shape[0], n_slots = view.shape[0]
    cdef const SlotC* first = &view[0] if n_slots else NULL
    result = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] out = result
    with nogil:
        for i in range(count):
            out[i] = next_slot(&utc[0], &offset[0], rows, utc_ms[i], first, n_slots)
    return result
