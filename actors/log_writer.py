"""Write the decision log as Parquet while a dry run goes on.

One row for each decision, in order of (customer row, step), so the file is the same for any number
of workers. It is written beside its place and moved there when complete: a log that is there is
whole.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.binding import Bound
from core.errors import HeadraceError
from core.outcomes import Outcome

ROWS_MIN = 1 << 18  # of a row group

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


class LogWriter:
    """Writes LOG records of a bound program to a Parquet file.

    Use it in a `with`, which completes or removes it.

    HeadraceError where the file can't be written, as when no space is left.
    """

    def __init__(self, path: Path, bound: Bound) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._bound = bound
        flow = bound.program.flow
        self._nodes = pa.array(bound.program.node_ids)
        names: dict[str, int] = {}
        codes = [
            [names.setdefault(p, len(names)) for p in node.ports] for node in flow.nodes.values()
        ]
        outcomes = [names.setdefault(Outcome(-1 - i).text, len(names)) for i in range(len(Outcome))]
        width = max((len(row) for row in codes), default=0)
        self._port_code = np.zeros((len(codes), width + len(outcomes)), np.int32)
        for row, known in zip(self._port_code, codes, strict=True):
            row[len(outcomes) : len(outcomes) + len(known)] = known
            row[: len(outcomes)] = outcomes[::-1]
        self._shift = len(outcomes)
        self._names = pa.array(list(names))
        self._rows: list[NDArray[Any]] = []
        self._held = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        try:
            self._writer = pq.ParquetWriter(self._part, SCHEMA, compression="zstd")
        except OSError as error:
            raise self._failed(error) from None
        return self

    def write(self, records: NDArray[Any]) -> None:
        """Take the next block's LOG records, sorted by (customer row, step)."""
        self._rows.append(records)
        self._held += len(records)
        if self._held >= ROWS_MIN:
            self._flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._writer is not None
        try:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is None:
                self._part.replace(self._path)
        except OSError as failure:
            if kind is None:
                raise self._failed(failure) from None
        finally:
            self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._held:
            return
        assert self._writer is not None
        records = np.concatenate(self._rows)
        self._rows, self._held = [], 0
        try:
            self._writer.write_table(self._table(records))
        except OSError as error:
            raise self._failed(error) from None

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

    def _failed(self, error: OSError) -> HeadraceError:
        return HeadraceError(
            f"the decision log can't be written: {error.strerror or error}",
            advice="Make room or choose another place with --log; nothing was left behind",
            file=str(self._path),
        )
