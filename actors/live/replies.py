"""Say what became of rows and commands, in words that a client gets as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

InFlight = Literal["pin", "drop", "reset"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a batch of rows.

    `rejects`: row, place within it, code, what is wrong. `dropped`: fields that the schema does not
    know, where it says to leave them out, and how often each stood in a row.
    """

    accepted: int
    duplicates: int
    rejects: list[tuple[int, str, str, str]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a command: the flow's version, and the partitions that apply it later.

    `command` is its number in the control log; `pending` are partitions that are down. `warnings`
    is what lint finds doubtful in a flow that was published, each as its own JSON.
    """

    flow: str
    version: int
    command: int
    pending: list[int] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list, compare=False)
