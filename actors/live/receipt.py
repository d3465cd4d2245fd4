"""Tell what became of a frame that a partition was given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveReceipt:
    """What became of a frame that was committed: rows taken in, known before, and refused."""

    source: bytes
    sequence: int
    accepted: int
    duplicates: int
    historical: int
    rejects: list[tuple[int, str]]
    commit: int
