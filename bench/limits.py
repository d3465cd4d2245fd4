"""Measure what bounds the interpreter: how fast memory is read, and what a native build gains."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from actors.dry_run import dry_run
from bench.alone import alone
from bench.builds import hold_place
from bench.figures import interleave, spread_of
from bench.journey import bound_journey
from bench.rivals.columns import columns_of

READ_BYTES = 1 << 28  # more than caches hold
READ_RUNS = 9
COLUMN_CUSTOMERS = 100_000
NATIVE_CUSTOMERS, NATIVE_CUSTOMERS_QUICK = 1_000_000, 200_000
NATIVE_ROUNDS, NATIVE_ROUNDS_QUICK = 7, 3
NATIVE_RUNS = 5


@dataclass(frozen=True, slots=True)
class Native:
    """The journey in both builds by turns, ns a customer: medians of rounds, and their spreads."""

    portable_ns: float
    native_ns: float
    portable_spread: float
    native_spread: float

    @property
    def gain(self) -> float:
        """How many times as fast the native build is."""
        return self.portable_ns / self.native_ns


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a customer of the journey has in columns, and how fast this machine reads."""

    bytes_a_customer: float
    read_gb_s: float
    copy_gb_s: float

    @property
    def limit_m_s(self) -> float:
        """Million entries a second, if reading each column once were all."""
        return self.read_gb_s / self.bytes_a_customer * 1e3


def measure_memory() -> Memory:
    """Read and copy more than caches hold, on one core; the fastest of several, as a limit is."""
    values = np.ones(READ_BYTES // 8, np.int64)
    other = np.zeros_like(values)

    def copy() -> None:
        np.copyto(other, values)

    taken = interleave({"read": values.sum, "copy": copy}, READ_RUNS)
    # A copy reads and writes: both ways count.
    read, both = (size / min(taken[name]) / 1e9 for name, size in _MOVED.items())
    return Memory(column_bytes() / COLUMN_CUSTOMERS, read, both)


_MOVED = {"read": READ_BYTES, "copy": 2 * READ_BYTES}


def column_bytes() -> int:
    """The bytes that the journey cannot do without: what the rivals get, and the tag."""
    columns = columns_of(bound_journey(COLUMN_CUSTOMERS))
    arrays = (
        columns.country,
        columns.consent,
        columns.id_hash,
        columns.event_offsets,
        columns.event_type,
        columns.event_ms,
        columns.new_tags(),
    )
    return sum(array.nbytes for array in arrays)


def measure_native(portable: Path, native: Path, *, quick: bool = False) -> Native:
    """Run the journey in copies of both builds by turns, each time in a process of its own."""
    customers = NATIVE_CUSTOMERS_QUICK if quick else NATIVE_CUSTOMERS
    taken: dict[Path, list[float]] = {portable: [], native: []}
    for _ in range(NATIVE_ROUNDS_QUICK if quick else NATIVE_ROUNDS):
        for copy, seconds in taken.items():
            ran = alone("bench.limits", "journey_seconds", checkout=copy, customers=customers)
            seconds.append(ran.result)
    one, other = taken[portable], taken[native]
    ns = 1e9 / customers
    return Native(median(one) * ns, median(other) * ns, spread_of(one), spread_of(other))


def journey_seconds(customers: int) -> float:
    """The fastest of a few runs of the journey on one worker, of the build in this folder."""
    import ext.machine

    hold_place(ext.machine.__file__)
    bound = bound_journey(customers)
    dry_run(bound)
    taken = []
    for _ in range(NATIVE_RUNS):
        began = time.perf_counter()
        dry_run(bound)
        taken.append(time.perf_counter() - began)
    return min(taken)
