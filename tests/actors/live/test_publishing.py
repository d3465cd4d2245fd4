"""Checks what forbids to publish a flow, and what is only told."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from pathlib import Path

import pytest

from actors.live.control import FlowState, Standing
from actors.live.errors import FlowError
from actors.live.publishing import judge
from core.errors import HeadraceError
from core.instants import instant_ms
from core.tenant_schema import TenantSchema

NOW_MS = instant_ms("2026-06-15")
FLOW = """\
headrace: 1
flow: %s
nodes:
  t: {type: on_event, event: signup, next: m}
  m: {type: send, channel: email, template: hello, to: mail, next: x}
  x: {type: end}
"""
TEMPLATE = "channels:\n  email: {address: mail, parts: {text: Hi}}\n"
SCHEMA = TenantSchema.of(
    {"attributes": {"mail": {"type": "string", "personal": True}}, "events": {"signup": {}}}
)


def state(name: str, status: str) -> FlowState:
    return FlowState(name, 1, FLOW % name, status, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.yaml").write_text(TEMPLATE)
    return tmp_path


def codes(folder: Path, schema: TenantSchema = SCHEMA, *running: FlowState) -> list[str]:
    standing = Standing(flows={state.flow: state for state in running})
    found = judge(FLOW % "f", "f.yaml", folder, schema, standing, NOW_MS)
    assert (found.text, found.document) == (FLOW % "f", FLOW % "f")
    return [v.code for v in found.doubts]


def refusal(folder: Path, schema: TenantSchema = SCHEMA) -> list[tuple[str, str, int | None]]:
    with pytest.raises(FlowError) as caught:
        judge(FLOW % "f", "f.yaml", folder, schema, Standing(), NOW_MS)
    return [(v.code, v.severity, v.line) for v in caught.value.violations]


def test_A184_a_draft_may_not_be_published(folder: Path) -> None:
    assert codes(folder) == []
    (folder / "templates" / "hello.yaml").write_text(TEMPLATE + "state: draft\n")
    assert refusal(folder) == [("unready-content", "error", 5)]
    (folder / "templates" / "hello.yaml").write_text(TEMPLATE + "state: ready\n")
    assert codes(folder) == []


def test_A184_content_that_is_absent_or_has_expired_is_not_ready(folder: Path) -> None:
    (folder / "templates" / "hello.yaml").write_text(TEMPLATE + "expires: 2026-06-14\n")
    assert refusal(folder) == [("expired-content", "error", 5)]
    (folder / "templates" / "hello.yaml").rename(folder / "templates" / "other.yaml")
    assert refusal(folder) == [("absent-content", "error", 5)]
    (folder / "templates" / "other.yaml").unlink()
    assert codes(folder) == []


def test_A193_a_message_goes_to_an_attribute_that_is_there(folder: Path) -> None:
    schema = TenantSchema.of(
        {"attributes": {"email": {"type": "string"}}, "events": {"signup": {}}}
    )
    assert refusal(folder, schema) == [("absent-address", "error", 5)]
    assert codes(folder, TenantSchema.of({})) == ["undeclared-event"]


def test_names_that_the_schema_lacks_are_told_and_forbid_nothing(folder: Path) -> None:
    misspelt = TenantSchema.of({"attributes": SCHEMA.attributes, "events": {"sign_up": {}}})
    found = judge(FLOW % "f", "f.yaml", folder, misspelt, Standing(), NOW_MS)
    assert [(v.code, v.severity, v.line) for v in found.doubts] == [
        ("undeclared-event", "warning", 4)
    ]
    assert "'sign_up'" in found.doubts[0].advice


def test_A176_what_a_running_flow_does_already_is_told(folder: Path) -> None:
    running = [state("gone", "stopped"), state("f", "active"), state("other", "paused")]
    assert codes(folder, SCHEMA, *running[:2]) == []
    assert codes(folder, SCHEMA, *running) == ["done-elsewhere"]
    unreadable = FlowState("old", 1, "headrace: 0", "active", 0)
    assert codes(folder, SCHEMA, unreadable) == []


def test_a_template_that_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "templates" / "hello.yaml").write_text("channels: {}\n")
    with pytest.raises(HeadraceError, match=r"hello\.yaml"):
        judge(FLOW % "f", "f.yaml", folder, SCHEMA, Standing(), NOW_MS)
