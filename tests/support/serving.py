"""Runs `headrace serve` as a process of its own, with a flow of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.client import Client
from command import read_until, start
from house import CHECKOUT
from waiting import until

WELCOME = (CHECKOUT / "examples" / "welcome.yaml").read_text()
SCHEMA: dict[str, Any] = {
    "attributes": {
        "email": {"type": "string", "personal": True},
        "consent_email": {"type": "bool"},
        "consent_sms": {"type": "bool"},
    },
    "events": {
        "signup": {},
        "email_clicked": {},
        "purchase": {"properties": {"amount": "float64"}},
    },
}


def write_templates(folder: Path) -> None:
    """Every template that the welcome flow sends, ready to be sent."""
    folder.mkdir(exist_ok=True)
    for name in re.findall(r"template: (\S+)", WELCOME):
        channel = "sms" if name.endswith("sms") else "email"
        (folder / f"{name}.yaml").write_text(
            f"channels: {{{channel}: {{address: email, parts: {{text: Hi}}}}}}\n"
        )


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The process, once it serves, without HTTP unless told where; killed at the end if there."""
    http = () if "--http" in options else ("--no-http",)
    process = start("serve", folder, *options, *http)
    try:
        read_until(process, "ready:")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def signups(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Events of so many customers, each with an id."""
    return [
        {"customer": f"c{i}", "event": "signup", "message_id": f"m{i}"}
        for i in range(first, first + count)
    ]


def customers(count: int, first: int = 0) -> list[dict[str, Any]]:
    """So many customers who may be mailed."""
    return [
        {"customer": f"c{i}", "set": {"consent_email": True, "email": f"c{i}@shop.example"}}
        for i in range(first, first + count)
    ]


def until_entered(client: Client, count: int) -> list[int]:
    """Arrivals at each node of the flow, once so many entered."""
    until(lambda: client.counts("welcome").entered.tolist()[0] >= count, "entries")
    found: list[int] = client.counts("welcome").entered.tolist()
    return found
