"""Checks the numbering of keys and the memory of fingerprints against dictionaries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ext.idmap import RUN_MS, FingerprintSet, IdMap, take_strings

WORD = st.one_of(st.integers(0, 12), st.integers(0, 2**64 - 1))
CALLS = st.lists(st.lists(WORD, max_size=60), max_size=12)


def words(values: list[int]) -> NDArray[np.uint64]:
    return np.array(values, np.uint64)


def prints(values: list[tuple[int, int]]) -> NDArray[np.uint64]:
    return np.array(values, np.uint64).reshape(-1, 2)


@given(CALLS)
def test_numbers_are_those_of_a_dictionary(calls: list[list[int]]) -> None:
    numbers: dict[int, int] = {}
    found = IdMap()
    for call in calls:
        before = [numbers.get(key, -1) for key in call]
        assert found.find(words(call)).tolist() == before
        expected = [numbers.setdefault(key, len(numbers)) for key in call]
        assert found.add(words(call)).tolist() == expected
        assert len(found) == len(numbers)
    assert found.keys().tolist() == list(numbers)
    again = IdMap.of_keys(found.keys())
    assert again.keys().tolist() == list(numbers)
    assert again.find(words(list(numbers))).tolist() == list(range(len(numbers)))


def test_a_large_map_grows_and_keeps_every_number() -> None:
    keys = np.random.default_rng(1).permutation(300_000).astype(np.uint64) << np.uint64(40)
    found = IdMap()
    for part in np.array_split(keys, 7):
        found.add(part)
    np.testing.assert_array_equal(found.find(keys), np.arange(300_000))
    assert np.all(found.find(keys + np.uint64(1)) == -1)


def test_a_map_refuses_keys_that_repeat() -> None:
    with pytest.raises(ValueError, match="1 of 3 keys are there twice"):
        IdMap.of_keys(words([5, 6, 5]))


def test_keys_cannot_be_written() -> None:
    found = IdMap()
    found.add(words([7]))
    with pytest.raises(ValueError, match="read-only"):
        found.keys()[0] = 8


class Model:
    """What a set of fingerprints must do, with a dictionary in order of insertion."""

    def __init__(self, horizon_ms: int, maximum: int) -> None:
        self.horizon_ms = horizon_ms
        self.maximum = maximum
        self.known: dict[tuple[int, int], int] = {}

    def admit(self, values: list[tuple[int, int]], ms: int) -> list[bool]:
        # The oldest leave first, so one that is still known keeps all that came after it.
        while self.known and (first := next(iter(self.known))) is not None:
            if self.known[first] >= ms - self.horizon_ms:
                break
            del self.known[first]
        flags = []
        latest = max(self.known.values(), default=-(2**63))
        for value in values:
            flags.append(value not in self.known)
            if flags[-1]:
                self.known[value] = max(latest, -(-ms // RUN_MS) * RUN_MS)
        for value in list(self.known)[: max(0, len(self.known) - self.maximum)]:
            del self.known[value]
        return flags


KEY = st.tuples(st.integers(0, 3), st.integers(0, 9)) | st.tuples(WORD, WORD)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.lists(KEY, max_size=40), st.integers(-3000, 9000)), max_size=12),
    st.integers(0, 20_000),
    st.integers(1, 120),
)
def test_fingerprints_are_those_of_a_dictionary(
    calls: list[tuple[list[tuple[int, int]], int]], horizon_ms: int, maximum: int
) -> None:
    model = Model(horizon_ms, maximum)
    found = FingerprintSet(horizon_ms, maximum)
    ms = 0
    for values, step in calls:
        ms += step
        told = found.unseen(prints(values), ms).tolist()
        expected = model.admit(values, ms)
        assert told == expected
        assert found.unseen(prints(values), ms).tolist() == expected, "asking changes nothing"
        assert found.admit(prints(values), ms).tolist() == expected
        assert found.arrays()[0].tolist() == [list(key) for key in model.known]
        found = FingerprintSet.of_arrays(*found.arrays(), horizon_ms, maximum)
    assert len(found) == len(model.known)
    times = np.repeat(*found.arrays()[1:])
    assert times.tolist() == list(model.known.values())


def test_a_fingerprint_is_known_for_the_horizon_and_then_new() -> None:
    found = FingerprintSet(60_000, 10)
    one = prints([(1, 2)])
    assert found.admit(one, 1_500).tolist() == [True]
    assert found.admit(one, 62_000).tolist() == [False]
    assert found.admit(one, 62_001).tolist() == [True]


def test_the_oldest_leave_when_the_set_is_full() -> None:
    found = FingerprintSet(10**9, 3)
    assert found.admit(prints([(i, 0) for i in range(5)]), 0).tolist() == [True] * 5
    assert len(found) == 3
    assert found.unseen(prints([(i, 0) for i in range(5)]), 0).tolist() == [True] * 2 + [False] * 3


def test_many_fingerprints_pass_through_a_small_set() -> None:
    keys = np.random.default_rng(2).integers(0, 2**64, (200_000, 2), np.uint64)
    found = FingerprintSet(10**6, 5_000)
    for step, part in enumerate(np.array_split(keys, 400)):
        assert found.admit(part, step).all()
        assert not found.admit(part, step).any()
    np.testing.assert_array_equal(found.arrays()[0], keys[-5_000:])


@pytest.mark.parametrize(
    ("rows", "run_ms", "run_rows", "message"),
    [
        ([(1, 1), (2, 2)], [5], [1], "do not fit"),
        ([(1, 1), (2, 2)], [5, 5], [1, 1], "do not fit"),
        ([(1, 1), (2, 2)], [5, 6], [2, 0], "do not fit"),
        ([(1, 1), (1, 1)], [5], [2], "there twice"),
        ([(n, 1) for n in range(9)], [5], [9], "do not fit"),
    ],
)
def test_a_damaged_set_is_refused(
    rows: list[tuple[int, int]], run_ms: list[int], run_rows: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FingerprintSet.of_arrays(
            prints(rows), np.array(run_ms, np.int64), np.array(run_rows, np.int64), 100, 8
        )


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="horizon"):
        FingerprintSet(-1, 5)
    with pytest.raises(ValueError, match="maximum"):
        FingerprintSet(5, 0)
    with pytest.raises(ValueError, match="two words"):
        FingerprintSet(5, 5).unseen(np.zeros((2, 3), np.uint64), 0)


@given(st.lists(st.binary(max_size=9), max_size=30), st.data())
def test_strings_are_taken_as_from_a_list(strings: list[bytes], data: st.DataObject) -> None:
    offsets = np.cumsum([0, *map(len, strings)], dtype=np.int64)
    raw = np.frombuffer(b"".join(strings), np.uint8)
    place = st.integers(0, max(0, len(strings) - 1))
    places = data.draw(st.lists(place, max_size=40 if strings else 0))
    ends, taken = take_strings(offsets, raw, np.array(places, np.int64))
    assert ends.tolist() == np.cumsum([0, *(len(strings[p]) for p in places)]).tolist()
    assert taken.tobytes() == b"".join(strings[p] for p in places)


@pytest.mark.parametrize("offsets", [[], [0, 2, 9], [-1, 2, 4], [3, 2, 4]])
def test_strings_beyond_their_data_are_refused(offsets: list[int]) -> None:
    raw = np.zeros(4, np.uint8)
    with pytest.raises(IndexError):
        take_strings(np.array(offsets, np.int64), raw, np.array([0, 1], np.int64))


@pytest.mark.parametrize("place", [-1, 2, 2**62])
def test_a_place_that_is_not_there_is_refused(place: int) -> None:
    raw = np.zeros(4, np.uint8)
    with pytest.raises(IndexError, match="among the 2 strings"):
        take_strings(np.array([0, 2, 4], np.int64), raw, np.array([place], np.int64))
