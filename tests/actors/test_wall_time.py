"""Check wall-clock columns against the scalar rule, above all around gaps and folds."""

from __future__ import annotations

import numpy as np
import pytest

from actors.wall_time import local_to_utc_ms
from core.zones import local_to_utc, transitions

HOUR_MS = 3_600_000


def local(text: str) -> int:
    return int(np.datetime64(text, "ms").astype(np.int64))


def test_gap_is_shifted_forward_and_fold_takes_the_first() -> None:
    times = ["2026-03-29T01:59", "2026-03-29T02:30", "2026-03-29T03:00", "2026-10-25T02:30"]
    found = local_to_utc_ms("Europe/Berlin", np.array([local(t) for t in times]))
    assert found.skipped.tolist() == [False, True, False, False]
    assert found.twice.tolist() == [False, False, False, True]
    assert found.ms.tolist() == [
        local("2026-03-29T00:59"),
        local("2026-03-29T01:30"),  # 02:30 does not exist: 03:30 summer time
        local("2026-03-29T01:00"),
        local("2026-10-25T00:30"),  # the first of the two is summer time
    ]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/St_Johns", "Africa/Monrovia", "Pacific/Apia", "UTC"]
)
def test_it_agrees_with_the_scalar_rule(zone: str) -> None:
    table = transitions(zone)
    near = (table.utc_ms[1:, None] + np.arange(-26, 27) * HOUR_MS // 2).ravel()
    spread = np.arange(local("1950-01-01"), local("2040-01-01"), 97 * HOUR_MS + 1_234_567)
    times = np.concatenate([near, spread])[::3]
    expected = [local_to_utc(table, int(t)) for t in times]
    assert local_to_utc_ms(zone, times).ms.tolist() == expected


def test_unknown_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        local_to_utc_ms("Europe/Berlinn", np.zeros(1, np.int64))
