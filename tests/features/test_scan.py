"""Runs the scan of flows as people do: `headrace check` on files, and publishing to an engine.

The names carry the ids of what was promised.
"""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.live.engine import Engine
from actors.live.errors import FlowError
from actors.live.starting import Hosting, Making, start_engine
from actors.sample import make_sample
from command import call

FLOW = """\
headrace: 1
flow: %s
nodes:
  bought: {type: on_event, event: purchase, next: thanks}
  thanks: {type: send, channel: %s, template: %s, next: a-day}
  a-day: {type: wait, for: 1 day, next: %s}
  again: {type: send, channel: email, template: thanks, next: done}
  done: {type: end}
"""
CONTENT = """\
headrace_content: 1
items:
  thanks: {channel: [email, whatsapp, web_push], state: %s, kind: promotional, recipient: contact}
  voucher: {channel: email, state: ready, coupon: spring}
pools:
  spring: {stock: 10, %s}
segments: {leads: profile}
"""

Found = list[tuple[str, str, str]]


@pytest.fixture
def check(tmp_path: Path) -> Any:
    """Checks a flow with options; the exit code and each violation's severity, code and place."""

    def run(flow: str, content: str = "", beside: str = "", audience: Path | None = None) -> Any:
        args: list[str | Path] = []
        for name, text, option in (
            ("content", content, "--content"),
            ("beside", beside, "--beside"),
        ):
            if text:
                (tmp_path / f"{name}.yaml").write_text(text)
                args += [option, tmp_path / f"{name}.yaml"]
        if audience is not None:
            args += ["--audience", audience]
        (tmp_path / "flow.yaml").write_text(flow)
        done = call("check", tmp_path / "flow.yaml", *args, "--json")
        assert done.err == ""
        violations = json.loads(done.out)
        assert all(v["advice"] and v["line"] for v in violations)
        return done.code, [(v["severity"], v["code"], v["pointer"]) for v in violations]

    return run


def test_A045_a_message_that_two_nodes_send_is_told(check: Any) -> None:
    twice = [("warning", "action-twice", "/nodes/again/template")]
    assert check(FLOW % ("f", "email", "thanks", "again")) == (0, twice)
    code, found = check(FLOW % ("f", "email", "other", "again"))
    assert (code, found) == (0, [])


def test_A046_a_coupon_that_has_expired_or_was_deleted_is_told(check: Any) -> None:
    flow = FLOW % ("f", "email", "voucher", "done")
    flow = flow.replace("  again: {type: send, channel: email, template: thanks, next: done}\n", "")
    place = "/nodes/thanks/template"
    for pool, code in (
        ("expires: 2020-01-01", "expired-coupon"),
        ("deleted: true", "deleted-coupon"),
    ):
        assert check(flow, CONTENT % ("ready", pool)) == (0, [("warning", code, place)])
    assert check(flow, CONTENT % ("ready", "expires: 2999-01-01")) == (0, [])


def test_A109_web_push_needs_permission(check: Any) -> None:
    flow = FLOW % ("f", "web_push", "other", "again")
    expected = [("warning", "no-permission", "/nodes/thanks/channel")]
    assert check(flow) == (0, expected)


def test_A114_nothing_promotional_by_whatsapp(check: Any) -> None:
    flow = FLOW % ("f", "whatsapp", "thanks", "again")
    expected = [("error", "promotional-whatsapp", "/nodes/thanks/template")]
    assert check(flow, CONTENT % ("ready", "deleted: false")) == (1, expected)


def test_A183_content_is_for_the_kind_of_records_that_the_segment_holds(check: Any) -> None:
    flow = FLOW % ("f", "email", "thanks", "done")
    flow = flow.replace("type: on_event, event: purchase", "type: on_segment, if: {group: leads}")
    flow = flow.replace("  again: {type: send, channel: email, template: thanks, next: done}\n", "")
    code, found = check(flow, CONTENT % ("ready", "deleted: false"))
    assert (code, found) == (1, [("error", "wrong-recipient", "/nodes/thanks/template")])


def test_A176_what_a_flow_beside_it_does_is_told(check: Any) -> None:
    mine = FLOW % ("mine", "email", "thanks", "done")
    mine = mine.replace("  again: {type: send, channel: email, template: thanks, next: done}\n", "")
    theirs = mine.replace("flow: mine", "flow: theirs")
    assert check(mine, beside=theirs) == (0, [("warning", "done-elsewhere", "/nodes/thanks")])
    assert check(mine, beside=theirs.replace("purchase", "signup")) == (0, [])


def test_a_list_or_a_flow_beside_it_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(FLOW % ("f", "email", "thanks", "done"))
    (tmp_path / "c.yaml").write_text("headrace_content: 1\nitems: {a: {state: ready}}\n")
    for option in ("--content", "--beside"):
        done = call("check", tmp_path / "f.yaml", option, tmp_path / "c.yaml")
        assert (done.code, done.out) == (1, "")
        assert str(tmp_path / "c.yaml") in done.err
        assert "Traceback" not in done.err


def test_conditions_of_nobody_and_surges_are_told_of_the_sample(check: Any, tmp_path: Path) -> None:
    make_sample(tmp_path / "shop", customers=2_000, days=30, seed=1)
    flow = FLOW % ("f", "email", "thanks", "monday")
    flow = flow.replace(
        "  again: {type: send, channel: email, template: thanks, next: done}",
        "  monday: {type: wait_until, at: 2030-01-07T09:00, zone: flow, next: german}\n"
        "  german: {type: condition, if: {attribute: country, is: Atlantis},"
        " next: {yes: news, no: news}}\n"
        "  news: {type: send, channel: email, template: news, next: done}",
    )
    code, found = check(flow, audience=tmp_path / "shop")
    assert code == 0
    assert ("warning", "never-in-audience", "/nodes/german/if") in found
    assert [f for f in found if f[1] == "surge"] == []  # fewer than 1,000 people buy
    early = flow.replace(
        "{type: on_event, event: purchase, ", "{type: on_segment, if: {not: {tag: x}}, "
    )
    code, found = check(early, audience=tmp_path / "shop")
    assert ("info", "surge", "/nodes/monday") in found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "d").mkdir()
    engine = start_engine(
        tmp_path / "d", Making(partitions=1), Hosting(inline=True, shards=1, relays=False)
    )
    (tmp_path / "d" / "templates").mkdir()
    engine.set_schema({"attributes": {"email": {"type": "string"}}, "events": {"purchase": {}}})
    yield engine
    engine.close()


TEMPLATE = "state: %s\nchannels: {email: {address: email, parts: {text: Thank you}}}\n"


def test_A184_a_flow_with_a_draft_is_checked_but_not_published(
    engine: Engine, tmp_path: Path, check: Any
) -> None:
    flow = FLOW % ("f", "email", "thanks", "done")
    flow = flow.replace("  again: {type: send, channel: email, template: thanks, next: done}\n", "")
    expected = [("warning", "unready-content", "/nodes/thanks/template")]
    assert check(flow, CONTENT % ("draft", "deleted: false")) == (0, expected)
    template = tmp_path / "d" / "templates" / "thanks.yaml"
    template.write_text(TEMPLATE % "draft")
    with pytest.raises(FlowError) as caught:
        engine.publish(flow)
    assert [(v.code, v.severity) for v in caught.value.violations] == [("unready-content", "error")]
    assert "Set it to ready" in str(caught.value)
    assert engine.flows() == []
    template.write_text(TEMPLATE % "ready")
    assert engine.publish(flow).version == 1


def test_A176_what_a_published_flow_does_is_told_at_publishing(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "d" / "templates" / "thanks.yaml").write_text(TEMPLATE % "ready")
    flow = FLOW % ("%s", "email", "thanks", "done")
    flow = flow.replace("  again: {type: send, channel: email, template: thanks, next: done}\n", "")
    assert engine.publish(flow % "first").warnings == []
    (told,) = engine.publish(flow % "second").warnings
    assert (told["code"], told["pointer"]) == ("done-elsewhere", "/nodes/thanks")
    assert "'first' does the same on the event 'purchase'" in told["message"]
    engine.stop("first")
    assert (
        engine.publish(flow % "third" + " # new")
        .warnings[0]["message"]
        .startswith("the flow 'second'")
    )
