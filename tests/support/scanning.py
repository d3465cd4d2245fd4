"""Byte scans: which files below a folder hold which of some texts, however they are written."""

from __future__ import annotations

import base64
import json
import quopri
from collections.abc import Iterable
from pathlib import Path


def hits(folder: Path, texts: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Texts found, by file; each is also looked for as UTF-16, hexadecimal and in other dress."""
    forms = {form: text for text in texts for form in _forms(text)}
    found: dict[str, list[bytes]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            inside = sorted({text for form, text in forms.items() if form in data})
            if inside or any(form in str(path).encode() for form in forms):
                found[str(path.relative_to(folder))] = inside
    return found


def _forms(text: bytes) -> set[bytes]:
    word = text.decode()
    shifted = [base64.b64encode(b"x" * shift + text)[4 * (shift > 0) : -4] for shift in range(3)]
    return {
        text,
        text[::-1],
        text.hex().encode(),
        word.encode("utf-16-le"),
        json.dumps(word)[1:-1].encode(),
        quopri.encodestring(text),
        *(form for form in shifted if len(form) > 8),
    }
