"""Write the decision log as Parquet while a dry run goes on.

One row for each decision, in order of (customer row, step), in row groups of a fixed size, so the
file is the same byte for byte with any number of workers and any size of blocks. A log that is
there is whole: it is moved to its place when complete. That of a run that was interrupted says so
in its metadata, `headrace: partial`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.whole_file import whole_file
from core.binding import Bound
from core.errors import HeadraceError
from core.outcomes import LOGGED, outcome_text

GROUP_ROWS = 1 << 18
# What comes in order, or hardly twice, is smaller and faster without a dictionary.
DICTIONARIES = ["node", "port"]
PARTIAL = {"headrace": "partial"}

SCHEMA = pa.schema(
    [
        pa.field("customer", pa.string(), nullable=False),
        pa.field("step", pa.uint32(), nullable=False),
        pa.field("time", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("entry", pa.uint64(), nullable=False),
        pa.field("node", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("port", pa.dictionary(pa.int32(), pa.string()), nullable=False),
    ]
)


@contextmanager
def log_writer(path: Path, bound: Bound) -> Iterator[LogWriter]:
    """Yield a writer of the log to `path`, which is complete when the block ends well, else absent.

    HeadraceError where the file can't be written, as when no space is left.
    """
    try:
        with (
            whole_file(path) as part,
            pa.OSFile(str(part), "wb") as file,
            pq.ParquetWriter(
                file, SCHEMA, compression="zstd", use_dictionary=DICTIONARIES
            ) as parquet,
        ):
            writer = LogWriter(parquet, bound)
            yield writer
            writer.finish()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HeadraceError(
            f"the decision log can't be written: {error.strerror or error}",
            advice="Make room or choose another place with --log; nothing was left behind",
            file=str(path),
        ) from None


class LogWriter:
    """Writes LOG records of a bound program to an open Parquet file."""

    def __init__(self, parquet: pq.ParquetWriter, bound: Bound) -> None:
        self._parquet = parquet
        self._bound = bound
        flow = bound.program.flow
        self._nodes = pa.array(bound.program.node_ids)
        names: dict[str, int] = {}
        codes = [
            [names.setdefault(p, len(names)) for p in node.ports] for node in flow.nodes.values()
        ]
        outcomes = [names.setdefault(outcome_text(-1 - i), len(names)) for i in range(LOGGED)]
        width = max((len(row) for row in codes), default=0)
        self._port_code = np.zeros((len(codes), width + len(outcomes)), np.int32)
        for row, known in zip(self._port_code, codes, strict=True):
            row[len(outcomes) : len(outcomes) + len(known)] = known
            row[: len(outcomes)] = outcomes[::-1]
        self._shift = len(outcomes)
        self._names = pa.array(list(names))
        self._held: list[NDArray[Any]] = []
        self._rows = 0

    def room(self, records: int) -> None:
        """A fresh array for each block: they are held until a row group is full."""

    def write(self, records: NDArray[Any]) -> None:
        """Take the next block's LOG records, sorted by (customer row, step)."""
        self._held.append(records)
        self._rows += len(records)
        if self._rows < GROUP_ROWS:
            return
        rows = np.concatenate(self._held)
        whole = len(rows) - len(rows) % GROUP_ROWS
        for first in range(0, whole, GROUP_ROWS):
            self._parquet.write_table(self._table(rows[first : first + GROUP_ROWS]))
        self._held, self._rows = [rows[whole:].copy()], len(rows) - whole

    def note_partial(self) -> None:
        """Note in the file that the run was interrupted."""
        self._parquet.add_key_value_metadata(PARTIAL)

    def finish(self) -> None:
        """Write what is held; call it once, after the last records."""
        if self._rows:
            self._parquet.write_table(self._table(np.concatenate(self._held)))

    def _table(self, records: NDArray[Any]) -> pa.Table:
        audience = self._bound.audience
        ids = pa.LargeStringArray.from_buffers(
            audience.customers, pa.py_buffer(audience.id_offsets), pa.py_buffer(audience.id_data)
        )
        ports = self._port_code[records["node"], records["port"] + self._shift]
        return pa.table(
            [
                ids.take(pa.array(records["customer"])).cast(pa.string()),
                pa.array(records["step"]),
                pa.array(records["time_ms"]).cast(pa.timestamp("ms", "UTC")),
                pa.array(records["entry"]),
                pa.DictionaryArray.from_arrays(pa.array(records["node"]), self._nodes),
                pa.DictionaryArray.from_arrays(pa.array(ports), self._names),
            ],
            schema=SCHEMA,
        )
