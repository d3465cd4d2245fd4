"""Offer the commands that keep flows in git: `plan` compares with a service, `apply` publishes.

As with all commands, what they need is imported when they run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

SAME, FAILED, CHANGES = 0, 1, 2
FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="With flows/, content/, segments.yaml, schema.yaml."),
]
UrlOption = Annotated[
    str, typer.Option(metavar="URL", envvar="HEADRACE_URL", help="Where the service answers.")
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file with the key; default: the variable HEADRACE_KEY."),
]
LOCAL = "http://127.0.0.1:8000"


def plan(
    folder: FolderArgument,
    url: UrlOption = LOCAL,
    key_file: KeyFileOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Show what `apply` would change.

    Exit code 0 where nothing would, 2 where something would, 1 where it cannot be told or a flow
    could not be published.
    """
    from api.plan_text import show
    from api.planning import plan as compare
    from core.errors import HeadraceError

    try:
        with _client(url, key_file) as client:
            found = compare(folder, client)
    except HeadraceError as error:
        typer.echo(f"headrace: {error}", err=True)
        raise typer.Exit(FAILED) from None
    show(found, as_json=json)
    raise typer.Exit(FAILED if found.errors else CHANGES if found.changes else SAME)


def apply(
    folder: FolderArgument,
    url: UrlOption = LOCAL,
    key_file: KeyFileOption = None,
    in_flight: Annotated[
        Literal["pin", "drop", "reset"],
        typer.Option(
            metavar="HOW",
            help="People inside: finish on their version (pin), leave (drop), begin anew (reset).",
        ),
    ] = "pin",
    audience: Annotated[
        list[str] | None,
        typer.Option(metavar="FLOW=N", help="So many people are acknowledged; may be repeated."),
    ] = None,
) -> None:
    """Make a service what a folder says.

    Flows that changed are published.
    """
    from api.plan_text import show
    from api.planning import apply as carry_out
    from api.planning import plan as compare
    from core.errors import HeadraceError

    audiences = dict(map(_audience, audience or ()))
    with _client(url, key_file) as client:
        found = compare(folder, client)
        show(found, as_json=False)
        if found.errors:
            raise HeadraceError(
                "nothing was changed: a flow could not be published",
                advice="Put right what is told, then apply again",
            )
        for line in carry_out(found, client, in_flight=in_flight, audiences=audiences):
            typer.echo(line)


def _client(url: str, key_file: Path | None) -> Any:
    import os

    from api.http_client import HttpClient
    from core.errors import HeadraceError

    # Not an option: other users of the machine see the arguments of processes.
    key = os.environ.get("HEADRACE_KEY", "") if key_file is None else key_file.read_text()
    if not key.strip():
        raise HeadraceError(
            "there is no key", advice="Set HEADRACE_KEY, or name a file with --key-file"
        )
    return HttpClient(url, key.strip())


def _audience(text: str) -> tuple[str, int]:
    flow, _, number = text.rpartition("=")
    if not flow or not number.isdecimal():
        raise typer.BadParameter(f"expected --audience FLOW=N, not {text!r}")
    return flow, int(number)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(plan)
    app.command()(apply)
