"""Check where files are to be written before the work begins, and write them at its end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from actors.whole_file import whole_file
from core.errors import HeadraceError


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse a place that can't be written, is named twice, or is one of the inputs.

    `outputs` are by option. A run of minutes should not fail at its last step for what could be
    known at the first.
    """
    taken = {path.resolve(): "this run reads it" for path in inputs if path is not None}
    for option, path in outputs.items():
        if path is None:
            continue
        if reason := _unwritable(path) or _inside(path.resolve(), taken):
            raise HeadraceError(
                f"{option} can't write there: {reason}",
                advice="Choose another place",
                file=str(path),
            )
        taken[path.resolve()] = f"{option} names it too"


def _inside(path: Path, taken: Mapping[Path, str]) -> str:
    return next((taken[place] for place in (path, *path.parents) if place in taken), "")


def _unwritable(path: Path) -> str:
    """Why a file can't be written there, as far as can be told beforehand; "" where it can."""
    if path.is_dir():
        return "it is a folder"
    if path.exists() and not path.is_file():
        return ""
    folder = path.resolve().parent
    if not folder.is_dir():
        return "there is no such folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "the folder can't be written"


def write_text(path: Path, text: str) -> None:
    """Write a file as a whole or not at all; HeadraceError where it can't be written."""
    try:
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HeadraceError(
            error.strerror or str(error), file=str(path), advice="Choose another place"
        ) from None
