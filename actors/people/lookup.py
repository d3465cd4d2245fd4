"""Look up for a relay what a message needs to know of a customer, by the partition's number.

The partition knows the hash of a customer's id by number. A message that was decided before the
customer was erased finds nobody, whoever comes anew with that id: the ledger knows when it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from actors.people.people import People

HashOf = Callable[[int], int | None]
Attributes = Callable[[int, Collection[str]], Mapping[str, object]]


class Lookup:
    """The relay's source of values: personal ones from here, others from the partition.

    `hash_of` gives the hash of a number's id, None for one that was erased or never given;
    `attributes` those values of a number that are not personal. Both are called in other threads.
    """

    def __init__(
        self, tenant: str, people: People, hash_of: HashOf, attributes: Attributes | None = None
    ) -> None:
        self._tenant = tenant
        self._people = people
        self._hash_of = hash_of
        self._attributes = attributes

    async def values(
        self, tenant: str, customer: int, names: Collection[str], committed_ms: int
    ) -> Mapping[str, object] | None:
        """The customer's values under those names, absent ones left out.

        None if the customer was erased at `committed_ms` or later, or is erased still. Of two
        values of one name the personal one counts. Raises StoreError, and ValueError for another
        tenant.
        """
        if tenant != self._tenant:
            raise ValueError("these people are another tenant's")
        return await asyncio.to_thread(self._values, customer, names, committed_ms)

    def _values(
        self, customer: int, names: Collection[str], committed_ms: int
    ) -> Mapping[str, object] | None:
        id_hash = self._hash_of(customer)
        if id_hash is None:
            return None
        person = self._people.of_hashes([id_hash]).get(id_hash)
        erased_ms = self._people.erased_ms(id_hash)
        if erased_ms is not None and (person is None or erased_ms >= committed_ms):
            return None
        known = dict(self._attributes(customer, names)) if self._attributes else {}
        if person is not None:
            known.update((name, person.values[name]) for name in names if name in person.values)
        return {name: known[name] for name in names if name in known}
