"""A public address named at the start: links of all tenants lead over it, and to this service."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx

from api.client import Client
from command import call, read_until, start
from serving import SCHEMA, WELCOME, customers, signups, write_templates
from waiting import until

PUBLIC = "https://links.test"


def messages(folder: Path) -> list[dict[str, Any]]:
    lines = [x for p in (folder / "outgoing").glob("*.jsonl") for x in p.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_links_lead_over_the_address_that_the_start_names(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    process = start(
        *("serve", folder, "--inline", "--partitions", "1", "--http", "127.0.0.1:0"),
        *("--public-url", f"{PUBLIC}/"),
    )
    try:
        told = read_until(process, "ready:")
        url = re.findall(r"http://127\.0\.0\.1:\d+", told)[-1]
        write_templates(folder / "templates")
        with Client(folder) as client:
            client.set_schema(SCHEMA)
            client.publish(WELCOME, name="welcome.yaml")
            client.upsert_customers(customers(1))
            client.send_events(signups(1))
        leave = until(lambda: messages(folder))[0]["unsubscribe"]
        assert leave.startswith(f"{PUBLIC}/u/")
        here = leave.replace(PUBLIC, url)
        assert httpx.get(here).status_code == 200
        assert httpx.post(here).status_code == 200
        assert (folder / "suppressions").stat().st_size == 32
        assert leave.rpartition("/")[2] not in (folder / "log" / "http.jsonl").read_text()
    finally:
        process.kill()
        process.communicate()


def test_an_address_that_is_none_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = call("serve", tmp_path / "d", "--inline", "--public-url", "ftp://links.test")
    assert done.code != 0
    assert "--public-url: expected an address such as https://links.example.com" in done.err
    assert not (tmp_path / "d").exists()
