"""Note who enters a flow in a dry run, and who is sent a message by it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.binding import Bound
from core.nodes import Send, WaitEvent

Flags = NDArray[np.bool_]


class Entrants:
    """A log of a dry run that keeps of each customer only whether he entered and was sent to.

    `entered` and `sent_to` are bool[customers], by the audience's rows.
    """

    def __init__(self, bound: Bound) -> None:
        nodes = bound.program.flow.nodes.values()
        self.entered: Flags = np.zeros(bound.customers, np.bool_)
        self.sent_to: Flags = np.zeros(bound.customers, np.bool_)
        self._entrances = np.array(
            [node.trigger or (isinstance(node, WaitEvent) and node.entry) for node in nodes]
        )
        self._sends = np.array([isinstance(node, Send) for node in nodes])

    def room(self, records: int) -> NDArray[Any] | None:
        """No array of its own."""
        return None

    def write(self, records: NDArray[Any]) -> None:
        """Take the next block's decisions, LOG records; the first port is the one that counts."""
        first = records[records["port"] == 0]
        self.entered[first["customer"][self._entrances[first["node"]]]] = True
        self.sent_to[first["customer"][self._sends[first["node"]]]] = True
