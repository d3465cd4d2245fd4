"""Make backups, from a running engine or from the folder, and restore them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actors.live import backup as backups
from actors.live.data_dir import DataDir
from actors.live.surroundings import StoppedSurroundings
from actors.store.errors import InUseError
from api.client import Client
from api.console import console
from api.progress import Report as Progress
from api.progress import shown


def copy(folder: Path, to: Path, *, people: bool, progress: Progress) -> dict[str, Any]:
    """Copy a data directory into the new folder `to`: by its engine, if one works in it.

    Returns the backup's statement. Raises HeadraceError.
    """
    try:
        data = DataDir.open(folder)
    except InUseError:
        progress("asking the engine for a copy", 0, 0)
        with Client(folder) as client:
            return client.back_up(to, people=people)
    with data:
        found = backups.back_up(
            backups.Stopped(data),
            to,
            people=people,
            beside=StoppedSurroundings(folder),
            progress=progress,
        )
        return found.to_json()


def back_up(folder: Path, to: Path, *, as_json: bool, quiet: bool) -> None:
    """Make a backup and say what is in it. Raises HeadraceError."""
    with shown(quiet=quiet) as progress:
        found = copy(folder, to.absolute(), people=True, progress=progress)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    size = sum(file[0] for file in found["files"].values())
    stores = found["stores"]
    commits = sum(facts["commits"] for facts in stores.values())
    out = console()
    out.print(
        f"{to}: {len(stores) - 1} partitions, {commits:,} commits, {size:,} bytes, as of "
        f"{_time(found['began_ms'])} to {_time(found['ended_ms'])}",
        markup=False,
        soft_wrap=True,
    )


def restore(backup: Path, to: Path, *, former: Path | None, as_json: bool, quiet: bool) -> None:
    """Restore a backup and say what is lost. Raises HeadraceError."""
    with shown(quiet=quiet) as progress:
        found = backups.restore(backup, to.absolute(), former=former, progress=progress)
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
        return
    lines = [
        f"{to}: restored as of {_time(found.manifest.began_ms)} to "
        f"{_time(found.manifest.ended_ms)}",
        "lost is what was acknowledged after that" + _lost(found),
        f"{found.erased:,} erasures were carried out again"
        if former is not None
        else "who was erased since then is not known here: name what it replaces by --former",
        "messages decided after the backup may be sent again, under the same idempotency keys",
    ]
    for line in lines:
        console().print(line, markup=False, soft_wrap=True)


def _lost(found: backups.Restored) -> str:
    if not found.lost:
        return ""
    total = sum(found.lost.values())
    places = ", ".join(f"{place} {n:,}" for place, n in found.lost.items() if n)
    return f": {total:,} transactions" + (f" ({places})" if places else "")


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
