"""Remember which addresses asked to be left alone for good, as keyed hashes in the outbox.

    salt/<lane>               the key of the hashes, made when the first is
    disabled/<lane>/<hash>    one such address

An address is personal, and this must outlive who had it: a hash under a key of its own tells
nobody who does not ask for that very address.
"""

from __future__ import annotations

import hashlib
import os

from actors.relay.ledger import Ledger

ADDRESSES_MAX = 100_000
ROWS_AT_ONCE = 1_000
SALT_BYTES = 32


class DisabledAddresses:
    """The disabled addresses of one lane; beyond ADDRESSES_MAX no more are remembered."""

    def __init__(self, lane: str, ledger: Ledger) -> None:
        self._salt_name = f"salt/{lane}"
        self._prefix = f"disabled/{lane}/"
        self._ledger = ledger
        self._salt = b""
        self._hashes: set[str] = set()

    async def load(self) -> None:
        """Read what an earlier run remembered. Raises what the outbox raises."""
        for name, salt in await self._ledger.rows(self._salt_name, "", 1):
            self._salt = salt if name == self._salt_name else b""
        after = ""
        while rows := await self._ledger.rows(self._prefix, after, ROWS_AT_ONCE):
            after = rows[-1][0]
            self._hashes.update(name.removeprefix(self._prefix) for name, _ in rows)

    def __contains__(self, address: str) -> bool:
        return bool(self._hashes) and self._hash(address) in self._hashes

    def added(self, address: str) -> dict[str, bytes]:
        """Remember an address from now on; returns the rows to write, so that it lasts."""
        rows: dict[str, bytes] = {}
        if not self._salt:
            self._salt = os.urandom(SALT_BYTES)
        found = self._hash(address)
        if found not in self._hashes and len(self._hashes) < ADDRESSES_MAX:
            self._hashes.add(found)
            rows = {self._salt_name: self._salt, self._prefix + found: b""}
        return rows

    async def remove(self, address: str) -> bool:
        """Forget an address; False if it was not remembered. Raises what the outbox raises."""
        if address not in self:
            return False
        found = self._hash(address)
        self._hashes.discard(found)
        await self._ledger.write({self._prefix + found: None})
        return True

    def _hash(self, address: str) -> str:
        data = address.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=16, key=self._salt).hexdigest()
