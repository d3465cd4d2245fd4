"""Flows in git: what would change is shown, then made, and is as it should be afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.http_client import ApiError, HttpClient
from api.planning import Plan, apply, places, plan
from command import Done, call
from core.errors import HeadraceError
from http_service import SCHEMA, Served, served

FLOW = """\
headrace: 1
flow: welcome
name: Welcome
nodes:
  in: {type: on_event, event: signup, next: wait}
  wait: {type: wait, for: 2 days, next: out}
  out: {type: end}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("plan") / "data") as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one flow, a schema, segments and content."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "content").mkdir()
    (tmp_path / "flows" / "welcome.yaml").write_text(FLOW)
    (tmp_path / "schema.yaml").write_text(json.dumps(SCHEMA))
    (tmp_path / "segments.yaml").write_text("segments:\n  buyers: {did: order}\ngroups: [vip]\n")
    parts = {"subject": {"text": "Hello"}, "text": {"text": "Welcome"}}
    hello = {"channels": {"email": {"address": "email", "parts": parts}}}
    (tmp_path / "content" / "hello.yaml").write_text(json.dumps(hello))
    return tmp_path


def made(plan: Plan) -> list[tuple[str, str, str]]:
    return [(change.kind, change.name, change.action) for change in plan.changes]


def test_a_folder_is_planned_applied_and_then_as_it_is(
    service: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_KEY", service.admin)
    monkeypatch.setenv("HEADRACE_URL", service.url)
    first = call("plan", folder)
    assert first.code == 2, first.err
    assert "welcome" in first.out
    told = json.loads(call("plan", folder, "--json").out)
    assert [(each["kind"], each["action"]) for each in told["changes"]] == [
        ("segments", "change"), ("content", "create"), ("flow", "create"),
    ]  # fmt: skip
    assert told["unchanged"] == 1  # the schema
    done = call("apply", folder)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "flow welcome: version 1 is published"
    assert service.engine.flows()[0].version == 1
    again = call("plan", folder)
    assert (again.code, again.out) == (0, "nothing to change\n")

    path = folder / "flows" / "welcome.yaml"
    path.write_text(FLOW.replace("2 days", "3 days") + "# a note\n")
    second = call("plan", folder)
    assert second.code == 2
    assert "~ /nodes/wait/for: 2 days -> 3 days" in second.out
    assert call("apply", folder, "--in-flight", "drop").code == 0
    assert service.engine.flows()[0].version == 2
    path.write_text("# only a note\n" + FLOW.replace("2 days", "3 days"))
    assert call("plan", folder).code == 0
    # Somebody's draft on the server is told, and not gone over by a plan that was made before.
    with HttpClient(service.url, service.admin) as client:
        path.write_text(FLOW.replace("2 days", "4 days"))
        stale = plan(folder, client)
        draft = client.read_draft("welcome")
        client.save_draft(
            "welcome", FLOW.replace("2 days", "5 days"), if_match=f'"{draft["edition"]}"'
        )
        with pytest.raises(ApiError) as caught:
            list(apply(stale, client, audiences={}))
        assert caught.value.status == 409
        client.save_draft("welcome", path.read_text(), if_match=f'"{draft["edition"] + 1}"')
        assert made(plan(folder, client)) == [("flow", "welcome", "publish")]
        assert list(apply(plan(folder, client), client, audiences={})) == [
            "flow welcome: version 3 is published"
        ]


@pytest.mark.parametrize("kind", ["schema", "segments", "content"])
def test_a_change_that_came_in_between_is_not_gone_over(
    service: Served, folder: Path, kind: str
) -> None:
    name = "letter-of-race"
    letter = {"channels": {"email": {"address": "email", "parts": {"text": {"text": "Dear"}}}}}
    schema = service.engine.schema.to_json()
    with HttpClient(service.url, service.admin) as client:
        (folder / "schema.yaml").write_text(
            json.dumps({**schema, "attributes": {**schema["attributes"], "a": {"type": "string"}}})
        )
        (folder / "segments.yaml").write_text(json.dumps({"segments": {"mine": {"did": "signup"}}}))
        (folder / "content" / f"{name}.yaml").write_text(json.dumps({**letter, "state": "draft"}))
        stale = plan(folder, client)
        wanted = [change for change in stale.changes if change.kind == kind][-1:]
        others = {
            "schema": lambda: client.set_schema(
                {**schema, "attributes": {**schema["attributes"], "b": {"type": "string"}}}
            ),
            "segments": lambda: client.set_segments_document(
                {"segments": {"theirs": {"did": "order"}}}
            ),
            "content": lambda: client.ask(
                "PUT", f"/v1/content/{name}", body={**letter, "state": "ready"}
            ),
        }
        others[kind]()
        with pytest.raises(ApiError) as caught:
            list(apply(Plan(tuple(wanted)), client, audiences={}))
        assert caught.value.status == 409
        problem = caught.value.problem
        assert problem["code"] == "changed-meanwhile"
        assert problem["current"] != problem["sent"]


def test_what_is_doubtful_is_told_when_it_is_published(
    service: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_KEY", service.admin)
    monkeypatch.setenv("HEADRACE_URL", service.url)
    doubtful = FLOW.replace("flow: welcome", "flow: doubtful").replace("signup", "sign_up")
    (folder / "flows" / "welcome.yaml").write_text(doubtful)
    done = call("apply", folder)
    assert done.code == 0, done.err
    published, warning = done.out.splitlines()[-2:]
    assert published == "flow doubtful: version 1 is published"
    assert warning == (
        "  warning undeclared-event at /nodes/in/event: "
        "the schema has no event 'sign_up': it is not taken in"
    )


def test_what_cannot_be_published_changes_nothing(
    service: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_KEY", service.admin)
    monkeypatch.setenv("HEADRACE_URL", service.url)
    bad = FLOW.replace("flow: welcome", "flow: bad").replace("next: out", "next: nowhere")
    (folder / "flows" / "bad.yaml").write_text(bad)
    for command in ("plan", "apply"):
        done: Done = call(command, folder)
        assert done.code != 0
        assert "nowhere" in done.out + done.err
    with HttpClient(service.url, service.admin) as client, pytest.raises(ApiError):
        client.read_flow("bad")


def test_flows_that_only_the_service_has_are_left_alone(service: Served, folder: Path) -> None:
    with HttpClient(service.url, service.admin) as client:
        client.create_flow(document=FLOW.replace("flow: welcome", "flow: other"))
        assert (
            plan(folder, client).unmanaged == ("other",)
            or "other" in plan(folder, client).unmanaged
        )
        shutil.rmtree(folder / "flows")
        assert plan(folder, client).unmanaged == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("flows/b.yaml", FLOW, "is in .* as well"),
        ("flows/b.yaml", "headrace: 1\n", "does not say which flow"),
        ("segments.yaml", "segments: 7\n", "segments"),
        ("schema.yaml", "attributes: 7\n", "schema"),
    ],
)
def test_a_folder_that_cannot_be_read_is_told(
    service: Served, folder: Path, name: str, text: str, message: str
) -> None:
    (folder / name).write_text(text)
    with (
        HttpClient(service.url, service.admin) as client,
        pytest.raises(HeadraceError, match=message),
    ):
        plan(folder, client)


def test_commands_say_what_they_lack(
    service: Served, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADRACE_KEY", raising=False)
    done = call("plan", folder, "--url", service.url)
    assert (done.code, "HEADRACE_KEY" in done.err) == (1, True)
    key = tmp_path / "key"
    key.write_text(service.events + "\n")
    done = call("plan", folder, "--url", service.url, "--key-file", key)
    assert (done.code, "may not" in done.err) == (1, True)
    done = call("plan", tmp_path / "nothing", "--url", service.url, "--key-file", key)
    assert (done.code, "no such folder" in done.err) == (1, True)
    done = call("apply", folder, "--url", service.url, "--key-file", key, "--audience", "x")
    assert (done.code, "FLOW=N" in done.err) == (2, True)


def test_differences_are_told_in_words() -> None:
    before: dict[str, Any] = {"a": 1, "nodes": {"x": {"t": 1}, "y": {}}}
    after = {"a": 2, "b": "z" * 100, "nodes": {"x": {"t": 1, "u": {"v": True}}, "w": {}}}
    assert places(before, after) == (
        "+ node w", "- node y", "~ /a: 1 -> 2", f"+ /b: {'z' * 57}...", '+ /nodes/x/u: {"v": true}',
    )  # fmt: skip
