"""Checks that the audit log tells who did what, and that no entry is changed in silence."""

import hashlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from actors.service import audit
from actors.service.access import Caller
from actors.service.audit import OPERATOR, Entry, Origin
from actors.service.plane import Plane, Rows
from actors.service.transactions import Record, WriteTxn, number_key

NOW = 1_790_000_000_000
CALLER = Caller("acme", "k1", "u1", "admin", frozenset())
ORIGIN = Origin.of(CALLER, "192.0.2.1", "r-1")


def filled(plane: Plane, count: int = 8, tenant: str | None = "acme") -> Rows:
    """A chain of so many entries."""
    rows = plane.operator if tenant is None else plane.tenant(tenant)
    with rows.write() as txn:
        for number in range(1, count + 1):
            audit.append(
                txn, ORIGIN, ("flow.publish", "key.mint")[number % 2], f"flow:{number % 3}",
                now_ms=NOW + number, before={"n": number - 1}, after={"n": number},
            )  # fmt: skip
    return rows


def test_an_entry_tells_who_did_what_from_where(plane: Plane) -> None:
    rows = plane.tenant("acme")
    with rows.write() as txn:
        number = audit.append(
            txn, ORIGIN, "flow.publish", "flow:welcome", now_ms=NOW, after={"version": 2}
        )
        again = audit.append(txn, OPERATOR, "tenant.create", "tenant:acme", now_ms=NOW + 1)
    assert (number, again) == (1, 2)
    with rows.read() as txn:
        first, second = audit.page(txn)
    assert (first.number, first.time_ms, first.actor, first.key_id, first.ip, first.request_id) == (
        1, NOW, "user:u1", "k1", "192.0.2.1", "r-1",
    )  # fmt: skip
    assert (first.action, first.object, first.before) == ("flow.publish", "flow:welcome", None)
    assert first.previous == bytes(32)
    assert second.previous == first.hash
    assert (second.actor, second.key_id, second.ip, second.after) == ("operator", None, None, None)
    # The hash, made again from its definition.
    fields = [
        1, "acme", 1, NOW, "user:u1", "k1", "192.0.2.1", "r-1", "flow.publish", "flow:welcome",
        None, first.after, bytes(32),
    ]  # fmt: skip
    assert first.hash == hashlib.sha256(msgpack.packb(fields)).digest()


def test_values_can_be_compared_but_neither_read_nor_guessed(plane: Plane) -> None:
    person = {"email": "ada@example.com", "age": 36}
    chains = [plane.tenant("acme"), plane.tenant("other")]
    for rows in chains:
        with rows.write() as txn:
            for before, after in ((None, person), (dict(reversed(person.items())), {"age": 37})):
                audit.append(
                    txn, ORIGIN, "customer.write", "customer", now_ms=NOW, before=before,
                    after=after, person="ada@example.com",
                )  # fmt: skip
    entries = []
    for rows in chains:
        with rows.read() as txn:
            entries.append(audit.page(txn))
    (made, changed), (other, _) = entries
    assert made.after == changed.before
    assert made.object == changed.object
    # Another tenant's chain has another secret, so nobody finds out by trying.
    assert made.after != other.after
    assert made.object != other.object
    assert made.object.startswith("customer:")
    plain = hashlib.sha256(audit.canonical(person)).digest()
    for lines in (b"".join(audit.export(rows)) for rows in chains):
        assert b"ada@" not in lines  # hashes may have the letters
        assert plain.hex().encode() not in lines


def test_neither_a_change_nor_its_entry_is_there_without_the_other(plane: Plane) -> None:
    rows = filled(plane, 2)
    with pytest.raises(RuntimeError), rows.write() as txn:  # noqa: PT012
        txn.put("flows", "a", {})
        audit.append(txn, ORIGIN, "flow.write", "flow:a", now_ms=NOW)
        raise RuntimeError
    with rows.write() as txn:
        txn.put("flows", "b", {})
        assert audit.append(txn, ORIGIN, "flow.write", "flow:b", now_ms=NOW) == 3
    with rows.read() as txn:
        assert [key for key, _ in txn.scan("flows")] == ["b"]
        assert audit.verify(txn).sound
        assert [entry.object for entry in audit.page(txn, 2)] == ["flow:b"]


def test_every_tenant_and_the_operator_have_a_chain(plane: Plane) -> None:
    for tenant, count in (("acme", 3), ("other", 5), (None, 2)):
        rows = filled(plane, count, tenant)
        with rows.read() as txn:
            verdict = audit.verify(txn)
            assert (verdict.entries, verdict.sound) == (count, True)
    with plane.tenant("nobody").read() as txn:
        verdict = audit.verify(txn)
        assert (verdict.entries, verdict.hash, verdict.problems) == (0, bytes(32), ())


@pytest.mark.parametrize(
    ("action", "object"),
    [
        ("publish", "flow:a"), ("Flow.publish", "flow:a"), ("flow.publish ", "flow:a"),
        ("flow.publish", ""), ("flow.publish", "a" * 301), ("flow.publish", "flow:\n"),
    ],
)  # fmt: skip
def test_words_of_another_form_are_refused(plane: Plane, action: str, object: str) -> None:
    with plane.operator.write() as txn, pytest.raises(ValueError, match=r"is no (action|object)"):
        audit.append(txn, ORIGIN, action, object, now_ms=NOW)


Change = Callable[[WriteTxn, dict[int, Record]], None]


def put(txn: WriteTxn, at: int, record: Record) -> None:
    txn.put("audit", number_key(at), record)


def swap(txn: WriteTxn, entries: dict[int, Record]) -> None:
    put(txn, 3, entries[5])
    put(txn, 5, entries[3])


def rewrite(txn: WriteTxn, entries: dict[int, Record], number: int = 4) -> None:
    """Changes an entry and makes its own hash right again."""
    record = {**entries[number], "actor": "user:other"}
    put(txn, number, {**record, "hash": audit._hash("acme", record)})


def shift(txn: WriteTxn, entries: dict[int, Record]) -> None:
    """Takes an entry out and closes the gap."""
    for number in range(4, 8):
        put(txn, number, entries[number + 1])
    txn.delete("audit", number_key(8))


def delete(*numbers: int) -> Change:
    def change(txn: WriteTxn, _: dict[int, Record]) -> None:
        for number in numbers:
            assert txn.delete("audit", number_key(number))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (delete(4), ["entry 4 is missing"]),
        (delete(1), ["entry 1 is missing"]),
        (delete(3, 4, 5), ["entry 3 is missing", "entry 4 is missing", "entry 5 is missing"]),
        (delete(8), ["entry 8 is missing at the end"]),
        (delete(7, 8), ["entry 7 is missing at the end", "entry 8 is missing at the end"]),
        (delete(*range(1, 9)), [f"entry {n} is missing at the end" for n in range(1, 9)]),
        (
            swap,
            [
                "entry 3 has been replaced by entry 5",
                "entry 4 does not follow entry 3: one of them was replaced",
                "entry 5 has been replaced by entry 3",
                "entry 6 does not follow entry 5: one of them was replaced",
            ],
        ),
        (rewrite, ["entry 5 does not follow entry 4: one of them was replaced"]),
        (
            lambda txn, entries: rewrite(txn, entries, 8),
            ["entry 8 is not the last one that was appended"],
        ),
        (
            shift,
            [f"entry {n} has been replaced by entry {n + 1}" for n in range(4, 8)]
            + ["entry 8 is missing at the end"],
        ),
        (
            lambda txn, entries: put(txn, 9, {**entries[8], "number": 9}),
            ["entry 9 was changed", "entry 9 is behind the last, 8"],
        ),
        (lambda txn, _: txn.put("audit", "x", {}), ["entry 0 is none: its key is 'x'"]),
    ],
)  # fmt: skip
def test_what_was_changed_removed_or_moved_is_named(
    plane: Plane, change: Change, said: list[str]
) -> None:
    rows = filled(plane)
    with rows.write() as txn:
        change(txn, {int(key): record for key, record in txn.scan("audit")})
    with rows.read() as txn:
        found = [str(problem) for problem in audit.verify(txn).problems]
    assert found[: len(said)] == said
    assert len(found) <= len(said) + 2


@pytest.mark.parametrize(
    "name", [field for field in Entry.__dataclass_fields__ if field not in ("number", "hash")]
)
def test_a_change_of_any_field_is_found(plane: Plane, name: str) -> None:
    rows = filled(plane)
    with rows.write() as txn:
        record = txn.get("audit", number_key(4)) or {}
        value = record[name]
        record[name] = value + 1 if isinstance(value, int) else value[:-1] + value[:1] * 2
        txn.put("audit", number_key(4), record)
    with rows.read() as txn:
        assert [str(each) for each in audit.verify(txn).problems] == ["entry 4 was changed"]


def test_an_entry_of_another_chain_does_not_fit(plane: Plane) -> None:
    acme, other = filled(plane), filled(plane, 8, "other")
    with acme.write() as txn:
        foreign = txn.within(other).get("audit", number_key(1)) or {}
        put(txn, 1, foreign)
    with acme.read() as txn:
        assert str(audit.verify(txn).problems[0]) == "entry 1 was changed"


def test_a_chain_that_was_rewritten_whole_is_found_by_an_anchor(plane: Plane) -> None:
    rows = filled(plane)
    with rows.read() as txn:
        verdict = audit.verify(txn)
    anchor = (verdict.entries, verdict.hash)
    with rows.write() as txn:
        audit.append(txn, ORIGIN, "flow.write", "flow:a", now_ms=NOW)
        assert audit.verify(txn, anchor).sound
    with rows.write() as txn:
        txn.clear("audit")
        txn.clear("audit_heads")
        for number in range(9):
            audit.append(txn, ORIGIN, "flow.write", f"flow:{number}", now_ms=NOW)
    with rows.read() as txn:
        assert audit.verify(txn).sound
        (problem,) = audit.verify(txn, anchor).problems
        assert str(problem) == "entry 8 is not the one that was anchored"
        (problem,) = audit.verify(txn, (12, verdict.hash)).problems
        assert str(problem) == "entry 12 was anchored and is missing"


def test_pages_go_on_where_the_last_ended(plane: Plane) -> None:
    rows = filled(plane, 10)
    with rows.read() as txn:
        for newest_first in (False, True):
            seen: list[int] = []
            while entries := audit.page(txn, seen[-1] if seen else 0, 3, newest_first=newest_first):
                seen += [entry.number for entry in entries]
            assert seen == sorted(range(1, 11), reverse=newest_first)

        def numbers(**asked: Any) -> list[int]:
            return [entry.number for entry in audit.page(txn, **asked)]

        assert numbers(action="key.mint") == [1, 3, 5, 7, 9]
        assert numbers(action="key.") == [1, 3, 5, 7, 9]
        assert numbers(action="key") == []
        assert numbers(object="flow:1", action="key.mint", limit=1) == [1]
        assert numbers(object="flow:1", after=1, newest_first=False) == [4, 7, 10]
        assert numbers(actor="user:u2") == []
        assert numbers(actor="user:u1", newest_first=True, limit=2) == [10, 9]


def test_the_export_is_the_whole_chain_and_holds_nothing_up(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 4)
    rows = filled(plane, 8)
    lines = audit.export(rows)
    first = list(itertools.islice(lines, 2))
    with rows.write() as txn:
        audit.append(txn, ORIGIN, "flow.write", "flow:late", now_ms=NOW)
    entries = [json.loads(line) for line in [*first, *lines]]
    assert [entry["number"] for entry in entries] == list(range(1, 10))
    assert all(line.endswith(b"\n") for line in first)
    assert entries[-1]["object"] == "flow:late"
    for before, after in itertools.pairwise(entries):
        assert after["previous"] == before["hash"]
    assert [json.loads(line)["number"] for line in audit.export(rows, 7)] == [8, 9]
    assert list(audit.export(plane.tenant("nobody"))) == []


def test_equal_values_have_one_form() -> None:
    one = audit.canonical({"b": [1, (2, 3)], "a": {"y": None, "x": b"z"}})
    assert one == audit.canonical({"a": {"x": b"z", "y": None}, "b": (1, [2, 3])})
    assert one != audit.canonical({"a": {"x": b"z", "y": None}, "b": [1, 2, 3]})
