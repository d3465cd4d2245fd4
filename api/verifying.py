"""Verify a data directory or a backup and show what was found."""

from __future__ import annotations

import json
from pathlib import Path

from rich.table import Table
from rich.text import Text

from actors.live.verify import Verification, verify
from actors.store.errors import InUseError
from api.console import console
from api.progress import shown

OK, DAMAGED = 0, 1
STYLES = {"sound": "", "damaged": "bold red", "skipped": "yellow"}


def run(folder: Path, *, quick: bool, as_json: bool, quiet: bool) -> int:
    """Print a table of all checks; return 1 where anything is damaged, else 0.

    Raises HeadraceError if there is nothing to verify, or while an engine works in it.
    """
    with shown(quiet=quiet) as progress:
        try:
            found = verify(folder, quick=quick, progress=progress)
        except InUseError as error:
            raise InUseError(
                error.message,
                advice="Stop it first; or verify a copy: `headrace backup`, then verify that",
                file=error.file,
            ) from None
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)
    return OK if found.sound else DAMAGED


def _show(found: Verification) -> None:
    table = Table(title=Text(found.folder), title_justify="left")
    for name in ("where", "check", "verdict", "detail"):
        table.add_column(name, overflow="fold")  # the end of a place says which partition it is
    for check in found.checks:
        verdict = Text(check.verdict, STYLES[check.verdict])
        table.add_row(Text(check.place), check.check, verdict, Text(check.detail))
    out = console()
    out.print(table)
    damaged = [check for check in found.checks if check.verdict == "damaged"]
    if damaged:
        # Once more, where nobody has to look for them among a hundred that are sound.
        for check in damaged:
            line = f"{check.place}: {check.check}: {check.detail}"
            out.print(Text(line, STYLES["damaged"]), soft_wrap=True)
        out.print(f"damaged: {len(damaged)} of {len(found.checks)} checks failed; restore a backup")
    else:
        digest = f"; digest {found.digest}" if found.digest else ""
        out.print(f"sound: {len(found.checks)} checks{digest}")
