"""A byte scan finds what is written in any of the usual ways, and says what it skipped."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from actors.service import byte_scan
from actors.service.byte_scan import scan

TEXT = "zoë-canary"


@pytest.mark.parametrize(
    "written",
    [
        TEXT.encode(),
        TEXT.encode("utf-16-le"),
        json.dumps({"x": TEXT}).encode(),
        TEXT.encode().hex().encode(),
        *(base64.b64encode(b"x" * shift + TEXT.encode() + b"rest") for shift in range(3)),
    ],
)
def test_a_text_is_found_however_it_is_written(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"before" + written + b"behind")
    (tmp_path / "other").write_bytes(b"nothing")
    report = scan(tmp_path, {"personal": [TEXT, "ab"], "id": ["absent-id"]})
    assert report.hits == {"personal": ["a/file"]}
    assert (report.files, report.texts, report.skipped) == (2, 2, 1)
    assert report.bytes == len(written) + 12 + 7


def test_a_text_across_two_chunks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_scan, "CHUNK_BYTES", 64)
    for at in range(40, 70):
        (tmp_path / f"{at:03}").write_bytes(b"." * at + TEXT.encode() + b"." * 90)
    report = scan(tmp_path, {"personal": [TEXT]})
    assert len(report.hits["personal"]) == 30


def test_names_of_files_are_looked_at_and_folders_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "canary-name.txt").write_bytes(b"")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "f").write_bytes(b"canary-name")
    report = scan(tmp_path, {"id": ["canary-name"]}, [tmp_path / "theirs"])
    assert report.hits == {"id": ["canary-name.txt"]}
