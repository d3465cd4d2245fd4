"""Reports of flows that run: what an operator sees of them, with exact figures.

A flow writes a mail and waits two hours for a click, for which it thanks by SMS. Three people enter
its first version, three its second; the tenant's days are those of Tokyo, nine hours ahead.
"""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.live.engine import Engine
from actors.live.errors import RefusedError
from actors.live.following import Following
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.service.errors import InvalidError, NotFoundError
from actors.service.live_reports import DayEntrants, Figures, LayerPeople, LiveReports, Place
from data_dirs import driven_engine
from followed import HOUR_MS, SCHEMA, T0, document

DAY_MS = 24 * HOUR_MS
FIRST = Place(1)


def happened(engine: Engine, at_ms: int, event: str, *customers: str) -> None:
    engine.advance(at_ms - 1_000)  # what is due by then leaves no millisecond behind
    engine.advance(at_ms)
    engine.send([{"customer": customer, "event": event} for customer in customers])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    hosting = Hosting(inline=True, shards=1, relays=False, options=ShardOptions(driven=True))
    folder = tmp_path_factory.mktemp("reports") / "data"
    with start_engine(folder, Making(partitions=2, zone="Asia/Tokyo"), hosting) as found:
        found.advance(T0)
        found.set_schema(SCHEMA)
        found.publish(document())
        happened(found, T0 + HOUR_MS, "go", "ada", "ben")
        happened(found, T0 + 2 * HOUR_MS, "click", "ada")
        happened(found, T0 + 16 * HOUR_MS, "go", "cy")
        found.advance(T0 + DAY_MS)
        found.publish(document(holdout={"share": "0%"}).replace("hello", "hello again"))
        happened(found, T0 + 25 * HOUR_MS, "go", "dan", "ada")
        happened(found, T0 + 49 * HOUR_MS, "go", "eve")
        happened(found, T0 + 49 * HOUR_MS + HOUR_MS // 2, "click", "eve")
        found.advance(T0 + 50 * HOUR_MS)
        yield found


@pytest.fixture(scope="module")
def reports(engine: Engine) -> Iterator[LiveReports]:
    following = Following(engine.path)
    yield LiveReports(engine, following)
    following.rest()


def people(reports: LiveReports, place: Place) -> list[str]:
    found = reports.people("f", place, "", 100)
    assert (found.total, found.erased) == (len(found.items), 0)
    return sorted(item["customer"] for item in found.items)


def test_A075_each_version_has_its_graph(reports: LiveReports) -> None:
    nodes, truth = reports.nodes("f", 1)
    assert [(n.id, n.entered, n.people, n.waiting, n.outcomes) for n in nodes] == [
        ("start", 3, 3, 0, {}),
        ("mail", 3, 3, 0, {}),
        ("wait", 3, 3, 0, {}),
        ("text", 1, 1, 0, {}),
        ("done", 3, 3, 0, {"end": 3}),
    ]
    wait = nodes[2]
    assert [(p.port, p.tokens, p.people, p.targets) for p in wait.ports] == [
        ("event", 1, 1, ["text"]),
        ("timeout", 2, 2, ["done"]),
    ]
    assert (wait.type, wait.says) == ("wait_event", "Wait for `click`, at most 2 hours")
    again, _ = reports.nodes("f", 2)
    assert again[1].says == "Send e-mail `hello again`"
    assert (truth.as_of_ms, truth.since_ms, truth.behind) == (T0 + 50 * HOUR_MS, 0, 0)


def test_A076_one_customers_path_is_told(reports: LiveReports) -> None:
    found, _ = reports.path("f", 1, "ada")
    assert [(s["at_ms"] - T0, s["node"], s["port"]) for s in found["steps"]] == [
        (HOUR_MS, "start", "next"),
        (HOUR_MS, "mail", "next"),
        (2 * HOUR_MS, "wait", "event"),
        (2 * HOUR_MS, "text", "next"),
        (2 * HOUR_MS, "done", "end"),
    ]
    found, _ = reports.path("f", 2, "ada")
    assert [s["port"] for s in found["steps"]] == ["next", "next", "timeout", "end"]
    assert reports.path("f", 2, "ben")[0]["steps"] == []


def test_A077_all_who_entered_a_branch_are_listed(reports: LiveReports) -> None:
    assert people(reports, Place(1, "wait", "event")) == ["ada"]
    assert people(reports, Place(1, "wait", "timeout")) == ["ben", "cy"]
    assert people(reports, Place(1, "text")) == ["ada"]
    assert people(reports, Place(1, "done")) == ["ada", "ben", "cy"]
    assert people(reports, Place(2, "wait", "timeout")) == ["ada", "dan"]


def test_A078_A079_A080_entrants_duration_and_mean_time(reports: LiveReports) -> None:
    report = reports.report("f", 1)
    assert (report.total.entries, report.total.people, report.total.inside) == (6, 6, 0)
    assert (report.started_ms, report.stopped_ms) == (T0, None)
    assert report.duration_ms == 50 * HOUR_MS
    first, second = (version.figures for version in report.versions)
    assert (first.ended, first.mean_ms) == (3, 5 * HOUR_MS / 3)
    assert (second.ended, second.mean_ms) == (3, 4.5 * HOUR_MS / 3)
    assert (report.total.ended, report.total.mean_ms) == (6, 9.5 * HOUR_MS / 6)


def test_A081_those_who_came_to_the_last_layer_over_entrants(reports: LiveReports) -> None:
    report = reports.report("f", 1)
    for version in report.versions:
        assert version.funnel == [LayerPeople("Written to", 3), LayerPeople("Clicked", 1)]
        assert (version.figures.reached, version.figures.reach) == (1, 1 / 3)
    assert (report.total.reached, report.total.reach) == (2, 2 / 6)


def test_A082_A198_versions_and_days_of_the_tenants_zone(reports: LiveReports) -> None:
    report = reports.report("f", 3)
    dates = ["2026-01-01", "2026-01-02", "2026-01-03"]

    def days(figures: Figures) -> list[DayEntrants]:
        assert [day.date for day in figures.days] == dates
        return figures.days

    assert [day.entries for day in days(report.versions[0].figures)] == [2, 1, 0]
    assert [day.entries for day in days(report.versions[1].figures)] == [0, 2, 1]
    assert [day.entries for day in days(report.total)] == [2, 3, 1]
    assert [day.people for day in days(report.total)] == [2, 3, 1]
    assert [each.published.version for each in report.versions] == [1, 2]
    assert [each.published.closed_ms for each in report.versions] == [T0 + DAY_MS, None]
    assert [each.published.left for each in report.versions] == ["pin", ""]
    assert len(reports.report("f", 30).total.days) == 30


def test_A083_all_who_entered_are_listed_again_and_again(reports: LiveReports) -> None:
    assert people(reports, FIRST) == ["ada", "ben", "cy"]
    assert people(reports, Place(2)) == ["ada", "dan", "eve"]
    found = {item["customer"]: item for item in reports.people("f", FIRST, "", 9).items}
    assert (found["cy"]["first_ms"], found["cy"]["times"]) == (T0 + 16 * HOUR_MS, 1)
    pages = [reports.people("f", FIRST, "", 1).items[0]]
    while rest := reports.people("f", FIRST, pages[-1]["key"], 1).items:
        pages += rest
    assert sorted(item["customer"] for item in pages) == ["ada", "ben", "cy"]


def test_A085_a_customer_of_a_list_is_shown(engine: Engine, reports: LiveReports) -> None:
    engine.send([{"customer": "ada", "set": {"plan": "gold"}}])
    found = reports.person("f", "ada")
    assert (found["customer"], found["attributes"], found["places"]) == (
        "ada",
        {"plan": "gold"},
        [],
    )
    with pytest.raises(NotFoundError):
        reports.person("f", "nobody")


def test_A088_totals_are_the_sums_of_the_versions(engine: Engine, reports: LiveReports) -> None:
    report = reports.report("f", 1)
    for name in ("entries", "people", "ended", "inside", "reached"):
        parts = [getattr(version.figures, name) for version in report.versions]
        assert getattr(report.total, name) == sum(parts)
    entrants = engine.entrants("f")
    assert [version.figures.people for version in report.versions] == entrants.people
    assert report.total.people == entrants.total_people


def test_A089_A090_mails_and_texts_are_counted(reports: LiveReports) -> None:
    report = reports.report("f", 1)
    assert report.total.sends == {"email": 6, "sms": 2}
    assert [v.figures.sends for v in report.versions] == [{"email": 3, "sms": 1}] * 2
    nodes, _ = reports.nodes("f", 2)
    assert [node.ports[0].tokens for node in nodes if node.type == "send"] == [3, 1]


def test_N06_why_and_why_not(engine: Engine, reports: LiveReports) -> None:
    found, _ = reports.why("f", "ada")
    first, second = found["versions"]
    assert [(step["node"], step["reason"]) for step in first["steps"]] == [
        ("start", "`go` happened"),
        ("mail", "Send e-mail `hello`"),
        ("wait", "`click` happened"),
        ("text", "Send SMS `thanks`"),
        ("done", "End"),
    ]
    assert second["steps"][2]["reason"] == "no `click` until 2026-01-02 12:00 -> timeout"
    assert (first["kept_out"], second["kept_out"]) == ([], [])
    happened(engine, engine.now_ms(), "click", "zoe")
    found, _ = reports.why("f", "zoe")
    assert [way["kept_out"] for way in found["versions"]] == [["`start`: no `go` ever"]] * 2
    found, _ = reports.why("f", "ben")
    assert found["versions"][1]["kept_out"] == [
        "`start`: no `go` in the time of entries; the last was at 2026-01-01 10:00"
    ]


def test_places_that_are_not_there_are_told(reports: LiveReports) -> None:
    for place in (Place(3), Place(1, "zz"), Place(1, "wait", "zz")):
        with pytest.raises(NotFoundError):
            reports.people("f", place, "", 1)
    with pytest.raises(NotFoundError, match="no such flow"):
        reports.report("g")
    with pytest.raises(NotFoundError, match="no such customer"):
        reports.path("f", 1, "nobody")
    with pytest.raises(NotFoundError, match="no such customer"):
        reports.why("f", "nobody")
    with pytest.raises(InvalidError):
        reports.people("f", Place(1, None, "event"), "", 1)
    for page in ("x", "1", "1:", "1:x", "-1:2", "1:2:3", ":"):
        with pytest.raises(NotFoundError, match="no such page"):
            reports.people("f", FIRST, page, 1)


def test_A084_a_list_is_saved_as_a_group(engine: Engine, reports: LiveReports) -> None:
    assert reports.save_group("f", Place(1, "wait", "timeout"), "did not click") == 2
    assert reports.save_group("f", Place(1, "wait", "timeout"), "did not click") == 2
    groups = {}
    for customer in ("ada", "ben", "cy"):
        state = engine.state_of(customer)
        assert state is not None
        groups[customer] = state["groups"]
    assert groups == {"ada": [], "ben": ["did not click"], "cy": ["did not click"]}
    assert reports.save_group("f", Place(2, "text"), "thanked") == 1
    for name in ("", "  ", "x" * 101):
        with pytest.raises(InvalidError):
            reports.save_group("f", FIRST, name)


def test_the_erased_are_gone_from_lists_and_stay_counted(
    engine: Engine, reports: LiveReports
) -> None:
    engine.erase(["cy"])
    found = reports.people("f", FIRST, "", 9)
    assert sorted(item["customer"] for item in found.items) == ["ada", "ben"]
    assert (found.total, found.erased) == (2, 1)
    assert reports.report("f", 1).versions[0].figures.people == 3
    with pytest.raises(NotFoundError):
        reports.path("f", 1, "cy")
    with pytest.raises(NotFoundError):
        reports.why("f", "cy")
    with pytest.raises(NotFoundError):
        reports.person("f", "cy")


def test_A079_a_stopped_flow_lasted_until_it_was_stopped(
    engine: Engine, reports: LiveReports
) -> None:
    engine.advance(T0 + 3 * DAY_MS)
    engine.stop("f")
    happened(engine, T0 + 4 * DAY_MS, "go", "fay")
    report = reports.report("f", 2)
    assert (report.status, report.stopped_ms) == ("stopped", T0 + 3 * DAY_MS)
    assert report.duration_ms == 3 * DAY_MS
    assert [day.entries for day in report.total.days] == [0, 0]
    found, _ = reports.why("f", "fay")
    assert found["versions"][1]["kept_out"] == [
        "`start`: no `go` in the time of entries; the last was at 2026-01-05 09:00"
    ]


def test_A049_the_funnel_of_what_runs_is_that_of_its_version(tmp_path: Path) -> None:
    def document(*layers: str) -> str:
        funnel = [{"name": name, "nodes": [name]} for name in layers]
        return json.dumps(
            {
                "headrace": 1,
                "flow": "f",
                "settings": {"funnel": funnel},
                "nodes": {
                    "t": {"type": "on_event", "event": "go", "next": "s"},
                    "s": {"type": "split", "branches": {"l": "100%"}, "next": {"l": "left"}},
                    "left": {"type": "wait", "for": "1 day", "next": "x"},
                    "x": {"type": "end"},
                },
            }
        )

    with driven_engine(tmp_path / "data", 1) as engine:
        engine.set_schema({"events": {"go": {}}})
        engine.publish(document("s", "left"))
        engine.send([{"customer": "a", "event": "go"}])
        engine.publish(document("left"))  # another funnel is another version
        engine.send([{"customer": "b", "event": "go"}])
        assert engine.counts("f", 1).layer_people.tolist() == [1, 1]
        assert engine.counts("f", 2).layer_people.tolist() == [1]
        with pytest.raises(RefusedError, match="is version 2 of flow f already"):
            engine.publish(document("left"))


def test_A074_successes_of_tests_and_goals_have_rates_when_their_time_is_over(
    engine: Engine, reports: LiveReports
) -> None:
    nodes = {
        "start": {"type": "on_event", "event": "go", "next": "test"},
        "test": {
            "type": "ab_test",
            "branches": {"a": "50%", "b": "50%"},
            "target": {"event": "click", "within": "7 days"},
            "next": {"a": "done", "b": "done"},
        },
        "done": {"type": "end"},
    }
    goal = {"event": "click", "within": "1 day"}
    engine.publish(document(nodes, flow="tested", goal=goal, holdout={"share": "20%"}))
    everybody = [f"p{number}" for number in range(60)]
    happened(engine, T0 + 5 * DAY_MS, "go", *everybody)
    happened(engine, T0 + 5 * DAY_MS + HOUR_MS, "click", *everybody[:40])
    (version,) = reports.report("tested", 1).versions
    entered = version.figures.people
    found = {(each.node, each.branch): each for each in version.successes}
    assert list(found) == [("test", "a"), ("test", "b"), (None, "entered"), (None, "held_out")]
    watched = [each.watched for each in found.values()]
    succeeded = [each.succeeded for each in found.values()]
    assert watched[0] + watched[1] == watched[2] == entered < 60
    assert watched[2] + watched[3] == 60
    assert succeeded[0] + succeeded[1] == succeeded[2]
    assert succeeded[2] + succeeded[3] == 40
    assert min(watched) > 0
    assert [(each.matured, each.rate, each.difference) for each in found.values()] == [
        (0, None, None)
    ] * 4
    engine.advance(T0 + 6 * DAY_MS + HOUR_MS)
    (version,) = reports.report("tested", 1).versions
    a, b, all_entered, kept_out = version.successes
    assert [a.matured, b.matured, all_entered.matured, kept_out.matured] == [0, 0, *watched[2:]]
    assert all_entered.rate is not None
    assert kept_out.rate is not None
    assert all_entered.rate.value == succeeded[2] / watched[2]
    assert all_entered.rate.lo < all_entered.rate.value < all_entered.rate.hi
    assert all_entered.difference is not None
    assert all_entered.difference.value == pytest.approx(
        all_entered.rate.value - kept_out.rate.value
    )
    engine.advance(T0 + 13 * DAY_MS)
    (version,) = reports.report("tested", 1).versions
    a, b, *_ = version.successes
    assert [(s.matured, s.matured_succeeded) for s in (a, b)] == list(
        zip(watched[:2], succeeded[:2], strict=True)
    )
    assert a.rate is not None
    assert b.rate is not None
    assert b.difference is not None
    assert (a.rate.value, b.rate.value) == (succeeded[0] / watched[0], succeeded[1] / watched[1])
    assert b.difference.value == pytest.approx(b.rate.value - a.rate.value)
    assert b.difference.lo < b.difference.value < b.difference.hi
