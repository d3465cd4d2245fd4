"""Measure the memory that customers take: ten attributes each, and a token that waits for a tenth.

The engine runs in one process with two partitions. Resident memory counts pages of the stores'
files as well, which the system takes back when it needs them; what is the process's own is told
beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from actors.intake.bulk import frame_of_columns
from bench.alone import STATUS, alone
from bench.figures import Figure
from bench.journey import DAY_MS
from bench.live.feeding import Request, fill, journey_of, start
from bench.live.figures import Form, Measured, at_most, counted
from bench.live.headrace import SCHEMA
from core.audience import Column

MODULE = "bench.live.figures_memory"
PARTITIONS = 2
CHUNK = 20_000
GIB = 2**30
FULL_CUSTOMERS = 10_000_000
BAR_GIB = 12.0
ID_DIGITS = 8
CITIES = [f"city-{number:03}" for number in range(200)]
WORDS = {
    "country": ["DE", "FR", "IT", "US", "PL"],
    "city": CITIES,
    "plan": ["free", "basic", "plus", "pro"],
    "language": ["de", "fr", "it", "en", "pl"],
}
NUMBERS = {"age": "int64", "points": "int64", "spent": "float64", "rating": "float64"}
FLAGS = ("consent", "vip")


def measure(form: Form) -> Measured:
    """Memory of so many customers; of ten million by extension where they are fewer."""
    held = alone(MODULE, "hold", customers=form.customers, waiting=form.waiting)
    found = held.result
    each = (found["own"] - found["own_before"]) / form.customers
    what = f"{counted(form.customers)} customers, {counted(form.waiting)} waiting tokens"
    bar = at_most(BAR_GIB) if form.full else None
    return Measured(
        [
            Figure("memory", f"{what}: peak of resident memory", "GiB", held.peak_gib, bar=bar),
            Figure("memory", f"{what}: the process's own", "GiB", found["own"] / GIB),
            Figure("memory", f"{what}: own memory a customer", "bytes", each),
            *_extended(form, held.peak_gib - found["resident_before"] / GIB, found),
        ]
    )


def _extended(form: Form, growth_gib: float, found: dict[str, Any]) -> Iterator[Figure]:
    if form.full:
        return
    times = FULL_CUSTOMERS / form.customers
    total = found["resident_before"] / GIB + growth_gib * times
    name = (
        f"{counted(FULL_CUSTOMERS)} customers, {counted(round(form.waiting * times))} waiting "
        "tokens: peak, not measured but in proportion"
    )
    yield Figure("memory", name, "GiB", total)


def hold(customers: int, waiting: int) -> dict[str, Any]:
    """Take customers in, let the first of them enter and wait; bytes before and after."""
    attributes = {name: {"type": "string"} for name in WORDS}
    attributes |= {name: {"type": kind} for name, kind in NUMBERS.items()}
    attributes |= {name: {"type": "bool"} for name in FLAGS}
    with (
        TemporaryDirectory(prefix="headrace-bench-") as place,
        start(Path(place) / "data", partitions=PARTITIONS, inline=True) as engine,
    ):
        engine.set_schema({**SCHEMA, "attributes": attributes})
        engine.publish(journey_of(DAY_MS))
        resident_before, own_before = memory()
        fill(engine, records(customers))
        fill(engine, entries(waiting))
        inside = engine.counts("reference").entered[0]
        if inside != waiting:
            raise RuntimeError(f"{inside:,} entered instead of {waiting:,}")
        resident, own = memory()
    return {
        "resident_before": resident_before,
        "own_before": own_before,
        "resident": resident,
        "own": own,
    }


def records(customers: int) -> Iterator[Request]:
    """All customers' records, a chunk in a frame."""
    rng = np.random.default_rng(1)
    for first in range(0, customers, CHUNK):
        n = min(CHUNK, customers - first)
        columns = {
            name: Column("string", rng.integers(0, len(texts), n).astype(np.int32), texts)
            for name, texts in WORDS.items()
        }
        for name, kind in NUMBERS.items():
            values = rng.integers(0, 100_000, n)
            columns[name] = (
                Column("int64", values) if kind == "int64" else Column("float64", values / 7)
            )
        for name in FLAGS:
            columns[name] = Column("bool", rng.integers(0, 2, n).astype(np.int8))
        yield [frame_of_columns(_ids(first, n), event=None, attributes=columns)]


def entries(customers: int) -> Iterator[Request]:
    """The triggers of the first customers."""
    for first in range(0, customers, CHUNK):
        n = min(CHUNK, customers - first)
        numbers = np.arange(first, first + n, dtype=np.uint64)
        yield [frame_of_columns(_ids(first, n), event="go", message=numbers, source=b"entries")]


def memory() -> tuple[int, int]:
    """Bytes that are resident now, and those of them that are the process's own. Linux only."""
    found = {}
    for line in STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon"):
            found[name] = int(value.split()[0]) * 1024
    return found["VmRSS"], found["RssAnon"]


def _ids(first: int, count: int) -> Any:
    numbers = np.arange(first, first + count)
    digits = numbers[:, None] // 10 ** np.arange(ID_DIGITS - 1, -1, -1) % 10
    data = np.full((count, 1 + ID_DIGITS), ord("c"), np.uint8)
    data[:, 1:] = digits + ord("0")
    return np.arange(count + 1, dtype=np.int64) * (1 + ID_DIGITS), data.reshape(-1)
