"""Look through every file of a folder for texts that must not be there any more.

Each text is looked for as UTF-8, as UTF-16, in JSON's escapes, in hexadecimal and in base64. What
is compressed is not opened: a scan proves that nothing stands there readably.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_BYTES = 8 << 20
TEXT_BYTES_MIN = 5  # shorter texts stand everywhere by chance


@dataclass(slots=True)
class ScanReport:
    """What a scan looked at, and in which files it found which kind of text."""

    files: int = 0
    bytes: int = 0
    texts: int = 0
    skipped: int = 0
    hits: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def scan(
    folder: Path, texts: Mapping[str, Collection[str]], without: Collection[Path] = ()
) -> ScanReport:
    """Look for texts, by what kind they are, in all files below `folder` but those in `without`.

    Texts below 5 bytes are skipped, and counted as that.
    """
    report = ScanReport()
    wanted: dict[str, list[bytes]] = {}
    for kind, each in texts.items():
        long = [text for text in each if len(text.encode()) >= TEXT_BYTES_MIN]
        report.texts += len(long)
        report.skipped += len(each) - len(long)
        wanted[kind] = [form for text in long for form in _forms(text)]
    overlap = max((len(form) for forms in wanted.values() for form in forms), default=1) - 1
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(path.is_relative_to(other) for other in without):
            continue
        name = str(path.relative_to(folder))
        try:
            found = _scan_file(path, wanted, overlap, report)
        except FileNotFoundError:
            continue  # deleted meanwhile
        except OSError:
            report.unreadable.append(name)
            continue
        for kind in found:
            report.hits.setdefault(kind, []).append(name)
    return report


def _scan_file(
    path: Path, wanted: Mapping[str, Collection[bytes]], overlap: int, report: ScanReport
) -> list[str]:
    found = {kind for kind, forms in wanted.items() if _in(path.name.encode(), forms)}
    with path.open("rb") as file:
        report.files += 1
        tail = b""
        while chunk := file.read(CHUNK_BYTES):
            report.bytes += len(chunk)
            data = tail + chunk
            found |= {kind for kind in wanted.keys() - found if _in(data, wanted[kind])}
            tail = data[-overlap:] if overlap else b""
    return sorted(found)


def _in(data: bytes, forms: Collection[bytes]) -> bool:
    return any(form in data for form in forms)


def _forms(text: str) -> list[bytes]:
    """The ways in which a text may stand in a file."""
    data = text.encode()
    found = [data, text.encode("utf-16-le"), json.dumps(text)[1:-1].encode(), data.hex().encode()]
    # In base64 it depends on what stands before: the parts that do not are looked for.
    for shift in range(3):
        found.append(base64.b64encode(b"x" * shift + data)[4 * (shift > 0) : -4])
    return [form for form in dict.fromkeys(found) if len(form) >= TEXT_BYTES_MIN]
