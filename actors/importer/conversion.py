"""Give a column its type: infer it where it is not stated, and convert cell by cell without loss.

Nothing is changed silently. A cell that does not fit its column's type is told with the reason,
and its row goes to the rejects. A column of several types takes the type of most of its cells, or
text where that is stated (`mixed: string`); in CSV, where all is text, a column that is mostly
text is text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_writer import ARROW_TYPES
from actors.importer import texts as text_forms
from actors.importer.cells import Cells, Form, Lane
from actors.importer.mapping import SINCE_MS, UNIX_MS, ColumnSpec
from actors.importer.texts import FAMILIES, Distinct, Parsed
from actors.importer.times import (
    DAY_MS,
    YEAR_MAX_MS,
    YEAR_MIN_MS,
    has_time_of_day,
    instants,
    parse_times,
    placed,
)
from actors.threads import in_threads
from core.audience import INT64_MIN, Kind
from core.identity import FLOAT_EXACT_MAX
from core.instants import instant_ms

Int64s = NDArray[np.int64]
Flags = NDArray[np.bool_]

FAMILY_OF_FORM: dict[Form, str] = {
    "bool": "bool",
    "int": "int",
    "float": "float",
    "instant": "datetime",
    "local": "datetime",
    "day": "date",
}
NEVER_FITS: dict[Form, str] = {
    "bytes": "it is not UTF-8",
    "big": "the number is outside the 64-bit range",
    "list": "it is a list; name a single value",
    "nested": "it is a nested value; name a path into it",
}
EXPECTED: dict[Kind, str] = {
    "bool": "expected true or false",
    "int64": "expected a whole number",
    "float64": "expected a number",
    "string": "expected text; state mixed: string to take it as text",
    "datetime": "expected a date and time",
    "date": "expected a date",
}


@dataclass(slots=True)
class Typed:
    """A converted column: `rows` int64[k] ascending have a value, `values` are those k in chunks.

    `bad` lists rows that do not fit, with the reason. `skipped` and `twice` count local times
    that a change of the clock skips or repeats.
    """

    kind: Kind
    rows: Int64s
    values: pa.ChunkedArray
    bad: list[tuple[Int64s, str]] = field(default_factory=list)
    skipped: int = 0
    twice: int = 0


def convert(
    cells: Cells, spec: ColumnSpec, kind: Kind | None = None, inferred: Kind | None = None
) -> Typed:
    """Convert a column to `kind`, by default to the type stated or inferred.

    `inferred` is what `infer` finds, where that is known already.
    """
    cells = without_missing(cells, spec)
    stated = kind or stated_kind(spec)
    kind = stated or inferred or infer(cells, spec)
    work = _Work(spec, kind, lenient=stated is not None or spec.mixed is not None)
    parts = [work.lane(lane) for lane in cells.lanes]
    if len(parts) == 1:
        rows = parts[0][0]
    else:
        rows = np.concatenate([np.zeros(0, np.int64), *(rows for rows, _ in parts)])
    target = ARROW_TYPES[kind]
    arrays = [chunk.cast(target) for _, values in parts for chunk in chunks_of(values)]
    values = pa.chunked_array(arrays, target)
    if len(parts) > 1 and np.any(rows[1:] < rows[:-1]):
        order = np.argsort(rows)
        rows, values = rows[order], values.take(pa.array(order))
    return Typed(kind, rows, values, work.bad, work.skipped, work.twice)


def chunks_of(values: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """The pieces of a column, in order."""
    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]


def stated_kind(spec: ColumnSpec) -> Kind | None:
    """The type that a column's specification fixes, None where it must be inferred."""
    if spec.type is not None:
        return spec.type
    if spec.format is None or spec.format == "iso":
        return None
    if spec.format == "integer_text":
        return "string"
    if spec.format in UNIX_MS or spec.format in SINCE_MS or has_time_of_day(spec.format):
        return "datetime"
    return "date"


def infer(cells: Cells, spec: ColumnSpec) -> Kind:
    """The type of a column: of all its cells, or of most of them; "string" where it is empty."""
    return _elected(_votes(cells), spec)


def _elected(votes: dict[str, int], spec: ColumnSpec) -> Kind:
    groups = _groups(votes)
    if not groups or (len(groups) > 1 and spec.mixed == "string"):
        return "string"
    # Text first: it is the type that loses nothing where two are equally common.
    most = max(groups, key=lambda name: groups[name])
    if most == "number":
        return "float64" if votes["float"] else "int64"
    if most == "time":
        return "datetime" if votes["datetime"] else "date"
    return "bool" if most == "bool" else "string"


def agreed_kind(cells: Cells, spec: ColumnSpec) -> Kind | None:
    """The type that is stated or the same in all cells; None for a column of several types."""
    stated = stated_kind(spec)
    if stated is not None:
        return stated
    votes = _votes(without_missing(cells, spec))
    if len(_groups(votes)) > 1 and spec.mixed is None:
        return None
    return _elected(votes, spec)


def _votes(cells: Cells) -> dict[str, int]:
    """How many cells look like each family of `FAMILIES`."""
    votes = dict.fromkeys(FAMILIES, 0)

    def looks(texts: pa.Array) -> Int64s:
        distinct = Distinct.of(texts)
        found = text_forms.classify(distinct.texts, typed=cells.typed)
        return np.bincount(found, distinct.weights, len(FAMILIES)).astype(np.int64)

    for lane in cells.lanes:
        if lane.form == "text":
            counts = sum(in_threads(looks, lane.values.chunks), np.zeros(len(FAMILIES), np.int64))
            for family, count in zip(FAMILIES, counts, strict=True):
                votes[family] += int(count)
        elif lane.form in FAMILY_OF_FORM:
            votes[FAMILY_OF_FORM[lane.form]] += len(lane.rows)
    return votes


def _groups(votes: dict[str, int]) -> dict[str, int]:
    """Votes for what goes together: whole and broken numbers, days and instants; text first."""
    groups = {
        "text": votes["text"],
        "bool": votes["bool"],
        "number": votes["int"] + votes["float"],
        "time": votes["date"] + votes["datetime"],
    }
    return {name: count for name, count in groups.items() if count}


def without_missing(cells: Cells, spec: ColumnSpec) -> Cells:
    """The cells but for those whose value is stated to mean missing."""
    return cells.restricted(~equal_to(cells, spec.missing)) if spec.missing else cells


def equal_to(cells: Cells, values: Sequence[bool | int | float | str]) -> Flags:
    """Which rows hold one of the values: bool[rows]. In CSV 118 is also what is written 118.0."""
    found = np.zeros(cells.count, np.bool_)
    words = [str(v) for v in values if not isinstance(v, bool)]
    words += [str(v).lower() for v in values if isinstance(v, bool) and not cells.typed]
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    for lane in cells.lanes:
        if lane.form == "text":
            hit = _among(text_forms.trimmed(lane.values), words)
            if not cells.typed and numbers:
                parsed = text_forms.parse_floats(lane.values)
                hit |= parsed.ok & np.isin(parsed.values.to_numpy(), numbers)
            found[lane.rows] = hit
        elif lane.form in ("int", "float"):
            found[lane.rows] = np.isin(lane.values.to_numpy(), numbers)
        elif lane.form == "bool":
            truths = [v for v in values if isinstance(v, bool)]
            found[lane.rows] = np.isin(lane.values.to_numpy(zero_copy_only=False), truths)
    return found


def _among(values: pa.Array, words: list[str]) -> Flags:
    found = pc.is_in(values, pa.array(words, values.type))
    return np.array(found.to_numpy(zero_copy_only=False), np.bool_)


class _Work:
    """Converts the lanes of one column to one kind and collects what does not fit."""

    def __init__(self, spec: ColumnSpec, kind: Kind, *, lenient: bool) -> None:
        self.spec = spec
        self.kind = kind
        self.lenient = lenient
        self.bad: list[tuple[Int64s, str]] = []
        self.skipped = 0
        self.twice = 0

    def lane(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        """The rows of a lane that fit, and their values."""
        if lane.form == "big" and self.kind == "string" and self.lenient:
            return lane.rows, lane.values
        if lane.form in NEVER_FITS:
            return self._refuse(lane, NEVER_FITS[lane.form])
        if lane.form == "text":
            return self._text(lane)
        by_kind: dict[Kind, Callable[[Lane], tuple[Int64s, pa.Array]]] = {
            "bool": self._bool,
            "int64": self._int64,
            "float64": self._float64,
            "string": self._string,
            "datetime": self._datetime,
            "date": self._date,
        }
        return by_kind[self.kind](lane)

    def _refuse(self, lane: Lane, reason: str) -> tuple[Int64s, pa.Array]:
        self.bad.append((lane.rows, reason))
        return lane.rows[:0], pa.array([], ARROW_TYPES[self.kind])

    def _kept(
        self, lane: Lane, ok: Flags, values: pa.Array, reason: str
    ) -> tuple[Int64s, pa.Array]:
        """The rows where `ok` holds; the others are refused."""
        if ok.all():
            return lane.rows, values
        self.bad.append((lane.rows[~ok], reason))
        return lane.rows[ok], values.filter(pa.array(ok))

    def _text(self, lane: Lane) -> tuple[Int64s, pa.ChunkedArray]:
        if self.kind == "string" and self.spec.format != "integer_text":
            return lane.rows, lane.values
        pieces = in_threads(self._piece, lane.values.chunks)
        self.skipped += sum(piece.skipped for piece in pieces)
        self.twice += sum(piece.twice for piece in pieces)
        values = pa.chunked_array([piece.values for piece in pieces], ARROW_TYPES[self.kind])
        if len(values) == len(lane.rows):
            return lane.rows, values
        starts = np.cumsum([0, *(len(chunk) for chunk in lane.values.chunks)])
        bad: dict[str, list[Int64s]] = {}
        fits = np.ones(len(lane.rows), np.bool_)
        for start, piece in zip(starts.tolist(), pieces, strict=False):
            for places, reason in piece.bad:
                bad.setdefault(reason, []).append(lane.rows[start + places])
                fits[start + places] = False
        self.bad += [(np.concatenate(rows), reason) for reason, rows in bad.items()]
        return lane.rows[fits], values

    def _piece(self, texts: pa.Array) -> Typed:
        """Convert one chunk of text; the rows of what is found are places in it."""
        distinct = Distinct.of(texts)
        parsed = self._parsed(distinct.texts)
        values = parsed.values.cast(ARROW_TYPES[self.kind])
        found = Typed(self.kind, np.zeros(0, np.int64), values)
        found.skipped, found.twice = distinct.total(parsed.skipped), distinct.total(parsed.twice)
        if parsed.ok.all():
            found.values = distinct.spread(values)
            return found
        for flags, reason in self._faults(parsed):
            places = np.flatnonzero(distinct.spread(flags))
            if len(places):
                found.bad.append((places, reason))
        ok = distinct.spread(parsed.ok)
        found.values = distinct.spread(values).filter(pa.array(ok))
        return found

    @staticmethod
    def _faults(parsed: Parsed) -> Iterator[tuple[Flags, str]]:
        if parsed.other is None:
            yield ~parsed.ok, parsed.reason
            return
        special = parsed.other[0] & ~parsed.ok
        yield special, parsed.other[1]
        yield ~parsed.ok & ~special, parsed.reason

    def _parsed(self, distinct: pa.Array) -> Parsed:
        if self.kind == "string":
            return text_forms.parse_integer_texts(distinct)
        if self.kind == "bool":
            return text_forms.parse_bools(distinct)
        if self.kind == "int64":
            return text_forms.parse_integers(distinct)
        if self.kind == "float64":
            return text_forms.parse_floats(distinct)
        if self.spec.format in UNIX_MS or self.spec.format in SINCE_MS:
            numbers = text_forms.parse_floats(distinct)
            ms, ok = self._counted_ms(numbers.values.to_numpy())
            return self._times(ok & numbers.ok, ms, "expected a number of time units")
        written = parse_times(text_forms.trimmed(distinct), self.spec.format)
        layout = "" if self.spec.format in (None, "iso") else f" like {self.spec.format}"
        if self.kind == "date":
            ok = written.ok & ~(written.timed & (written.day_ms != 0)) & ~written.offset
            days = pa.array(written.days.astype(np.int32)).cast(pa.date32())
            return Parsed(ok, days, f"expected a date{layout}")
        found = instants(written, self.spec.zone)
        times = self._times(written.ok, found.ms, f"expected a date and time{layout}")
        times.skipped, times.twice = found.skipped, found.twice
        return times

    def _times(self, ok: Flags, ms: Int64s, reason: str) -> Parsed:
        inside = (ms >= YEAR_MIN_MS) & (ms <= YEAR_MAX_MS)
        outside = (ok & ~inside, "the time is outside the years 1 to 9999; is its unit right?")
        if self.kind == "datetime":
            return Parsed(ok & inside, pa.array(ms).cast(ARROW_TYPES["datetime"]), reason, outside)
        whole = inside & (ms % DAY_MS == 0)
        days = np.where(whole, ms // DAY_MS, 0).astype(np.int32)
        return Parsed(ok & whole, pa.array(days).cast(pa.date32()), "expected whole days", outside)

    def _counted_ms(self, numbers: NDArray[np.float64]) -> tuple[Int64s, Flags]:
        """Instants counted in units since the epoch, to the nearest ms, and which can be told."""
        layout = self.spec.format or ""
        unit = UNIX_MS.get(layout) or SINCE_MS[layout]
        start = 0 if self.spec.epoch is None else instant_ms(self.spec.epoch)
        ms = np.rint(numbers * unit)
        ok = np.abs(ms) < 2.0**62
        return np.where(ok, ms, 0).astype(np.int64) + start, ok

    def _bool(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        if lane.form == "bool":
            return lane.rows, lane.values
        if lane.form == "int" and self.lenient:
            values = lane.values.to_numpy()
            ok = (values == 0) | (values == 1)
            return self._kept(lane, ok, pa.array(values == 1), EXPECTED["bool"])
        return self._refuse(lane, EXPECTED["bool"])

    def _int64(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        if lane.form == "int":
            ok = lane.values.to_numpy() != INT64_MIN
            return self._kept(lane, ok, lane.values, "the number is outside the 64-bit range")
        if lane.form == "float":
            floats = lane.values.to_numpy()
            ok = (np.abs(floats) <= FLOAT_EXACT_MAX) & (floats == np.floor(floats))
            whole = pa.array(np.where(ok, floats, 0).astype(np.int64))
            return self._kept(lane, ok, whole, EXPECTED["int64"])
        return self._refuse(lane, EXPECTED["int64"])

    def _float64(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        if lane.form == "float":
            ok = np.isfinite(lane.values.to_numpy())
            return self._kept(lane, ok, lane.values, "the number is not finite")
        if lane.form == "int":
            ok = np.abs(lane.values.to_numpy().astype(np.float64)) <= FLOAT_EXACT_MAX
            floats = pa.array(lane.values.to_numpy().astype(np.float64))
            reason = "the number is too large to be exact; state type: int64 or string"
            return self._kept(lane, ok, floats, reason)
        return self._refuse(lane, EXPECTED["float64"])

    def _string(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        if not self.lenient:
            return self._refuse(lane, EXPECTED["string"])
        if self.spec.format == "integer_text":
            work = _Work(self.spec, "int64", lenient=True)
            rows, values = work._int64(lane)
            self.bad += work.bad
            return rows, values.cast(pa.large_string())
        if lane.form == "float":
            shortest = [repr(value) for value in lane.values.to_pylist()]
            return lane.rows, pa.array(shortest, pa.large_string())
        if lane.form in ("bool", "int"):
            return lane.rows, lane.values.cast(pa.large_string())
        target = pa.date32() if lane.form == "day" else pa.timestamp("ms")
        source = lane.values.cast(pa.int32()) if lane.form == "day" else lane.values
        text = source.cast(target).cast(pa.large_string())
        if lane.form == "instant":
            text = pc.binary_join_element_wise(text, pa.scalar("Z", pa.large_string()), "")
        return lane.rows, text

    def _datetime(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        if lane.form == "instant":
            return lane.rows, lane.values.cast(ARROW_TYPES["datetime"])
        if lane.form in ("local", "day"):
            unit = DAY_MS if lane.form == "day" else 1
            found = placed(lane.values.to_numpy() * unit, self.spec.zone)
            self.skipped += int(found.skipped.sum())
            self.twice += int(found.twice.sum())
            return lane.rows, pa.array(found.ms).cast(ARROW_TYPES["datetime"])
        return self._number_as_time(lane)

    def _date(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        if lane.form == "day":
            return lane.rows, lane.values.cast(pa.int32()).cast(pa.date32())
        if lane.form in ("instant", "local"):
            ms = lane.values.to_numpy()
            days = pa.array((ms // DAY_MS).astype(np.int32)).cast(pa.date32())
            reason = "it has a time of day; state type: datetime"
            return self._kept(lane, ms % DAY_MS == 0, days, reason)
        return self._number_as_time(lane)

    def _number_as_time(self, lane: Lane) -> tuple[Int64s, pa.Array]:
        if lane.form not in ("int", "float") or self.spec.format in (None, "iso"):
            return self._refuse(lane, EXPECTED[self.kind])
        if self.spec.format in UNIX_MS or self.spec.format in SINCE_MS:
            ms, ok = self._counted_ms(lane.values.to_numpy().astype(np.float64))
            parsed = self._times(ok, ms, "expected a number of time units")
            for flags, reason in self._faults(parsed):
                if flags.any():
                    self.bad.append((lane.rows[flags], reason))
            return lane.rows[parsed.ok], parsed.values.filter(pa.array(parsed.ok))
        if lane.form == "float":
            return self._refuse(lane, EXPECTED[self.kind])
        return self._text(Lane("text", lane.rows, lane.values.cast(pa.string())))
