"""Limits of messages: caps, quiet hours, blackouts, budgets and what must be known of customers."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from both_ways import ALWAYS, GO, ran, sent, told
from cases import Case, ms, on, send, wait
from coupled_tenant import CoupledTenant
from differential import Loaded, TooLongError, disagreement
from live_cases import Way, run_live, sorted_records
from random_flows import random_case

BERLIN: dict[str, Any] = {"customers": [{"id": "c", "zone": "Europe/Berlin"}]}
MAIL = {"go": on("go", "m"), "m": send("email", "t", "x")}
TWO = {"go": on("go", "m"), "m": send("email", "t", "n"), "n": send("sms", "t", "x")}


def at(node: str, case: Case) -> list[str]:
    """When customer `c` left a node, and by which port."""
    return [line.replace(f" {node} ", " ") for line in told(case) if f" {node} " in line]


def times(*moments: str, **properties: Any) -> list[Any]:
    """The event that begins the flow, at each of these moments."""
    return [(moment, "go", properties) for moment in moments]


def capped(cap: dict[str, Any], *moments: str, **fields: Any) -> list[str]:
    """When an e-mail was sent or why not, under a cap, for so many entries."""
    events = sorted([*times(*moments), *fields.pop("events", ())], key=lambda event: str(event[0]))
    return at("m", Case(MAIL, events, settings={**ALWAYS, "caps": [cap]}, **fields))


# -- N12: frequency caps


def test_N12_a_capped_customer_moves_on_and_the_reason_is_recorded() -> None:
    case = Case(
        MAIL,
        times("05-04 10:00", "05-04 12:00"),
        settings={**ALWAYS, "caps": [{"at_most": 1, "within": "7 days", "channels": "email"}]},
    )
    assert told(case)[-3:] == [
        "05-04 12:00:00.001 m~cap next",
        "05-04 12:00:00.001 m capped",
        "05-04 12:00:00.001 x end",
    ]
    assert sent(case) == {"email": 1}


def test_N12_the_window_rolls_and_its_beginning_does_not_belong_to_it() -> None:
    moments = ("05-04 10:00", "05-05 09:59:59.999", "05-05 10:00", "05-06 09:59")
    assert [line[6:] for line in capped({"at_most": 1, "within": "24 hours"}, *moments)] == [
        "10:00:00.001 next",
        "10:00 capped",
        "10:00:00.001 next",
        "09:59:00.001 capped",
    ]


def test_N12_a_cap_per_local_day_begins_anew_at_midnight_on_the_customers_clock() -> None:
    moments = ("05-04 00:30", "05-04 21:59", "05-04 22:00", "05-05 21:59:59.999")
    found = capped({"at_most": 1, "per": "day"}, *moments, **BERLIN)
    assert found == [
        "05-04 00:30:00.001 next",
        "05-04 21:59:00.001 capped",
        "05-04 22:00:00.001 next",
        "05-05 22:00 next",  # a millisecond after its event, and in the new day
    ]


@pytest.mark.parametrize(("per", "last"), [("week", "05-11 00:00"), ("month", "06-01 00:00")])
def test_N12_a_cap_per_week_or_month_ends_with_it(per: str, last: str) -> None:
    moments = ("05-04 10:00", "05-10 23:59", last)
    found = capped({"at_most": 1, "per": per}, *moments, window=("05-01", "07-01", "07-01"))
    assert [line.split()[-1] for line in found] == ["next", "capped", "next"]


def test_N12_so_many_are_sent_and_no_more() -> None:
    moments = [f"05-04 1{hour}:00" for hour in range(6)]
    ports = [line.split()[-1] for line in capped({"at_most": 3, "within": "1 day"}, *moments)]
    assert ports == ["next"] * 3 + ["capped"] * 3


@pytest.mark.parametrize(
    ("properties", "cap", "port"),
    [
        ({"channel": "email", "template": "other"}, {"channels": "email"}, "capped"),
        ({"channel": "sms", "template": "other"}, {"channels": "email"}, "next"),
        ({"channel": "sms", "template": "other"}, {"channels": ["email", "sms"]}, "capped"),
        ({"channel": "sms", "template": "other"}, {}, "capped"),
        ({"channel": "task", "template": "other"}, {}, "next"),
        ({}, {}, "capped"),
        ({}, {"channels": "email"}, "next"),
        ({"channel": "email", "template": "receipt"}, {"except": "receipt"}, "next"),
        ({"channel": "email", "template": "other"}, {"except": "receipt"}, "capped"),
    ],
)
def test_N12_messages_of_other_flows_in_the_history_count(
    properties: dict[str, str], cap: dict[str, Any], port: str
) -> None:
    before = [("05-04 09:00", "message_sent", properties)]
    [line] = capped({"at_most": 1, "within": "1 day", **cap}, "05-04 10:00", events=before)
    assert line.split()[-1] == port


def test_N12_a_template_that_is_excepted_is_sent_anyhow_and_does_not_count() -> None:
    cap = {"at_most": 1, "within": "1 day", "except": "t"}
    ports = [line.split()[-1] for line in capped(cap, "05-04 10:00", "05-04 11:00")]
    assert ports == ["next", "next"]


@pytest.mark.parametrize("edges", [["m", "n"], "m"], ids=["fork", "chain"])
def test_N12_two_messages_of_one_instant_count_for_each_other(edges: Any) -> None:
    nodes = {**TWO, "go": on("go", edges)}
    if edges != "m":
        nodes["m"] = send("email", "t", "x")
    case = Case(nodes, [GO], settings={"caps": [{"at_most": 1, "within": "1 day"}]})
    assert sent(case) == {"email": 1}
    assert at("n", case)[0].split()[-1] == "capped"


def test_N12_two_entries_of_one_instant_count_for_each_other() -> None:
    nodes = {**MAIL, "also": on("go", "m")}
    cap = {"caps": [{"at_most": 1, "within": "1 day"}]}
    assert sent(Case(nodes, [GO, GO], settings={**ALWAYS, **cap})) == {"email": 1}


# -- N13: quiet hours

NIGHT = {"from": "22:00", "until": "08:00"}


@pytest.mark.parametrize(
    ("moment", "leaves"),
    [
        ("05-04 19:59:59.999", "05-04 19:59:59.999"),
        ("05-04 20:00", "05-05 06:00"),
        ("05-04 22:00", "05-05 06:00"),
        ("05-05 05:59", "05-05 06:00"),
        ("05-05 06:00", "05-05 06:00"),
    ],
)
def test_N13_in_quiet_hours_of_the_customers_zone_a_message_waits(moment: str, leaves: str) -> None:
    case = Case(MAIL, times(moment), settings={"quiet_hours": [NIGHT]}, **BERLIN)
    assert at("m", case) == [f"{leaves} next"]


@pytest.mark.parametrize(
    ("moment", "port"),
    [
        ("05-04 19:59:59.999", "next"),
        ("05-04 20:00", "quiet_hours"),
        ("05-05 05:59:59.999", "quiet_hours"),
        ("05-05 06:00", "next"),
    ],
)
def test_N13_in_quiet_hours_a_message_may_be_skipped_with_the_reason(
    moment: str, port: str
) -> None:
    quiet = {**NIGHT, "then": "skip"}
    case = Case(MAIL, times(moment), settings={"quiet_hours": [quiet]}, **BERLIN)
    assert at("m", case) == [f"{moment} {port}"]
    assert told(case)[-1] == f"{moment} x end"


def test_N13_whoever_waited_for_one_end_may_be_skipped_for_another() -> None:
    noon = {"from": "07:00", "until": "09:00", "then": "skip", "channels": "email"}
    case = Case(TWO, times("05-04 23:00"), settings={"quiet_hours": [NIGHT, noon]})
    assert at("m", case) == ["05-05 08:00 quiet_hours"]
    assert at("n", case) == ["05-05 08:00 next"]


def test_N13_quiet_hours_hold_for_their_channels_and_days() -> None:
    quiet = {**NIGHT, "channels": "sms", "days": ["fri"]}
    nodes = {"go": on("go", ["m", "n"]), "m": send("email", "t", "x"), "n": send("sms", "t", "x")}
    friday, thursday = (
        Case(nodes, times(f"05-0{day} 23:00"), settings={"quiet_hours": [quiet]}) for day in (8, 7)
    )
    assert at("m", friday) == ["05-08 23:00 next"]
    assert at("n", friday) == ["05-09 08:00 next"]
    assert at("n", thursday) == ["05-07 23:00 next"]


def test_N13_several_quiet_hours_of_one_channel_are_all_kept() -> None:
    noon = {"from": "08:00", "until": "09:30"}
    case = Case(MAIL, times("05-04 23:00"), settings={"quiet_hours": [NIGHT, noon]})
    assert at("m", case) == ["05-05 09:30 next"]


def test_N13_the_end_of_quiet_hours_is_smoothed() -> None:
    ids = [f"c{i}" for i in range(600)]
    case = Case(
        MAIL,
        [("05-04 23:00", "go", {}, name) for name in ids],
        customers=[{"id": name} for name in ids],
        settings={"quiet_hours": [{**NIGHT, "spread": "2 hours"}]},
    )
    begin, hour = ms("05-05 08:00"), 3_600_000
    left = [r.time_ms - begin for r in ran(case).records if r.node == "m"]
    assert len(left) == 600
    assert 0 <= min(left) < max(left) < 2 * hour
    # Five standard deviations of a quarter of 600 are 53.
    quarters = [sum(k * hour // 2 <= each < (k + 1) * hour // 2 for each in left) for k in range(4)]
    assert all(abs(count - 150) < 53 for count in quarters), quarters
    other = Case(MAIL, [("05-04 12:00", "go", {}, "c0")], customers=[{"id": "c0"}],
                 settings=case.settings)  # fmt: skip
    assert [r.time_ms for r in ran(other).records if r.node == "m"] == [ms("05-04 12:00")]


def test_N13_after_a_delay_of_its_own_a_message_is_asked_for_quiet_hours() -> None:
    nodes = {
        "go": on("go", "m"),
        "m": {"type": "send_email", "template": "t", "delay": "13 hours", "next": "x"},
    }
    case = Case(nodes, [GO], settings={"quiet_hours": [NIGHT]})
    assert at("m", case) == ["05-05 08:00 next"]


def test_N13_a_wait_for_an_answer_begins_when_the_message_has_left() -> None:
    nodes = {
        "go": on("go", "m"),
        "m": send("email", "t", "w"),
        "w": {"type": "wait_event", "event": "click", "timeout": "1 hour",
              "next": {"event": "x", "timeout": "x"}},
    }  # fmt: skip
    case = Case(nodes, times("05-04 23:00"), settings={"quiet_hours": [NIGHT]})
    assert at("w", case) == ["05-05 09:00 timeout"]


# -- blackout dates


@pytest.mark.parametrize(
    ("blackout", "moment", "line"),
    [
        ({}, "05-06 21:59:59.999", "05-06 21:59:59.999 next"),
        ({}, "05-06 22:00", "05-08 22:00 next"),
        ({}, "05-08 21:59", "05-08 22:00 next"),
        ({}, "05-08 22:00", "05-08 22:00 next"),
        ({"zone": "flow"}, "05-06 22:00", "05-06 22:00 next"),
        ({"zone": "flow"}, "05-07 00:00", "05-09 00:00 next"),
        ({"then": "skip"}, "05-06 21:59", "05-06 21:59 next"),
        ({"then": "skip"}, "05-06 22:00", "05-06 22:00 blackout"),
        ({"then": "skip"}, "05-08 22:00", "05-08 22:00 next"),
        ({"then": "skip", "zone": "flow"}, "05-08 22:00", "05-08 22:00 blackout"),
        ({"channels": "sms"}, "05-07 00:00", "05-07 00:00 next"),
    ],
)
def test_N13_on_blackout_dates_nothing_is_sent(
    blackout: dict[str, Any], moment: str, line: str
) -> None:
    stated = {"from": "2026-05-07", "until": "2026-05-09", **blackout}
    settings = {"zone": "UTC", "blackouts": [stated]}
    assert at("m", Case(MAIL, times(moment), settings=settings, **BERLIN)) == [line]


def test_N13_a_blackout_from_a_time_is_on_the_flows_clock_and_with_an_offset_on_none() -> None:
    stated = {"from": "2026-05-07T10:00", "until": "2026-05-07T12:00Z"}
    settings = {"zone": "Asia/Tokyo", "blackouts": [stated]}
    first, inside, last = (
        Case(MAIL, times(f"05-07 {time}"), settings=settings, **BERLIN)
        for time in ("00:59", "01:00", "12:00")
    )
    assert at("m", first) == ["05-07 00:59 next"]
    assert at("m", inside) == ["05-07 12:00 next"]
    assert at("m", last) == ["05-07 12:00 next"]


def test_N13_after_a_blackout_quiet_hours_and_other_blackouts_are_asked_again() -> None:
    blackouts = [
        {"from": "2026-05-09", "until": "2026-05-10T09:00"},
        {"from": "2026-05-07", "until": "2026-05-09"},
    ]
    settings = {"quiet_hours": [{"from": "20:00", "until": "10:00"}], "blackouts": blackouts}
    case = Case(MAIL, times("05-06 21:00"), settings=settings)
    assert at("m", case) == ["05-10 10:00 next"]


# -- budgets


def crowd(settings: dict[str, Any], nodes: dict[str, Any] | None = None, n: int = 10) -> Case:
    """As many customers as wanted, a minute apart."""
    ids = [f"c{i}" for i in range(n)]
    return Case(
        TWO if nodes is None else nodes,
        [(f"05-04 10:{i:02}", "go", {}, name) for i, name in enumerate(ids)],
        customers=[{"id": name} for name in ids],
        settings=settings,
    )


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ([{"sends": 7}], {"email": 4, "sms": 3}),
        ([{"sends": 7, "channels": "email"}], {"email": 7, "sms": 10}),
        ([{"amount": 0.3, "cost": 0.1, "channels": "sms"}], {"email": 10, "sms": 3}),
        ([{"sends": 4}, {"sends": 1, "channels": "sms"}], {"email": 2, "sms": 1}),
        ([{"sends": 0}], {}),
        ([{"sends": 1, "except": "t"}], {"email": 10, "sms": 10}),
    ],
)
def test_N11_sending_stops_when_a_budget_is_used_up(
    budget: list[dict[str, Any]], expected: dict[str, int]
) -> None:
    case = crowd({"budget": budget})
    assert sent(case) == expected
    assert sum(record.port == "end" for record in ran(case).records) == 10


def test_N11_only_those_who_are_sent_to_use_the_budget() -> None:
    settings = {"budget": [{"sends": 5}], "messages": {"consent": "required"}}
    case = crowd(settings, MAIL)
    agreed = [{"id": f"c{i}", "attributes": {"consent:email": i % 2 == 1}} for i in range(10)]
    case = Case(case.nodes, case.events, settings, agreed)
    assert sent(case) == {"email": 5}
    assert sum(r.port == "no_consent" for r in ran(case).records) == 5


# -- what must be known of a customer


@pytest.mark.parametrize(
    ("rules", "attributes", "port"),
    [
        ({}, {}, "next"),
        ({}, {"consent:email": False}, "no_consent"),
        ({"consent": "ignore"}, {"consent:email": False}, "next"),
        ({"consent": "required"}, {}, "no_consent"),
        ({"consent": "required"}, {"consent:email": True}, "next"),
        ({"consent": {"sms": "required"}}, {}, "next"),
        ({"consent": {"email": "required"}}, {}, "no_consent"),
        ({}, {"reachable:email": False}, "unreachable"),
        ({"reachable": "required"}, {}, "unreachable"),
        ({"reachable": "required"}, {"reachable:email": True}, "next"),
        ({"reachable": {"email": "ignore"}}, {"reachable:email": False}, "next"),
        ({"addresses": {"email": "address"}}, {"address": "c@shop.example"}, "next"),
        ({"addresses": {"email": "address"}}, {"address": ""}, "no_address"),
        ({"addresses": {"email": "address"}}, {}, "no_address"),
        ({"addresses": {"sms": "phone"}}, {}, "next"),
        ({}, {"consent:email": False, "reachable:email": False}, "no_consent"),
    ],
)
def test_A121_A193_A196_who_may_not_or_cannot_be_sent_to_is_skipped_with_the_reason(
    rules: dict[str, Any], attributes: dict[str, Any], port: str
) -> None:
    people = [{"id": "c", "attributes": attributes}]
    case = Case(MAIL, [GO], settings={"messages": rules}, customers=people)
    assert told(case)[1:] == [f"05-04 10:00 m {port}", "05-04 10:00 x end"]


def test_A193_A196_the_attribute_that_a_message_names_goes_before_that_of_its_channel() -> None:
    nodes = {"go": on("go", "m"), "m": {**send("email", "t", "x"), "to": "work"}}
    people = [{"id": "c", "attributes": {"home": "c@home.example"}}]
    case = Case(
        nodes, [GO], settings={"messages": {"addresses": {"email": "home"}}}, customers=people
    )
    assert told(case)[1:] == ["05-04 10:00 m no_address", "05-04 10:00 x end"]


def test_A109_A053_plain_messages_obey_the_rules_of_web_push_and_wechat() -> None:
    nodes = {
        "go": on("go", ["m", "n"]),
        "m": send("web_push", "t", "x"),
        "n": send("wechat", "t", "x"),
    }
    events = [("05-02 10:00", "wechat_interacted"), GO, ("05-04 10:00:00.001", "go")]
    case = Case(nodes, events, settings={**ALWAYS, "messages": {}})
    assert [line.split()[-1] for line in at("m", case)] == ["no_permission"] * 2
    assert [line.split()[-1] for line in at("n", case)] == ["window_closed"] * 2
    fresh = Case(nodes, [("05-02 10:00:00.001", "wechat_interacted"), GO],
                 settings={"messages": {}})  # fmt: skip
    assert at("n", fresh) == ["05-04 10:00 next"]


# -- live


def test_N12_N13_live_partitions_keep_all_limits_as_the_dry_run_does(tmp_path: Path) -> None:
    nodes = {
        "go": on("go", ["m", "n"]),
        "m": send("email", "t", "w"),
        "w": wait("6 hours", "o"),
        "o": send("email", "o", "x"),
        "n": send("sms", "t", "x"),
    }
    ids = [f"c{i}" for i in range(30)]
    settings = {
        **ALWAYS,
        "zone": "UTC",
        "caps": [{"at_most": 2, "within": "1 day"}],
        "quiet_hours": [{**NIGHT, "spread": "1 hour"}],
        "blackouts": [
            {"from": "2026-05-06", "until": "2026-05-07"},
            {"from": "2026-05-08", "until": "2026-05-09", "then": "skip"},
        ],
        "messages": {"consent": "required", "addresses": {"sms": "phone"}},
    }
    events: list[Any] = [
        (f"05-0{4 + i % 6} {(7 * i) % 24:02}:{i:02}", "go", {}, ids[(11 * i) % 30])
        for i in range(60)
    ]
    people = [
        {"id": name, "zone": ["Europe/Berlin", "America/New_York", "Asia/Tokyo"][i % 3],
         "attributes": {"consent:email": i % 5 > 0, "consent:sms": True,
                        "phone": "+49" if i % 4 else None}}
        for i, name in enumerate(ids)
    ]  # fmt: skip
    case = Case(nodes, sorted(events), settings, people)
    expected = ran(case)
    ports = {r.port for r in expected.records if "~" not in r.node}
    assert {"capped", "blackout", "no_consent", "no_address", "next"} <= ports
    loaded = Loaded(case.flow(), case.people(), case.run_options(), None)
    tenant = run_live(tmp_path, loaded, Way(3, 16, restart_every=5, snapshots=True))
    tenant.close()
    assert sorted_records(tenant.records, loaded.audience) == expected.records


def test_N11_a_live_budget_is_never_exceeded(tmp_path: Path) -> None:
    case = crowd({"budget": [{"sends": 5}]}, MAIL, 20)
    loaded = Loaded(case.flow(), case.people(), case.run_options(), None)
    tenant = run_live(tmp_path, loaded, Way(2, 4), kind=CoupledTenant)
    assert isinstance(tenant, CoupledTenant)
    tenant.settle(loaded.options.horizon_ms - 1)
    tenant.close()
    ports = [r.port for r in tenant.records if r.node == "m~budget0"]
    assert (ports.count("taken"), ports.count("sold_out")) == (5, 15)


def test_N12_N13_random_flows_are_limited_alike_on_both_interpreters() -> None:
    dice = Random(12)
    for seed in range(60):
        case = random_case(seed)
        settings = case["flow"].setdefault("settings", {})
        settings["caps"] = [{"at_most": dice.randint(1, 3), "within": "1 day"}]
        settings["messages"] = {"consent": "unless_refused"}
        if seed % 2:
            settings["quiet_hours"] = [{**NIGHT, "spread": "1 hour"}]
        if seed % 3:
            then = dice.choice(["wait", "skip"])
            settings["blackouts"] = [{"from": "2026-01-05", "until": "2026-01-20", "then": then}]
        with suppress(TooLongError):
            assert disagreement(case, seed=seed) is None, seed
