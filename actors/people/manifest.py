"""State in a file which folder of values counts, and under which key customers are hashed.

people.json   this statement, replaced whole
values-N/     a partition store whose named rows are the persons; N grows with each rewriting
erasures      the ledger
lock          held by whoever has it open; `swap` is held for the moment of a change of folder
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from actors.store.errors import CorruptError, FormatError
from actors.store.frames import RESTORE
from actors.store.side_file import write_synced

MANIFEST = "people.json"
ERASURES = "erasures"
SWAP = "swap"
FORMAT_NAME = "headrace people"
FORMAT_VERSION = 1
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Manifest:
    """The key of customers' hashes, and the number of the folder of values that counts."""

    key: bytes = field(repr=False)
    values: int = 1

    def folder(self, of: Path) -> Path:
        """The folder of values that counts."""
        return of / f"values-{self.values}"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the statement, durably. Raises OSError."""
    statement = {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "key": manifest.key.hex(),
        "values": manifest.values,
    }
    write_synced(folder / MANIFEST, json.dumps(statement).encode() + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Read the statement. Raises FormatError, CorruptError, OSError."""
    path = folder / MANIFEST
    try:
        statement = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FormatError(
            "no personal values are kept here",
            advice="Check the path, or open it with create=True",
            file=str(folder),
        ) from None
    except ValueError:
        raise CorruptError("it is not JSON", advice=RESTORE, file=str(path)) from None
    match statement:
        case {"format": name} if name != FORMAT_NAME:
            raise FormatError(
                f"the folder holds {name!r} instead of {FORMAT_NAME!r}",
                advice="Check the path",
                file=str(path),
            )
        case {"version": version} if version != FORMAT_VERSION:
            raise FormatError(
                f"it has format version {version!r}; this release reads {FORMAT_VERSION}",
                advice="Open it with the release that wrote it",
                file=str(path),
            )
        case {"format": _, "version": _, "key": str(key), "values": int(values)} if values > 0:
            try:
                return Manifest(bytes.fromhex(key), values)
            except ValueError:
                pass
    raise CorruptError("it does not say which values count", advice=RESTORE, file=str(path))
