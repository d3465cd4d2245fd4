"""Tests of the statement of which values count."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.people.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from actors.store.errors import CorruptError, FormatError


def test_the_statement_is_read_again_and_shows_no_key(tmp_path: Path) -> None:
    manifest = Manifest(b"\x01" * 32, 5)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert manifest.folder(tmp_path) == tmp_path / "values-5"
    assert "01" not in repr(manifest)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("{", CorruptError, "not JSON"),
        ("[]", CorruptError, "which values count"),
        ('{"format": "headrace partition"}', FormatError, "'headrace partition' instead of"),
        ('{"format": "headrace people", "version": 9}', FormatError, "version 9"),
        (
            '{"format": "headrace people", "version": 1, "key": "zz", "values": 1}',
            CorruptError,
            "which values count",
        ),
        (
            '{"format": "headrace people", "version": 1, "key": "00", "values": 0}',
            CorruptError,
            "which values count",
        ),
    ],
)
def test_other_statements_are_refused(
    tmp_path: Path, text: str, kind: type[Exception], message: str
) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(kind, match=message):
        read_manifest(tmp_path)
