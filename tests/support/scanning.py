"""Byte scans: which files below a folder hold which of some texts, however they are written."""

from __future__ import annotations

import base64
import itertools
import json
import quopri
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

_FORMS: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: text,
    lambda text: text.hex().encode(),
    lambda text: text.decode().encode("utf-16-le"),
    lambda text: json.dumps(text.decode())[1:-1].encode(),
    quopri.encodestring,
    *(
        lambda text, shift=shift: base64.b64encode(b"x" * shift + text)[4 * (shift > 0) : -4]  # type: ignore[misc]
        for shift in range(3)
    ),
)


def hits(folder: Path, texts: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Texts found, by file; each is also looked for in hexadecimal, as UTF-16, JSON, base64..."""
    wanted = list(texts)
    found: dict[str, list[bytes]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        inside = set(_inside(name.encode(), wanted))
        if path.is_file():
            inside.update(_inside(path.read_bytes(), wanted))
        if inside:
            found[name] = sorted(inside)
    return found


def _inside(data: bytes, texts: Sequence[bytes]) -> list[bytes]:
    found = []
    for write in _FORMS:
        forms = {text: write(text) for text in texts}
        # Where not even their common beginning stands there is no need to look for each.
        if _beginning(forms.values()) in data:
            found += [text for text, form in forms.items() if len(form) > 4 and form in data]
    return found


def _beginning(texts: Collection[bytes]) -> bytes:
    """What all of them begin with."""
    low, high = min(texts, default=b""), max(texts, default=b"")
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    return bytes(one for one, _ in same)
