"""Offer the commands for a service that stands still: its keys and its audit logs.

As with all commands, what they need is imported when they run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DataDirArgument = Annotated[
    Path, typer.Argument(metavar="DATA_DIR", help="The data directory; no service runs in it.")
]
TenantOption = Annotated[str, typer.Option(metavar="TENANT", help="Whose keys.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]

keys = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make and end keys of the HTTP API offline.",
)
audit = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The audit logs of a service."
)


@keys.command("list")
def list_keys(
    data_dir: DataDirArgument, tenant: TenantOption = "main", json: JsonOption = False
) -> None:
    """List the keys of a tenant; a secret is never shown again."""
    from api.plane_folder import list_keys as run

    run(data_dir, tenant, as_json=json)


@keys.command("new")
def new_key(
    data_dir: DataDirArgument,
    tenant: TenantOption = "main",
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="What it is for.")
    ] = "made at the machine",
    role: Annotated[
        Literal["viewer", "editor", "publisher", "admin"], typer.Option(help="What it may do.")
    ] = "admin",
    json: JsonOption = False,
) -> None:
    """Make a key and print it, once. An admin key of `main` may also make tenants."""
    from api.plane_folder import new_key as run

    run(data_dir, tenant, name, role, as_json=json)


@keys.command("revoke")
def revoke_key(
    data_dir: DataDirArgument,
    key: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `list` shows it.")],
    tenant: TenantOption = "main",
) -> None:
    """End a key."""
    from api.plane_folder import revoke_key as run

    run(data_dir, tenant, key)


@audit.command("verify")
def verify_audit(
    data_dir: DataDirArgument,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TENANT=NUMBER:HASH",
            help="What an earlier verification told and was kept elsewhere; may be repeated.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Verify the audit logs of all tenants and the operator's.

    Exit code 1 where an entry is not as it was.
    """
    from api.plane_folder import anchor_of
    from api.plane_folder import verify_audit as run

    try:
        anchors = dict(map(anchor_of, anchor or ()))
    except ValueError:
        raise typer.BadParameter("expected --anchor TENANT=NUMBER:HASH, as it was told") from None
    raise typer.Exit(run(data_dir, anchors, as_json=json))


@audit.command("export")
def export_audit(
    data_dir: DataDirArgument,
    tenant: Annotated[
        str | None, typer.Option(metavar="TENANT", help="Whose; default: the operator's.")
    ] = None,
) -> None:
    """Print an audit log as NDJSON."""
    from api.plane_folder import export_audit as run

    run(data_dir, tenant)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.add_typer(keys, name="keys")
    app.add_typer(audit, name="audit")
