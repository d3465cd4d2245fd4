"""Make a data directory with another number of partitions, and say what moved."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from actors.live.data_dir import DataDir
from actors.live.repartition import repartition
from api.console import console
from api.progress import shown


def run(folder: Path, partitions: int, to: Path, *, as_json: bool, quiet: bool) -> None:
    """Repartition; the old data directory stays. Raises HeadraceError."""
    with DataDir.open(folder) as data, shown(quiet=quiet) as progress:
        found = repartition(data, partitions, to.absolute(), progress=progress)
    if as_json:
        print(json.dumps({**asdict(found), "digest": f"{found.digest:016x}"}, indent=2))
        return
    lines = [
        f"{to}: {found.partitions:,} partitions, {found.customers:,} customers, "
        f"{found.messages:,} messages that were not sent; digest {found.digest:016x} as before",
        f"{found.erasures:,} erasures are known there"
        + (
            f", {found.unknown:,} of people who never were customers are not"
            if found.unknown
            else ""
        ),
        "make a backup of it: former ones do not know whom this one erases",
    ]
    for line in lines:
        console().print(line, markup=False, soft_wrap=True)
