"""Pack the effects of a commit as columns, and take them apart for a relay.

A commit may ask for thousands of messages that differ in customer, entry and time alone. What a
send node says is written once; an effect is then 32 bytes. As msgpack: a map of the format, the
tenant, the sends, and the columns as raw little-endian bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from actors.relay.effects import Effect, UnreadableError, encode_effect, pairs

FORMAT = 1
KEY = "headrace_effects"
EFFECTS_MAX = 16_384  # of one block
BLOCK_BYTES_MAX = 1 << 20  # as much as a record of the store takes
_BEGIN = msgpack.packb({KEY: FORMAT})[1:]
COLUMN = np.dtype(
    [
        ("customer", "<i8"),
        ("entry", "<i8"),
        ("committed_ms", "<i8"),
        ("send", "<u4"),
        ("visit", "<u4"),
    ]
)


@dataclass(frozen=True, slots=True)
class SendText:
    """What a send node says, the same for everybody; times are how long after the decision."""

    flow: str
    version: int
    node: str
    channel: str
    template: str
    to: str
    variables: tuple[str, ...]
    expires_ms: int
    fresh_ms: int
    stated: tuple[tuple[str, str], ...] = ()


def encode_effects(
    tenant: str, sends: Sequence[SendText], effects: NDArray[np.void]
) -> list[bytes]:
    """Blocks of `effects` (COLUMN records, `send` an index into `sends`), in their order.

    Each has at most EFFECTS_MAX of them, and fewer where its sends say much: a single one alone may
    be longer than BLOCK_BYTES_MAX.
    """
    found: list[bytes] = []
    todo = [effects[i : i + EFFECTS_MAX] for i in range(0, len(effects), EFFECTS_MAX)][::-1]
    while todo:
        part = todo.pop()
        used = np.flatnonzero(np.bincount(part["send"], minlength=len(sends)))
        place = np.zeros(len(sends), np.uint32)
        place[used] = np.arange(len(used))
        columns = part.copy()
        columns["send"] = place[part["send"]]
        block = msgpack.packb(
            {
                KEY: FORMAT,
                "tenant": tenant,
                "sends": [astuple(sends[send]) for send in used.tolist()],
                "effects": columns.tobytes(),
            }
        )
        if len(block) > BLOCK_BYTES_MAX and len(part) > 1:
            todo += [part[len(part) // 2 :], part[: len(part) // 2]]
        else:
            found.append(bytes(block))
    return found


def expand(stored: Sequence[bytes]) -> list[bytes]:
    """The single effects, each as bytes, of what an outbox holds; single ones stay as they are.

    A block that can't be read stays one entry, which the relay then parks as unreadable.
    """
    found: list[bytes] = []
    for data in stored:
        if data[1 : 1 + len(_BEGIN)] != _BEGIN:
            found.append(data)
            continue
        try:
            found += [encode_effect(effect) for effect in decode_effects(data)]
        except UnreadableError:
            found.append(data)
    return found


def decode_effects(data: bytes) -> list[Effect]:
    """The effects of one block. UnreadableError for anything that is none."""
    try:
        block: dict[str, Any] = msgpack.unpackb(data)
        if block[KEY] != FORMAT:
            raise UnreadableError(f"effects: of format {block[KEY]!r}")
        tenant = str(block["tenant"])
        sends = [_send(*said) for said in block["sends"]]
        columns = np.frombuffer(block["effects"], COLUMN)
        return [
            _effect(tenant, sends[send], customer, entry, committed_ms, visit)
            for customer, entry, committed_ms, send, visit in columns.tolist()
        ]
    except (ValueError, TypeError, KeyError, IndexError, msgpack.UnpackException) as error:
        raise UnreadableError(f"effects: {error}") from None


def _send(
    flow: str,
    version: int,
    node: str,
    channel: str,
    template: str,
    to: str,
    variables: list[str],
    expires_ms: int,
    fresh_ms: int,
    stated: Sequence[Any] = (),
) -> SendText:
    names = tuple(variables)
    return SendText(
        flow, version, node, channel, template, to, names, expires_ms, fresh_ms, pairs(list(stated))
    )


def _effect(
    tenant: str, send: SendText, customer: int, entry: int, committed_ms: int, visit: int
) -> Effect:
    return Effect(
        tenant=tenant,
        flow=send.flow,
        version=send.version,
        customer=customer,
        entry=entry,
        node=send.node,
        visit=visit,
        channel=send.channel,
        template=send.template,
        to=send.to,
        variables=send.variables,
        committed_ms=committed_ms,
        expires_ms=committed_ms + send.expires_ms,
        fresh_until_ms=committed_ms + send.fresh_ms,
        stated=send.stated,
    )
