"""Audiences over HTTP: files sent, imported, described, refused rows told, deleted when unused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from http_service import Served
from run_work import CUSTOMERS, MAPPING, PATH, ask, ended, make_audience, send_files, start


def test_an_audience_is_imported_described_and_deleted(service: Served) -> None:
    done = make_audience(service)
    assert (done["status"], done["kind"]) == ("done", "import")
    assert done["found"] == {"customers": 300, "events": 450, "changes": 0, "rejected": 0}
    told = ask(service, "GET", PATH).json()
    assert (told["customers"], told["events"], told["rejected"]) == (CUSTOMERS, 450, 0)
    assert set(told["holds"]["attributes"]) == {"plan", "age"}
    assert told["holds"]["events"]["order"]["count"] == 150
    names = [each["name"] for each in ask(service, "GET", "/v1/audiences").json()["items"]]
    assert names == ["live", "shop"]
    assert ask(service, "GET", f"{PATH}/files").json()["files"] == []
    assert ask(service, "DELETE", PATH).status_code == 204
    assert ask(service, "DELETE", PATH).status_code == 404
    assert ask(service, "GET", PATH).status_code == 404
    folder = service.service.folder / "audiences"
    assert [path.name for path in folder.iterdir()] == [".files"]


def test_rows_that_do_not_fit_are_told_with_row_and_column(service: Served) -> None:
    rows = "id,age\nc1,30\nc2,old\nc3,31\n,40\n"
    send_files(service, "odd", customers=rows)
    column = {"column": "age", "type": "int64"}
    mapping = {"customers": [{"file": "customers.csv", "id": "id", "attributes": {"age": column}}]}
    job = ended(service, start(service, {"mapping": mapping}, "/v1/audiences/odd/import")["id"])
    assert job["found"]["rejected"] == 2
    first = ask(service, "GET", "/v1/audiences/odd/rejects", params={"limit": 1}).json()
    assert first["items"] == [
        {
            "number": 1,
            "file": "customers.csv",
            "row": 2,
            "line": 3,
            "column": "age",
            "value": "old",
            "reason": first["items"][0]["reason"],
        }
    ]
    assert "whole number" in first["items"][0]["reason"]
    rest = ask(service, "GET", "/v1/audiences/odd/rejects", params={"after": first["next"]}).json()
    assert [(row["number"], row["row"], row["column"]) for row in rest["items"]] == [(2, 4, "id")]
    assert "next" not in rest


def test_a_packed_file_and_a_wrong_mapping(service: Served) -> None:
    packed = gzip.compress(b'{"id": "c1"}\n{"id": "c2"}\n')
    ask(service, "PUT", "/v1/audiences/packed/files/people.ndjson.gz", content=packed)
    source = {"file": "people.ndjson.gz", "id": "nobody"}
    queued = start(service, {"mapping": {"customers": [source]}}, "/v1/audiences/packed/import")
    job = ended(service, queued["id"])
    assert job["status"] == "failed"
    assert "nobody" in job["failure"]["message"]
    assert str(service.service.folder) not in str(job)
    # The files still wait, so that only the mapping has to be sent again.
    assert len(ask(service, "GET", "/v1/audiences/packed/files").json()["files"]) == 1
    source["id"] = "id"
    queued = start(service, {"mapping": {"customers": [source]}}, "/v1/audiences/packed/import")
    assert ended(service, queued["id"])["found"]["customers"] == 2


def test_an_import_replaces_an_audience_whole(service: Served) -> None:
    make_audience(service, "again")
    send_files(service, "again", customers="id\nonly\n")
    mapping = {"customers": [{"file": "customers.csv", "id": "id"}]}
    queued = start(service, {"mapping": mapping}, "/v1/audiences/again/import")
    assert ended(service, queued["id"])["status"] == "done"
    assert ask(service, "GET", "/v1/audiences/again").json()["customers"] == 1


@pytest.mark.parametrize(
    ("mapping", "pointer"),
    [
        ({"customers": [{"file": "/etc/passwd", "id": "id"}]}, "/mapping/customers/0/file"),
        ({"customers": [{"file": "../x.csv", "id": "id"}]}, "/mapping/customers/0/file"),
        ({"customers": [{"file": "none.csv", "id": "id"}]}, "/mapping/customers/0/file"),
        ({"customers": [{"file": "customers.csv"}]}, "/mapping/customers/0/id"),
        ({"wrong": 1}, "/mapping"),
    ],
)
def test_a_wrong_mapping_is_refused_at_once(
    service: Served, mapping: dict[str, object], pointer: str
) -> None:
    send_files(service, "wrong", customers="id\nc1\n")
    answer = ask(service, "POST", "/v1/audiences/wrong/import", json={"mapping": mapping})
    assert answer.status_code == 422
    assert answer.json()["pointer"].startswith(pointer), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audiences/live/files/a.csv",
        "/v1/audiences/Shop/files/a.csv",
        "/v1/audiences/shop/files/.a.csv",
        "/v1/audiences/shop/files/%2e%2e",
        "/v1/audiences/shop/files/a%2f..%2fb",
        "/v1/audiences/..%2f..%2fcontrol/files/a",
    ],
)
def test_a_wrong_name_writes_nothing(service: Served, path: str) -> None:
    before = sorted(service.service.folder.rglob("*a*"))
    answer = ask(service, "PUT", path, content=b"x")
    assert answer.status_code in (404, 405, 409, 422), answer.text
    assert sorted(service.service.folder.rglob("*a*")) == before


def test_a_file_that_is_too_large_leaves_nothing(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.service.audiences.FILE_BYTES_MAX", 3 << 20)
    path = "/v1/audiences/large/files/a.csv"
    answer = ask(service, "PUT", path, content=b"x" * (3 << 20))
    assert (answer.status_code, answer.json()["files"][0]["bytes"]) == (200, 3 << 20)
    answer = ask(service, "PUT", path, content=b"x" * (5 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    folder = service.service.folder / "audiences" / ".files" / "large"
    assert [(p.name, p.stat().st_size) for p in folder.iterdir()] == [("a.csv", 3 << 20)]
    monkeypatch.setattr("actors.service.audiences.TENANT_BYTES_MAX", 4 << 20)
    answer = ask(service, "PUT", "/v1/audiences/large/files/b.csv", content=b"x" * (2 << 20))
    assert answer.status_code == 413
    monkeypatch.setattr("actors.service.audiences.SPARE_BYTES", 1 << 60)
    answer = ask(service, "PUT", path, content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (503, "disk-full")
    answer = ask(service, "PUT", path, content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_an_import_without_a_customer_fails_and_keeps_what_was_there(service: Served) -> None:
    make_audience(service, "kept")
    send_files(service, "kept", customers="id\n", events="id,at,name,amount\n")
    queued = start(service, {"mapping": MAPPING}, "/v1/audiences/kept/import")
    job = ended(service, queued["id"])
    assert job["status"] == "failed"
    assert "no customer" in job["failure"]["message"]
    assert ask(service, "GET", "/v1/audiences/kept").json()["customers"] == CUSTOMERS


def test_what_an_import_left_that_was_killed_is_removed(service: Served, tmp_path: Path) -> None:
    make_audience(service, "torn")
    home = service.service.folder / "audiences"
    (home / ".torn.abc").mkdir()
    # Killed between taking the old one away and bringing the new one.
    (home / ".torn.old.xyz").mkdir()
    (home / "torn").rename(home / ".torn.old.xyz" / "was")
    service.service.runs.audiences.tidy("main", "torn")
    assert not list(home.glob(".torn*"))
    assert ask(service, "GET", "/v1/audiences/torn").json()["customers"] == CUSTOMERS
