"""Say what became of rows and commands, in words that a client gets as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, Self

from actors.intake.strange import Strange

InFlight = Literal["pin", "drop", "reset"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a batch of rows.

    `rejects`: row, place within it, code, what is wrong. `dropped`: fields that the schema does not
    know, where it says to leave them out, and how often each stood in a row. `strange`: what the
    schema does not have so, whether taken in or not, and how often it came.
    """

    accepted: int
    duplicates: int
    rejects: list[tuple[int, str, str, str]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    strange: dict[Strange, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entrants:
    """Who entered a flow since it was first published: `versions` are its versions, ascending.

    `entries` and `people` are in their order: entries into a version, and customers with at least
    one into it. A flow's totals are the sums over its versions, so that whoever entered two of them
    counts in both.
    """

    versions: list[int]
    entries: list[int]
    people: list[int]

    @classmethod
    def of(cls, parts: Iterable[Iterable[tuple[int, int, int]]]) -> Self:
        """Those of a flow in all partitions, each with (version, entries, people)."""
        entries, people = Counter[int](), Counter[int]()
        for version, entered, persons in chain.from_iterable(parts):
            entries[version] += entered
            people[version] += persons
        versions = sorted(entries)
        return cls(versions, [entries[v] for v in versions], [people[v] for v in versions])

    @property
    def total_entries(self) -> int:
        """Entries into all versions."""
        return sum(self.entries)

    @property
    def total_people(self) -> int:
        """Customers by version, added up."""
        return sum(self.people)


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
