"""Checks what a key looks like, and that a mistyped one is found."""

import hashlib
import re
import zlib

import pytest

from actors.service.key_text import LENGTH, checksum, digest, id_of, new_key


def test_a_key_says_what_it_is() -> None:
    keys = {new_key() for _ in range(200)}
    assert len(keys) == 200
    for key in keys:
        assert re.fullmatch(r"hr_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{34}", key)
        assert len(key) == LENGTH == 55
        assert id_of(key) == key[8:20]
    # 160 bits of chance: 62 ** 28 > 2 ** 160.
    assert 62**28 > 2**160


def test_the_checksum_is_crc_32_in_base_62() -> None:
    # zlib says 0xCBF43926 of these nine digits, as every catalogue of CRCs does.
    number, digits = 0xCBF43926, ""
    assert zlib.crc32(b"123456789") == number
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for power in range(5, -1, -1):
        digits += letters[number // 62**power % 62]
    assert checksum("123456789") == digits == "3jZRME"


def test_every_mistyped_letter_is_found() -> None:
    key = new_key()
    for place in range(len(key)):
        other = "x" if key[place] != "x" else "y"
        assert id_of(key[:place] + other + key[place + 1 :]) is None
    for place in range(8, len(key) - 1):
        swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
        assert swapped == key or id_of(swapped) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "hr_live_", "\0" * 55, "é" * 55, "\ud800" * 55, "hr_live_" + "0" * 47,
        "Bearer " + "0" * 48, "hr_live_" + "é" * 47,
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    assert id_of(text) is None
    assert len(digest(text)) == 32


@pytest.mark.parametrize("change", [lambda key: key[:-1], lambda key: key + "0", str.lower])
def test_a_key_that_was_cut_or_changed_is_refused(change: object) -> None:
    assert callable(change)
    assert id_of(change(new_key())) is None


def test_what_is_kept_is_sha_256() -> None:
    key = new_key()
    assert digest(key) == hashlib.sha256(key.encode()).digest()
