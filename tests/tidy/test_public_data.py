"""Checks that tests on public data are skipped only where there are no data at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

Find = Callable[..., Path]


def test_a_data_set_is_found_beside_the_checkout_or_where_the_environment_says(
    data_dir: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path / "shared" / "data" / "cdnow", tmp_path / "elsewhere" / "cdnow"):
        folder.mkdir(parents=True)
        (folder / "rows").touch()
    monkeypatch.delenv("HEADRACE_DATA", raising=False)
    assert data_dir("cdnow", tmp_path / "checkout") == tmp_path / "shared" / "data" / "cdnow"
    monkeypatch.setenv("HEADRACE_DATA", str(tmp_path / "elsewhere"))
    assert data_dir("cdnow", tmp_path / "checkout") == tmp_path / "elsewhere" / "cdnow"


def test_without_data_the_test_is_skipped_with_the_reason(
    data_dir: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADRACE_DATA", raising=False)
    with pytest.raises(pytest.skip.Exception, match="set HEADRACE_DATA"):
        data_dir("cdnow", tmp_path / "checkout")


def test_data_that_are_incomplete_fail_the_test(
    data_dir: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_DATA", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="no data set 'cdnow'"):
        data_dir("cdnow")
    (tmp_path / "cdnow").mkdir()
    with pytest.raises(pytest.fail.Exception, match="absent or empty"):
        data_dir("cdnow")
    monkeypatch.setenv("HEADRACE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(pytest.fail.Exception, match="not a folder"):
        data_dir("cdnow")
