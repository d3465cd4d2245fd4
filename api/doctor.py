"""Show what is wrong with a data directory and what to do."""

from __future__ import annotations

import json
from pathlib import Path

from rich.text import Text

from actors.live.doctor import Asked, Finding, examine
from actors.live.store_look import StoreLook
from api.client import Client
from api.console import console

OK, ILL = 0, 1
ANSWER_S = 10.0
STYLES = {"error": "bold red", "warning": "yellow", "note": ""}


def run(folder: Path, *, as_json: bool) -> int:
    """Print all findings; return 1 where there is a warning or an error, else 0."""
    found = examine(folder, lambda: _ask(folder))
    ill = any(finding.severity != "note" for finding in found)
    if as_json:
        print(json.dumps([finding.to_json() for finding in found], indent=2))
    else:
        _show(folder, found)
    return ILL if ill else OK


def _ask(folder: Path) -> Asked:
    with Client(folder, timeout_s=ANSWER_S) as client:
        looks = client.looks()
        return Asked(
            client.status(),
            {
                place: look if isinstance(look, str) else StoreLook(**look)
                for place, look in looks.items()
            },
        )


def _show(folder: Path, found: list[Finding]) -> None:
    out = console()
    for finding in found:
        text = Text.assemble(
            (finding.severity, STYLES[finding.severity]),
            f" {finding.code} at {finding.place}: {finding.message}",
        )
        out.print(text, soft_wrap=True)
        if finding.advice:
            out.print(Text(f"    {finding.advice}"), soft_wrap=True)
    if all(finding.severity == "note" for finding in found):
        out.print(f"{folder}: nothing is wrong", markup=False, soft_wrap=True)
