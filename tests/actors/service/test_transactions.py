"""Checks that every owner sees his own rows, in order, as his transaction left them."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.service.plane import Plane
from actors.service.transactions import number_key
from actors.store.errors import MisuseError, TooLargeError
from store_work import in_memory

# Of neighbouring tenants, and keys that look like separators, lengths and other tenants' prefixes.
TENANTS = ("a", "ab", "a\0", "t\x01a", "\x01a\x05", "o")
KEYS = st.text(alphabet="a\x00\x01\x05/t\uffff\U0001f600", min_size=1, max_size=4)
ASKED = KEYS | st.sampled_from(["", "\ud800", "a" * 401, "a" * 5000, "\x00\x05", "t\x01a\x05a"])
VALUES = st.dictionaries(
    st.text(max_size=3),
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5)
    | st.binary(max_size=5) | st.lists(st.integers(0, 9), max_size=3),
    max_size=3,
)  # fmt: skip
OWNERS = st.sampled_from((None, *TENANTS))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "append", "clear"]), OWNERS,
        st.sampled_from(["flows", "keys"]), KEYS, VALUES, st.booleans(),
    ),
    max_size=20,
)  # fmt: skip
Model = dict[tuple[str | None, str], dict[str, Any]]


def model_scan(
    rows: dict[str, Any], prefix: str, after: str, limit: int | None, reverse: bool
) -> list[tuple[str, Any]]:
    """What a scan of those rows is."""
    found = [
        (key, rows[key])
        for key in sorted(rows, reverse=reverse)
        if key.startswith(prefix) and (not after or (key < after if reverse else key > after))
    ]
    return found if limit is None else found[: max(limit, 0)]


@settings(max_examples=60)
@given(
    st.lists(STEPS, max_size=4), OWNERS, ASKED, ASKED,
    st.none() | st.integers(-1, 4), st.booleans(),
)  # fmt: skip
def test_every_owner_sees_his_rows_and_no_other(
    blocks: list[Any],
    asking: str | None,
    prefix: str,
    after: str,
    limit: int | None,
    reverse: bool,
) -> None:
    model: Model = {}
    lasts: dict[tuple[str | None, str], int] = {}
    with (
        in_memory(Path(mkdtemp())) as folder,
        Plane.open(folder / "plane", map_bytes=1 << 20) as plane,
    ):

        def rows_of(owner: str | None) -> Any:
            return plane.operator if owner is None else plane.tenant(owner)

        def check(txn: Any) -> None:
            for owner in (None, *TENANTS):
                for table in ("flows", "keys"):
                    own = model.get((owner, table), {})
                    bound = txn.within(rows_of(owner))
                    assert bound.get(table, after) == own.get(after)
                    assert list(bound.scan(table)) == sorted(own.items())
                    assert list(
                        bound.scan(table, prefix, after, limit, reverse=reverse)
                    ) == model_scan(own, prefix, after, limit, reverse)

        for steps in blocks:
            with rows_of(asking).write() as txn:
                for kind, owner, table, key, value, _ in steps:
                    own = model.setdefault((owner, table), {})
                    bound = txn.within(rows_of(owner))
                    if kind == "put":
                        bound.put(table, key, value)
                        own[key] = value
                    elif kind == "delete":
                        assert bound.delete(table, key) == (own.pop(key, None) is not None)
                    elif kind == "clear":
                        assert bound.clear(table) == len(own)
                        own.clear()
                    else:
                        last = lasts[owner, table] = lasts.get((owner, table), 0) + 1
                        assert bound.append(table, value) == last
                        own[number_key(last)] = value
                check(txn)
            with rows_of(asking).read() as reading:
                check(reading)
        assert plane.verify().first_problem == ""


def test_what_is_returned_and_put_is_a_copy(plane: Plane) -> None:
    record: dict[str, Any] = {"nested": {"list": [1]}}
    with plane.operator.write() as txn:
        txn.put("flows", "a", record)
        record["nested"]["list"].append(2)
        found = txn.get("flows", "a")
        assert found == {"nested": {"list": [1]}}
        found["nested"]["list"].append(3)
        assert txn.get("flows", "a") == {"nested": {"list": [1]}}
    with plane.operator.read() as reading:
        assert reading.get("flows", "a") == {"nested": {"list": [1]}}


def test_rows_may_be_changed_while_they_are_scanned(plane: Plane) -> None:
    with plane.operator.write() as txn:
        for key in "abcd":
            txn.put("flows", key, {})
    with plane.operator.write() as txn:
        seen = []
        for key, record in txn.scan("flows"):
            seen.append((key, record))
            if key == "a":
                txn.delete("flows", "b")
                txn.put("flows", "c", {"new": 1})
                txn.put("flows", "z", {})
        assert seen == [("a", {}), ("c", {"new": 1}), ("d", {})]


def test_numbers_are_never_given_again(plane: Plane) -> None:
    rows = plane.tenant("acme")
    with rows.write() as txn:
        assert [txn.append("audit", {"n": n}) for n in range(3)] == [1, 2, 3]
        assert txn.delete("audit", number_key(3))
    with rows.write() as txn:
        assert txn.clear("audit") == 2
        assert txn.append("audit", {}) == 4
    with plane.tenant("other").write() as txn:
        assert txn.append("audit", {}) == 1


@pytest.mark.parametrize(
    "record",
    [
        {1: "a"}, {"a": {1: "b"}}, {"a": 2**64}, {"a": "\ud800"}, {"a": object()}, ["a"],
        {"a": {(1,): 2}}, None,
    ],
)  # fmt: skip
def test_what_could_not_be_read_back_is_refused(plane: Plane, record: Any) -> None:
    with plane.operator.write() as txn:
        with pytest.raises(MisuseError, match="the record can not be stored"):
            txn.put("flows", "a", record)
        assert txn.get("flows", "a") is None


def test_nesting_has_its_limit(plane: Plane) -> None:
    deep: Any = 1
    for _ in range(1_100):
        deep = [deep]
    with plane.operator.write() as txn, pytest.raises(MisuseError, match="at most 1,000 levels"):
        txn.put("flows", "a", {"deep": deep})


def test_a_row_has_its_limit(plane: Plane) -> None:
    with plane.operator.write() as txn:
        txn.put("flows", "large", {"body": bytes((20 << 20) - 100)})
        with pytest.raises(TooLargeError, match="at most 20,971,520 are allowed"):
            txn.put("flows", "larger", {"body": bytes(20 << 20)})
    with plane.operator.read() as reading:
        found = reading.get("flows", "large")
        assert found is not None
        assert len(found["body"]) == (20 << 20) - 100
        assert reading.get("flows", "larger") is None


@pytest.mark.parametrize("key", ["", "a" * 401, "\ud800"])
def test_a_key_that_does_not_fit_is_refused_and_never_found(plane: Plane, key: str) -> None:
    with plane.operator.write() as txn:
        with pytest.raises(TooLargeError, match="can not be a key"):
            txn.put("flows", key, {})
        assert txn.get("flows", key) is None
        assert txn.delete("flows", key) is False


def test_an_unknown_table_is_a_mistake_of_the_caller(plane: Plane) -> None:
    with plane.operator.read() as txn, pytest.raises(KeyError):
        txn.get("no such table", "a")


def test_a_transaction_ends_with_its_block(plane: Plane) -> None:
    with plane.operator.write() as txn:
        txn.put("flows", "a", {})
        txn.put("flows", "b", {})
        scan = txn.scan("flows")
        assert next(scan) == ("a", {})
    for use in (
        lambda: txn.get("flows", "a"),
        lambda: txn.put("flows", "a", {}),
        lambda: txn.delete("flows", "a"),
        lambda: next(scan),
        lambda: list(txn.scan("flows")),
        lambda: txn.append("audit", {}),
        lambda: txn.when_stored(lambda: None),
    ):
        with pytest.raises(MisuseError, match="used after its block"):
            use()


def test_no_transaction_reaches_into_another_store(plane: Plane, folder: Any) -> None:
    with (
        Plane.open(folder / "other") as other,
        plane.operator.read() as txn,
        pytest.raises(MisuseError, match="rows of another store"),
    ):
        txn.within(other.operator)


def test_what_waits_for_storing_is_called_when_it_is_stored(plane: Plane) -> None:
    seen: list[object] = []

    def stored() -> None:
        with plane.operator.read() as txn:
            seen.append(txn.get("flows", "a"))

    with plane.operator.write() as txn:
        txn.put("flows", "a", {"n": 1})
        txn.when_stored(stored)
        assert seen == []
    assert seen == [{"n": 1}]
    with pytest.raises(RuntimeError, match="mine"), plane.operator.write() as txn:  # noqa: PT012
        txn.when_stored(stored)
        raise RuntimeError("mine")
    assert seen == [{"n": 1}]
