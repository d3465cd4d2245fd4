"""Exports of the journal: begun, fetched, deleted, cut short by a restart."""

from __future__ import annotations

import io
import tarfile
from dataclasses import asdict
from pathlib import Path

import pytest

from actors.audience import read_schema
from actors.service.exports import Export
from http_service import Served
from http_shop import Shop
from waiting import until


def test_a_journal_is_exported_and_fetched(service: Served, tmp_path: Path) -> None:
    shop = Shop(service)
    event = {"event": "order", "properties": {"amount": 5.0}}
    service.engine.send([{"customer": f"e{n}", **event} for n in range(10)])
    begun = shop.ask("POST", "/v1/exports", headers={"Idempotency-Key": "export-1"})
    assert (begun.status_code, begun.json()["status"]) == (202, "running")
    again = shop.ask("POST", "/v1/exports", headers={"Idempotency-Key": "export-1"})
    assert again.json()["id"] == begun.json()["id"]
    path = f"/v1/exports/{begun.json()['id']}"
    done = until(lambda: (e := shop.done("GET", path))["status"] != "running" and e)
    assert (done["status"], done["problem"]) == ("done", "")
    archive = shop.ask("GET", f"{path}/archive")
    assert archive.headers["content-type"] == "application/x-tar"
    assert len(archive.content) == done["bytes"]
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        tar.extractall(tmp_path, filter="data")
    folders = sorted((tmp_path / "journal").iterdir())
    assert sum(read_schema(folder).counts.customers for folder in folders) == 10
    assert shop.done("GET", "/v1/exports")["items"] == [done]
    viewer = shop.role("viewer")
    assert viewer.problem("GET", path)[0] == 403
    assert shop.role("editor").done("DELETE", path) is None
    assert shop.problem("GET", path)[0] == 404
    assert shop.problem("DELETE", path)[0] == 404
    assert not list((service.engine.path / "exports").iterdir())


def test_what_a_restart_cut_short_has_failed(service: Served) -> None:
    shop = Shop(service)
    with service.service.plane.tenant("main").write() as txn:
        txn.put("exports", "old", asdict(Export("old", "running", 5)))
    found = shop.done("GET", "/v1/exports/old")
    assert (found["status"], found["problem"]) == ("failed", "the service was stopped meanwhile")
    assert shop.problem("GET", "/v1/exports/old/archive")[0] == 409
    shop.done("DELETE", "/v1/exports/old")


@pytest.mark.parametrize("path", ["/v1/exports/none", "/v1/exports/none/archive"])
def test_an_export_that_is_none_is_not_there(service: Served, path: str) -> None:
    assert Shop(service).problem("GET", path)[0] == 404
