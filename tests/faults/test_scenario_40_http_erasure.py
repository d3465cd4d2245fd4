"""Scenario 40 by HTTP: whoever is erased is gone, and the proof says so from what it found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.audience_erasing import holds
from actors.service import forgetting
from actors.service.erasures import resume
from actors.service.tenants import FIRST
from core.hashing import hash_customer
from http_service import Served, served
from http_shop import MAIL, Shop, mailing
from run_work import CUSTOMER_ROWS, EVENT_ROWS, MAPPING, RUN, ended, send_files, start
from scanning import hits
from waiting import until

CANARY = "cnry-email-0001@x.example"


def test_40_an_erasure_by_http_is_proven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    with served(folder, relays=True) as found:
        shop, engine = Shop(found), found.engine
        shop.done("PUT", "/v1/content/hello", MAIL)
        engine.publish(mailing("greet"))
        change = {"set": {"email": CANARY, "first_name": "Cnryname-0001", "plan": "pro"}}
        once = {"Idempotency-Key": "put-1"}
        shop.done("PUT", "/v1/customers/gone-1", change, headers=once)
        shop.done("PUT", "/v1/customers/stays-1", {"set": {"email": "stays@x.example"}})
        engine.send([{"customer": "gone-1", "event": "signup"}])
        test = {"customer": "gone-1", "channel": "email", "address": "me@x.example"}
        shop.done("POST", "/v1/content/hello/test", test)
        shop.done("GET", "/v1/customers/gone-1/export")
        export = shop.done("POST", "/v1/exports")["id"]
        until(lambda: shop.done("GET", f"/v1/exports/{export}")["status"] == "done")
        sent = folder / "outgoing"
        until(lambda: CANARY in "".join(p.read_text() for p in sent.glob("messages-00*")))
        assert hits(folder, [CANARY.encode()])

        begun = shop.ask("DELETE", "/v1/customers/gone-1")
        assert begun.status_code == 202
        erasure = begun.json()
        assert (erasure["pending"], erasure["exports"]) == ([], 1)
        assert shop.done("GET", f"/v1/exports/{export}")["status"] == "gone"
        path = f"/v1/erasures/{erasure['id']}"
        proof = until(lambda: (e := shop.done("GET", path))["scan"] != "running" and e)
        report = proof["report"]
        assert (proof["scan"], report["texts"], report["unreadable"]) == ("done", 2, [])
        assert "personal" not in report["hits"]
        assert report["files"] > 10
        number = engine.partition_of("gone-1")
        ledger = folder / "people" / f"{number:03}" / "erasures"
        assert proof["ledger_number"] == 1
        assert ledger.stat().st_size > 0
        assert proof in shop.done("GET", "/v1/erasures")["items"]
        assert "gone-1" not in json.dumps(proof)
        assert shop.actions("customer.")[-1] == "customer.erase"
        for method in ("GET", "DELETE"):
            assert shop.problem(method, "/v1/customers/gone-1")[0] == 404
        assert shop.problem("GET", "/v1/customers/gone-1/export")[0] == 404
        later = shop.done("GET", "/v1/customers")["items"]
        assert later == [{"customer": "stays-1"}]
        assert shop.done("GET", "/v1/customers/stays-1")["personal"]["email"] == "stays@x.example"
    assert hits(folder, [CANARY.encode()]) == {}
    with capsys.disabled():
        print(
            f"\nscenario 40 by HTTP: {report['texts']} texts in {report['files']} files of "
            f"{report['bytes']:,} bytes: hits {report['hits']}"
        )


def test_40_a_proof_says_what_is_left(tmp_path: Path) -> None:
    with served(tmp_path / "data") as found:
        shop = Shop(found)
        shop.done("PUT", "/v1/customers/left", {"set": {"email": CANARY}})
        (found.engine.path / "notes.txt").write_text(f"ask {CANARY} again")
        erasure = shop.done("DELETE", "/v1/customers/left")["id"]
        path = f"/v1/erasures/{erasure}"
        proof = until(lambda: (e := shop.done("GET", path))["scan"] != "running" and e)
        assert proof["report"]["hits"]["personal"] == ["notes.txt"]
        assert shop.problem("DELETE", "/v1/customers/nobody")[0] == 404


def test_40_who_comes_again_by_http_is_somebody_new(tmp_path: Path) -> None:
    with served(tmp_path / "data") as found:
        shop = Shop(found)
        shop.done("PUT", "/v1/customers/again", {"set": {"email": CANARY, "plan": "pro"}})
        shop.done("DELETE", "/v1/customers/again")
        shop.done("PUT", "/v1/customers/again", {"set": {"age": 5}})
        again = shop.done("GET", "/v1/customers/again/export")
        assert again["customer"]["attributes"] == {"age": 5}
        assert again["customer"]["personal"] == {}
        assert [change["set"] for change in again["changes"]] == [{"age": 5}]


GONE = "cnry-gone-0001"
PEOPLE = CUSTOMER_ROWS + f"{GONE},{CANARY},41\n"
DONE = EVENT_ROWS + "".join(
    f"{GONE},2026-03-0{n}T00:00:00Z,{name},{n}\n" for n, name in ((2, "signup"), (3, "order"))
)
BROKEN = f"{GONE},{CANARY},signup,1\n"


def traced(found: Served) -> tuple[Path, dict[str, object]]:
    """An audience with somebody in it, and a run that tells of him and of another."""
    send_files(found, customers=PEOPLE, events=DONE + BROKEN)
    made = ended(found, start(found, {"mapping": MAPPING}, "/v1/audiences/shop/import")["id"])
    assert made["status"] == "done", made
    send_files(found, "later", customers=PEOPLE)
    send_files(found, "other", customers=CUSTOMER_ROWS)
    run = ended(found, start(found, {**RUN, "trace": [GONE, "c7"]})["id"])
    assert run["status"] == "done", run
    return found.service.runs.folder(FIRST, str(run["id"])), run


def test_40_an_erasure_reaches_audiences_and_runs(tmp_path: Path) -> None:
    with served(tmp_path / "data") as found:
        shop = Shop(found)
        _, run = traced(found)
        audience = found.service.folder / "audiences" / "shop"
        before = shop.done("GET", "/v1/audiences/shop")
        assert holds(audience, [hash_customer(GONE)])
        stories = shop.done("GET", f"/v1/runs/{run['id']}/stories")["stories"]
        assert [each["customer"] for each in stories] == [GONE, "c7"]
        left = {"audiences/shop/rejects.csv", "audiences/.files/later/customers.csv"}
        assert left <= set(hits(found.service.folder, [CANARY.encode()]))

        # The engine never heard of him.
        begun = shop.ask("DELETE", f"/v1/customers/{GONE}")
        assert begun.status_code == 202, begun.text
        path = f"/v1/erasures/{begun.json()['id']}"
        proof = until(lambda: (e := shop.done("GET", path))["scan"] != "running" and e)
        assert (proof["reached"], proof["audiences"], proof["runs"], proof["files"]) == (
            *(True, 1, 1, 1),
        )
        assert not holds(audience, [hash_customer(GONE)])
        after = shop.done("GET", "/v1/audiences/shop")
        assert after["customers"] == before["customers"] - 1
        stories = shop.done("GET", f"/v1/runs/{run['id']}/stories")["stories"]
        assert [each["customer"] for each in stories] == ["c7"]
        asked = shop.done("GET", f"/v1/runs/{run['id']}")["asked"]
        assert asked["trace"] == ["(erased)", "c7"]
        assert shop.done("GET", f"/v1/runs/{run['id']}/report")["totals"]["entries"]["value"] > 0
        assert shop.problem("DELETE", f"/v1/customers/{GONE}")[0] == 404
        assert sorted(path.name for path in (audience.parent / ".files").glob("*/*.csv")) == [
            "customers.csv"
        ]
        # What is imported after that is of somebody new.
        send_files(found, customers=PEOPLE, events=DONE)
        again = ended(found, start(found, {"mapping": MAPPING}, "/v1/audiences/shop/import")["id"])
        assert again["status"] == "done"
        assert holds(audience, [hash_customer(GONE)])
        shop.done("DELETE", "/v1/audiences/shop")
    canaries = [CANARY.encode(), GONE.encode()]
    found_in = hits(tmp_path / "data", canaries)
    # The record of the run was written anew; its former page in the control plane is free.
    assert set(found_in) <= {"service/data.mdb"}
    assert CANARY.encode() not in found_in.get("service/data.mdb", [])


def test_40_an_erasure_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    with served(tmp_path / "data") as found:
        folder, _ = traced(found)
        rows, home = found.service.plane.tenant(FIRST), found.service.folder
        with rows.write() as txn:
            due = forgetting.note(txn, "an erasure", GONE, 2**52)
        assert resume(rows, home, due.erased_ms) == 0
        assert resume(rows, home, due.erased_ms + 1) == 1
        assert resume(rows, home, due.erased_ms + 1) == 0
        assert not holds(home / "audiences" / "shop", [hash_customer(GONE)])
        assert GONE not in (folder / "stories.json").read_text()
        assert GONE not in (folder / "order.json").read_text()
        # Nobody knows any more what to look for, so all files of before are gone.
        assert list((home / "audiences" / ".files").glob("*/*.csv")) == []


def test_40_an_alias_is_erased_with_its_customer(tmp_path: Path) -> None:
    folder, other = tmp_path / "data", CANARY.replace("0001", "0002")
    with served(folder) as found:
        shop = Shop(found)
        shop.done("PUT", "/v1/customers/alias-1", {"set": {"email": CANARY, "plan": "pro"}})
        shop.done("PUT", "/v1/customers/known-1", {"set": {"email": other}})
        shop.done("POST", "/v1/customers/known-1/merge", {"previous": "alias-1"})
        erasure = shop.done("DELETE", "/v1/customers/known-1")["id"]
        path = f"/v1/erasures/{erasure}"
        proof = until(lambda: (e := shop.done("GET", path))["scan"] != "running" and e)
        assert (proof["scan"], proof["report"]["texts"]) == ("done", 4)
        assert "personal" not in proof["report"]["hits"]
        for each in ("known-1", "alias-1"):
            assert shop.problem("GET", f"/v1/customers/{each}")[0] == 404
    assert hits(folder, [CANARY.encode(), other.encode()]) == {}
