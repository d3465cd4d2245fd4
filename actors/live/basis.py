"""Say what a partition's work is carried out under: a version of the engine, and tables of zones.

Both stand in the journal, before the first record that was carried out under them. So a record is
replayed under the tables that it met, and by no other version than the one that wrote it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version

import msgpack

from actors.live.errors import EngineError
from actors.live.records import BasisRecord, Record
from core.semantics import SEMANTICS
from core.zone_tables import ZoneTables, installed

TABLES_BYTES_MAX = 16 << 20  # unpacked


@dataclass(frozen=True, slots=True)
class Basis:
    """The engine's version with the number of its rules, and the zones that it has."""

    engine: str
    tables: ZoneTables

    def check(self, record: Record, engine: str, number: int, file: str) -> None:
        """Raise EngineError unless journal record `number` may be replayed by this engine.

        `engine` wrote what came before it, and it too unless it tells otherwise; "" for unknown.
        """
        if isinstance(record, BasisRecord):
            # One that only names an engine does nothing.
            engine = record.engine if record.tables else ""
        if engine not in ("", self.engine):
            raise EngineError(
                f"the records from {number:,} on are in no snapshot, and Headrace {engine} wrote "
                f"them: {self.engine} might decide otherwise",
                advice=f"Install {engine.split('/')[0] or 'the former release'} again, start the "
                "engine and stop it cleanly, which leaves nothing to replay; then upgrade",
                file=file,
                pointer=f"journal record {number}",
            )


@cache
def installed_basis() -> Basis:
    """This engine, with the zones of the tzdata package."""
    return Basis(f"{engine_version()}/{SEMANTICS}", installed())


def engine_version() -> str:
    """The version of Headrace that is installed."""
    try:
        return version("headrace")
    except PackageNotFoundError:
        return ""


@lru_cache(maxsize=4)
def pack_tables(tables: ZoneTables) -> bytes:
    """All zones as bytes; those that share a file have it once."""
    files = sorted(set(tables.files.values()))
    place = {data: i for i, data in enumerate(files)}
    names = {name: place[data] for name, data in sorted(tables.files.items())}
    return zlib.compress(msgpack.packb([names, files]), 6)


def unpack_tables(data: bytes, *known: ZoneTables) -> ZoneTables:
    """The zones that were packed; the same one of `known` where it is one of them.

    ValueError for anything else.
    """
    try:
        unpacking = zlib.decompressobj()
        names, files = msgpack.unpackb(unpacking.decompress(data, TABLES_BYTES_MAX))
        found = ZoneTables({str(name): bytes(files[i]) for name, i in names.items()})
    except (
        zlib.error,
        msgpack.UnpackException,
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:
        raise ValueError(f"tables of zones cannot be read: {error}") from error
    return next((tables for tables in known if tables.digest == found.digest), found)
