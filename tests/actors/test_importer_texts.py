"""Checks the parsing of texts against Python's own, on texts that are nearly right."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.importer.texts import (
    FAMILIES,
    Distinct,
    classify,
    parse_bools,
    parse_floats,
    parse_integer_texts,
    parse_integers,
)
from actors.importer.times import instants, parse_times
from core.instants import instant_ms

numeric = st.lists(
    st.one_of(
        st.text("0123456789.eE+-", max_size=22),
        st.integers(-(2**66), 2**66).map(str),
        st.floats().map(repr),
        st.integers(-(2**53) - 2, 2**53 + 2).map(lambda n: f"{n}.0"),
    ),
    min_size=1,
    max_size=30,
)


def large(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def plain_integer(text: str) -> bool:
    return re.fullmatch(r"-?(0|[1-9][0-9]*)", text) is not None


def plain_number(text: str) -> bool:
    number = r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"
    return re.fullmatch(number, text) is not None


@given(numeric)
def test_integers_are_exact_or_refused(texts: list[str]) -> None:
    parsed = parse_integers(large(texts))
    for text, ok, value in zip(texts, parsed.ok, parsed.values.to_pylist(), strict=True):
        if plain_integer(text):
            assert ok == (-(2**63) < int(text) < 2**63)
            assert not ok or value == int(text)
        elif plain_number(text):
            number = float(text)
            whole = math.isfinite(number) and number.is_integer() and abs(number) <= 2**53
            assert ok == whole
            assert not ok or value == number
        else:
            assert not ok


@given(numeric)
def test_floats_are_pythons_or_refused(texts: list[str]) -> None:
    parsed = parse_floats(large(texts))
    for text, ok, value in zip(texts, parsed.ok, parsed.values.to_pylist(), strict=True):
        if (
            not plain_number(text)
            or not math.isfinite(float(text))
            or (plain_integer(text) and abs(float(text)) > 2**53)
        ):
            assert not ok
        else:
            assert ok
            assert value == float(text)


def test_words_of_truth_and_ids() -> None:
    truths = parse_bools(large([" TRUE ", "no", "1", "F", "2", ""]))
    assert truths.ok.tolist() == [True, True, True, True, False, False]
    assert truths.values.to_pylist()[:4] == [True, False, True, False]
    ids = parse_integer_texts(large(["17850.0", "007.", "-1", "1.5", "1e3", "x"]))
    assert ids.ok.tolist() == [True, True, True, False, False, False]
    assert ids.values.to_pylist()[:3] == ["17850", "007", "-1"]


def test_looks_are_told_apart() -> None:
    looks = {
        "true": "bool",
        "False": "bool",
        "yes": "text",
        "0": "int",
        "-12": "int",
        "007": "text",
        "+1": "text",
        "9223372036854775808": "text",
        "1.50": "float",
        "1e3": "float",
        "1e999": "text",
        "nan": "text",
        "1,5": "text",
        "2026-02-28": "date",
        "2026-02-29": "text",
        "2026-02-28 10:00": "datetime",
        "20260228": "int",
    }
    found = classify(large(list(looks)), typed=False)
    assert [FAMILIES[code] for code in found] == list(looks.values())
    typed = {text: look if look in ("date", "datetime") else "text" for text, look in looks.items()}
    found = classify(large(list(typed)), typed=True)
    assert [FAMILIES[code] for code in found] == list(typed.values())


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


@given(st.lists(moments, min_size=1, max_size=20))
def test_iso_times_are_pythons(times: list[datetime]) -> None:
    texts = [moment.isoformat() for moment in times]
    texts += [moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + "Z" for moment in times]
    written = parse_times(large(texts), None)
    assert written.ok.all()
    assert written.offset.all()
    assert instants(written, "Europe/Berlin").ms.tolist() == [instant_ms(text) for text in texts]


NEAR_TIMES = [
    base + offset
    for base in (
        "2026-03-02", "2026-03-02 10", "2026-03-02T1015", "2026-03-02 10:15", "2026-03-02t10:15",
        "2026-03-02T101500", "2026-03-02T10:15:00", "2026-03-02 23:59:60", "2026-02-29T00:00:00",
        "2026-03-29 02:30:00.2", "2026-03-02T10:15:00,25", "2026-03-02T10:15:00.250",
        "2026-03-02T10:15:00.250913", "2026-03-02T10:15:00.2509131", "0000-12-31T00:00:00",
        "0001-01-01", "9999-12-31T23:59:59.999",
    )
    for offset in ("", "Z", "z", "+01:00", "-05:30", "+0100", "+01", " Z", "+24:00", "+01:60")
]  # fmt: skip


@given(st.sampled_from(NEAR_TIMES), st.integers(0, 40), st.sampled_from(list("09-:.+TZ ")))
def test_times_of_one_layout_are_read_like_those_of_several(text: str, at: int, char: str) -> None:
    """Columns of one layout go through Arrow's parser, others through an expression."""
    changed = text[:at] + char + text[at + 1 :] if at < len(text) else text
    alike = parse_times(large([text, changed]), "iso")
    mixed = parse_times(large([text, changed, "no time at all"]), "iso")
    for i in range(2):
        assert alike.ok[i] == mixed.ok[i]
        if alike.ok[i]:
            assert (alike.offset[i], alike.timed[i]) == (mixed.offset[i], mixed.timed[i])
    assert not mixed.ok[2]
    ok = np.flatnonzero(alike.ok)
    one, other = (instants(written, "Europe/Berlin") for written in (alike, mixed))
    assert one.ms[ok].tolist() == other.ms[ok].tolist()
    assert one.skipped[ok].tolist() == other.skipped[ok].tolist()


def test_texts_are_parsed_once_each_where_most_repeat() -> None:
    several = large(["b", "a"] * 3)
    coded = Distinct.of(several)
    assert coded.texts.to_pylist() == ["b", "a"]
    assert coded.spread(coded.texts).to_pylist() == several.to_pylist()
    assert coded.spread(np.array([7, 8])).tolist() == [7, 8] * 3
    assert (coded.total(np.array([True, False])), coded.total(None)) == (3, 0)
    different = large([str(i) for i in range(10)])
    plain = Distinct.of(different)
    assert (plain.codes, plain.weights) == (None, None)
    assert plain.spread(different) is different


@pytest.mark.parametrize("pattern", ["%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S", "%Y-%m-%d %H:%M:%S.%f"])
def test_patterns_are_pythons(pattern: str) -> None:
    rng = np.random.default_rng(3)
    numbers = rng.integers(-(2**30), 2**32, 200) * 1000
    times = [datetime.fromtimestamp(ms / 1000, UTC) for ms in numbers.tolist()]
    texts = [moment.strftime(pattern) for moment in times]
    assert instants(parse_times(large(texts), pattern), None).ms.tolist() == numbers.tolist()
    broken = [text[:-1] + "x" for text in texts] + ["", "99.99.2026 99:99:99"]
    assert not parse_times(large(broken), pattern).ok.any()
