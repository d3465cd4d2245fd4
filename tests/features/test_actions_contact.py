"""Actions on the customer's record and on others, X01 to X27, on both interpreters."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from both_ways import ALWAYS, GO, after, answer, ran, sent, told
from cases import Case, ask, on

CUSTOMERS = 600


def of(**attributes: Any) -> dict[str, Any]:
    """A customer with these attributes; '__' stands for ':'."""
    named = {name.replace("__", ":"): value for name, value in attributes.items()}
    return {"customers": [{"id": "c", "attributes": named}]}


def effects(action: dict[str, Any], **fields: Any) -> dict[str, int]:
    """The effects of an action, and that it goes on at once."""
    case = Case({"go": on("go", "a"), "a": {**action, "next": "x"}}, [GO], **fields)
    assert told(case)[-2:] == ["05-04 10:00 a next", "05-04 10:00 x end"]
    return sent(case)


def many(action: dict[str, Any], asked: dict[str, Any]) -> Case:
    """The action and a condition for many customers."""
    ids = [f"c{i}" for i in range(CUSTOMERS)]
    return Case(
        {"go": on("go", "a"), "a": {**action, "next": "q"}, "q": ask(asked)},
        [("05-04 10:00", "go", {}, name) for name in ids],
        customers=[{"id": name} for name in ids],
    )


def answers(case: Case) -> int:
    """How many customers left the condition `q` by yes."""
    return sum(record.node == "q" and record.port == "yes" for record in ran(case).records)


def test_X01_a_detail_is_added_and_changed() -> None:
    add = {"type": "set_attribute", "attribute": "city", "value": "Bonn"}
    assert answer({"attribute": "city", "is": "Bonn"}, add) == "yes"
    assert answer({"attribute": "city", "is": "Bonn"}, add, **of(city="Köln")) == "yes"


def test_X02_a_note_is_added_and_found() -> None:
    note = {"type": "add_note", "note_text": "wants a loan"}
    assert answer({"has_note": {}}, note) == "yes"
    case = Case({"go": on("go", "a"), "a": {**note, "next": "x"}}, [GO])
    assert told(case)[1:3] == ["05-04 10:00 a~count next", "05-04 10:00 a next"]
    assert sent(case) == {"note": 1}


def test_X02_E15_a_note_of_a_flow_is_the_event_and_no_message() -> None:
    note = {"type": "add_note", "note_text": "wants a loan", "next": "x"}
    nodes: dict[str, Any] = {
        "go": on("go", "a"),
        "a": note,
        "t": {"type": "on_note_added", "containing": "loan", "next": "w"},
        "o": {"type": "on_note_added", "containing": "car", "next": "x"},
        "m": {"type": "on_event", "event": "message_sent", "next": "x"},
        "w": {"type": "wait_note_added", "containing": "loan", "timeout": "2 hours",
              "next": {"event": "x", "timeout": "x"}},
    }  # fmt: skip
    case = Case(nodes, [GO, ("05-04 11:00", "go")], settings=ALWAYS)
    log = [line for line in told(case) if line.split()[2] not in ("x", "a~count")]
    assert log == [
        "05-04 10:00 go next",
        "05-04 10:00 a next",
        "05-04 10:00 t next",
        "05-04 11:00 go next",
        "05-04 11:00 a next",
        "05-04 11:00 w event",
        "05-04 11:00 t next",
        "05-04 13:00 w timeout",
    ]
    asked = {"has_note": {"contains": "loan", "within": "1 hour"}}
    # What is done at one instant looks back at what was before it.
    later = {"type": "wait", "for": "1 ms"}
    assert answer(asked, {"type": "add_note", "note_text": "wants a loan"}, later) == "yes"
    assert answer(asked, {"type": "add_note", "note_text": "wants a car"}, later) == "no"


def test_X03_a_tag_is_added() -> None:
    assert answer({"tag": "vip"}, {"type": "add_tag", "tag": "vip"}) == "yes"
    assert answer({"tag": "old"}, {"type": "add_tag", "tag": "vip"}) == "no"


def test_X04_a_new_owner_takes_the_place_of_the_old_and_a_co_owner_does_not() -> None:
    main = {"type": "set_owner", "user": "ann"}
    co_owner = {"type": "set_owner", "user": "ann", "co_owner": True}
    bob = of(owner="bob")
    assert answer({"owner_in": ["ann"]}, main, **bob) == "yes"
    assert answer({"has_owner": "bob"}, main, **bob) == "no"
    both = {"all": [{"owner_in": ["bob"]}, {"has_owner": "ann"}]}
    assert answer(both, co_owner, **bob) == "yes"
    gone = {"type": "remove_co_owner", "user": "ann"}
    assert answer(both, co_owner, gone, **bob) == "no"


def test_X05_a_task_for_a_user() -> None:
    assert effects({"type": "add_task", "user": "ann", "task": "call"}) == {"task": 1}


def test_X06_a_stage_takes_the_place_of_another_of_the_campaign() -> None:
    stages = [
        {"type": "add_to_stage", "campaign": "autumn", "stage": stage} for stage in ("new", "won")
    ]
    assert answer({"at_stage": "won", "campaign": "autumn"}, *stages) == "yes"
    assert answer({"at_stage": "new", "campaign": "autumn"}, *stages) == "no"


def test_X07_out_of_a_campaign_and_not_of_another() -> None:
    case = of(stage__autumn="won", stage__spring="new")
    out = {"type": "remove_from_campaign", "campaign": "autumn"}
    assert answer({"at_stage": "won", "campaign": "autumn"}, out, **case) == "no"
    assert answer({"at_stage": "new", "campaign": "spring"}, out, **case) == "yes"


def test_X08_an_owner_is_drawn_with_equal_chances() -> None:
    draw = {"type": "draw_owner", "users": ["ann", "bob", "cy"]}
    counts = [answers(many(draw, {"owner_in": [user]})) for user in draw["users"]]
    assert sum(counts) == CUSTOMERS
    # Six standard deviations of a third of 600.
    assert all(abs(count - CUSTOMERS / 3) < 70 for count in counts), counts


def test_X09_a_coupon_for_the_contact_while_there_are_some() -> None:
    ids = ["a", "b", "c"]
    case = Case(
        {
            "go": on("go", "k"),
            "k": {"type": "take_coupon", "pool": "p", "next": {"taken": "x", "sold_out": "x"}},
        },
        [(f"05-04 1{i}:00", "go", {}, name) for i, name in enumerate(ids)],
        customers=[{"id": name} for name in ids],
        settings={"coupons": {"p": 2}},
    )
    ports = {r.customer: r.port for r in ran(case).records if r.node == "k"}
    assert ports == {"a": "taken", "b": "taken", "c": "sold_out"}


def test_X10_an_alert_to_a_user() -> None:
    assert effects({"type": "send_alert", "user": "ann", "alert": "big-order"}) == {"alert": 1}


@pytest.mark.parametrize(
    ("type_", "channel"),
    [
        ("send_email", "email"),
        ("send_sms", "sms"),
        ("send_mobile_text", "mobile_text"),
        ("send_push", "push"),
        ("send_in_app", "in_app"),
        ("show_overlay", "overlay"),
    ],
)
def test_X11_X12_X27_A107_A108_A110_A111_A112_A113_each_channel_has_its_own_messages(
    type_: str, channel: str
) -> None:
    assert effects({"type": type_, "template": "hello"}) == {channel: 1}


def test_X13_an_automation_rule_runs() -> None:
    assert effects({"type": "run_automation_rule", "rule": "r"}) == {"automation_rule": 1}


def test_X14_a_banner_is_displayed() -> None:
    assert effects({"type": "show_banner", "banner": "spring"}) == {"banner": 1}


def test_X15_a_tag_is_removed() -> None:
    vip = {"customers": [{"id": "c", "tags": ["vip"]}]}
    assert answer({"tag": "vip"}, {"type": "remove_tag", "tag": "vip"}, **vip) == "no"


def test_X16_X17_opt_in_and_opt_out_of_one_channel() -> None:
    join, leave = ({"type": name, "channel": "email"} for name in ("opt_in", "opt_out"))
    assert answer({"subscribed": "email"}, join) == "yes"
    assert answer({"subscribed": "email"}, join, leave) == "no"
    assert answer({"resigned": "email"}, join, leave) == "yes"
    assert answer({"subscribed": "sms"}, join) == "no"


def test_X18_a_score_is_set_to_a_value() -> None:
    asked = {"attribute": "score", "is": 7}
    assert answer(asked, {"type": "set_score", "score": 7}, **of(score=90)) == "yes"


def test_X19_a_score_is_added_to_what_there_is_and_to_nothing() -> None:
    add = {"type": "add_score", "by": 7}
    assert answer({"attribute": "score", "is": 97}, add, **of(score=90)) == "yes"
    assert answer({"attribute": "score", "is": 7}, add) == "yes"


def test_X20_the_score_of_a_tag_is_apart_from_the_contacts() -> None:
    add = {"type": "add_tag_score", "tag": "vip", "by": 3}
    case = of(score=1, score__vip=4)
    assert answer({"attribute": "score:vip", "is": 7}, add, **case) == "yes"
    assert answer({"attribute": "score", "is": 1}, add, **case) == "yes"


@pytest.mark.parametrize(
    ("id_", "network"), [("X22", "facebook"), ("X24", "google"), ("X25", "adform")]
)
def test_X22_X24_X25_A115_A116_audiences_are_joined_and_left(id_: str, network: str) -> None:
    add = {"type": f"{network}_audience", "audience": "buyers"}
    group = {"group": f"audience:{network}:buyers"}
    assert answer(group, add) == "yes", id_
    assert answer(group, add, {**add, "change": "remove"}) == "no"
    case = Case({"go": on("go", "a"), "a": {**add, "next": "x"}}, [GO])
    assert sent(case) == {network: 1}
    [node] = [n for i, n in case.flow().core.nodes.items() if i == "a"]
    assert getattr(node, "template", None) == "add/buyers"


def test_X23_a_rule_of_the_web_site_runs() -> None:
    assert effects({"type": "run_website_rule", "rule": "r"}) == {"website_rule": 1}


def test_X26_points_are_added_and_removed() -> None:
    add = {"type": "add_points", "programme": "club", "points": 30}
    asked = {"attribute": "points:club", "is": 30}
    assert answer(asked, add) == "yes"
    assert answer(asked, add, {**add, "points": -30}) == "no"
    assert answer(asked, add, {**add, "points": -30}, **of(points__club=30)) == "yes"


TIERS = {"silver": 100, "gold": 200}


@pytest.mark.parametrize(
    ("before", "tier"), [(69, None), (70, "silver"), (169, "silver"), (170, "gold")]
)
def test_X26_points_move_to_the_tier_that_they_are_enough_for(before: int, tier: str) -> None:
    add = {"type": "add_points", "programme": "club", "points": 30, "tiers": TIERS}
    for name in TIERS:
        asked = {"in_tier": name, "programme": "club"}
        expected = "yes" if name == tier else "no"
        assert answer(asked, add, **of(points__club=before)) == expected


def test_X26_a_tier_that_one_is_in_is_not_set_again() -> None:
    add = {"type": "add_points", "programme": "club", "points": 30, "tiers": TIERS, "next": "x"}
    case = of(points__club=300, tier__club="gold")
    assert after({"a": add}, **case)[1:] == [
        "05-04 10:00 a~add next",
        "05-04 10:00 a~at0 yes",
        "05-04 10:00 a~in0 yes",
        "05-04 10:00 a next",
        "05-04 10:00 x end",
    ]


def test_X26_a_tier_can_be_set() -> None:
    move = {"type": "set_tier", "programme": "club", "tier": "gold"}
    assert answer({"in_tier": "gold", "programme": "club"}, move) == "yes"


def test_A063_add_to_a_static_group() -> None:
    assert answer({"group": "g"}, {"type": "add_to_group", "group": "g"}) == "yes"
    assert answer({"group": "h"}, {"type": "add_to_group", "group": "g"}) == "no"


@pytest.mark.parametrize("survey", ["nps", "csat", "effort", "happiness"])
def test_A117_surveys_are_sent_on_a_channel(survey: str) -> None:
    ask_them = {"type": "send_survey", "survey": survey, "template": "how", "channel": "sms"}
    assert effects(ask_them) == {"sms": 1}


@pytest.mark.parametrize(
    "action",
    [
        {"type": "add_tag", "tag": "t"},
        {"type": "send_email", "template": "t"},
        {"type": "facebook_audience", "audience": "t"},
        {"type": "draw_owner", "users": ["ann", "bob"]},
        {"type": "add_points", "programme": "p", "points": 1, "tiers": {"t": 1}},
    ],
    ids=lambda action: str(action["type"]),
)
def test_A169_any_action_may_be_delayed(action: dict[str, Any]) -> None:
    lines = after({"a": {**action, "delay": "90 minutes", "next": "x"}})
    assert lines[1] == "05-04 11:30 a~delay next"
    assert lines[-2:] == ["05-04 11:30 a next", "05-04 11:30 x end"]
    assert {line[:11] for line in lines[1:]} == {"05-04 11:30"}


def test_A169_arrivals_at_a_delayed_action_in_a_loop_wait_each_time() -> None:
    nodes = {
        "a": {"type": "add_score", "by": 1, "delay": "1 hour", "next": "q"},
        "q": ask({"score_reached": 2}, "x", "a"),
    }
    assert [line for line in after(nodes) if " a " in line] == [
        "05-04 11:00 a next",
        "05-04 12:00 a next",
    ]
