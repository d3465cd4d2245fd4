"""Checks which nodes limits of messages become, and that they leave everything else alone."""

from __future__ import annotations

from typing import Any

from core.describe import describe
from core.flow import Flow
from core.nodes import Send, TakeCoupon

CAP = {"caps": [{"at_most": 1, "within": "1 day"}]}


def core_of(
    settings: dict[str, Any], target: Any = "m", more: dict[str, Any] | None = None
) -> Flow:
    nodes = {
        "t": {"type": "on_event", "event": "go", "next": target},
        "m": {"type": "send_email", "template": "hello", "next": "n"},
        "n": {"type": "add_note", "note_text": "sent", "next": "x"},
        "x": {"type": "end"},
        **(more or {}),
    }
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "settings": settings, "nodes": nodes})
    return flow.core


def test_without_limits_nothing_comes_before_a_message() -> None:
    core = core_of({})
    assert [node_id for node_id in core.nodes if "~" in node_id] == ["n~count"]


def test_a_flow_in_operations_stays_as_it_is() -> None:
    core = core_of({**CAP, "budget": [{"sends": 5}], "messages": {}})
    assert core.core is core
    assert not core.settings.controls
    assert core.settings.coupons == {"~budget:0": 5}
    assert core.authored.settings.controls


def test_a_cap_waits_only_where_two_messages_could_come_at_one_instant() -> None:
    second = {"m2": {"type": "send_sms", "template": "hi", "next": "x"}}
    again = {"m2": {"type": "add_tag", "tag": "a", "next": "m"}}
    assert "m~cap" not in core_of(CAP).nodes
    assert "m~cap" in core_of({**CAP, "reentry": {"policy": "after_exit"}}).nodes
    assert "m~cap" in core_of(CAP, more=second).nodes
    assert "m~cap" in core_of(CAP, ["m", "x"]).nodes
    looped = core_of(CAP, more={**again, "n": {"type": "add_tag", "tag": "b", "next": "m2"}})
    assert looped.nodes["t"].next == {"next": ["m~cap"]}
    assert looped.nodes["m~cap"].next == {"next": ["m"]}
    assert looped.nodes["m2"].next == {"next": ["m~cap"]}


def test_helpers_come_in_order_and_only_messages_have_them() -> None:
    night = {"from": "22:00", "until": "08:00"}
    core = core_of(
        {
            **CAP,
            "reentry": {"policy": "always"},
            "quiet_hours": [night],
            "blackouts": [{"from": "2026-12-24", "until": "2026-12-27"}],
            "budget": [{"sends": 1}, {"amount": 1, "cost": 0.5}],
        }
    )
    assert [node_id for node_id in core.nodes if node_id.startswith("m")] == [
        "m~cap", "m~quiet", "m~blackout0", "m~blackout0~", "m~during0", "m~over0", "m~due",
        "m~budget0", "m~budget1", "m",
    ]  # fmt: skip
    assert [node_id for node_id in core.nodes if node_id.startswith("n")] == ["n~count", "n"]
    claim = core.nodes["m~budget1"]
    assert isinstance(claim, TakeCoupon)
    assert claim.next == {"taken": ["m"], "sold_out": ["n~count"]}


def test_a_message_that_leads_back_to_itself_passes_its_limits_again() -> None:
    again = {
        "m": {"type": "send_email", "template": "hello", "delay": "1 day", "next": ["m", "x"]},
        "n": {"type": "end"},
    }
    core = core_of({**CAP, "budget": [{"sends": 1}]}, more=again)
    assert core.nodes["m~delay"].next == {"next": ["m~cap"]}
    assert core.nodes["m"].next == {"next": ["m~delay", "x"]}
    assert core.nodes["m~budget0"].next == {"taken": ["m"], "sold_out": ["m~delay", "x"]}


def test_a_reason_that_a_message_has_already_is_not_asked_twice() -> None:
    web = {"type": "send_web_push", "template": "hello", "next": "n"}
    core = core_of({"messages": {"reachable": "ignore"}}, more={"m": web})
    send = core.nodes["m"]
    assert isinstance(send, Send)
    assert [guard.reason for guard in send.guards] == ["no_permission"]
    assert send.guards == core_of({}, more={"m": web}).nodes["m"].guards  # type: ignore[attr-defined]


def test_a_copy_with_other_settings_is_limited_by_these() -> None:
    limited = core_of(CAP).authored
    bare = limited.model_copy(update={"settings": core_of({}).settings})
    assert bare.core.nodes["m"].ports == ("next",)
    assert limited.core.nodes["m"].ports == ("next", "capped")


def test_a_blackout_is_asked_for_in_words() -> None:
    core = core_of({"blackouts": [{"from": "2026-12-24", "until": "2026-12-27T10:00"}]})
    assert describe(core.nodes["m~during0"]) == (
        "If it is 2026-12-24 or later and not (it is 2026-12-27 10:00 or later)"
    )
