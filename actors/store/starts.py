"""Count openings that died young, and keep a partition that kills its process from being opened.

A torn page makes LMDB abort, a truncated file brings SIGBUS: the process dies, is started again,
and dies again. An opening counts until it is closed, or until its owner says that it lives on
(`settle`); after STARTS_MAX that did neither the partition is quarantined.
"""

from __future__ import annotations

from pathlib import Path

from actors.store.errors import QuarantinedError
from actors.store.folder import QUARANTINED, STARTS
from actors.whole_file import whole_file

STARTS_MAX = 3


def count_start(folder: Path) -> None:
    """Count an opening. Raises QuarantinedError if the partition is, or now gets, quarantined."""
    if not (folder / QUARANTINED).exists():
        died = unsettled(folder)
        if died < STARTS_MAX:
            _write(folder / STARTS, f"{died + 1}\n")
            return
        quarantine(folder, f"{died} openings in a row died young")
    reason = (folder / QUARANTINED).read_text().strip()
    raise QuarantinedError(
        f"the partition is quarantined: {reason}",
        advice=f"Run `python -m actors.store.verify --release {folder}`: it lets the partition go "
        "if it is sound; else restore it from its last backup",
        file=str(folder),
    )


def unsettled(folder: Path) -> int:
    """How many openings in a row neither closed nor settled."""
    try:
        return int((folder / STARTS).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def settle(folder: Path) -> None:
    """Forget the openings that were counted."""
    (folder / STARTS).unlink(missing_ok=True)


def quarantine(folder: Path, reason: str) -> None:
    """Keep the partition from being opened; `reason` is for people."""
    _write(folder / QUARANTINED, reason + "\n")


def release(folder: Path) -> None:
    """Let the partition be opened again."""
    (folder / QUARANTINED).unlink(missing_ok=True)
    settle(folder)


def _write(path: Path, text: str) -> None:
    with whole_file(path) as part:
        part.write_text(text)
