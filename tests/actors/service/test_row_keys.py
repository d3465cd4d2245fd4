"""Checks that no owner's keys begin with another's, and that order is that of the texts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.service.row_keys import (
    bound,
    checked_key,
    described,
    operator_space,
    past,
    place,
    tenant_space,
    usable_key,
)
from actors.service.tables import NAMES, SEQUENCES, TABLES
from actors.store.errors import TooLargeError

IDS = st.text(min_size=1, max_size=16) | st.sampled_from(
    ["a", "ab", "a\0", "a/", "\0", "o", "t", "\x01a", "t\x01a", "a" * 64]
)


def test_a_number_is_given_to_one_table() -> None:
    assert len(NAMES) == len(TABLES)
    assert SEQUENCES not in NAMES
    assert all(0 < number < 255 for number in NAMES)


@given(IDS, IDS)
def test_no_space_begins_another(one: str, other: str) -> None:
    spaces = [operator_space(), tenant_space(one)]
    if one != other:
        spaces.append(tenant_space(other))
    for a, b in itertools.permutations(spaces, 2):
        assert not b.startswith(a)


@given(IDS, st.text(min_size=1, max_size=100), st.sampled_from(sorted(TABLES)))
def test_a_key_tells_its_place(tenant: str, key: str, table: str) -> None:
    for owner, space in ((tenant, tenant_space(tenant)), (None, operator_space())):
        whole = space + bytes((TABLES[table],)) + checked_key(key)
        assert place(whole) == (owner, table, key)


@pytest.mark.parametrize("tenant", ["", "a" * 65, "ä" * 33, "\ud800"])
def test_an_id_that_does_not_fit_is_refused(tenant: str) -> None:
    with pytest.raises(TooLargeError, match="1 to 64 bytes of UTF-8"):
        tenant_space(tenant)


@pytest.mark.parametrize("key", ["", "a" * 401, "ä" * 201, "a\udfff"])
def test_a_key_that_does_not_fit_is_refused_or_not_found(key: str) -> None:
    with pytest.raises(TooLargeError, match="1 to 400 bytes of UTF-8"):
        checked_key(key)
    assert usable_key(key) is None


@given(st.text(min_size=1, max_size=300), st.text(max_size=500))
def test_a_bound_compares_as_the_text_does(key: str, other: str) -> None:
    encoded = usable_key(key)
    if encoded is not None:
        assert (encoded < bound(other)) == (key < other)
        assert (encoded > bound(other)) == (key > other)


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_is_past_a_prefix_is_the_least(prefix: str, key: str) -> None:
    low = b"o\x01" + bound(prefix)
    whole = b"o\x01" + bound(key)
    assert (low <= whole < past(low)) == whole.startswith(low)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b"o\x05welcome", "table flows of the operator, key 'welcome'"),
        (b"t\x04acme\x02k1", "table keys of tenant 'acme', key 'k1'"),
        (b"t\x04acme\x00\x0c", "table sequence of audit of tenant 'acme'"),
        (b"x", "key 78: it belongs to nobody"),
        (b"t\x09acme", "key 740961636d65: it belongs to nobody"),
        (b"o\x05", "key 6f05: it is cut short"),
        (b"o\xfdx", "key 6ffd78: there is no table 253"),
    ],
)
def test_a_key_is_described_for_people(key: bytes, said: str) -> None:
    assert described(key) == said
