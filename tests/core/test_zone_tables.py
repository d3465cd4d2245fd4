"""Tests of `core.zone_tables`: releases of the database, told apart and joined."""

from __future__ import annotations

import numpy as np
import pytest

from core.zone_tables import ZoneTables, installed
from core.zones import transitions, zone_names
from zone_files import shifted, tzif, with_zone

X_MS = 1_780_000_000_000


def test_the_installed_zones_are_those_of_the_package() -> None:
    tables = installed()
    assert tables.files.keys() == zone_names()
    for name in ("Europe/Berlin", "UTC", "Pacific/Apia"):
        one, other = tables.table(name), transitions(name)
        assert np.array_equal(one.utc_ms, other.utc_ms)
        assert np.array_equal(one.offset_ms, other.offset_ms)


def test_a_digest_tells_releases_apart_whatever_their_order() -> None:
    tables = installed()
    backwards = ZoneTables(dict(reversed(tables.files.items())))
    assert backwards.digest == tables.digest
    assert shifted(["Asia/Tokyo"], X_MS, 900).digest != tables.digest


def test_a_zone_that_changed_has_another_table_from_then_on() -> None:
    was, now = installed().table("Europe/Berlin"), shifted(["Europe/Berlin"], X_MS, 900)
    table = now.table("Europe/Berlin")
    rows = int(np.count_nonzero(was.utc_ms <= X_MS))
    assert table.utc_ms[:rows].tolist() == was.utc_ms[:rows].tolist()
    assert table.utc_ms[rows] == X_MS
    assert table.offset_ms[rows] == was.offset_ms[rows - 1] + 900_000
    assert now.table("Asia/Tokyo").offset_ms[-1] == 9 * 3_600_000


def test_an_unknown_zone_is_refused_with_names_that_are_close() -> None:
    assert "Europe/Berlim" not in installed()
    with pytest.raises(ValueError, match="did you mean Europe/Berlin"):
        installed().table("Europe/Berlim")


def test_a_zone_never_goes_away() -> None:
    older = with_zone("Mars/Olympus", 3600)
    kept = installed().keeping(older)
    assert kept.files == older.files
    assert kept.table("Mars/Olympus").offset_ms.tolist() == [3_600_000]
    newer = shifted(["Asia/Tokyo"], X_MS, 900)
    assert newer.keeping(installed()) is newer
    assert ZoneTables({"A/B": tzif(0, ())}).keeping(newer).table("Asia/Tokyo").utc_ms[-1] == X_MS
