"""Checks what becomes of each step of a Knock workflow, and that people go the same ways."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from core.convert.knock import convert_knock
from core.convert.notes import Converted, ConvertError
from foreign import flow_of, journey, nodes_of, told

FIXED = "fixed"


def of(*steps: dict[str, Any], **more: Any) -> Converted:
    return convert_knock({"key": "news", "name": "News", "steps": list(steps), **more}, name="n")


def channel(ref: str, kind: str = "email", **more: Any) -> dict[str, Any]:
    return {"type": "channel", "ref": ref, "channel_type": kind, **more}


def delay(unit: str = "hours", value: float = 24, **more: Any) -> dict[str, Any]:
    settings = {"delay_for": {"unit": unit, "value": value}}
    return {"type": "delay", "ref": "later", "settings": settings, **more}


def when(variable: str, operator: str, argument: Any = None) -> dict[str, Any]:
    return {"all": [{"variable": variable, "operator": operator, "argument": argument}]}


def batch(**settings: Any) -> dict[str, Any]:
    window = {"batch_window": {"unit": "minutes", "value": 15}, "batch_window_type": FIXED}
    return {"type": "batch", "ref": "b", "settings": window | settings}


def test_N20_steps_follow_each_other() -> None:
    made = of(channel("mail"), delay("days", 3), channel("again", description="Remind"))
    assert made.flow_id == "news"
    assert made.sources == ("/steps/0", "/steps/1", "/steps/2")
    assert made.notes == ()
    assert nodes_of(made)["again"]["note"] == "Remind"
    assert nodes_of(made)["mail"]["template"] == "news/mail"
    assert journey(made, [("05-04 10:00", "news"), ("05-04 11:00", "news")])[:5] == [
        "05-04 10:00 triggered next",
        "05-04 10:00 mail next",
        "05-04 11:00 triggered next",
        "05-04 11:00 mail next",
        "05-07 10:00 later next",
    ]


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [("seconds", 90, "1 minute 30 seconds"), ("minutes", 60, "1 hour"), ("hours", 8, "8 hours"),
     ("days", 3, "72 hours"), ("weeks", 1, "168 hours"), ("hours", 1.5, "1 hour 30 minutes")],
)  # fmt: skip
def test_N20_delays_keep_their_units(unit: str, value: float, text: str) -> None:
    made = of(delay(unit, value))
    assert nodes_of(made)["later"]["for"] == text
    assert made.notes == ()


def test_N20_a_month_is_told() -> None:
    made = of(delay("months", 1))
    assert nodes_of(made)["later"]["for"] == "720 hours"
    assert told(made) == [("/steps/0/settings/delay_for/unit", "1 months")]


def test_N20_delays_until_a_field() -> None:
    path = {"delay_until_field_path": "recipient.trial_end"}
    made = of({"type": "delay", "ref": "d", "settings": path})
    assert nodes_of(made)["d"] == {
        "type": "wait_date",
        "attribute": "trial_end",
        "next": {"next": "done", "missing": "done"},
    }
    path = {"delay_until_field_path": "data.when"}
    made = of({"type": "delay", "ref": "d", "settings": path})
    assert nodes_of(made)["d"]["for"] == "24 hours"
    assert told(made, "approximated") == [
        ("/steps/0/settings/delay_until_field_path", "delay_until_field_path 'data.when'")
    ]


@pytest.mark.parametrize(
    ("frequency", "reentry", "notes"),
    [
        ("every_trigger", {"policy": "always"}, 0),
        ("once_per_recipient", {"policy": "once"}, 0),
        ("once_per_recipient_per_tenant", {"policy": "once", "key": "tenant"}, 1),
    ],
)
def test_N20_the_frequency_is_the_reentry(frequency: str, reentry: Any, notes: int) -> None:
    made = of(channel("mail"), trigger_frequency=frequency)
    settings = flow_of(made).settings.reentry
    assert settings.model_dump(exclude_none=True) == reentry
    assert len(made.notes) == notes


@pytest.mark.parametrize(
    ("kind", "channel_here"),
    [("email", "email"), ("sms", "sms"), ("push", "push"), ("in_app_feed", "in_app"),
     ("chat", "webhook")],
)  # fmt: skip
def test_N20_channels(kind: str, channel_here: str) -> None:
    made = of(channel("m", kind))
    assert nodes_of(made)["m"]["channel"] == channel_here
    assert bool(made.notes) == (kind == "chat")


def test_N20_contents_and_providers_lie_elsewhere() -> None:
    made = of(channel("m", channel_key="sendgrid", template={"subject": "Hi", "text_body@": "m"}))
    assert told(made) == [
        ("/steps/0/channel_key", "provider 'sendgrid'"),
        ("/steps/0/template", "content of m (subject, text_body@)"),
    ]
    assert {n.kind for n in made.notes} == {"elsewhere"}
    assert made.noted == ()


def test_N20_a_step_is_skipped_where_its_conditions_fail() -> None:
    made = of(channel("pro", conditions=when("recipient.plan", "equal_to", "pro")), channel("all"))
    trigger = [("05-04 10:00", "news")]
    assert journey(made, trigger, attributes={"plan": "pro"})[1:4] == [
        "05-04 10:00 pro-if yes",
        "05-04 10:00 pro next",
        "05-04 10:00 all next",
    ]
    log = journey(made, trigger, attributes={"plan": "free"})
    assert log[1:3] == ["05-04 10:00 pro-if no", "05-04 10:00 all next"]


def test_N20_conditions_of_the_trigger() -> None:
    made = of(channel("m"), conditions=when("data.kind", "equal_to", "big"))
    assert nodes_of(made)["triggered"]["where"] == {"entry": "kind", "is": "big"}
    events = [("05-04 10:00", "news", {"kind": "big"}), ("05-04 11:00", "news", {"kind": "small"})]
    assert [line for line in journey(made, events) if "triggered" in line] == [
        "05-04 10:00 triggered next"
    ]
    made = of(channel("m"), conditions=when("recipient.plan", "equal_to", "pro"))
    assert list(nodes_of(made))[:2] == ["triggered", "trigger-conditions"]
    log = journey(made, [("05-04 10:00", "news")], attributes={"plan": "free"})
    assert log[1:] == ["05-04 10:00 trigger-conditions no", "05-04 10:00 done end"]


def test_N20_the_first_branch_that_holds_is_taken() -> None:
    branches = [
        {"name": "Bad", "conditions": when("data.level", "equal_to", "bad"),
         "steps": [channel("sms", "sms")], "terminates": True},
        {"name": "Soso", "conditions": when("data.level", "equal_to", "soso"), "steps": []},
        {"name": "Else", "steps": [channel("mail"), delay()]},
    ]  # fmt: skip
    made = of({"type": "branch", "ref": "by", "branches": branches}, channel("last", "push"))
    assert made.notes == ()
    assert made.sources[:3] == ("/steps/0", "/steps/0/branches/0/steps/0",
                                "/steps/0/branches/2/steps/0")  # fmt: skip

    def way(level: str) -> list[str]:
        log = journey(made, [("05-04 10:00", "news", {"level": level})])
        return [line.split(" ", 2)[2] for line in log]

    assert way("bad") == ["triggered next", "by yes", "sms next", "done end"]
    assert way("soso") == ["triggered next", "by no", "by-else yes", "last next", "done end"]
    assert way("fine") == [
        "triggered next", "by no", "by-else no", "mail next", "later next", "last next", "done end",
    ]  # fmt: skip


def test_N20_a_batch_at_the_begin_absorbs_triggers_by_its_key() -> None:
    made = of(batch(batch_key="page"), channel("m"))
    assert told(made) == [("/steps/0", "batch b")]
    (note,) = made.notes
    assert note.kind == "approximated"
    events = [
        ("05-04 10:00", "news", {"page": "a"}),
        ("05-04 10:05", "news", {"page": "a"}),
        ("05-04 10:06", "news", {"page": "b"}),
        ("05-04 10:15", "news", {"page": "a"}),
    ]
    log = journey(made, events)
    assert [line for line in log if "triggered" in line] == [
        "05-04 10:00 triggered next",
        "05-04 10:05 triggered refused_gap",
        "05-04 10:06 triggered next",
        "05-04 10:15 triggered next",
    ]
    assert [line for line in log if " m " in line] == [
        "05-04 10:15 m next",
        "05-04 10:21 m next",
        "05-04 10:30 m next",
    ]


def test_N20_batches_that_can_not_absorb_are_told() -> None:
    made = of(channel("first"), batch(batch_key="{{ actor.id }}", batch_items_max_limit=10))
    assert flow_of(made).settings.reentry.gap is None
    assert told(made, "left out") == [
        ("/steps/1/settings/batch_key", "batch_key '{{ actor.id }}'"),
        ("/steps/1", "batch b"),
        ("/steps/1/settings/batch_items_max_limit", "batch_items_max_limit 10"),
    ]
    sliding = batch(batch_window_type="sliding", batch_execution_mode="flush_leading",
                    batch_window_extension_limit={"unit": "hours", "value": 1})  # fmt: skip
    made = of(sliding)
    assert [what for _, what in told(made, "left out")] == [
        "batch b",
        "sliding window",
        "batch_execution_mode flush_leading",
        "batch_window_extension_limit of the batch b",
    ]
    until = {"batch_until_field_path": "data.w", "batch_window_type": FIXED}
    made = of({"type": "batch", "ref": "b", "settings": until})
    assert nodes_of(made)["b"]["for"] == "24 hours"


def test_N20_a_throttle_stops_what_is_beyond_its_limit() -> None:
    settings = {"throttle_window": {"unit": "hours", "value": 1}, "throttle_limit": 2}
    made = of({"type": "throttle", "ref": "t", "settings": settings}, channel("m"))
    assert told(made) == [("/steps/0", "throttle t")]
    times = ["05-04 10:00", "05-04 10:10", "05-04 10:20", "05-04 11:30"]
    log = journey(made, [(at, "news") for at in times])
    assert [line for line in log if " t " in line] == [
        "05-04 10:00 t yes",
        "05-04 10:10 t yes",
        "05-04 10:20 t no",
        "05-04 11:30 t yes",
    ]


def test_N20_a_message_is_followed_by_whether_it_was_seen() -> None:
    unseen = when("refs.feed.status", "less_than", "$message.seen")
    made = of(channel("feed", "in_app_feed"), delay("minutes", 60), channel("m", conditions=unseen))

    def seen_after(delay: str) -> list[dict[str, Any]]:
        outcome = {"event": "message_seen", "probability": 1, "delay": {"constant": delay}}
        return [{"for": {"channel": "in_app"}, "outcomes": [outcome]}]

    trigger = [("05-04 10:00", "news")]
    assert "05-04 11:00 m-if no" in journey(made, trigger, responses=seen_after("30 minutes"))
    assert "05-04 11:00 m next" in journey(made, trigger)
    # What was seen of an earlier run does not count.
    twice = [("05-04 10:00", "news"), ("05-05 10:00", "news")]
    log = journey(made, twice, responses=seen_after("2 hours"))
    assert "05-05 11:00 m next" in log


def test_N20_send_windows_are_slots() -> None:
    windows = [
        {"day": "monday", "type": "send", "from": "09:00:00", "until": "17:00:00"},
        {"day": "tuesday", "type": "send", "from": "09:00:00", "until": "17:00:00"},
        {"day": "sunday", "type": "do_not_send"},
    ]
    made = of(channel("m", send_windows=windows))
    assert nodes_of(made)["m-slot"]["slots"] == [
        {"from": "09:00:00", "until": "17:00:00", "days": ["mon", "tue"]}
    ]
    # 2026-05-05 is a Tuesday.
    log = journey(made, [("05-05 18:00", "news")])
    assert log[1:3] == ["05-11 09:00 m-slot next", "05-11 09:00 m next"]


def test_N20_shares_are_a_split() -> None:
    branches = [{"name": "A", "percentage": 1, "steps": [channel("a")]},
                {"name": "B", "percentage": 2, "steps": []}]  # fmt: skip
    made = of({"type": "random_cohort", "ref": "r", "branches": branches})
    node = nodes_of(made)["r"]
    assert node["branches"] == {"A": "33.33%", "B": "66.67%"}
    assert node["next"] == {"A": "a", "B": "done"}


@pytest.mark.parametrize("kind", ["http_fetch", "trigger_workflow", "update_user", "ai_agent"])
def test_N20_what_lies_outside_is_a_webhook_and_told(kind: str) -> None:
    made = of({"type": kind, "ref": "f", "settings": {"url": "https://x"}})
    assert nodes_of(made)["f"]["channel"] == "webhook"
    assert told(made) == [("/steps/0", f"{kind} f")]


def test_N20_fields_that_nobody_knows_are_listed() -> None:
    made = of(channel("m", mood="good"), settings={"override_preferences": True}, colour="red")
    assert told(made) == [
        ("/steps/0/mood", "mood of the step 'm'"),
        ("/settings", "settings"),
        ("/colour", "colour of the workflow"),
    ]


@pytest.mark.parametrize(
    ("step", "place", "said"),
    [
        ({"type": "telegram", "ref": "t"}, "/steps/0/type", "unknown step type 'telegram'"),
        ({"ref": "t"}, "/steps/0", "'type' is missing"),
        (channel("m", "fax"), "/steps/0/channel_type", "unknown channel 'fax'"),
        (delay("fortnights"), "/steps/0/settings/delay_for/unit", "unknown unit of time"),
        (delay("hours", -1), "/steps/0/settings/delay_for/value", "found -1"),
        ({"type": "delay", "ref": "d"}, "/steps/0", "'settings' is missing"),
        ({"type": "delay", "ref": "d", "settings": {}}, "/steps/0/settings", "neither delay_for"),
        ({"type": "batch", "ref": "b", "settings": {}}, "/steps/0/settings", "neither batch"),
        ({"type": "branch", "ref": "b"}, "/steps/0/branches", "no branches"),
        (
            {"type": "throttle", "ref": "t", "settings": {}},
            "/steps/0/settings/throttle_window",
            "no window",
        ),
        (
            {"type": "branch", "ref": "b", "branches": [{"steps": []}, {"steps": []}]},
            "/steps/0/branches/0/conditions",
            "only the last branch",
        ),
        (
            channel("m", send_windows=[{"day": "someday"}]),
            "/steps/0/send_windows/0/day",
            "unknown day",
        ),
        ("x", "/steps/0", "expected an object"),
    ],
)
def test_N20_bad_workflows_are_errors_with_a_place(step: Any, place: str, said: str) -> None:
    with pytest.raises(ConvertError, match=said) as caught:
        of(step)
    assert caught.value.pointer == place


def test_N20_a_workflow_that_was_cut_short_is_an_error() -> None:
    with pytest.raises(ConvertError, match="no list of steps"):
        convert_knock({"name": "x", "steps": None}, name="n")
    with pytest.raises(ConvertError, match="unknown frequency 'daily'"):
        of(channel("m"), trigger_frequency="daily")
