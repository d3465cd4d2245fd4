"""Chance, branches, A/B tests, waits and ends: what a flow does between start and end."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from both_ways import ALWAYS, GO, after, answer, ran, sent, told
from cases import Case, ask, on, send, wait, wait_event
from core.document import read_flow
from core.lint import lint
from core.nodes import Send

CUSTOMERS = 600
IDS = [f"c{i}" for i in range(CUSTOMERS)]


def crowd(nodes: dict[str, Any], times: int = 1, **fields: Any) -> Case:
    """A case in which many customers do `go`, as many days as there are times."""
    events = [(f"05-{day + 4:02} 10:00", "go", {}, name) for day in range(times) for name in IDS]
    events += [("05-04 09:00", "wechat_interacted", {}, name) for name in IDS]
    fields = {"settings": ALWAYS, **fields}
    return Case(
        {"go": on("go", "a"), **nodes}, events, customers=[{"id": n} for n in IDS], **fields
    )


def ports(case: Case, node: str) -> dict[str, list[str]]:
    """The ports by which each customer left a node, in order."""
    found: dict[str, list[str]] = {}
    for record in ran(case).records:
        if record.node == node:
            found.setdefault(record.customer, []).append(record.port)
    return found


def share(case: Case, node: str, port: str) -> float:
    """The share of the customers who left a node by a port the first time."""
    found = ports(case, node)
    assert len(found) == CUSTOMERS
    return sum(first == port for first, *_ in found.values()) / CUSTOMERS


def errors(nodes: str) -> set[str]:
    """The codes of the errors in a flow whose trigger leads to `a`."""
    head = (
        "{headrace: 1, flow: f, nodes: {t: {type: on_event, event: go, next: a}, x: {type: end}, "
    )
    flow, violations = read_flow(head + nodes + "}}", name="f.yaml")
    found = violations if flow is None else lint(flow)
    return {v.code for v in found if v.severity == "error"}


# Five standard deviations of a share of half of 600 are 0.1021.
NEAR = 0.1021


def near(expected: float) -> Any:
    """A share that is plausible for 600 draws."""
    return pytest.approx(expected, abs=NEAR)


# -- chance


def test_A051_a_comparison_group_is_set_apart_for_good() -> None:
    group = {"type": "control_group", "share": "20%", "next": {"treated": "s", "control": "x"}}
    case = crowd({"a": group, "s": send("email", "hello", "x")}, times=2)
    found = ports(case, "a")
    assert all(first == second for first, second in found.values())
    assert share(case, "a", "control") == near(0.2)
    treated = sum(first == "treated" for first, _ in found.values())
    assert sent(case) == {"email": 2 * treated}


def test_A067_random_assignment_by_proportion() -> None:
    split = {"type": "split", "branches": {"a": "40%", "b": "30%", "c": "30%"}}
    case = crowd({"a": {**split, "next": {"a": "x", "b": "x", "c": "x"}}})
    assert [share(case, "a", port) for port in "abc"] == [near(0.4), near(0.3), near(0.3)]


def gallery(count: int) -> dict[str, Any]:
    """A rolling gallery of so many pictures."""
    pictures = [f"p{place}" for place in range(count)]
    reply = {"type": "wechat_reply", "template": "card", "kind": "picture", "pictures": pictures}
    return {**reply, "next": "q"}


@pytest.mark.parametrize("picture", ["p0", "p1", "p2"])
def test_A058_each_picture_of_a_gallery_comes_with_the_same_probability(picture: str) -> None:
    case = crowd({"a": gallery(3), "q": ask({"attribute": "picture:a", "is": picture})})
    assert share(case, "q", "yes") == near(1 / 3)
    assert sent(case) == {"wechat": CUSTOMERS}
    node = case.flow().core.nodes["a"]
    assert isinstance(node, Send)
    assert list(node.variables) == ["picture:a"]


def test_A058_each_arrival_draws_anew() -> None:
    case = crowd({"a": gallery(2), "q": ask({"attribute": "picture:a", "is": "p0"})}, times=2)
    same = sum(first == second for first, second in ports(case, "q").values())
    assert same / CUSTOMERS == near(0.5)


def test_A057_one_picture_is_the_same_for_all() -> None:
    reply = {"type": "wechat_reply", "template": "card", "kind": "picture", "next": "x"}
    case = crowd({"a": reply})
    assert list(case.flow().core.nodes) == ["go", "a", "x"]
    assert sent(case) == {"wechat": CUSTOMERS}


@pytest.mark.parametrize("kind", ["text", "menu", "coupon", "page", "mini_program"])
def test_A052_A056_A059_A061_each_kind_of_WeChat_reply_is_sent(kind: str) -> None:
    reply = {"type": "wechat_reply", "template": "content", "kind": kind, "next": "x"}
    case = Case({"go": on("go", "a"), "a": reply}, [("05-04 09:00", "wechat_interacted"), GO])
    assert told(case)[1:] == ["05-04 10:00 a next", "05-04 10:00 x end"]
    assert sent(case) == {"wechat": 1}
    assert "invalid-value" in errors(
        f"a: {{type: wechat_reply, kind: {kind}, template: t, pictures: [a, b], next: x}}"
    )


def test_A062_sends_are_counted_by_channel_and_node() -> None:
    nodes = {"a": send("email", "one", "b"), "b": send("sms", "two", "x")}
    case = crowd(nodes, times=2)
    assert sent(case) == {"email": 2 * CUSTOMERS, "sms": 2 * CUSTOMERS}


# -- A/B tests


TARGET = "target: {event: buy, within: 1 day}"


def ab_test(**fields: Any) -> dict[str, Any]:
    """A test of two equal branches."""
    return {
        "type": "ab_test",
        "branches": {"A": "50%", "B": "50%"},
        "target": {"event": "buy", "within": "1 day"},
        "next": {"A": "x", "B": "x"},
        **fields,
    }


def test_A068_at_least_two_branches_and_more_with_names_of_ones_own() -> None:
    one = f"a: {{type: ab_test, branches: {{A: 100%}}, {TARGET}, next: {{A: x}}}}"
    assert errors(one) != set()
    named = {"branches": {"branch 1": "50%", "my own": "25%", "branch 3": "25%"}}
    case = crowd({"a": ab_test(**named, next=dict.fromkeys(named["branches"], "x"))})
    assert share(case, "a", "my own") == near(0.25)


@pytest.mark.parametrize(("second", "wrong"), [("50%", False), ("49.99%", True), ("51%", True)])
def test_A069_weights_total_100_per_cent_or_the_flow_is_refused(second: str, wrong: bool) -> None:
    found = errors(f"a: {{type: ab_test, branches: {{A: 50%, B: {second}}}, {TARGET}, "
                   "next: {A: x, B: x}}")  # fmt: skip
    assert ("weights-total" in found) == wrong


def test_A070_without_an_end_later_entrants_keep_being_split() -> None:
    case = crowd({"a": ab_test(sticky=False)}, times=2)
    found = ports(case, "a")
    assert sum(last == "A" for _, last in found.values()) / CUSTOMERS == near(0.5)


def test_A071_after_N_entrants_all_go_to_a_named_branch() -> None:
    until = {"people": 100, "then": "B"}
    case = Case(
        {"go": on("go", "a"), "a": ab_test(until=until)},
        [(f"05-04 10:{i // 60:02}:{i % 60:02}", "go", {}, name) for i, name in enumerate(IDS)],
        customers=[{"id": name} for name in IDS],
    )
    found = ports(case, "a")
    assert {port for name in IDS[100:] for port in found[name]} == {"B"}
    before = [found[name][0] for name in IDS[:100]]
    assert 30 < before.count("A") < 70


def test_A071_after_N_entrants_all_go_to_the_branch_with_the_highest_rate() -> None:
    until = {"people": 100, "then": "best", "decide": "at_count"}
    assigned = ports(crowd({"a": ab_test()}), "a")
    events: list[tuple[Any, ...]] = []
    for place, name in enumerate(IDS):
        at = f"05-04 10:{place // 60:02}:{place % 60:02}"
        events.append((at, "go", {}, name))
        if place < 100 and assigned[name] == ["A"]:
            events.append((f"{at}.500", "buy", {}, name))
    case = Case({"go": on("go", "a"), "a": ab_test(until=until)}, events,
                customers=[{"id": name} for name in IDS])  # fmt: skip
    found = ports(case, "a")
    assert {port for name in IDS[100:] for port in found[name]} == {"A"}


def test_A072_success_is_yes_customers_over_all_of_the_branch() -> None:
    nodes = {"a": ab_test(branches={"A": "100%", "B": "0%"})}
    events = [("05-04 10:00", "go", {}, name) for name in IDS[:10]]
    events += [("05-05 09:59", "buy", {}, name) for name in IDS[:4]]
    events += [("05-05 10:01", "buy", {}, name) for name in IDS[4:6]]
    case = Case({"go": on("go", "a"), **nodes}, events, customers=[{"id": n} for n in IDS[:10]])
    counters = ran(case).counters
    assert counters.watch_opened.tolist() == [10, 0]
    assert counters.watch_succeeded.tolist() == [4, 0]


def test_A073_each_branch_goes_on_differently_with_and_without_success() -> None:
    nodes = {
        "a": ab_test(branches={"A": "100%", "B": "0%"}, next={"A": "w", "B": "x"}),
        "w": wait_event("buy", timeout="1 day", yes="won", no="lost"),
        "won": {"type": "add_tag", "tag": "won", "next": "x"},
        "lost": {"type": "add_tag", "tag": "lost", "next": "x"},
    }
    bought = {"go": on("go", "a"), **nodes}
    assert "05-04 11:00 won next" in told(Case(bought, [GO, ("05-04 11:00", "buy")]))
    assert "05-05 10:00 lost next" in told(Case(bought, [GO]))


def test_A074_test_and_control_run_at_the_same_time() -> None:
    case = crowd({"a": ab_test()})
    times = {(r.port, r.time_ms) for r in ran(case).records if r.node == "a"}
    assert len({port for port, _ in times}) == 2
    assert len({at for _, at in times}) == 1
    assert share(case, "a", "A") == near(0.5)


def test_N09_a_customer_keeps_the_branch_unless_the_node_says_otherwise() -> None:
    kept = ports(crowd({"a": ab_test()}, times=3), "a")
    assert all(len(set(each)) == 1 for each in kept.values())
    drawn = ports(crowd({"a": ab_test(sticky=False)}, times=3), "a")
    assert any(len(set(each)) == 2 for each in drawn.values())


# -- branches


def test_A064_each_branch_has_its_values_and_everyone_else_goes_to_other() -> None:
    branch = {
        "type": "branch_attribute",
        "attribute": "city",
        "branches": {"rhine": ["Bonn", "Köln"], "danube": ["Ulm"]},
        "next": {"rhine": "x", "danube": "x", "other": "x"},
    }
    found = [after({"a": branch}, customers=[{"id": "c", "attributes": {"city": city}}])[1]
             for city in ("Köln", "Ulm", "Rom")]  # fmt: skip
    assert found == [f"05-04 10:00 a {port}" for port in ("rhine", "danube", "other")]


def test_A065_A166_the_first_branch_of_a_tag_that_is_carried() -> None:
    branch = {
        "type": "branch_tag",
        "branches": {"one": "a", "two": "b"},
        "next": {"one": "x", "two": "x", "other": "x"},
    }
    found = [after({"a": branch}, customers=[{"id": "c", "tags": tags}])[1]
             for tags in (["b", "a"], ["b"], ["z"])]  # fmt: skip
    assert found == [f"05-04 10:00 a {port}" for port in ("one", "two", "other")]


def test_A165_A166_there_is_one_other_branch_and_no_more() -> None:
    for kind, of in (("branch_attribute", "attribute: city, "), ("branch_tag", "")):
        node = f"a: {{type: {kind}, {of}branches: {{other: v}}, next: {{other: x}}}}"
        assert "reserved-branch" in errors(node)


@pytest.mark.parametrize(("minute", "answered"), [("14:59", "yes"), ("15:01", "no")])
def test_A066_opened_within_5_hours_yes_or_no(minute: str, answered: str) -> None:
    nodes = {
        "a": wait("5 hours", "q"),
        "q": ask({"did": "opened", "within": "5 hours"}),
    }
    case = Case({"go": on("go", "a"), **nodes}, [GO, (f"05-04 {minute}", "opened")])
    assert f"05-04 15:00 q {answered}" in told(case)


def test_A120_an_attribute_is_checked_at_that_moment() -> None:
    case = {"customers": [{"id": "c", "attributes": {"city": "Bonn"}}]}
    move = {"type": "set_attribute", "attribute": "city", "value": "Ulm"}
    assert answer({"attribute": "city", "is": "Ulm"}, move, **case) == "yes"
    assert answer({"attribute": "city", "is": "Bonn"}, move, **case) == "no"


# -- waits


@pytest.mark.parametrize(
    ("length", "until"),
    [
        ("30 minutes", "05-04 10:30"),
        ("5 hours", "05-04 15:00"),
        ("3 days", "05-07 10:00"),
        ("2 weeks", "05-18 10:00"),
        ("3 months", "08-04 10:00"),
    ],
)
def test_A122_A175_waits_of_minutes_to_months(length: str, until: str) -> None:
    case = Case({"go": on("go", "a"), "a": wait(length, "x")}, [GO],
                window=("05-01", "12-01", "12-01"))  # fmt: skip
    assert told(case)[1] == f"{until} a next"


def test_A122_a_wait_of_two_years_is_still_on_after_one() -> None:
    case = Case({"go": on("go", "a"), "a": wait("2 years", "x")}, [GO],
                window=("05-01", "12-31", "12-31"))  # fmt: skip
    assert told(case) == ["05-04 10:00 go next"]
    assert ran(case).counters.waiting.sum() == 1


def test_A123_a_time_slot_is_waited_for_and_inside_one_goes_on_at_once() -> None:
    slots = [{"from": "09:00", "until": "10:00", "days": ["tue"]}]
    nodes = {"a": {"type": "wait_slot", "slots": slots, "next": "x"}}
    assert after(nodes)[1] == "05-05 09:00 a next"
    case = Case({"go": on("go", "a"), **nodes}, [("05-05 09:59", "go")])
    assert told(case)[1] == "05-05 09:59 a next"


@pytest.mark.parametrize(("days", "until"), [(7, "05-13 09:00"), (0, "05-20 09:00")])
def test_A125_a_fixed_date_and_days_before_it(days: int, until: str) -> None:
    node = {"type": "wait_for_date", "date": "2026-05-20", "days_before": days, "at": "09:00"}
    assert after({"a": {**node, "next": "x"}})[1] == f"{until} a next"


def test_A125_A195_a_date_that_has_passed_goes_on_at_once() -> None:
    node = {"type": "wait_for_date", "date": "2026-05-08", "days_before": 7, "next": "x"}
    assert after({"a": node})[1] == "05-04 10:00 a next"
    until = {"type": "wait_until", "at": "2026-05-04T09:59", "next": "x"}
    assert after({"a": until})[1] == "05-04 10:00 a next"


# -- how it goes on


def test_A126_A171_whoever_passes_an_end_is_out_and_may_enter_again() -> None:
    nodes = {"go": on("go", "x")}
    settings = {"reentry": {"policy": "after_exit"}}
    lines = told(Case(nodes, [GO, ("05-05 10:00", "go")], settings=settings))
    assert lines == ["05-04 10:00 go next", "05-04 10:00 x end",
                     "05-05 10:00 go next", "05-05 10:00 x end"]  # fmt: skip


def test_A130_A170_levels_of_events_conditions_and_actions_interleave() -> None:
    nodes = {
        "a": {"type": "add_score", "by": 5, "next": "q"},
        "q": ask({"score_reached": 5}, "w"),
        "w": {"type": "wait_purchase", "next": {"event": "b"}},
        "b": {"type": "add_tag", "tag": "buyer", "next": "r"},
        "r": ask({"tag": "buyer"}, "v"),
        "v": {"type": "wait_banner_clicked", "next": {"event": "c"}},
        "c": {"type": "add_score", "by": 5, "next": "x"},
    }
    events = [GO, ("05-05 10:00", "purchase"), ("05-06 10:00", "banner_clicked")]
    assert told(Case({"go": on("go", "a"), **nodes}, events))[-3:] == [
        "05-06 10:00 v event",
        "05-06 10:00 c next",
        "05-06 10:00 x end",
    ]


def test_A138_A168_another_action_where_the_condition_is_not_met() -> None:
    nodes = {
        "a": ask({"tag": "vip"}, "gift", "mail"),
        "gift": {"type": "add_to_group", "group": "gifts", "next": "x"},
        "mail": send("email", "hello", "x"),
    }
    assert "05-04 10:00 mail next" in after(nodes)
    vip = after(nodes, customers=[{"id": "c", "tags": ["vip"]}])
    assert "05-04 10:00 gift next" in vip
    assert "05-04 10:00 mail next" not in vip


def test_A167_several_actions_at_the_same_time() -> None:
    lines = told(
        Case(
            {
                "go": on("go", ["a", "b"]),
                "a": {"type": "add_tag", "tag": "a", "delay": "1 hour", "next": "x"},
                "b": {"type": "add_tag", "tag": "b", "next": "x"},
            },
            [GO],
        )
    )
    assert lines == [
        "05-04 10:00 go next",
        "05-04 10:00 b next",
        "05-04 10:00 x end",
        "05-04 11:00 a~delay next",
        "05-04 11:00 a next",
        "05-04 11:00 x end",
    ]


def test_A172_who_reaches_the_last_element_of_an_unended_chain_remains() -> None:
    case = Case({"go": on("go", "a"), "a": {"type": "add_tag", "tag": "t"}}, [GO])
    assert told(case) == ["05-04 10:00 go next", "05-04 10:00 a next"]
    assert ran(case).counters.idle.sum() == 1


def test_A173_an_end_of_the_whole_flow_takes_all_tokens_out() -> None:
    nodes = {
        "go": on("go", ["w", "v"]),
        "w": wait("1 day", "x"),
        "v": wait("1 hour", "stop"),
        "stop": {"type": "end", "whole_flow": True},
    }
    assert told(Case(nodes, [GO])) == [
        "05-04 10:00 go next",
        "05-04 11:00 v next",
        "05-04 11:00 stop end",
        "05-04 11:00 w whole_flow",
    ]


def test_A173_an_end_of_one_chain_leaves_the_others_going() -> None:
    nodes = {
        "go": on("go", ["w", "v"]),
        "w": wait("1 day", "b"),
        "v": wait("1 hour", "stop"),
        "stop": {"type": "end"},
        "b": {"type": "add_tag", "tag": "late", "next": "x"},
    }
    assert told(Case(nodes, [GO])) == [
        "05-04 10:00 go next",
        "05-04 11:00 v next",
        "05-04 11:00 stop end",
        "05-05 10:00 w next",
        "05-05 10:00 b next",
        "05-05 10:00 x end",
    ]


@pytest.mark.parametrize(
    ("clicked", "lines"),
    [
        (("05-04 20:00",), ["05-04 20:00 w event", "05-20 09:00 u next", "05-20 09:00 s next"]),
        ((), ["05-05 10:00 w timeout"]),
    ],
)
def test_A181_announcement_then_a_click_within_a_day_then_an_SMS_at_the_launch(
    clicked: tuple[str, ...], lines: list[str]
) -> None:
    nodes = {
        "t": {"type": "on_external_event", "name": "go", "next": "mail"},
        "mail": {"type": "send_email", "template": "announcement", "next": "w"},
        "w": {
            "type": "wait_email_clicked",
            "timeout": "1 day",
            "next": {"event": "u", "timeout": "x"},
        },
        "u": {"type": "wait_until", "at": "2026-05-20T09:00", "next": "s"},
        "s": {"type": "send_sms", "template": "launch", "next": "x"},
    }
    events = [GO, *[(at, "email_clicked", {"link": "l"}) for at in clicked]]
    case = Case(nodes, events)
    assert told(case)[2:-1] == lines
    assert sent(case) == ({"email": 1, "sms": 1} if clicked else {"email": 1})


@pytest.mark.parametrize(("type_", "id_"), [("send_email", "A193"), ("send_sms", "A196")])
def test_A193_A196_an_attribute_is_chosen_that_holds_the_address(type_: str, id_: str) -> None:
    node = {"type": type_, "template": "t", "to": "second_address", "next": "x"}
    core = Case({"go": on("go", "a"), "a": node}).flow().core.nodes["a"]
    assert isinstance(core, Send), id_
    assert core.to == "second_address"


def test_A114_a_WhatsApp_message_says_that_it_is_no_promotion() -> None:
    node = "a: {type: send_whatsapp, template: t, purpose: %s, next: x}"
    assert errors(node % "transactional") == set()
    assert errors(node % "promotional") == {"unknown-value"}


def test_A048_a_funnel_has_layers_of_several_nodes() -> None:
    nodes = {
        "a": {"type": "split", "branches": {"l": "50%", "r": "50%"}, "next": {"l": "b", "r": "c"}},
        "b": {"type": "add_tag", "tag": "b", "next": "x"},
        "c": {"type": "add_tag", "tag": "c", "next": "x"},
    }
    layers = [{"name": "all", "nodes": ["b", "c"]}, {"name": "left", "nodes": ["b"]}]
    case = crowd(nodes, settings={"funnel": layers})
    left = sum(port == ["l"] for port in ports(case, "a").values())
    assert ran(case).counters.layer_people.tolist() == [CUSTOMERS, left]


@pytest.mark.parametrize(
    ("interacted", "port"),
    [("05-02 10:00", "window_closed"), ("05-02 10:00:00.001", "next"), (None, "window_closed")],
)
def test_A053_a_WeChat_reply_needs_an_interaction_within_48_hours(
    interacted: str | None, port: str
) -> None:
    node = {"type": "wechat_reply", "template": "t", "next": "x"}
    events = [GO] if interacted is None else [(interacted, "wechat_interacted"), GO]
    case = Case({"go": on("go", "a"), "a": node}, events)
    assert told(case)[1:] == [f"05-04 10:00 a {port}", "05-04 10:00 x end"]
    assert sent(case) == ({"wechat": 1} if port == "next" else {})


@pytest.mark.parametrize(
    ("consent", "port"), [(True, "next"), (False, "no_permission"), (None, "no_permission")]
)
def test_A109_X21_web_push_only_to_those_who_granted_permission(
    consent: bool | None, port: str
) -> None:
    node = {"type": "send_web_push", "template": "t", "next": {"next": "x", "no_permission": "m"}}
    attributes = {} if consent is None else {"consent:web_push": consent}
    case = Case(
        {"go": on("go", "a"), "a": node, "m": send("email", "t", "x")},
        [GO],
        customers=[{"id": "c", "attributes": attributes}],
    )
    assert told(case)[1] == f"05-04 10:00 a {port}"
    assert sent(case) == ({"web_push": 1} if consent else {"email": 1})


def test_A121_a_message_has_reasons_not_to_be_sent_that_are_counted() -> None:
    guard = {"reason": "no address", "if": {"not": {"reachable": "sms"}}}
    node = {"type": "send_sms", "template": "t", "guards": [guard], "next": "x"}
    assert after({"a": node})[1:] == ["05-04 10:00 a no address", "05-04 10:00 x end"]
    reached = [{"id": "c", "attributes": {"reachable:sms": True}}]
    assert after({"a": node}, customers=reached)[1] == "05-04 10:00 a next"
