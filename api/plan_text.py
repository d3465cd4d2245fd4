"""Show a plan as a table, or print it as JSON."""

from __future__ import annotations

import json

from rich.table import Table
from rich.text import Text

from api.console import console
from api.planning import Plan, lines

STYLES = {"create": "green", "change": "yellow", "publish": "yellow"}


def show(plan: Plan, *, as_json: bool) -> None:
    """Show what would change, and what would keep flows from being published."""
    if as_json:
        told = {
            "changes": [
                {
                    "kind": change.kind,
                    "name": change.name,
                    "action": change.action,
                    "file": change.file,
                    "different": list(change.told),
                    "errors": list(change.errors),
                }
                for change in plan.changes
            ],
            "unmanaged": list(plan.unmanaged),
            "unchanged": plan.unchanged,
        }
        print(json.dumps(told, indent=2))
        return
    out = console()
    if plan.changes:
        table = Table()
        for name in ("what", "name", "action"):
            table.add_column(name, no_wrap=name != "name")
        table.add_column("different", overflow="fold")
        for kind, name, action, different in lines(plan.changes):
            table.add_row(kind, Text(name), Text(action, STYLES[action]), Text(different))
        out.print(table)
    count = len(plan.changes)
    summary = f"{count} to change, {plan.unchanged} as they are" if count else "nothing to change"
    out.print(summary, markup=False)
    if plan.unmanaged:
        names = ", ".join(plan.unmanaged)
        out.print(f"not in the folder, and left alone: {names}", markup=False, soft_wrap=True)
    for error in plan.errors:
        out.print(Text.assemble(("error ", "bold red"), error), soft_wrap=True)
