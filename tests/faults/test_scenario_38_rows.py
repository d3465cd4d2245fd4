"""Scenario 38 in the control plane: no key, prefix or cursor leads to the rows of another owner.

Every owner has rows in every table, all with a canary that names him. Then one of them asks for all
that the others' keys could be written as, and gets his own rows or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from actors.service import audit
from actors.service.idempotency import Claim, Idempotency, Response
from actors.service.keys import Keys
from actors.service.plane import Plane, Rows
from actors.service.row_keys import operator_space, tenant_space
from actors.service.tables import TABLES
from store_work import in_memory

NOW = 1_790_000_000_000
TENANTS = ("acme", "acm", "acme2", "acme/", "acme\0", "\x04acme", "t\x04acme", "o", "\0", "z" * 64)
NAMES = ("a", "welcome", "\0", "/", "acme", "\U0010ffff")


def canary(owner: str | None) -> str:
    return f"canary of {'the operator' if owner is None else owner!r}"


def rows_of(plane: Plane, owner: str | None) -> Rows:
    return plane.operator if owner is None else plane.tenant(owner)


def fill(plane: Plane) -> None:
    keys, home = Keys(plane), Idempotency(plane)
    for owner in (None, *TENANTS):
        rows = rows_of(plane, owner)
        with rows.write() as txn:
            for table in TABLES:
                if table not in ("audit", "audit_heads", "keys", "key_owners", "idempotency_due"):
                    for name in NAMES:
                        txn.put(table, name, {"of": canary(owner)})
            audit.append(txn, audit.OPERATOR, "test.write", canary(owner), now_ms=NOW)
            if owner is not None:
                keys.mint(txn, None, name=canary(owner), role="viewer", now_ms=NOW)
        claim = home.claim(rows, "POST /v1/flows", "the same key", b"the same body", NOW)
        assert isinstance(claim, Claim)
        with claim, rows.write() as txn:
            claim.store(txn, Response(200, canary(owner).encode()))


def hostile(dice: Random) -> Iterator[str]:
    """Other owners' prefixes whole and in parts, separators, lengths, and chance."""
    yield ""
    spaces = [operator_space(), *(tenant_space(tenant) for tenant in TENANTS)]
    for space in spaces:
        for text in (space, b"\0" + space, b"/../" + space, space + b"\x05", b"\xff" + space):
            yield text.decode("latin-1")
            for name in NAMES:
                yield text.decode("latin-1") + name
    alphabet = "\0\x01\x04\x05/.otacme%\uffff\ud800\U0010ffff"
    for _ in range(500):
        yield "".join(dice.choices(alphabet, k=dice.choice((1, 2, 3, 8, 80, 500))))


@pytest.mark.parametrize("asking", [None, "acme", "o", "\0"])
def test_no_owner_gets_a_row_of_another(
    tmp_path_factory: pytest.TempPathFactory, asking: str | None
) -> None:
    mine, asked = canary(asking), 0
    with (
        in_memory(tmp_path_factory.mktemp("rows")) as folder,
        Plane.open(folder / "plane") as plane,
    ):
        fill(plane)
        with rows_of(plane, asking).read() as txn:
            for text in hostile(Random(38)):
                for table in ("flows", "settings", "tenants"):
                    found = [
                        txn.get(table, text),
                        *(record for _, record in txn.scan(table, text)),
                        *(record for _, record in txn.scan(table, "", text)),
                        *(record for _, record in txn.scan(table, "", text, reverse=True)),
                        *(record for _, record in txn.scan(table, text, text, 3, reverse=True)),
                    ]
                    assert {record["of"] for record in found if record} <= {mine}
                    asked += 5
            for table in TABLES:
                if table not in ("audit", "audit_heads", "keys", "key_owners", "idempotency_due"):
                    of = [record.get("of", mine) for _, record in txn.scan(table)]
                    assert of == [mine] * len(of)
                    assert len(of) == len(NAMES) + (table == "idempotency")
            assert [entry.object for entry in audit.page(txn)] == [mine]
            if asking is not None:
                names = [info.name for info in Keys(plane).list(txn)]
                # Beside the tenant's key that the decoy is kept with.
                assert set(names) - {"decoy"} == {mine}
        (line,) = audit.export(rows_of(plane, asking))
        assert line.count(b"canary of") == 1
        answer = Idempotency(plane).claim(
            rows_of(plane, asking), "POST /v1/flows", "the same key", b"the same body", NOW
        )
        assert answer == Response(200, mine.encode())
    print(f"scenario 38: {asked:,} hostile look-ups by {mine[10:]}, foreign rows seen 0")
