"""Hash identities to 64 bits: XXH64 with seed 0 over UTF-8 bytes and length-prefixed parts.

Every key of chance, every digest and every partition number starts from these functions, so they
are defined on bytes (never on a language's own string hash) and published as vectors in
tests/vectors/hashes.json. The compiled twin is ext/hashing.pyx. XXH64 is specified in xxHash's
doc/xxhash_spec.md.
"""

from __future__ import annotations

import xxhash

_INT_MIN = -(2**63)
_INT_END = 2**64


def hash_bytes(data: bytes) -> int:
    """Return XXH64 with seed 0 of `data`, in [0, 2**64)."""
    return xxhash.xxh64_intdigest(data)


def hash_parts(*parts: str | int | bytes) -> int:
    """Return XXH64 of the parts, each written as its u32 little-endian byte length and its bytes.

    The length keeps ("ab", "c") and ("a", "bc") apart. A str is UTF-8; an int is 8 bytes
    little-endian, two's complement, so -1 and 2**64 - 1 are the same part. Raises ValueError for
    an int outside [-2**63, 2**64) and for a str that has no UTF-8 form (a lone surrogate),
    TypeError for any other type.
    """
    written = bytearray()
    for part in parts:
        data = _part_bytes(part)
        written += len(data).to_bytes(4, "little")
        written += data
    return xxhash.xxh64_intdigest(bytes(written))


def hash_customer(id: str) -> int:
    """Return the hash of a customer's id: XXH64 with seed 0 of its UTF-8 bytes."""
    return xxhash.xxh64_intdigest(id.encode())


def _part_bytes(part: str | int | bytes) -> bytes:
    if isinstance(part, str):
        return part.encode()
    if isinstance(part, bytes):
        return part
    if isinstance(part, bool) or not isinstance(part, int):
        raise TypeError(f"a part to hash is str, int or bytes, not {type(part).__name__}")
    if not _INT_MIN <= part < _INT_END:
        raise ValueError(f"an int to hash lies in [-2**63, 2**64), and {part} does not")
    return (part % _INT_END).to_bytes(8, "little")
