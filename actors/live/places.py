"""Say where a customer stands: what is known of them, and their tokens in every flow."""

from __future__ import annotations

from typing import Any

import numpy as np

from actors.live.state import LiveState
from core.hashing import hash_customer

# By the machine's number of a token's state.
STATES = (
    *("none", "gone", "ready", "woken", "waits", "listens", "idle", "parked", "dead"),
    *("awaiting_grant", "in_line"),
)


def state_of(state: LiveState, customer_id: str) -> dict[str, Any] | None:
    """What is known of a customer and where they stand in each flow; None for a stranger."""
    directory = state.directory
    hashed = np.array([hash_customer(customer_id)], np.uint64)
    number = int(directory.find(hashed)[0])
    if number < 0:
        return None
    attributes = {
        name: value
        for name in directory.schema.kept
        if (value := directory.column(name).value(number)) is not None
    }
    tags, groups = directory.memberships(number)
    return {
        "customer": customer_id,
        "attributes": attributes,
        "tags": tags,
        "groups": groups,
        "zone": directory.zone_of(number),
        "erased": directory.is_erased(number),
        "places": [
            {
                "flow": v.name,
                "version": v.number,
                "node": v.program.node_ids[node],
                "state": STATES[standing],
                "due_ms": due,
                "entry": entry,
                "since_ms": since,
            }
            for v in state.versions
            for node, standing, due, entry, since in v.machine.places(number)
        ],
    }
