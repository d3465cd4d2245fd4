"""Makes releases of the time zone database that never were: zones whose offsets change as asked."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence

from core.zone_tables import ZoneTables, installed

HEADER = struct.Struct(">4sc15x6I")


def tzif(first_offset_s: int, changes: Sequence[tuple[int, int]]) -> bytes:
    """A TZif file: the first offset, then (UTC second, offset in seconds) ascending."""
    offsets = list(dict.fromkeys([first_offset_s, *(offset for _, offset in changes)]))
    kinds = b"".join(struct.pack(">lBB", offset, 0, 0) for offset in offsets)
    body = b"".join(struct.pack(">q", second) for second, _ in changes)
    body += bytes(offsets.index(offset) for _, offset in changes) + kinds + b"LMT\0"
    empty = HEADER.pack(b"TZif", b"2", 0, 0, 0, 0, 0, 0)
    header = HEADER.pack(b"TZif", b"2", 0, 0, 0, len(changes), len(offsets), 4)
    last = changes[-1][1] if changes else first_offset_s
    minutes, seconds = divmod(abs(last), 60)
    sign = "-" if last > 0 else ""  # POSIX counts west of Greenwich as positive
    rule = f"LMT{sign}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return empty + header + body + f"\n{rule}\n".encode()


def shifted(names: Collection[str], after_ms: int, by_s: int) -> ZoneTables:
    """The installed zones, but for some that are `by_s` seconds further east from a time on."""
    tables = installed()
    files = dict(tables.files)
    for name in names:
        table = tables.table(name)
        offsets = (table.offset_ms // 1000).tolist()
        seconds = (table.utc_ms // 1000).tolist()
        at = after_ms // 1000
        before = max(i for i, second in enumerate(seconds) if second <= at)
        changes = list(zip(seconds[1 : before + 1], offsets[1 : before + 1], strict=True))
        changes.append((at, offsets[before] + by_s))
        changes += [
            (second, offset + by_s)
            for second, offset in zip(seconds[before + 1 :], offsets[before + 1 :], strict=True)
        ]
        files[name] = tzif(offsets[0], changes)
    return ZoneTables(files)


def with_zone(name: str, first_offset_s: int, *changes: tuple[int, int]) -> ZoneTables:
    """The installed zones, and one whose changes are those, or that is there no more."""
    return ZoneTables({**installed().files, name: tzif(first_offset_s, changes)})
