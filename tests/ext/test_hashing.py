"""Check the compiled hashes against the xxhash library and the vectors of core/hashing.py."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from ext.hashing import hash_strings, hash_words

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "hashes.json").read_text(encoding="utf-8")
)


def _hash_each(items: list[bytes]) -> list[int]:
    offsets = np.cumsum([0, *map(len, items)], dtype=np.int64)
    hashes: list[int] = hash_strings(b"".join(items), offsets).tolist()
    return hashes


def _part_bytes(written: dict[str, Any]) -> bytes:
    (kind, value) = next(iter(written.items()))
    if kind == "int":
        return struct.pack("<Q", value % 2**64)
    return bytes.fromhex(value) if kind == "hex" else value.encode("utf-8")


def test_bytes_and_customer_vectors() -> None:
    items = [bytes.fromhex(vector["hex"]) for vector in VECTORS["bytes"]]
    items += [vector["id"].encode("utf-8") for vector in VECTORS["customers"]]
    expected = [int(v["hash"], 16) for v in VECTORS["bytes"] + VECTORS["customers"]]
    assert _hash_each(items) == expected


def test_parts_vectors() -> None:
    items = []
    for vector in VECTORS["parts"]:
        parts = [_part_bytes(part) for part in vector["parts"]]
        items.append(b"".join(struct.pack("<I", len(part)) + part for part in parts))
    assert _hash_each(items) == [int(vector["hash"], 16) for vector in VECTORS["parts"]]


@pytest.mark.parametrize("vector", VECTORS["words"])
def test_words_vectors(vector: dict[str, Any]) -> None:
    words = np.array([[int(word, 16) for word in vector["words"]]], dtype=np.uint64)
    assert hash_words(words).tolist() == [int(vector["hash"], 16)]


def test_every_length_up_to_100_equals_the_library() -> None:
    data = np.random.default_rng(1).bytes(7 * 101)
    items = [data[start : start + size] for size in range(101) for start in (0, 1, 6 * size)]
    assert _hash_each(items) == [xxhash.xxh64_intdigest(item) for item in items]


def test_an_arrow_column_and_its_slice() -> None:
    ids = ["c1", "Zoë", "", "顧客七", "👩‍🚀", "x" * 300]
    column = pa.array(ids, type=pa.large_string())
    expected = [xxhash.xxh64_intdigest(text.encode()) for text in ids]
    for start in range(len(ids)):
        part = column.slice(start)
        offsets = np.frombuffer(part.buffers()[1], dtype=np.int64)
        offsets = offsets[part.offset : part.offset + len(part) + 1]
        assert hash_strings(part.buffers()[2], offsets).tolist() == expected[start:]


def test_rows_of_words_equal_the_library_whatever_their_layout() -> None:
    words = np.random.default_rng(2).integers(0, 2**64, size=(50, 9), dtype=np.uint64)
    for block in (words, words[::2], words[:, ::3], np.asfortranarray(words), words[:, :0]):
        expected = [xxhash.xxh64_intdigest(row.astype("<u8").tobytes()) for row in block]
        assert hash_words(block).tolist() == expected


def test_nothing_hashes_to_nothing() -> None:
    assert hash_strings(b"", np.zeros(1, dtype=np.int64)).shape == (0,)
    assert hash_words(np.zeros((0, 3), dtype=np.uint64)).shape == (0,)


@pytest.mark.parametrize("offsets", [[0, 4], [-1, 2], [0, 2, 1, 3], []])
def test_offsets_outside_the_data_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        hash_strings(b"abc", np.array(offsets, dtype=np.int64))


def test_offsets_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="mismatch"):
        hash_strings(b"abc", np.array([0, 3], dtype=np.int32))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3,), (1, 1, 1)])
def test_words_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two-dimensional array of uint64"):
        hash_words(np.zeros(shape, dtype=np.uint64))


def test_words_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="two-dimensional array of uint64"):
        hash_words(np.zeros((2, 2), dtype=np.int64))  # type: ignore[arg-type]
