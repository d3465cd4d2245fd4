"""Know which ids mean another customer: what the merges of a control log amount to.

An alias always leads to the customer at once: where that one is merged into a third, its aliases
are those of the third.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.live.errors import RefusedError
from core.hashing import hash_customer
from core.limits import ID_BYTES_MAX


@dataclass(slots=True)
class Aliases:
    """Ids that stand for customers.

    `known`: the customer's id by the hash of each alias; `of`: the aliases by the hash of the
    customer's id. `handed`: by merge and hash of the alias, how many parts of what it had were
    handed over, while there are more.
    """

    known: dict[int, str] = field(default_factory=dict)
    of: dict[int, list[str]] = field(default_factory=dict)
    handed: dict[tuple[int, int], int] = field(default_factory=dict)

    def customer(self, id_: str) -> str:
        """Whom an id means: himself, or whom it was merged into."""
        return self.known.get(hash_customer(id_), id_) if self.known else id_

    def of_customer(self, id_: str) -> list[str]:
        """The aliases of a customer, in the order in which they were merged."""
        return list(self.of.get(hash_customer(id_), ()))

    def apply(self, number: int, command: Mapping[str, Any]) -> None:
        """Follow one more command: a merge, what follows it, or an erasure."""
        kind = command["kind"]
        if kind == "merge":
            for previous, customer in command["pairs"]:
                self._add(previous, customer)
        elif kind == "inherit":
            key = command["merge"], command["from"]
            self.handed[key] = command["part"] + 1
            if command["last"]:
                del self.handed[key]
        else:
            for hashed in command["hashes"]:
                self._forget(hashed)

    def _add(self, previous: str, customer: str) -> None:
        moved = [*self.of.pop(hash_customer(previous), ()), previous]
        for each in moved:
            self.known[hash_customer(each)] = customer
        self.of.setdefault(hash_customer(customer), []).extend(moved)

    def _forget(self, hashed: int) -> None:
        """Let an id that was erased mean nobody any more."""
        for alias in self.of.pop(hashed, ()):
            self.known.pop(hash_customer(alias), None)
        customer = self.known.pop(hashed, None)
        if customer is not None:
            left = self.of.get(hash_customer(customer), [])
            left[:] = [each for each in left if hash_customer(each) != hashed]


def judge(previous: str, customer: str, meant: Callable[[str], str]) -> tuple[str, str] | None:
    """What a merge of `previous` into `customer` comes to; None where it was made before.

    `meant` tells whom an id means. Raises RefusedError for a merge into oneself, of an id that is
    somebody else's already, and for what is no id.
    """
    for each in (previous, customer):
        if not 1 <= len(each.encode(errors="replace")) <= ID_BYTES_MAX or not each.isprintable():
            raise RefusedError(
                "an id is text of 1 to 511 bytes", advice="Name the customers by their ids"
            )
    old, known = meant(previous), meant(customer)
    if old == known:
        if previous not in (old, customer):
            return None
        raise RefusedError(
            "a customer cannot be merged into themselves",
            advice="Name two ids of which neither is an alias of the other",
        )
    if old != previous:
        raise RefusedError(
            "the id was merged into another customer already",
            advice="Merge that customer, if the two are one person",
        )
    return old, known
