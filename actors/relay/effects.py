"""Effects say what a partition asks the world to do, as its outbox keeps it.

An effect names a customer by number and personal values by name only, so that nothing in an outbox
has to be erased. Each is encoded by itself, so that one that cannot be read harms no other.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, fields
from typing import Any

import msgpack

FORMAT = 1
NAMES_MAX = 256


class UnreadableError(ValueError):
    """Bytes of an outbox that are no effect or row of a known format."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One send: who entered what, which node asks for which message, and how long it is wanted.

    `customer` and `entry` are the partition's numbers, below 2**63. `to` names the attribute that
    holds the address, or is empty for the channel's usual one; `variables` names attributes that
    the message needs beside those that its template shows, and `stated` are names and values, as
    JSON, that the flow itself gives it. `committed_ms` is when the machine decided, `expires_ms`
    when nobody wants the message any more, `fresh_until_ms` until when the machine's answer about
    caps and quiet hours holds; all three are UTC.
    """

    tenant: str
    flow: str
    version: int
    customer: int
    entry: int
    node: str
    visit: int
    channel: str
    template: str
    to: str
    variables: tuple[str, ...]
    committed_ms: int
    expires_ms: int
    fresh_until_ms: int
    stated: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The idempotency key, 64 hexadecimal digits: the same for every attempt, for ever.

        SHA-256 over (tenant, flow, version, customer, entry, node, visit), each text behind its
        length so that no two tuples run together; a provider may take it for unguessable.
        """
        digest = hashlib.sha256(b"headrace-send-1")
        for part in (self.tenant, self.flow, self.node):
            data = part.encode()
            digest.update(len(data).to_bytes(4, "little") + data)
        for number in (self.version, self.customer, self.entry, self.visit):
            digest.update(number.to_bytes(8, "little", signed=True))
        return digest.hexdigest()


_KINDS = {"str": str, "int": int, "tuple[str, ...]": list, "tuple[tuple[str, str], ...]": list}
_FIELDS = tuple((field.name, _KINDS[str(field.type)]) for field in fields(Effect))


def encode_effect(effect: Effect) -> bytes:
    """Return the effect as msgpack: an array of the format's number and the fields in order.

    Raises ValueError for a text that has no UTF-8 form, OverflowError for a number beyond 64 bits.
    """
    return bytes(msgpack.packb((FORMAT, *astuple(effect))))


def decode_effect(data: bytes) -> Effect:
    """Return the effect that `encode_effect` wrote; raises UnreadableError for anything else."""
    values = unpacked(data, "effect", len(_FIELDS), without=1)
    if len(values) < len(_FIELDS):  # from before flows' own values went along
        values.append([])
    for (name, kind), value in zip(_FIELDS, values, strict=True):
        if type(value) is not kind:
            raise UnreadableError(f"effect: {name} is a {type(value).__name__}")
    variables = values[10]
    if len(variables) > NAMES_MAX or any(type(name) is not str for name in variables):
        raise UnreadableError(f"effect: variables are not up to {NAMES_MAX} names")
    values[10] = tuple(variables)
    values[14] = pairs(values[14])
    return Effect(*values)


def pairs(stated: list[Any]) -> tuple[tuple[str, str], ...]:
    """What a flow states for a message, as it was stored. UnreadableError for anything else."""
    if any(type(pair) is not list or [*map(type, pair)] != [str, str] for pair in stated):
        raise UnreadableError("effect: stated are not names with values")
    return tuple((name, said) for name, said in stated)


def unpacked(data: bytes, what: str, count: int, *, without: int = 0) -> list[Any]:
    """Return the `count` values behind the format's number; UnreadableError names `what`.

    The last `without` of them may be absent.
    """
    try:
        values = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise UnreadableError(f"{what}: not msgpack") from None
    if type(values) is not list or not values or type(values[0]) is not int or values[0] != FORMAT:
        raise UnreadableError(f"{what}: not of format {FORMAT}")
    if not count - without < len(values) <= count + 1:
        raise UnreadableError(f"{what}: {len(values) - 1} fields, expected {count}")
    return values[1:]
