"""Scenario 40 by HTTP: whoever is erased is gone, and the proof says so from what it found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from http_service import served
from http_shop import MAIL, Shop, mailing
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
