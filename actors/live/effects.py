"""Turn what a machine asks the world to do into what an outbox stores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.live.version import LiveVersion
from actors.relay.effect_block import COLUMN, SendText, encode_effects
from core.duration import DAY_MS
from core.nodes import Send

EXPIRES_MS = 3 * DAY_MS
"""Nobody wants a message any more that could not be sent for so long."""


def sends_of(version: LiveVersion) -> tuple[list[SendText], NDArray[np.int64]]:
    """What each send node of a version says, and where, int64[nodes], -1 for other nodes."""
    texts: list[SendText] = []
    place = np.full(len(version.flow.nodes), -1, np.int64)
    for i, (node_id, node) in enumerate(version.flow.nodes.items()):
        if isinstance(node, Send):
            place[i] = len(texts)
            texts.append(
                SendText(
                    flow=version.name,
                    version=version.number,
                    node=node_id,
                    channel=node.channel,
                    template=node.template,
                    to=node.to or "",
                    variables=tuple(node.variables),
                    expires_ms=EXPIRES_MS,
                    fresh_ms=EXPIRES_MS,
                )
            )
    return texts, place


def stored_effects(tenant: str, version: LiveVersion, effects: NDArray[Any]) -> list[bytes]:
    """The outbox's blocks for `effects` (EFFECT records) of a version.

    A customer is named by the hash of his id, which he keeps wherever his partition goes.
    """
    texts, place = sends_of(version)
    columns = np.empty(len(effects), COLUMN)
    columns["customer"] = effects["id_hash"].view(np.int64)
    columns["entry"] = effects["entry"].view(np.int64)
    columns["committed_ms"] = effects["time_ms"]
    columns["send"] = place[effects["node"]]
    columns["visit"] = effects["visit"]
    return encode_effects(tenant, texts, columns)
