"""Flows over HTTP: made, found again, copied, and their drafts, with all that can go wrong."""
# ruff: noqa: N802 - the ids of features are in capitals

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from core.document import read_values
from flow_asking import Ask, create, flow_text, nodes, publish, status
from http_service import Served

# -- making and finding


def test_A005_A021_a_blank_flow_is_made_and_runs(ask: Ask) -> None:
    title = f"New {uuid.uuid4().hex[:8]}"
    made = ask("POST", "/v1/flows", {"name": title})
    body = made.json()
    assert (made.status_code, body["status"], body["name"]) == (201, "draft", title)
    assert made.headers["location"] == f"/v1/flows/{body['flow']}"
    assert body["flow"] == title.lower().replace(" ", "-")
    assert publish(ask, body["flow"])["version"] == 1
    again = ask("POST", "/v1/flows", {"name": title}).json()
    assert again["flow"] == f"{body['flow']}-2"


def test_A020_a_flow_is_made_of_a_template(ask: Ask, name: str) -> None:
    listed = ask("GET", "/v1/templates", params={"limit": 500}).json()["items"]
    assert "full-consumption-reward" in {item["template"] for item in listed}
    order = {"flow": name, "template": "full-consumption-reward"}
    assert ask("POST", "/v1/flows", order).status_code == 201
    draft = ask("GET", f"/v1/flows/{name}/draft").json()["document"]
    assert f"flow: {name}" in draft
    assert ask("POST", "/v1/flows", {**order, "template": "none"}).status_code == 404
    wrong = ask("POST", "/v1/flows", {"template": "welcome", "values": {"nothing": 1}})
    assert (wrong.status_code, wrong.json()["pointer"]) == (422, "/values")


def test_A022_a_flow_is_saved_as_a_template_of_ones_own(ask: Ask, name: str) -> None:
    wait = {"type": "wait", "for": "2 days", "next": "out"}
    create(ask, name, nodes=nodes(pause=wait) | {"in": {**nodes()["in"], "next": "pause"}})
    order = {"template": name, "flow": name, "parameters": {"patience": "/nodes/pause/for"}}
    saved = ask("POST", "/v1/templates", order)
    assert (saved.status_code, saved.json()["own"]) == (201, True)
    assert ask("POST", "/v1/templates", order).status_code == 409
    found = ask("GET", f"/v1/templates/{name}").json()
    assert {"name": "patience", "type": "duration"}.items() <= found["parameters"][-1].items()
    made = {"flow": f"{name}-2", "template": name, "values": {"patience": "5 days"}}
    assert ask("POST", "/v1/flows", made).status_code == 201
    text = ask("GET", f"/v1/flows/{name}-2/draft").json()["document"]
    draft = read_values(text, name="flow")
    assert (draft["flow"], draft["nodes"]["pause"]["for"]) == (f"{name}-2", "5 days")
    assert ask("DELETE", f"/v1/templates/{name}").status_code == 204
    assert ask("GET", f"/v1/templates/{name}").status_code == 404
    assert ask("DELETE", "/v1/templates/welcome").status_code == 409


def test_A015_a_flow_is_copied(ask: Ask, name: str) -> None:
    text = f"headrace: 1\nflow: {name}  # ours\nnodes:\n  in: {{type: on_event, event: signup, "
    text += "next: out}\n  out: {type: end}\n"
    assert ask("POST", "/v1/flows", {"document": text}).status_code == 201
    copied = ask("POST", f"/v1/flows/{name}/copy", {"name": "Second one"}).json()
    draft = ask("GET", f"/v1/flows/{copied['flow']}/draft").json()["document"]
    assert draft == text.replace(name, f"{copied['flow']}\nname: Second one")
    assert copied["name"] == "Second one"
    other = ask("POST", f"/v1/flows/{name}/copy", {}).json()
    assert (other["flow"], other["name"]) == (f"{name}-copy", f"{name} (copy)")
    assert ask("POST", f"/v1/flows/{name}/copy", {"flow": name}).status_code == 409
    assert ask("POST", f"/v1/flows/{name}/copy", {"version": 1}).status_code == 404


def test_A001_A003_A012_A013_the_list_is_searched_filtered_sorted_in_columns_and_pages(
    ask: Ask, name: str
) -> None:
    made = [f"{name}-{letter}" for letter in "abc"]
    for number, flow in enumerate(made):
        create(ask, flow, name=f"Title {9 - number} of {name}")
    publish(ask, made[0])

    def listed(**query: Any) -> list[str]:
        items = ask("GET", "/v1/flows", params={"search": name, **query}).json()["items"]
        return [item["flow"] for item in items]

    assert listed() == listed(sort="name") == list(reversed(made))
    assert listed(sort="-name") == listed(sort="flow") == made
    assert listed(status="running") == made[:1]
    assert listed(status=["running", "draft"], sort="-created")[0] == made[2]
    assert ask("GET", "/v1/flows", params={"search": f"TITLE 8 OF {name}"}).json()["items"] != []
    assert listed(search=f"{name}-none") == []
    query = {"search": name, "columns": ["status", "version"], "limit": 2, "sort": "flow"}
    page = ask("GET", "/v1/flows", params=query).json()
    assert page["items"] == [
        {"flow": made[0], "status": "running", "version": 1},
        {"flow": made[1], "status": "draft", "version": 0},
    ]
    rest = ask("GET", "/v1/flows", params={**query, "after": page["next"]}).json()
    assert [item["flow"] for item in rest["items"]] == made[2:]
    assert "next" not in rest
    down = ask("GET", "/v1/flows", params={"search": name, "limit": 2, "sort": "-flow"}).json()
    rest = ask(
        "GET",
        "/v1/flows",
        params={"search": name, "limit": 2, "sort": "-flow", "after": down["next"]},
    ).json()
    assert [item["flow"] for item in rest["items"]] == made[:1]
    assert ask("PUT", "/v1/flow-columns", {"columns": ["status"]}).status_code == 200
    own = ask("GET", "/v1/flows", params={"search": made[1]}).json()["items"]
    assert own == [{"flow": made[1], "status": "draft"}]
    assert ask("PUT", "/v1/flow-columns", {"columns": ["colour"]}).status_code == 422
    assert ask("PUT", "/v1/flow-columns", {"columns": []}).json() == {"columns": []}
    assert ask("GET", "/v1/flows", params={"after": "e30"}).status_code == 404
    assert ask("GET", "/v1/flows", params={"sort": "colour"}).status_code == 422


def test_A002_flows_are_put_into_groups(ask: Ask, name: str) -> None:
    group = ask("POST", "/v1/flow-groups", {"name": name}).json()["group"]
    assert ask("POST", "/v1/flow-groups", {"name": name}).status_code == 409
    create(ask, name)
    moved = ask("PATCH", f"/v1/flows/{name}", {"group": group})
    assert (moved.status_code, moved.json()["group"]) == (200, group)
    listed = ask("GET", "/v1/flows", params={"group": group}).json()["items"]
    assert [item["flow"] for item in listed] == [name]
    assert ask("DELETE", f"/v1/flow-groups/{group}").status_code == 409
    assert ask("PATCH", f"/v1/flows/{name}", {"group": "999"}).status_code == 422
    renamed = ask("PUT", f"/v1/flow-groups/{group}", {"name": f"{name}!"}).json()
    assert renamed["name"] == f"{name}!"
    groups = ask("GET", "/v1/flow-groups", params={"limit": 500}).json()["items"]
    assert groups[-1]["name"] == f"{name}!"
    assert "group" not in ask("PATCH", f"/v1/flows/{name}", {"group": None}).json()
    assert ask("DELETE", f"/v1/flow-groups/{group}").status_code == 204
    assert ask("DELETE", f"/v1/flow-groups/{group}").status_code == 404


# -- drafts


def test_A016_A038_a_draft_is_saved_over_the_edition_that_one_began_with(
    ask: Ask, name: str
) -> None:
    create(ask, name)
    draft = ask("GET", f"/v1/flows/{name}/draft")
    assert draft.headers["etag"] == '"1"'
    path, mine = f"/v1/flows/{name}/draft", {"document": flow_text(name, name="Mine")}
    assert ask("PUT", path, mine).status_code == 428
    saved = ask("PUT", path, mine, headers={"If-Match": '"1"'})
    assert (saved.status_code, saved.headers["etag"]) == (200, '"2"')
    assert (saved.json()["edition"], saved.json()["publishable"]) == (2, True)
    theirs = {"document": flow_text(name, name="Theirs")}
    raced = ask("PUT", path, theirs, headers={"If-Match": '"1"'})
    told = raced.json()
    assert (raced.status_code, told["code"]) == (409, "changed-meanwhile")
    assert told["yours"]["edition"] == "1"
    assert json.loads(told["yours"]["document"])["name"] == "Theirs"
    assert told["current"]["edition"] == 2
    assert json.loads(told["current"]["document"])["name"] == "Mine"
    assert ask("PUT", path, theirs, headers={"If-Match": "*"}).json()["edition"] == 3
    stale = ask("POST", f"/v1/flows/{name}/publish", {}, headers={"If-Match": '"2"'})
    assert (stale.status_code, stale.json()["code"]) == (409, "changed-meanwhile")
    assert ask("POST", f"/v1/flows/{name}/publish", headers={"If-Match": '"3"'}).is_success


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", 422),
        ("", 422),
        ("[1]", 422),
        (7, 422),
        ({"flow": "other"}, 422),
        ({"headrace": 1}, 422),
        ("x" * (17 << 20), 422),
    ],
)
def test_what_is_no_document_of_the_flow_is_not_saved(
    ask: Ask, name: str, document: Any, told: int
) -> None:
    create(ask, name)
    path = f"/v1/flows/{name}/draft"
    answer = ask("PUT", path, {"document": document}, headers={"If-Match": '"1"'})
    assert answer.status_code == told
    assert ask("GET", path).json()["edition"] == 1


def test_what_is_wrong_with_a_draft_is_told_and_keeps_it_from_being_published(
    ask: Ask, name: str, service: Served
) -> None:
    templates = service.engine.path / "templates"
    templates.mkdir(exist_ok=True)
    text = "channels:\n  email: {address: email, parts: {text: Hi}}\nstate: draft\n"
    (templates / "later.yaml").write_text(text)
    mail = {"type": "send", "channel": "email", "template": "later", "next": "out"}
    create(ask, name, nodes=nodes(mail=mail) | {"in": {**nodes()["in"], "next": "mail"}})
    lint = ask("GET", f"/v1/flows/{name}/draft/lint").json()
    found = {each["code"]: each for each in lint["violations"]}
    assert not lint["publishable"]
    assert found["unready-content"]["pointer"] == "/nodes/mail/template"
    assert found["unready-content"]["severity"] == "error"
    refused = ask("POST", f"/v1/flows/{name}/publish")
    told = refused.json()
    assert (refused.status_code, told["code"]) == (422, "invalid-flow")
    assert told["errors"] == lint["violations"]
    assert status(ask, name) == "draft"
    unsaved = ask("POST", "/v1/lint", {"document": "headrace: 1\nflow: x\nnodes: {}\n"}).json()
    assert {each["pointer"] for each in unsaved["violations"]} == {"/nodes"}


def test_A031_who_may_enter_again_stays_as_at_the_first_save(ask: Ask, name: str) -> None:
    assert ask("POST", "/v1/flows", {"flow": name}).status_code == 201
    path = f"/v1/flows/{name}/draft"
    often = {"document": flow_text(name, settings={"reentry": {"policy": "always"}})}
    assert ask("PUT", path, often, headers={"If-Match": '"1"'}).status_code == 200
    once = {"document": flow_text(name)}
    refused = ask("PUT", path, once, headers={"If-Match": '"2"'})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/settings/reentry")
    copied = ask("POST", f"/v1/flows/{name}/copy", {"flow": f"{name}-2"})
    assert copied.status_code == 201
    once = {"document": flow_text(f"{name}-2")}
    path = f"/v1/flows/{name}-2/draft"
    assert ask("PUT", path, once, headers={"If-Match": '"1"'}).status_code == 200
