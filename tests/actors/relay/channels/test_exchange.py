"""Tests of what Retry-After can say."""

import pytest

from actors.relay.channels.exchange import retry_after_ms

AT_MS = 1_614_265_330_000


@pytest.mark.parametrize(
    ("text", "after_ms"),
    [
        ("0", 0),
        ("120", 120_000),
        ("99999999999999999999", 86_400_000),
        ("-5", 0),
        ("1.5", 0),
        ("٣", 0),
        ("", 0),
        ("Thu, 25 Feb 2021 15:02:40 GMT", 30_000),
        ("Thu, 25 Feb 2021 15:02:00 GMT", 0),
        ("Fri, 25 Feb 2022 15:02:00 GMT", 86_400_000),
    ],
)
def test_retry_after(text: str, after_ms: int) -> None:
    assert retry_after_ms(text, AT_MS) == after_ms
