"""Marks: what a key seals, only that key opens."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from actors.relay.marks import KEY_FILE, MARK_CHARS_MAX, Mark, MarkKey, key_id_of, load_key
from core.errors import HeadraceError

MARK = Mark(
    "click",
    customer=-5,
    entry=2**62,
    visit=3,
    version=2,
    at_ms=1_700_000_000_000,
    flow="hello",
    node="greet",
    channel="email",
    template="t",
    message="0123456789abcdef",
    subject=b"\x00" * 16,
    link="sale",
    target="https://shop.test/?q=ü",
)


def key_of(folder: Path) -> MarkKey:
    found = load_key(folder)
    assert found is not None
    return found


def test_what_is_sealed_is_opened_by_the_same_key_only(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    key, other = key_of(tmp_path), key_of(tmp_path / "b")
    text = key.seal(MARK)
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()
    assert key.open(text) == MARK
    assert key_id_of(text) == key.id
    assert other.open(text) is None
    assert load_key(tmp_path) == key


@pytest.mark.parametrize(("link", "shorter"), [("https://shop.test/", 18), ("https://", 8)])
def test_a_link_that_is_called_by_its_target_takes_no_room(
    tmp_path: Path, link: str, shorter: int
) -> None:
    key = key_of(tmp_path)
    short, long = replace(MARK, link=link), replace(MARK, link=link[::-1])
    assert key.open(key.seal(short)) == short
    assert key.open(key.seal(long)) == long
    assert len(key.seal(long)) - len(key.seal(short)) >= shorter


def test_no_changed_bit_is_let_through(tmp_path: Path) -> None:
    key = key_of(tmp_path)
    data = base64.urlsafe_b64decode(key.seal(MARK) + "==")
    for place in range(len(data)):
        for bit in (1, 0x80):
            bad = bytearray(data)
            bad[place] ^= bit
            assert key.open(base64.urlsafe_b64encode(bytes(bad)).decode().rstrip("=")) is None


@pytest.mark.parametrize(
    "text",
    ["", "A", "AQ", "ü" * 80, "=" * 80, " ", "\0", "A" * 80, "A" * (MARK_CHARS_MAX + 1)],
)
def test_what_is_no_mark_is_none(tmp_path: Path, text: str) -> None:
    assert key_of(tmp_path).open(text) is None
    assert key_id_of("!" + text) is None


def test_a_mark_has_one_spelling(tmp_path: Path) -> None:
    key = key_of(tmp_path)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = next(t for n in range(9) if len(t := key.seal(replace(MARK, link="x" * n))) % 4)
    others = [text[:-1] + letter for letter in letters if letter != text[-1]]
    assert [key.open(other) for other in others] == [None] * 63
    assert key.open(text + "=") is None


def test_fields_of_other_types_are_refused_although_they_are_sealed(tmp_path: Path) -> None:
    key = key_of(tmp_path)
    for fields in ((0,), (0, *[1] * 13), (0, *["x"] * 13)):
        body = b"\x01" + key.id + bytes(msgpack.packb(fields))
        text = base64.urlsafe_b64encode(body + key._tag(body)).decode().rstrip("=")
        assert key.open(text) is None


def test_all_who_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: key_of(tmp_path), range(32)))
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_is_made_only_where_that_is_wanted_and_never_replaced(tmp_path: Path) -> None:
    assert load_key(tmp_path, make=False) is None
    (tmp_path / KEY_FILE).write_bytes(b"something else")
    with pytest.raises(HeadraceError, match="no key of marks"):
        load_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == b"something else"


def test_the_secret_is_not_shown_and_keys_for_other_purposes_differ(tmp_path: Path) -> None:
    key = key_of(tmp_path)
    secret = (tmp_path / KEY_FILE).read_bytes()[-32:]
    assert repr(key) == f"MarkKey({key.id.hex()})"
    assert key.derived("marks") != key.derived("suppressions")
    assert secret not in (key.derived("marks"), key.derived("suppressions"))
