"""Read NDJSON: one JSON object on each line, decoded by msgspec."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from actors.importer.cells import CellsBuilder
from actors.importer.csv_reader import TEXT_CHARS_MAX, UTF8_MARK, Report
from actors.importer.streams import BLOCK_BYTES, opened
from actors.importer.table import Malformed, Table, Wanted
from core.errors import HeadraceError
from ext.hashing import hash_strings

Object = dict[str, Any]


def read_ndjson(path: Path, wanted: Wanted, encoding: str, report: Report | None = None) -> Table:
    """The wanted columns of an NDJSON file; a dotted path reaches into objects.

    Raises HeadraceError for a file that is empty or broken, and for a column that is on no line.
    """
    reading = _Reading(path, wanted)
    with opened(path, encoding) as (stream, disk):
        size = path.stat().st_size
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            reading.take(lines)
            if report is not None:
                report(min(disk.tell(), size), size)
        if rest:
            reading.take([rest])
    return reading.finish()


class _Reading:
    """Collects the lines of one file."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.path = path
        self.wanted = wanted
        self.decoder = msgspec.json.Decoder()
        names = dict.fromkeys(name for names in wanted.columns for name in names)
        self.builders = {name: CellsBuilder(typed=True) for name in names}
        self.found: set[str] = set()
        self.keys: dict[str, None] = {}
        self.lines = 0
        self.blank = 0
        self.rows = 0
        self.numbers: list[NDArray[np.int64]] = []
        self.hashes: list[NDArray[np.uint64]] = []
        self.malformed: list[Malformed] = []

    def take(self, lines: list[bytes]) -> None:
        """Decode some lines."""
        if self.lines == 0 and lines:
            lines[0] = lines[0].removeprefix(UTF8_MARK)
        try:
            objects = list(map(self.decoder.decode, lines))
            if set(map(type, objects)) - {dict}:
                raise ValueError
            places: Sequence[int] = range(len(lines))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            objects, places = self._one_by_one(lines)
        kept = lines if len(places) == len(lines) else [lines[i] for i in places]
        self.numbers.append(np.array(places, np.int64) + self.lines + 1)
        self.hashes.append(_hashes(kept))
        self.lines += len(lines)
        self._columns(objects)

    def _one_by_one(self, lines: list[bytes]) -> tuple[list[Object], list[int]]:
        """The objects among the lines and their places; the others are counted or refused."""
        objects, places = [], []
        for place, line in enumerate(lines):
            if not line.strip():
                self.blank += 1
                continue
            reason = "it is no JSON object"
            try:
                value = self.decoder.decode(line)
            except UnicodeDecodeError:
                value, reason = None, "it is not UTF-8"
            except RecursionError:
                value, reason = None, "it is nested too deeply"
            except msgspec.MsgspecError as error:
                value, reason = None, f"it is no JSON: {error}"
            if isinstance(value, list):
                reason = "it is a list; NDJSON has one object on each line"
            if isinstance(value, dict):
                objects.append(value)
                places.append(place)
            else:
                text = line[: 4 * TEXT_CHARS_MAX].decode("utf-8", errors="replace")
                number = self.lines + place + 1
                self.malformed.append(Malformed(number, text[:TEXT_CHARS_MAX], reason))
        return objects, places

    def _columns(self, objects: list[Object]) -> None:
        for one in objects:
            self.keys.update(dict.fromkeys(one))
        if self.wanted.everything:
            for key in self.keys:
                if key not in self.builders:
                    self.builders[key] = CellsBuilder(typed=True)
                    self.builders[key].skip(self.rows)
                    self.found.add(key)
        for name, builder in self.builders.items():
            values = _values(objects, name)
            if name not in self.found and _occurs(objects, name):
                self.found.add(name)
            builder.add_python(values)
        self.rows += len(objects)

    def finish(self) -> Table:
        """The whole table."""
        if not self.lines or self.blank == self.lines:
            raise HeadraceError("the file is empty", file=str(self.path))
        # Where no line could be read, no column can be missed: the lines are told instead.
        wanted = self.wanted.found(self.path, lambda n: n in self.found or not self.rows, self.keys)
        names = list(self.builders) if self.wanted.everything else wanted
        return Table(
            path=self.path,
            cells={name: self.builders[name].cells() for name in names},
            number=np.concatenate(self.numbers),
            line=0,
            row_hash=np.concatenate(self.hashes),
            blank=self.blank,
            malformed=self.malformed,
        )


def _values(objects: list[Object], name: str) -> list[Any]:
    """The value at a name, or else at a dotted path, of each object; None where there is none."""
    plain = [one.get(name) for one in objects]
    if "." not in name:
        return plain
    steps = name.split(".")
    return [
        _reach(one, steps) if value is None else value
        for one, value in zip(objects, plain, strict=True)
    ]


def _reach(value: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        if type(value) is not dict:
            return None
        value = value.get(step)
    return value


def _occurs(objects: list[Object], name: str) -> bool:
    """Whether the key, or the last key of the path, is there in any object, if only with null."""
    *steps, last = name.split(".")
    for one in objects:
        holder = _reach(one, steps)
        if name in one or (type(holder) is dict and last in holder):
            return True
    return False


def _hashes(lines: list[bytes]) -> NDArray[np.uint64]:
    column = pa.array(lines, pa.large_binary())
    offsets = np.frombuffer(column.buffers()[1], np.int64, len(column) + 1)
    return hash_strings(memoryview(column.buffers()[2] or b""), offsets)
