"""Name what can go wrong in a partition store, each with the file, the place in it and the cure.

StoreError
├── InUseError            another process, or this one, has the folder open
├── FormatError           no partition, or one of another version of the format
├── QuarantinedError      died too often on opening: verify before the next try
├── CorruptError          what is stored cannot be true
├── FencedError           a later opening has taken the partition over
├── HaltedError           a failure after which nothing here may be trusted; open again
├── NoSpaceError          disk, quota or file size: nothing was written, all goes on
├── TooLargeError         a record, a key or a slice over its cap
├── TrimmedError          asked for what has been trimmed away
└── MisuseError           closed, or inherited by a fork
"""

from __future__ import annotations

from core.errors import HeadraceError


class StoreError(HeadraceError):
    """Any failure of a partition store."""


class InUseError(StoreError):
    """The partition is open already."""


class FormatError(StoreError):
    """The folder holds no partition that this version can read."""


class QuarantinedError(StoreError):
    """The partition was opened and died too often; it is not opened before it has been verified."""


class CorruptError(StoreError):
    """What is stored contradicts itself; the partition must be restored from a backup."""


class FencedError(StoreError):
    """A later opening took the partition over; this one may never write again."""


class HaltedError(StoreError):
    """The store stopped for good. Whether the last commit holds is known after opening again."""


class NoSpaceError(StoreError):
    """There is no room for this transaction. Nothing of it was stored; the store stays usable."""


class TooLargeError(StoreError):
    """A record, a key or a slice exceeds its cap."""


class TrimmedError(StoreError):
    """The records asked for have been trimmed away."""


class MisuseError(StoreError):
    """The store was used after it was closed, or in a process that inherited it by a fork."""
