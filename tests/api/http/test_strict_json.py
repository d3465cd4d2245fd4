"""JSON of our own routes: what is taken, and what is refused although some parser would take it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import ProblemError
from api.http.strict_json import DEPTH_MAX, KEYS_MAX, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.booleans())
def test_what_is_taken_is_what_the_parser_of_events_takes(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert read_json(body) == msgspec.json.decode(body) == value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid-json"),
        (b"{", "invalid-json"),
        (b"[1] 2", "invalid-json"),
        (b'"\xff"', "invalid-json"),
        ("[1]".encode("utf-16"), "invalid-json"),
        (b"[NaN]", "invalid-json"),
        (b"[-Infinity]", "invalid-json"),
        (b"[1e400]", "out-of-range"),
        (b"[9223372036854775808]", "out-of-range"),
        (b"[-9223372036854775809]", "out-of-range"),
        (b"9" * 5_000, "out-of-range"),
        (b'{"a": 1, "a": 1}', "duplicate-key"),
        (b'{"a": 1, "\\u0061": 1}', "duplicate-key"),
        (b'["\\ud800"]', "invalid-json"),
        (b'{"\\uDC00x": 1}', "invalid-json"),
        (b"[" * 100_000, "too-deep"),
        (b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), "too-deep"),
        (b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1), "too-deep"),
        (json.dumps({str(n): 0 for n in range(KEYS_MAX + 1)}).encode(), "too-many-keys"),
    ],
)
def test_what_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ProblemError) as found:
        read_json(body)
    assert (found.value.problem.status, found.value.problem.code) == (400, code)


def test_what_is_at_the_limits_is_taken() -> None:
    deep = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    assert read_json(deep) == json.loads(deep)
    texts = json.dumps(["[{" * 100, "\\ud800", "\U0001f600"]).encode()
    assert read_json(texts) == ["[{" * 100, "\\ud800", "\U0001f600"]
    assert read_json(b"[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]
