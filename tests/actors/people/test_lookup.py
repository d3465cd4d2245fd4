"""Tests of what a relay learns of a customer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from actors.people.lookup import Lookup
from actors.people.people import People
from core.hashing import hash_bytes

ANN, BOB = b"ann", b"bob"


def test_values_by_number(tmp_path: Path) -> None:
    directory = {1: hash_bytes(ANN), 2: hash_bytes(BOB)}

    def attributes(customer: int, names: Collection[str]) -> Mapping[str, object]:
        return {"country": f"C{customer}", "email": "not this one", "other": 1}

    with People.open(tmp_path / "p", create=True, map_bytes=1 << 20) as people:
        people.put({ANN: {"email": "ann@example.com", "name": "Ann"}})
        lookup = Lookup("shop", people, directory.get, attributes)

        def of(customer: int, committed_ms: int = 9) -> Mapping[str, object] | None:
            names = {"email", "country", "phone"}
            return asyncio.run(lookup.values("shop", customer, names, committed_ms))

        assert of(1) == {"email": "ann@example.com", "country": "C1"}
        assert of(2) == {"email": "not this one", "country": "C2"}
        assert of(3) is None
        with pytest.raises(ValueError, match="another tenant"):
            asyncio.run(lookup.values("other", 1, {"email"}, 9))
        people.erase([ANN], 5)
        assert of(1) is None
        people.put({ANN: {"email": "new@example.com"}})
        # A message decided before the erasure means somebody who is no more.
        assert of(1, committed_ms=4) is None
        assert of(1, committed_ms=5) is None
        assert of(1, committed_ms=6) == {"email": "new@example.com", "country": "C1"}
        directory[9] = directory.pop(1)
        assert of(1) is None
        assert of(9) == {"email": "new@example.com", "country": "C9"}
