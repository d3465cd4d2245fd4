"""Offer the commands that an operator needs: verify, back up, restore, examine, repartition.

As with all commands, what they need is imported when they run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDirArgument = Annotated[
    Path, typer.Argument(metavar="DATA_DIR", help="The data directory of an engine.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def verify(
    data_dir: Annotated[
        Path, typer.Argument(metavar="DATA_DIR", help="A data directory not in use, or a backup.")
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Structure and checksums only; replay nothing.")
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Verify all that a data directory or a backup holds.

    Exit code 1 where anything is damaged.
    """
    from api.verifying import run

    raise typer.Exit(run(data_dir, quick=quick, as_json=json, quiet=quiet))


def backup(
    data_dir: DataDirArgument,
    to: Annotated[Path, typer.Argument(metavar="TO", help="The folder to make.")],
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Copy a data directory, also while an engine works in it."""
    from api.backups import back_up

    back_up(data_dir, to, as_json=json, quiet=quiet)


def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `backup` made.")],
    data_dir: Annotated[
        Path, typer.Argument(metavar="DATA_DIR", help="The data directory to make.")
    ],
    former: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The data directory that it replaces: who was erased stays so."
        ),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a data directory of a backup, and tell what is lost."""
    from api.backups import restore as run

    run(backup, data_dir, former=former, as_json=json, quiet=quiet)


def doctor(data_dir: DataDirArgument, json: JsonOption = False) -> None:
    """Tell what is wrong with a data directory, and what to do.

    It may be in use.

    Exit code 1 where there is a warning or an error.
    """
    from api.doctor import run

    raise typer.Exit(run(data_dir, as_json=json))


def repartition(
    data_dir: Annotated[
        Path, typer.Argument(metavar="DATA_DIR", help="A data directory not in use; it stays.")
    ],
    partitions: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="How many partitions it is to have.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The data directory to make.")],
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move customers to another number of partitions."""
    from api.repartitioning import run

    run(data_dir, partitions, to, as_json=json, quiet=quiet)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (verify, backup, restore, doctor, repartition):
        app.command()(command)
