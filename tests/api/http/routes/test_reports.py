"""Reports of live flows by HTTP: who may see what, pages, paths of requests, and other tenants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.service import flow_rows, sharing
from actors.service.access import ROLES, Caller
from actors.service.errors import NotFoundError
from actors.service.flow_rows import FlowRow
from actors.service.live_reports import check_seen
from actors.service.sharing import Sharing
from followed import document
from http_service import Served

REPORT = "/v1/flows/f/report"
LIST = f"{REPORT}/versions/1/customers"
ODD = "a/b c"


@pytest.fixture(scope="module")
def reported(_module_service: Served) -> Served:
    engine = _module_service.engine.engine
    engine.publish(document().replace('"go"', '"signup"').replace('"click"', '"order"'))
    customers = ["ada", "ben", "cy", ODD]
    engine.send([{"customer": each, "event": "signup"} for each in customers])
    engine.send([{"customer": each, "event": "order"} for each in ("ada", ODD)])
    return _module_service


def ask(served: Served, path: str, status: int = 200, key: str | None = None) -> Any:
    answer = served.ask("GET", path, key=key or served.admin)
    assert answer.status_code == status, answer.text
    return answer.json()


def key_of(served: Served, role: str) -> str:
    body = {"name": role, "role": role}
    answer = served.ask("POST", "/v1/keys", key=served.admin, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


def test_a_report_has_figures(reported: Served) -> None:
    found = ask(reported, f"{REPORT}?days=2")
    total = found["total"]
    assert (found["flow"], found["status"], found["behind"]) == ("f", "active", 0)
    assert (total["entries"], total["people"], total["ended"], total["inside"]) == (4, 4, 2, 2)
    assert (total["reached"], total["reach"], total["sends"]) == (2, 0.5, {"email": 4, "sms": 2})
    assert [day["entries"] for day in total["days"]][-1] + total["days"][0]["entries"] == 4
    (version,) = found["versions"]
    assert version["figures"] == total
    assert version["funnel"] == [
        {"name": "Written to", "people": 4},
        {"name": "Clicked", "people": 2},
    ]
    assert "closed_ms" not in version
    assert found["since_ms"] == 0
    assert found["as_of_ms"] - found["started_ms"] == found["duration_ms"]


@pytest.mark.parametrize("days", ["0", "367", "x", "1.5"])
def test_days_have_bounds(reported: Served, days: str) -> None:
    assert ask(reported, f"{REPORT}?days={days}", 422)["code"] == "invalid"


def test_a_graph_can_be_drawn(reported: Served) -> None:
    found = ask(reported, f"{REPORT}/versions/1")
    nodes = {node["id"]: node for node in found["nodes"]}
    assert list(nodes) == ["start", "mail", "wait", "text", "done"]
    assert nodes["wait"]["ports"] == [
        {"port": "event", "tokens": 2, "people": 2, "targets": ["text"]},
        {"port": "timeout", "tokens": 0, "people": 0, "targets": ["done"]},
    ]
    for node in nodes.values():
        box = node["box"]
        assert 0 <= box["x"] <= box["x"] + box["width"] <= found["width"]
        assert 0 <= box["y"] <= box["y"] + box["height"] <= found["height"]
    assert [(edge["source"], edge["port"], edge["target"]) for edge in found["edges"]] == [
        ("start", "next", "mail"),
        ("mail", "next", "wait"),
        ("wait", "event", "text"),
        ("wait", "timeout", "done"),
        ("text", "next", "done"),
    ]
    assert all(edge["path"].startswith("M") for edge in found["edges"])
    assert found["document"].startswith('{"headrace": 1')


def test_lists_come_in_pages(reported: Served) -> None:
    names: list[str] = []
    after = ""
    while True:
        found = ask(reported, f"{LIST}?limit=1&after={after}")
        assert (found["total"], found["erased"]) == (4, 0)
        names += [item["customer"] for item in found["items"]]
        after = found.get("next", "")
        if not after:
            break
    assert sorted(names) == sorted(["ada", "ben", "cy", ODD])
    branch = ask(reported, f"{LIST}?node=wait&port=event")
    assert sorted(item["customer"] for item in branch["items"]) == sorted(["ada", ODD])
    assert "next" not in branch
    assert ask(reported, f"{LIST}?after=eA", 404)["code"] == "not-found"
    assert ask(reported, f"{LIST}?after=%25", 422)["code"] == "invalid"


def test_a_path_has_the_edges_to_highlight(reported: Served) -> None:
    found = ask(reported, f"{LIST}/ben/path")
    assert [(edge["source"], edge["target"]) for edge in found["edges"]] == [
        ("start", "mail"),
        ("mail", "wait"),
    ]
    assert [step["node"] for step in found["way"]["steps"]] == ["start", "mail"]
    assert [place["node"] for place in found["way"]["places"]] == ["wait"]


def test_ids_may_hold_what_paths_do_not(reported: Served) -> None:
    odd = "a%2Fb%20c"
    assert [s["node"] for s in ask(reported, f"{LIST}/{odd}/path")["way"]["steps"]][-1] == "done"
    assert ask(reported, f"{REPORT}/customers/{odd}")["customer"] == ODD
    why = ask(reported, f"{REPORT}/customers/{odd}/why")
    assert why["customer"] == ODD
    assert why["versions"][0]["steps"][2]["reason"] == "`order` happened"


def test_a_list_is_saved_and_told(reported: Served) -> None:
    body = {"group": "bought", "node": "wait", "port": "event"}
    for _ in range(2):
        answer = reported.ask("POST", f"{LIST}/save", key=reported.admin, json=body)
        assert (answer.status_code, answer.json()) == (200, {"group": "bought", "customers": 2})
    state = reported.engine.engine.state_of("ada")
    assert state is not None
    assert state["groups"] == ["bought"]
    told = ask(reported, "/v1/audit?action=report.group")["items"]
    assert [entry["object"] for entry in told] == ["flow:f", "flow:f"]
    for bad, status in (({"group": ""}, 422), ({"group": " "}, 422), ({"group": "g", "x": 1}, 422)):
        assert reported.ask("POST", f"{LIST}/save", key=reported.admin, json=bad).status_code == (
            status
        )


def test_who_may_see_figures_may_not_see_names(reported: Served) -> None:
    viewer = key_of(reported, "viewer")
    assert ask(reported, REPORT, key=viewer)["flow"] == "f"
    assert ask(reported, f"{REPORT}/versions/1", key=viewer)["version"] == 1
    for path in (
        LIST,
        f"{LIST}/ada/path",
        f"{REPORT}/customers/ada",
        f"{REPORT}/customers/ada/why",
    ):
        assert ask(reported, path, 403, viewer)["code"] == "forbidden"
    body = {"group": "mine"}
    assert reported.ask("POST", f"{LIST}/save", key=viewer, json=body).status_code == 403
    editor = key_of(reported, "editor")
    assert ask(reported, LIST, key=editor)["total"] == 4
    assert ask(reported, REPORT, 403, reported.events)["code"] == "forbidden"


def test_a_flow_that_is_not_shared_with_somebody_is_not_there(reported: Served) -> None:
    keys = {}
    for user in ("olga", "bob", "eve"):
        body = {"id": user, "name": user.title(), "role": "publisher"}
        assert reported.ask("POST", "/v1/users", key=reported.admin, json=body).status_code == 201
        minted = {"name": user, "role": "publisher", "user": user}
        answer = reported.ask("POST", "/v1/keys", key=reported.admin, json=minted)
        assert answer.status_code == 201, answer.text
        keys[user] = answer.json()["secret"]
    flow = "owned"
    row = FlowRow(flow, flow, 1, 1, "olga", owner="olga")
    with reported.service.plane.tenant("main").write() as txn:
        flow_rows.put(txn, row)
    reported.engine.engine.publish(document(flow=flow).replace('"go"', '"signup"').replace(
        '"click"', '"order"').replace('"flow": "f"', f'"flow": "{flow}"'))  # fmt: skip
    path = f"/v1/flows/{flow}/report"
    assert all(ask(reported, path, key=key)["flow"] == flow for key in keys.values())
    with reported.service.plane.tenant("main").write() as txn:
        sharing.put(txn, flow, Sharing("shared", {"bob": "view"}))
    assert ask(reported, path, key=keys["olga"])["flow"] == flow
    assert ask(reported, path, key=keys["bob"])["flow"] == flow
    assert ask(reported, path)["flow"] == flow
    for each in (path, f"{path}/versions/1/customers", f"{path}/customers/ada/why"):
        hidden = ask(reported, each, 404, keys["eve"])
        unknown = ask(reported, each.replace(flow, "unknown"), 404, keys["eve"])
        assert {**hidden, "request_id": ""} == {**unknown, "request_id": ""}
    with reported.service.plane.tenant("main").write() as txn:
        flow_rows.put(txn, replace(row, deleted=True))
        admin = Caller("main", "k", None, "admin", ROLES["admin"])
        with pytest.raises(NotFoundError):
            check_seen(txn, admin, flow)
        flow_rows.put(txn, row)


def test_another_tenants_flows_and_customers_are_not_there(reported: Served) -> None:
    made = reported.ask(
        "POST", "/v1/tenants", key=reported.admin, json={"id": "acme", "name": "Acme"}
    )
    key = made.json()["key"]["secret"]
    told = {}
    for path in (
        REPORT, f"{REPORT}/versions/1", LIST, f"{LIST}/ada/path", f"{REPORT}/customers/ada",
        f"{REPORT}/customers/ada/why",
    ):  # fmt: skip
        theirs, unknown = ask(reported, path, 404, key), path.replace("/f/", "/g/")
        told[path] = (theirs, ask(reported, unknown, 404, key))
    for theirs, unknown in told.values():
        for each in (theirs, unknown):
            each.pop("request_id")
        assert theirs == unknown
    # With a flow of the same name, his customers are not theirs either.
    engine = reported.service.engine("acme")
    engine.set_schema({"events": {"go": {}, "click": {}}})
    engine.publish(document())
    assert ask(reported, LIST, key=key)["items"] == []
    assert ask(reported, f"{LIST}/ada/path", 404, key)["code"] == "not-found"
    assert ask(reported, REPORT, key=key)["total"]["people"] == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/flows/none/report", 404),
        (f"{REPORT}/versions/2", 404),
        (f"{REPORT}/versions/0", 422),
        (f"{REPORT}/versions/x", 422),
        (f"{LIST}?node=none", 404),
        (f"{LIST}?node=wait&port=none", 404),
        (f"{LIST}?port=event", 422),
        (f"{LIST}/nobody/path", 404),
        (f"{REPORT}/customers/nobody", 404),
        (f"{REPORT}/customers/nobody/why", 404),
    ],
)
def test_what_is_not_there_is_told(reported: Served, path: str, status: int) -> None:
    answer = ask(reported, path, status)
    assert answer["status"] == status
    assert answer["detail"]


def test_the_erased_are_not_there(reported: Served) -> None:
    reported.engine.engine.erase(["cy"])
    found = ask(reported, LIST)
    assert (found["total"], found["erased"]) == (3, 1)
    assert "cy" not in [item["customer"] for item in found["items"]]
    for path in (f"{LIST}/cy/path", f"{REPORT}/customers/cy", f"{REPORT}/customers/cy/why"):
        assert ask(reported, path, 404)["code"] == "not-found"
