"""Frame every stored record: what it is, where it belongs, how long it is, and a checksum.

LMDB has no checksums, so a flipped bit inside a value would be returned as if it were true. The
checksum is XXH3-64 over key, header and payload: it also tells a record under another's key.

    offset  0  magic "HRec"            8  length of the payload, u32
            4  format version, u8     12  sequence, u64: what the kind says
            5  kind, u8               20  checksum, u64
            6  length of the key, u16 28  payload                       (all little-endian)
"""

from __future__ import annotations

import struct
from enum import IntEnum

import xxhash

from actors.store.errors import CorruptError, TooLargeError

MAGIC = b"HRec"
VERSION = 1
KEY_BYTES_MAX = 511  # LMDB's own limit
RECORD_BYTES_MAX = 1 << 20
SLICE_BYTES_MAX = 8 << 20
ROW_BYTES_MAX = 20 << 20  # a flow document of full size, and what stands beside it

_FIELDS = struct.Struct("<4sBBHIQ")
_CHECKSUM = struct.Struct("<Q")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size


class Kind(IntEnum):
    """What a record is; its sequence is in brackets."""

    HEAD = 1  # the partition's counters [transactions so far]
    JOURNAL = 2  # inputs [its number in the journal]
    OUTBOX = 3  # a part of a commit's block of effects [the commit]
    CURSOR = 4  # the last sequence of a source [that sequence]
    RELAY_ROW = 5  # what the relay has to remember [0]
    SLICE = 6  # a piece of a snapshot [the snapshot that wrote it]
    MANIFEST = 7  # what a snapshot consists of [the snapshot]
    ERASURE = 8  # that a customer was erased, in a ledger [its number there]
    ROW = 9  # a row of the control plane [0]


BYTES_MAX = {
    Kind.HEAD: 4096,
    Kind.JOURNAL: RECORD_BYTES_MAX,
    Kind.OUTBOX: RECORD_BYTES_MAX + 4096,  # one effect of full size and the block's table
    Kind.CURSOR: 0,
    Kind.RELAY_ROW: RECORD_BYTES_MAX,
    Kind.SLICE: SLICE_BYTES_MAX,
    Kind.MANIFEST: SLICE_BYTES_MAX,
    Kind.ERASURE: 24,
    Kind.ROW: ROW_BYTES_MAX,
}


def check_key(key: bytes, what: str, room: int = 0) -> None:
    """Raise TooLargeError unless 1 <= len(key) <= 511 - room bytes; `what` names it for people."""
    if not 1 <= len(key) <= KEY_BYTES_MAX - room:
        raise TooLargeError(
            f"{what} has {len(key):,} bytes; expected 1 to {KEY_BYTES_MAX - room}",
            advice="Use a hash of it instead",
        )


def check_size(kind: Kind, payload: bytes, limit: int | None = None) -> None:
    """Raise TooLargeError if the payload exceeds its kind's cap, or `limit` bytes where given."""
    limit = BYTES_MAX[kind] if limit is None else limit
    if len(payload) > limit:
        raise TooLargeError(
            f"a record of kind {kind.name.lower()} has {len(payload):,} bytes; "
            f"at most {limit:,} are allowed",
            advice="Split it into several records",
        )


def pack(kind: Kind, key: bytes, sequence: int, payload: bytes) -> bytes:
    """The record to store under `key` (1 to 511 bytes); 0 <= sequence < 2**64.

    Raises TooLargeError for a payload over the cap of its kind, or a key that LMDB cannot take.
    """
    check_key(key, "a key")
    check_size(kind, payload)
    fields = _FIELDS.pack(MAGIC, VERSION, kind, len(key), len(payload), sequence)
    return b"".join((fields, _CHECKSUM.pack(_sum(key, fields, payload)), payload))


def unpack(kind: Kind, key: bytes, record: bytes, file: str) -> tuple[int, bytes]:
    """The sequence and the payload of a record that is expected to be of this kind.

    Raises CorruptError, which names `file` and the key, if anything about it is not as written.
    """
    if len(record) < HEADER_BYTES:
        raise _corrupt(f"has {len(record)} bytes, less than a header", kind, key, file)
    magic, version, found, key_bytes, length, sequence = _FIELDS.unpack_from(record)
    if magic != MAGIC:
        raise _corrupt(f"begins with {magic!r} instead of {MAGIC!r}", kind, key, file)
    if version != VERSION:
        raise _corrupt(f"has format version {version} instead of {VERSION}", kind, key, file)
    if len(record) != HEADER_BYTES + length or key_bytes != len(key):
        raise _corrupt("is not as long as its header says", kind, key, file)
    payload = record[HEADER_BYTES:]
    (checksum,) = _CHECKSUM.unpack_from(record, _FIELDS.size)
    if checksum != _sum(key, record[: _FIELDS.size], payload):
        raise _corrupt("does not match its checksum", kind, key, file)
    if found != kind:
        raise _corrupt(f"is of kind {found} instead of {int(kind)}", kind, key, file)
    return sequence, payload


def printable(key: bytes) -> str:
    """A key for people: as text where it is plain ASCII, else in hexadecimal."""
    text = key.decode("ascii", "replace")
    return text if text.isprintable() and "\ufffd" not in text else key.hex()


def _sum(key: bytes, fields: bytes, payload: bytes) -> int:
    hasher = xxhash.xxh3_64(key)
    hasher.update(fields)
    hasher.update(payload)
    return hasher.intdigest()


def _corrupt(what: str, kind: Kind, key: bytes, file: str) -> CorruptError:
    return CorruptError(
        f"the record {what}",
        advice=RESTORE,
        file=file,
        pointer=f"{kind.name.lower()} record {printable(key)}",
    )


RESTORE = "Stop using this partition, verify it, and restore it from its last backup"
