"""Hold the tables of all zones as of one release of the time zone database.

A release may change what was known of the future, and of the past. Work that must be repeatable is
carried out under one release, which is kept beside it; `installed` is that of the tzdata package.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from importlib import resources

from core.hashing import hash_parts
from core.zones import ZoneTable, table_of, unknown_zone, zone_names


class ZoneTables:
    """All zones of a release by name; `files` are their TZif files (RFC 8536)."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Take over what the files hold; none is read before its table is asked for."""
        self.files = dict(files)
        self._tables: dict[str, ZoneTable] = {}

    @cached_property
    def digest(self) -> int:
        """A hash of all names and files, modulo 2**64."""
        parts = [part for name in sorted(self.files) for part in (name, self.files[name])]
        return hash_parts(*parts)

    def __contains__(self, name: object) -> bool:
        """Whether there is a zone of that name."""
        return name in self.files

    def table(self, name: str) -> ZoneTable:
        """The table of a zone; ValueError with close matches if there is none."""
        found = self._tables.get(name)
        if found is None:
            if name not in self.files:
                raise ValueError(unknown_zone(name))
            found = self._tables[name] = table_of(self.files[name])
        return found

    def keeping(self, older: ZoneTables) -> ZoneTables:
        """These, and those of `older` whose names are missing here: a zone never goes away."""
        if older.files.keys() <= self.files.keys():
            return self
        return ZoneTables({**older.files, **self.files})


@cache
def installed() -> ZoneTables:
    """The zones of the tzdata package that is installed."""
    root = resources.files("tzdata").joinpath("zoneinfo")
    return ZoneTables(
        {name: root.joinpath(*name.split("/")).read_bytes() for name in sorted(zone_names())}
    )
