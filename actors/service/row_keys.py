"""Lay out the keys of the control plane, so that no tenant's key can be, or begin, another's.

    operator   "o"                        table, u8   key, UTF-8
    tenant     "t", length, u8, tenant    table, u8   key, UTF-8

The length stands before the tenant's id, so two ids differ within their prefixes whatever
characters they hold, and neither prefix begins the other. Behind the prefix the key is compared as
it is: the order of keys is that of their code points.
"""

from __future__ import annotations

from actors.service.tables import NAMES, SEQUENCES
from actors.store.errors import TooLargeError

TENANT_BYTES_MAX = 64
KEY_BYTES_MAX = 400  # with the longest prefix and a byte more it still is a key for LMDB


def operator_space() -> bytes:
    """The prefix of the operator's rows."""
    return b"o"


def tenant_space(tenant: str) -> bytes:
    """The prefix of a tenant's rows. Raises TooLargeError unless the id has 1 to 64 bytes."""
    encoded = encode(tenant)
    if encoded is None or not 1 <= len(encoded) <= TENANT_BYTES_MAX:
        raise TooLargeError(
            f"{tenant[:80]!r} can not be the id of a tenant: expected 1 to {TENANT_BYTES_MAX} "
            "bytes of UTF-8",
            advice="Use a short name of letters and digits",
        )
    return b"t" + bytes((len(encoded),)) + encoded


def encode(text: str) -> bytes | None:
    """A text as UTF-8, or None if it has none: half of a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def checked_key(key: str) -> bytes:
    """A key to be stored, as bytes. Raises TooLargeError unless it has 1 to 400 bytes of UTF-8."""
    encoded = encode(key)
    if encoded is None or not 1 <= len(encoded) <= KEY_BYTES_MAX:
        raise TooLargeError(
            f"{key[:80]!r} can not be a key: expected 1 to {KEY_BYTES_MAX:,} bytes of UTF-8",
            advice="Use a shorter one, or a hash of it",
        )
    return encoded


def usable_key(key: str) -> bytes | None:
    """A key to look for, as bytes, or None if nothing can be stored under it."""
    encoded = encode(key)
    return encoded if encoded is not None and 1 <= len(encoded) <= KEY_BYTES_MAX else None


def bound(key: str) -> bytes:
    """Where a key stands, or would stand, among those that can be stored."""
    # All stored keys are at most so long, so what is cut off changes no comparison with them.
    return key.encode(errors="surrogatepass")[: KEY_BYTES_MAX + 1]


def past(prefix: bytes) -> bytes:
    """The least key above all that begin with `prefix`, which ends with less than 255."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def place(key: bytes) -> tuple[str | None, str, str]:
    """Tenant (None for the operator), table and key of a whole key. Raises ValueError."""
    if key[:1] == b"o":
        tenant, rest = None, key[1:]
    elif key[:1] == b"t" and len(key) > 1 and len(key) > 2 + key[1]:
        tenant, rest = key[2 : 2 + key[1]].decode(), key[2 + key[1] :]
    else:
        raise ValueError("it belongs to nobody")
    if len(rest) < 2:
        raise ValueError("it is cut short")
    if rest[0] == SEQUENCES:
        return tenant, f"sequence of {NAMES[rest[1]] if rest[1] in NAMES else rest[1]}", ""
    if rest[0] not in NAMES:
        raise ValueError(f"there is no table {rest[0]}")
    return tenant, NAMES[rest[0]], rest[1:].decode()


def described(key: bytes) -> str:
    """Where a whole key belongs, for people: table, owner and key."""
    try:
        tenant, table, name = place(key)
    except ValueError as error:
        return f"key {key.hex()}: {error}"
    owner = "the operator" if tenant is None else f"tenant {tenant!r}"
    return f"table {table} of {owner}" + (f", key {name!r}" if name else "")
