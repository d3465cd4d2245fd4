"""Check the hashes of identities against the xxhash library and the published vectors."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from core.hashing import hash_bytes, hash_customer, hash_parts

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "hashes.json").read_text(encoding="utf-8")
)


def _part(written: dict[str, Any]) -> str | int | bytes:
    (kind, value) = next(iter(written.items()))
    return bytes.fromhex(value) if kind == "hex" else value  # type: ignore[no-any-return]


@pytest.mark.parametrize("vector", VECTORS["bytes"])
def test_bytes_vectors(vector: dict[str, str]) -> None:
    assert hash_bytes(bytes.fromhex(vector["hex"])) == int(vector["hash"], 16)


@pytest.mark.parametrize("vector", VECTORS["customers"])
def test_customer_vectors(vector: dict[str, str]) -> None:
    assert hash_customer(vector["id"]) == int(vector["hash"], 16)


@pytest.mark.parametrize("vector", VECTORS["parts"])
def test_parts_vectors(vector: dict[str, Any]) -> None:
    assert hash_parts(*map(_part, vector["parts"])) == int(vector["hash"], 16)


@pytest.mark.parametrize("vector", VECTORS["words"])
def test_words_vectors_are_bytes_little_endian(vector: dict[str, Any]) -> None:
    words = [int(word, 16) for word in vector["words"]]
    assert hash_bytes(struct.pack(f"<{len(words)}Q", *words)) == int(vector["hash"], 16)


def test_known_values_of_the_algorithm() -> None:
    assert hash_bytes(b"") == 0xEF46DB3751D8E999
    assert hash_bytes(b"a") == 0xD24EC4F1A98C6E5B
    assert hash_bytes(b"abc") == 0x44BC2CF5AD770999


@given(st.lists(st.text() | st.binary() | st.integers(-(2**63), 2**64 - 1)))
def test_parts_are_length_and_bytes(parts: list[str | int | bytes]) -> None:
    written = b""
    for part in parts:
        if isinstance(part, int):
            data = struct.pack("<q", part) if part < 0 else struct.pack("<Q", part)
        else:
            data = part if isinstance(part, bytes) else part.encode("utf-8")
        written += struct.pack("<I", len(data)) + data
    assert hash_parts(*parts) == xxhash.xxh64_intdigest(written, seed=0)


def test_parts_keep_their_borders() -> None:
    assert hash_parts("ab", "c") != hash_parts("a", "bc")
    assert hash_parts() != hash_parts("")
    assert hash_parts(-1) == hash_parts(2**64 - 1)


@pytest.mark.parametrize("wrong", [2**64, -(2**63) - 1])
def test_an_int_beyond_64_bits_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=r"\[-2\*\*63, 2\*\*64\)"):
        hash_parts("ok", wrong)


@pytest.mark.parametrize("wrong", [1.5, None, True])
def test_other_types_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="str, int or bytes"):
        hash_parts(wrong)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        hash_customer("\ud800")
