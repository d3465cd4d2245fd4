"""Checks where files may be written, before and when they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api.outputs import check_outputs, write_text
from command import needs_full_disk
from core.errors import HeadraceError


def refusal(path: Path, *inputs: Path, **others: Path) -> str:
    with pytest.raises(HeadraceError) as caught:
        check_outputs({**{f"--{name}": p for name, p in others.items()}, "--json": path}, inputs)
    assert caught.value.exit_code == 2
    assert caught.value.file == str(path)
    return caught.value.message


def test_new_files_old_files_and_devices_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    (tmp_path / "link").symlink_to("nowhere-yet")
    places = ["new", "old", "link", "/dev/null", "/dev/stdout"]
    outputs = {f"--{k}": tmp_path / name for k, name in enumerate(places)}
    check_outputs(outputs | {"--none": None}, [tmp_path / "flow.yaml", None])
    assert (tmp_path / "old").read_text() == "x"
    assert not (tmp_path / "new").exists()


def test_impossible_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert refusal(tmp_path) == "--json can't write there: it is a folder"
    gone = "--json can't write there: there is no such folder"
    assert refusal(tmp_path / "no" / "file") == gone
    assert refusal(tmp_path / "file" / "file") == gone


def test_a_folder_without_rights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere, so the rights are taken away in another way.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    assert refusal(tmp_path / "file") == "--json can't write there: the folder can't be written"


def test_inputs_and_what_is_in_them_are_spared(tmp_path: Path) -> None:
    (tmp_path / "audience").mkdir()
    (tmp_path / "link").symlink_to("flow.yaml")
    said = "--json can't write there: this run reads it"
    inputs = (tmp_path / "flow.yaml", tmp_path / "audience")
    for name in ("flow.yaml", "audience/new", "audience/../flow.yaml", "link"):
        assert refusal(tmp_path / name, *inputs) == said
    check_outputs({"--json": tmp_path / "audience.json"}, inputs)


def test_no_place_is_named_twice(tmp_path: Path) -> None:
    same = tmp_path / "x" / ".." / "r.json"
    (tmp_path / "x").mkdir()
    assert refusal(same, log=tmp_path / "r.json") == (
        "--json can't write there: --log names it too"
    )


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_text(tmp_path / "r.html", "äß\n≈")
    assert (tmp_path / "r.html").read_bytes() == "äß\n≈".encode()


@needs_full_disk
def test_a_full_disk_is_an_error() -> None:
    with pytest.raises(HeadraceError, match=r"^/dev/full: No space left on device\. Choose"):
        write_text(Path("/dev/full"), "x")
