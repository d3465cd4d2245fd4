"""Open the files of a mapping: find them, unpack gzip, turn encodings into UTF-8, name faults."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa

from actors.importer.mapping import Source
from core.errors import HeadraceError

Format = Literal["csv", "ndjson", "parquet"]

BLOCK_BYTES = 8 << 20
# What rows are packed to is seldom a fiftieth; a file that is made to fill a disk is a thousandth.
RATIO_MAX = 200
RATIO_FREE_BYTES = 64 << 20
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def find_file(source: Source, base: Path) -> Path:
    """The file of a source, relative to `base`; HeadraceError where there is none."""
    path = base / source.file
    if path.is_dir():
        raise HeadraceError("it is a folder; name a file", file=str(path))
    if not path.is_file():
        advice = "Files are looked for beside the mapping, or in the data folder that is stated."
        raise HeadraceError("there is no such file", advice=advice, file=str(path))
    return path


def format_of(source: Source, path: Path) -> Format:
    """The form of a file: as stated, else by its name."""
    if source.format is not None:
        return source.format
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    found = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if found is None:
        advice = "State 'format: csv', 'ndjson' or 'parquet' in the mapping."
        raise HeadraceError("its name does not tell what is in it", advice=advice, file=str(path))
    return found


class Progressing(io.RawIOBase):
    """A binary file as UTF-8 bytes, with a count of the lines it gave."""

    def __init__(
        self, raw: IO[bytes] | gzip.GzipFile, encoding: str, bytes_max: int | None = None
    ) -> None:
        self._raw = raw
        self._left = bytes_max
        utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii")
        self._decoder = None if utf8 else codecs.getincrementaldecoder(encoding)()
        self._rest = b""
        self.newlines = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (all where it is negative), b"" at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK_BYTES), b""))
        while len(self._rest) == 0:
            block = self._raw.read(max(size, 1 << 16))
            if self._left is not None:
                self._left -= len(block)
                if self._left < 0:
                    raise HeadraceError(
                        f"it unpacks to over {RATIO_MAX} times its size",
                        advice="Unpack it, or send it in parts",
                        file=self._raw.name,
                    )
            if self._decoder is not None:
                text = self._decoder.decode(block, final=not block)
                self._rest = text.encode()
            else:
                self._rest = block
            if not block:
                break
        found, self._rest = self._rest[:size], self._rest[size:]
        self.newlines += found.count(b"\n")
        return found


@contextmanager
def opened(path: Path, encoding: str = "utf-8") -> Iterator[tuple[Progressing, IO[bytes]]]:
    """A file as UTF-8, unpacked where its name ends in .gz, and the file on disk (for progress).

    Whatever goes wrong while it is read becomes a HeadraceError that names the file.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        advice = "Write one like utf-8, cp1252 or latin-1."
        raise HeadraceError(f"unknown encoding {encoding!r}", advice=advice) from None
    with naming_faults(path), path.open("rb") as disk:
        if path.suffix.lower() == ".gz":
            most = RATIO_FREE_BYTES + RATIO_MAX * path.stat().st_size
            with gzip.open(disk, "rb") as unpacked:
                yield Progressing(unpacked, encoding, most), disk
        else:
            yield Progressing(disk, encoding), disk


@contextmanager
def naming_faults(path: Path) -> Iterator[None]:
    """Turn what readers raise about a damaged file into a HeadraceError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = "it is cut short" if isinstance(error, EOFError) else f"it is damaged ({error})"
        advice = "Copy it again; `gzip -t` checks it."
        raise HeadraceError(
            f"{reason}: no whole gzip file", advice=advice, file=str(path)
        ) from error
    except UnicodeDecodeError as error:
        message = f"it is not {error.encoding} text ({error.reason} at byte {error.start:,})"
        advice = "State its 'encoding' in the mapping."
        raise HeadraceError(message, advice=advice, file=str(path)) from error
    except (pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise HeadraceError(f"cannot read it ({reason})", file=str(path)) from error
