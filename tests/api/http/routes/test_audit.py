"""The audit log by HTTP."""

from __future__ import annotations

import json

import pytest

from actors.service import audit
from actors.service.audit import Wanted
from http_service import Served


@pytest.fixture(scope="module")
def filled(_module_service: Served) -> Served:
    """A log of ten entries: five of flows, then five of keys."""
    with _module_service.service.plane.tenant("main").write() as txn:
        for number in range(10):
            action = "flow.publish" if number < 5 else "key.create"
            audit.append(txn, audit.SERVICE, action, f"x:{number}", now_ms=1_000 + number)
    return _module_service


def ask(served: Served, path: str) -> list[int]:
    answer = served.ask("GET", path, key=served.admin)
    assert answer.status_code == 200, answer.text
    return [entry["number"] for entry in answer.json()["items"]]


def test_entries_are_found_by_what_they_tell(filled: Served) -> None:
    assert ask(filled, "/v1/audit") == list(range(10, 0, -1))
    assert ask(filled, "/v1/audit?oldest_first=true&limit=3") == [1, 2, 3]
    assert ask(filled, "/v1/audit?action=flow.") == [5, 4, 3, 2, 1]
    assert ask(filled, "/v1/audit?action=flow.publish&object=x:2") == [3]
    assert ask(filled, "/v1/audit?since_ms=1002&until_ms=1004") == [4, 3]
    assert ask(filled, "/v1/audit?actor=user:ada") == []


def test_a_page_looks_at_no_more_than_is_bounded(filled: Served) -> None:
    with filled.service.plane.tenant("main").read() as txn:
        wanted = Wanted(object="x:9")
        found, last = audit.search(txn, 0, 5, newest_first=False, wanted=wanted, scanned_max=4)
        assert (found, last) == ([], 4)
        found, last = audit.search(txn, 8, 5, newest_first=False, wanted=wanted, scanned_max=4)
    assert ([entry.number for entry in found], last) == ([10], None)


def test_pages_go_on_where_they_ended(filled: Served) -> None:
    numbers: list[int] = []
    after = ""
    while True:
        path = f"/v1/audit?limit=2&action=key.&after={after}"
        page = filled.ask("GET", path, key=filled.admin).json()
        numbers += [entry["number"] for entry in page["items"]]
        after = page.get("next", "")
        if not after:
            break
    assert numbers == [10, 9, 8, 7, 6]
    for bad, status in (("%00", 422), ("eA", 404), ("4444", 404)):
        answer = filled.ask("GET", f"/v1/audit?after={bad}", key=filled.admin)
        assert answer.status_code == status


def test_the_log_is_exported_and_verified(filled: Served) -> None:
    answer = filled.ask("GET", "/v1/audit/export?after=8", key=filled.admin)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["number"] for line in lines] == [9, 10]
    verdict = filled.ask("GET", "/v1/audit/verify", key=filled.admin).json()
    assert verdict == {"sound": True, "entries": 10, "hash": lines[-1]["hash"], "problems": []}
    path = f"/v1/audit/verify?anchor=9:{lines[0]['hash']}"
    assert filled.ask("GET", path, key=filled.admin).json()["sound"] is True
    path = f"/v1/audit/verify?anchor=9:{'0' * 64}"
    told = filled.ask("GET", path, key=filled.admin).json()
    assert told["problems"] == [{"number": 9, "what": "is not the one that was anchored"}]
    assert filled.ask("GET", "/v1/audit/verify?anchor=9", key=filled.admin).status_code == 422
