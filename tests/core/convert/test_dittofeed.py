"""Checks what becomes of each node of a Dittofeed journey, and that people go the same ways."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from core.convert.dittofeed import convert_dittofeed
from core.convert.notes import Converted, ConvertError
from foreign import flow_of, journey, nodes_of, told

EXIT = {"type": "ExitNode"}


def of(nodes: list[dict[str, Any]], entry: dict[str, Any] | None = None, **more: Any) -> Converted:
    """A journey that people enter by signing up, unless stated."""
    child = nodes[0]["id"] if nodes else "ExitNode"
    first = {"type": "EventEntryNode", "event": "signup", "child": child} | (entry or {})
    if first["type"] != "EventEntryNode":
        del first["event"]
    document: dict[str, Any] = {"entryNode": first, "exitNode": EXIT, "nodes": nodes}
    if more:
        document = {"definition": document, **more}
    return convert_dittofeed(document, name="my journey")


def message(own: str, child: str = "ExitNode", **more: Any) -> dict[str, Any]:
    variant = {"type": "Email", "templateId": f"t-{own}"} | more.pop("variant", {})
    return {"type": "MessageNode", "id": own, "variant": variant, "child": child, **more}


def delay(variant: dict[str, Any], child: str = "ExitNode") -> dict[str, Any]:
    return {"type": "DelayNode", "id": "later", "variant": variant, "child": child}


def wait_for(seconds: Any, *segments: tuple[str, str], timeout: str = "ExitNode") -> dict[str, Any]:
    children = [{"segmentId": segment, "id": child} for segment, child in segments]
    return {
        "type": "WaitForNode", "id": "wait", "timeoutSeconds": seconds,
        "timeoutChild": timeout, "segmentChildren": children,
    }  # fmt: skip


def segment(name: str, **entry: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "definition": {"entryNode": {"id": "1", **entry}, "nodes": []},
    }


PAID = segment("paid", type="Trait", path="plan", operator={"type": "Equals", "value": "paid"})
CAME = segment("came", type="Performed", event="visit")


def test_N20_an_event_without_a_key_enters_each_time() -> None:
    made = of([message("hi")])
    assert flow_of(made).settings.reentry.policy == "always"
    assert made.notes == ()
    assert made.sources == ("/entryNode", "/nodes/0")
    assert journey(made, [("05-04 10:00", "signup"), ("05-04 10:30", "signup")]) == [
        "05-04 10:00 entered next",
        "05-04 10:00 hi next",
        "05-04 10:00 done end",
        "05-04 10:30 entered next",
        "05-04 10:30 hi next",
        "05-04 10:30 done end",
    ]


def test_N20_a_key_lets_each_of_its_values_in_once() -> None:
    made = of([message("hi")], {"key": "order"})
    signups = [("05-04 10:00", "signup", {"order": n}) for n in ("a", "b", "a")]
    log = journey(made, signups)
    assert [line.split()[2:] for line in log if "entered" in line] == [
        ["entered", "next"],
        ["entered", "next"],
        ["entered", "refused_once"],
    ]
    again = of([message("hi")], {"key": "order"}, name="J", canRunMultiple=True)
    assert flow_of(again).settings.reentry.policy == "after_exit"


def test_N20_an_event_by_the_begin_of_its_name_is_noted() -> None:
    made = of([message("hi")], {"event": "order*"})
    assert told(made) == [("/entryNode/event", "event 'order*'")]


def test_N20_a_segment_is_entered_once_and_with_reenter_again() -> None:
    entry = {"type": "SegmentEntryNode", "segment": "paid"}
    made = of([message("hi")], entry, name="Paid", segments=[PAID])
    assert nodes_of(made)["entered"] == {
        "type": "on_segment",
        "if": {"attribute": "plan", "is": "paid"},
        "members": "all",
        "next": "hi",
    }
    plans = [("05-02 00:00", "plan", "paid"), ("05-03 00:00", "plan", "free"),
             ("05-04 00:00", "plan", "paid")]  # fmt: skip
    log = journey(made, changes=plans, attributes={"plan": None})
    assert log == [
        "05-02 00:00 entered next",
        "05-02 00:00 hi next",
        "05-02 00:00 done end",
        "05-04 00:00 entered refused_once",
    ]
    made = of([message("hi")], entry | {"reEnter": True}, name="Paid", segments=[PAID])
    assert told(made) == [("/definition/entryNode/reEnter", "reEnter")]
    log = journey(made, changes=plans, attributes={"plan": None})
    assert [line for line in log if "entered" in line] == [
        "05-02 00:00 entered next",
        "05-04 00:00 entered next",
    ]


def test_N20_reenter_needs_leave_to_run_several_times() -> None:
    entry = {"type": "SegmentEntryNode", "segment": "paid", "reEnter": True}
    for repeats, policy in ((False, "once"), (True, "after_exit")):
        made = of([], entry, name="J", segments=[PAID], canRunMultiple=repeats)
        assert flow_of(made).settings.reentry.policy == policy
        assert bool(made.notes) == repeats


def test_N20_a_segment_that_is_not_there_is_a_group() -> None:
    made = of([message("hi")], {"type": "EntryNode", "segment": "vips"})
    assert nodes_of(made)["entered"]["if"] == {"group": "vips"}
    (note,) = made.notes
    assert (note.pointer, note.kind) == ("/entryNode/segment", "approximated")
    assert note.stand_in == "membership in the group 'vips'"
    assert journey(made, groups=["vips"])[0] == "05-01 00:00 entered next"
    assert journey(made, groups=[]) == []
    # Names of fresh ids are different segments each time.
    variant = {"type": "Boolean", "segment": "$uuid()", "trueChild": "ExitNode"}
    node = {"type": "SegmentSplitNode", "id": "s", "variant": variant}
    made = of([node], {"type": "SegmentEntryNode", "segment": "$uuid()"})
    groups = [n["if"]["group"] for n in nodes_of(made).values() if "if" in n]
    assert len(set(groups)) == 2


def test_N20_seconds_are_elapsed_time() -> None:
    """A week of seconds is 168 hours, also where clocks change in between."""
    made = of([delay({"type": "Second", "seconds": 7 * 86400}, "hi"), message("hi")])
    assert nodes_of(made)["later"]["for"] == "168 hours"
    window = ("03-01", "04-01", "05-01")
    log = journey(made, [("03-27 10:00", "signup")], window=window, zone="Europe/Berlin")
    assert log[1:3] == ["04-03 10:00 later next", "04-03 10:00 hi next"]


def test_N20_a_local_time_comes_on_allowed_days() -> None:
    variant = {"type": "LocalTime", "hour": 9, "minute": 5, "allowedDaysOfWeek": [1, 0]}
    made = of([delay(variant | {"defaultTimezone": "America/New_York"})])
    assert nodes_of(made)["later"]["slots"] == [
        {"from": "09:05", "until": "09:05:01", "days": ["sun", "mon"]}
    ]
    assert flow_of(made).settings.zone == "America/New_York"
    # 2026-05-05 is a Tuesday; 09:05 in New York is 13:05 UTC.
    log = journey(made, [("05-05 10:00", "signup")])
    assert log[1] == "05-10 13:05 later next"
    log = journey(made, [("05-10 07:05:00.500", "signup")], zone="Europe/Berlin")
    assert log[1] == "05-10 07:05:00.500 later next"
    assert told(made) == [("/nodes/0/variant/hour", "delay until 09:05")]


@pytest.mark.parametrize(
    ("direction", "at"),
    [("Before", "05-09 00:00"), ("after", "05-11 00:00"), (None, "05-11 00:00")],
)
def test_N20_a_date_of_the_person_moves_by_the_offset(direction: str | None, at: str) -> None:
    variant = {"type": "UserProperty", "userProperty": "due", "offsetSeconds": 86400}
    made = of([delay(variant | {"offsetDirection": direction})])
    dates = {"due": 20583}  # 2026-05-10
    events = [("05-05 10:00", "signup")]
    log = journey(made, events, types={"due": "date"}, attributes=dates)
    assert log[1] == f"{at} later next"
    # Whoever has no date goes on at once.
    log = journey(made, events, types={"due": "date"}, attributes={"due": None})
    assert log[1:] == ["05-05 10:00 later missing", "05-05 10:00 done end"]


def test_N20_a_split_asks_a_segment() -> None:
    variant = {"type": "Boolean", "segment": "paid", "trueChild": "hi", "falseChild": "ExitNode"}
    node = {"type": "SegmentSplitNode", "id": "s", "name": "Paid?", "variant": variant}
    made = of([node, message("hi")], name="J", segments=[PAID])
    assert nodes_of(made)["s"]["title"] == "Paid?"
    assert made.notes == ()
    signup = [("05-05 10:00", "signup")]
    assert "05-05 10:00 s yes" in journey(made, signup, attributes={"plan": "paid"})
    assert "05-05 10:00 s no" in journey(made, signup, attributes={"plan": "free"})


def test_N20_a_wait_for_an_event_is_exact_and_sees_what_was_done_before() -> None:
    made = of(
        [wait_for(86400, ("came", "hi"), timeout="bye"), message("hi"), message("bye")],
        name="J",
        segments=[CAME],
    )
    assert made.notes == ()
    signup = ("05-05 10:00", "signup")
    log = journey(made, [signup, ("05-05 11:17", "visit")])
    assert log[1:4] == [
        "05-05 10:00 wait no",
        "05-05 11:17 wait-event event",
        "05-05 11:17 hi next",
    ]
    log = journey(made, [signup, ("05-06 10:00:00.001", "visit")])
    assert log[2:4] == ["05-06 10:00 wait-event timeout", "05-06 10:00 bye next"]
    log = journey(made, [("05-04 10:00", "visit"), signup])
    assert log[1:3] == ["05-05 10:00 wait yes", "05-05 10:00 hi next"]


def test_N20_a_wait_for_segments_goes_on_when_somebody_joins_one() -> None:
    made = of(
        [wait_for(86400, ("paid", "hi"), ("vips", "vip"), timeout="bye"), message("hi"),
         message("vip"), message("bye")],
        name="J", segments=[PAID],
    )  # fmt: skip
    assert told(made) == [
        ("/definition/nodes/0/segmentChildren/1/segmentId", "segment 'vips'"),
    ]
    signup, paid = [("05-05 10:00", "signup")], ("05-05 15:30", "plan", "paid")
    no_plan = {"plan": None}
    log = journey(made, signup, changes=[paid], attributes=no_plan)
    assert log[1:4] == [
        "05-05 15:30 wait met",
        "05-05 15:30 wait-which yes",
        "05-05 15:30 hi next",
    ]
    log = journey(made, signup, changes=[("05-06 10:00:00.001", "plan", "paid")],
                  attributes=no_plan)  # fmt: skip
    assert log[1:3] == ["05-06 10:00 wait timeout", "05-06 10:00 bye next"]
    log = journey(made, signup, attributes=no_plan, types={"plan": "string"}, groups=["vips"])
    assert log[1:4] == [
        "05-05 10:00 wait met",
        "05-05 10:00 wait-which no",
        "05-05 10:00 vip next",
    ]


def test_N20_a_wait_for_events_of_several_segments_is_exact_with_a_key() -> None:
    keyed = segment("bought", type="KeyedPerformed", event="buy", key="order")
    made = of(
        [wait_for(86400, ("came", "hi"), ("bought", "vip"), timeout="bye"), message("hi"),
         message("vip"), message("bye")],
        {"key": "order"}, name="J", segments=[CAME, keyed],
    )  # fmt: skip
    assert made.notes == ()
    signup = ("05-05 10:00", "signup", {"order": "a"})
    log = journey(made, [signup, ("05-05 11:00", "buy", {"order": "b"}),
                         ("05-05 12:17", "buy", {"order": "a"})])  # fmt: skip
    assert log[1:5] == [
        "05-05 10:00 wait no",
        "05-05 10:00 wait-else no",
        "05-05 12:17 wait-event buy",
        "05-05 12:17 vip next",
    ]
    log = journey(made, [("05-04 10:00", "buy", {"order": "a"}), signup])
    assert log[2:4] == ["05-05 10:00 wait-else yes", "05-05 10:00 vip next"]
    log = journey(made, [signup, ("05-05 13:00", "visit")])
    assert log[3:5] == ["05-05 13:00 wait-event visit", "05-05 13:00 hi next"]


def test_N20_a_wait_for_a_key_and_more_looks_six_times_and_says_so() -> None:
    keyed = segment("bought", type="KeyedPerformed", event="buy", key="order", times=2)
    made = of(
        [wait_for(86400, ("bought", "hi"), timeout="bye"), message("hi"), message("bye")],
        {"key": "order"}, name="J", segments=[keyed],
    )  # fmt: skip
    assert told(made) == [("/definition/nodes/0", "wait wait")]
    assert "every 4 hours, 6 times" in made.text
    events = [("05-05 10:00", "signup"), ("05-05 11:00", "buy"), ("05-05 11:30", "buy")]
    log = journey(made, [(at, name, {"order": "a"}) for at, name in events])
    assert [line for line in log if line.endswith("hi next")] == ["05-05 14:00 hi next"]


def test_N20_cohorts_are_drawn_at_each_visit_by_their_shares() -> None:
    children = [{"id": "hi", "percent": 33.33, "name": "A"}, {"id": "ExitNode", "percent": 33.33},
                {"id": "hi", "percent": 33.34, "name": "A"}]  # fmt: skip
    made = of([{"type": "RandomCohortNode", "id": "r", "children": children}, message("hi")])
    node = nodes_of(made)["r"]
    assert list(node["branches"].values()) == ["33.33%", "33.33%", "33.34%"]
    assert list(node["branches"])[:2] == ["A", "cohort-2"]
    assert node["sticky"] == "false"
    assert made.notes == ()
    short = [{"id": "hi", "percent": 30}, {"id": "hi", "percent": 50.5}]
    made = of([{"type": "RandomCohortNode", "id": "r", "children": short}, message("hi")])
    node = nodes_of(made)["r"]
    assert node["branches"] == {"cohort-1": "30%", "cohort-2": "50.5%", "none": "19.5%"}
    assert node["next"]["none"] == "done"
    assert told(made) == [("/nodes/0/children", "shares of r")]
    long = [{"id": "hi", "percent": 80}, {"id": "hi", "percent": 50}]
    made = of([{"type": "RandomCohortNode", "id": "r", "children": long}, message("hi")])
    assert nodes_of(made)["r"]["branches"] == {"cohort-1": "80%", "cohort-2": "20%"}


@pytest.mark.parametrize(
    ("kind", "channel"),
    [("Email", "email"), ("Sms", "sms"), ("MobilePush", "push"), ("Webhook", "webhook")],
)
def test_N20_messages_keep_channel_and_template(kind: str, channel: str) -> None:
    made = of([message("hi", variant={"type": kind, "templateId": "tpl"}, name="Hello")])
    assert nodes_of(made)["hi"] == {
        "type": "send", "title": "Hello", "channel": channel, "template": "tpl", "next": "done",
    }  # fmt: skip


def test_N20_what_a_message_can_not_keep_is_listed() -> None:
    node = message(
        "hi", subscriptionGroupId="news", skipOnFailure=False, syncProperties=True,
        retryCount=3, variant={"providerOverride": "Twilio", "colour": "red"},
    )  # fmt: skip
    made = of([node])
    assert told(made, "left out") == [
        ("/nodes/0/subscriptionGroupId", "subscription group 'news'"),
        ("/nodes/0/skipOnFailure", "skipOnFailure"),
        ("/nodes/0/variant/colour", "colour of the message"),
        ("/nodes/0/syncProperties", "syncProperties of the node 'hi'"),
        ("/nodes/0/retryCount", "retryCount of the node 'hi'"),
    ]
    assert told(made, "elsewhere") == [
        ("/nodes/0/variant/providerOverride", "providerOverride of hi")
    ]
    assert made.noted == ("/nodes/0",)
    for note in made.notes:
        assert f"# {note}\n" in made.text


def test_N20_placeholders_of_programs_are_told() -> None:
    made = of([wait_for("$oneDay", ("vips", "ExitNode"))])
    assert ("/nodes/0/timeoutSeconds", "timeoutSeconds '$oneDay'") in told(made)
    made = of([message("hi", variant={"templateId": "$randomUUID()"})])
    assert nodes_of(made)["hi"]["template"] == "hi"


def test_N20_a_child_that_is_not_there_ends_the_journey() -> None:
    made = of([message("hi", "nowhere")])
    assert told(made) == [("/nodes/0/child", "child 'nowhere'")]
    assert nodes_of(made)["hi"]["next"] == "done"


def test_N20_what_dittofeed_can_not_run_ends_the_journey() -> None:
    made = of([{"type": "RateLimitNode", "id": "slow"}])
    assert told(made, "left out") == [("/nodes/0", "RateLimitNode slow")]
    assert nodes_of(made)["slow"] == {"type": "end"}


def test_N20_fields_that_nobody_knows_are_listed() -> None:
    made = convert_dittofeed(
        {"entryNode": {"type": "EventEntryNode", "event": "e", "child": "ExitNode", "x": 1},
         "exitNode": {"type": "ExitNode", "y": {}}, "nodes": [], "z": [0]},
        name="j",
    )  # fmt: skip
    assert told(made) == [("/entryNode/x", "x of the entry"), ("/z", "z of the journey")]


LOOP = [
    message("a", "b"),
    {"type": "SegmentSplitNode", "id": "b",
     "variant": {"type": "Boolean", "segment": "s", "trueChild": "a", "falseChild": "ExitNode"}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "place", "said"),
    [
        ([{"type": "MesageNode", "id": "a"}], "/nodes/0/type", "unknown node type 'MesageNode'"),
        ([{"type": "DelayNode", "id": "later", "child": "x"}], "/nodes/0", "'variant' is missing"),
        ([{"type": "DelayNode"}], "/nodes/0", "'id' is missing"),
        ([delay({"type": "Second"})], "/nodes/0/variant/seconds", "seconds is missing"),
        ([delay({"type": "Second", "seconds": -1})], "/nodes/0/variant/seconds", "found -1"),
        ([delay({"type": "Second", "seconds": "1"})], "/nodes/0/variant/seconds", "found a text"),
        ([delay({"type": "Month"})], "/nodes/0/variant/type", "unknown delay 'Month'"),
        ([delay({"type": "LocalTime", "hour": 24})], "/nodes/0/variant/hour", "no time of day"),
        (
            [delay({"type": "LocalTime", "hour": 9, "allowedDaysOfWeek": [7]})],
            "/nodes/0/variant/allowedDaysOfWeek",
            "from 0 to 6",
        ),
        ([message("a"), message("a")], "/nodes/1/id", "the id 'a' is there twice"),
        ([message("a", variant={"type": "Pigeon"})], "/nodes/0/variant/type", "unknown channel"),
        ([{"type": "RandomCohortNode", "id": "a"}], "/nodes/0/children", "cohorts are missing"),
        (LOOP, "/nodes/0", "no wait on the cycle a, b, a"),
        (["x"], "/nodes/0", "expected an object, found a text"),
    ],
)  # fmt: skip
def test_N20_bad_journeys_are_errors_with_a_place(nodes: list[Any], place: str, said: str) -> None:
    document = {
        "entryNode": {"type": "EventEntryNode", "event": "e", "child": "a"},
        "exitNode": EXIT,
        "nodes": nodes,
    }
    with pytest.raises(ConvertError, match=said) as caught:
        convert_dittofeed(document, name="j")
    assert caught.value.pointer == place
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("absent", ["entryNode", "exitNode", "nodes"])
def test_N20_a_journey_that_was_cut_short_is_an_error(absent: str) -> None:
    document = {
        "entryNode": {"type": "EventEntryNode", "event": "e", "child": "ExitNode"},
        "exitNode": EXIT,
        "nodes": [],
    }
    document.pop(absent)
    with pytest.raises(ConvertError):
        convert_dittofeed(document, name="j")
