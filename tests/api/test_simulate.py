"""Checks that every option of `headrace simulate` has its effect, and only that."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from actors.audience import load_audience, read_schema
from api.documents import open_flow, open_responses
from cases import ask, on, send, wait
from command import EXAMPLES, Done, call, flow_of, names, simulate
from core.compiler import compile_flow, needs_of
from core.flow import Flow
from core.options import RunOptions
from core.reference import run as run_reference
from importing import load_whole

WELCOME = EXAMPLES / "welcome.yaml"
RESPONSES = EXAMPLES / "responses.yaml"
WINDOW = ("--from", "2026-05-01", "--until", "2026-06-01", "--horizon", "2026-06-25")
WHOLE = ("--from", "2026-05-01", "--until", "2026-06-01")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def value(figure: dict[str, Any]) -> Any:
    return figure["value"]


def node(report: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(n for n in report["nodes"] if n["id"] == name)
    return found


def ports(log: Path, at: str) -> dict[str, str]:
    """The port that each customer took at a node, in his first entry."""
    rows = pq.read_table(log).filter(pc.field("node").cast(pa.string()) == at).to_pylist()
    return {row["customer"]: row["port"] for row in reversed(rows)}


def signups(sample: Path, begin: str, end: str) -> int:
    """Customers with a `signup` in [begin, end)."""
    events = pq.read_table(sample / "events.parquet", columns=["customer", "time", "event"])
    who = {
        row["customer"]
        for row in events.to_pylist()
        if row["event"] == "signup" and ms(begin) <= row["time"].timestamp() * 1000 < ms(end)
    }
    return len(who)


@pytest.fixture(scope="module")
def welcome(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The log and the report of the welcome flow with responses, seed 0 and the default salt."""
    folder = tmp_path_factory.mktemp("welcome")
    done, report = simulate(
        folder, WELCOME, sample, *WINDOW, "--responses", RESPONSES, "--log", folder / "log"
    )
    assert done.code == 0
    return folder / "log", report


def again(folder: Path, sample: Path, *args: str | Path) -> tuple[Path, dict[str, Any]]:
    """The same run with further options."""
    done, report = simulate(
        folder, WELCOME, sample, *WINDOW, "--responses", RESPONSES, "--log", folder / "log", *args
    )
    assert done.code == 0, done
    return folder / "log", report


# -- window


def test_the_window_is_read_on_the_flows_clock(
    sample: Path, welcome: tuple[Path, dict[str, Any]]
) -> None:
    _, report = welcome
    assert report["window"] == {
        "from_ms": ms("2026-04-30T22:00"),
        "until_ms": ms("2026-05-31T22:00"),
        "horizon_ms": ms("2026-06-24T22:00"),
    }
    expected = signups(sample, "2026-04-30T22:00", "2026-05-31T22:00")
    assert value(report["totals"]["people"]) == expected > 50


def test_without_options_the_window_is_that_of_the_events(tmp_path: Path, sample: Path) -> None:
    _, report = simulate(tmp_path, WELCOME, sample)
    time = json.loads((sample / "schema.json").read_text())["time"]
    assert report["window"] == {
        "from_ms": time["first_ms"],
        "until_ms": time["last_ms"] + 1,
        "horizon_ms": time["last_ms"] + 1,
    }
    assert value(report["totals"]["people"]) == signups(sample, "2026-01-01", "2027-01-01")


def test_the_horizon_may_be_a_time_after_the_end(tmp_path: Path, sample: Path) -> None:
    _, short = simulate(tmp_path, WELCOME, sample, *WHOLE)
    _, longer = simulate(tmp_path, WELCOME, sample, *WHOLE, "--horizon", "+14 days")
    assert longer["window"]["horizon_ms"] == ms("2026-06-14T22:00")
    assert value(short["totals"]["people"]) == value(longer["totals"]["people"])
    assert value(short["totals"]["waiting"]) > value(longer["totals"]["waiting"])
    _, stated = simulate(tmp_path, WELCOME, sample, *WHOLE, "--horizon", "2026-06-15T00:00+02:00")
    assert stated["nodes"] == longer["nodes"]


# -- chance


def test_the_salt_moves_assignments_and_no_responses_of_their_own(
    tmp_path: Path, sample: Path, welcome: tuple[Path, dict[str, Any]]
) -> None:
    log, _ = welcome
    other, _ = again(tmp_path, sample, "--salt", "pepper")
    before, after = ports(log, "which-reminder"), ports(other, "which-reminder")
    assert before.keys() == after.keys(), "the salt moves nobody before the split"
    moved = sum(before[c] != after[c] for c in before)
    assert 0.3 * len(before) < moved < 0.7 * len(before)
    assert ports(log, "clicked") == ports(other, "clicked")
    default, _ = again(tmp_path, sample, "--salt", "headrace")
    assert default.read_bytes() == log.read_bytes()


def test_the_seed_moves_responses_and_no_assignments(
    tmp_path: Path, sample: Path, welcome: tuple[Path, dict[str, Any]]
) -> None:
    log, _ = welcome
    other, report = again(tmp_path, sample, "--seed", "7")
    assert report["draws"]["seed"] == 7
    before, after = ports(log, "which-reminder"), ports(other, "which-reminder")
    both = before.keys() & after.keys()
    assert len(both) > 30
    assert {c: before[c] for c in both} == {c: after[c] for c in both}
    assert ports(log, "clicked") != ports(other, "clicked")
    assert ports(log, "may-mail") == ports(other, "may-mail")


def test_the_same_options_give_the_same_run(
    tmp_path: Path, sample: Path, welcome: tuple[Path, dict[str, Any]]
) -> None:
    log, report = welcome
    other, second = again(tmp_path, sample, "--seed", "0")
    assert other.read_bytes() == log.read_bytes()
    assert without_run(second) == without_run(report)


def without_run(report: dict[str, Any]) -> dict[str, Any]:
    assert set(report["run"]) == {"elapsed_s", "workers", "headrace", "made"}
    return {key: part for key, part in report.items() if key != "run"}


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_workers_change_nothing(
    tmp_path: Path, sample: Path, welcome: tuple[Path, dict[str, Any]], workers: int
) -> None:
    log, report = welcome
    other, second = again(tmp_path, sample, "--workers", str(workers))
    assert second["run"]["workers"] == workers
    assert other.read_bytes() == log.read_bytes()
    assert without_run(second) == without_run(report)


def test_replicates_give_intervals_and_the_log_of_the_first(
    tmp_path: Path, sample: Path, welcome: tuple[Path, dict[str, Any]]
) -> None:
    log, report = welcome
    other, many = again(tmp_path, sample, "--replicates", "20")
    assert many["draws"]["replicates"] == 20
    assert other.read_bytes() == log.read_bytes()
    clicked, exact = node(many, "interested")["entered"], node(many, "greeting")["entered"]
    assert clicked["lo"] < clicked["value"] < clicked["hi"]
    assert clicked["assumed"]
    assert exact == node(report, "greeting")["entered"]
    assert exact["lo"] is None
    assert not exact["assumed"]


def test_without_responses_nothing_is_assumed(tmp_path: Path, sample: Path) -> None:
    done, report = simulate(tmp_path, WELCOME, sample, *WINDOW)
    assert report["modelled"] == []
    assert "≈" not in done.out


# -- the past


def test_the_recorded_events_of_the_flow_replaced_are_left_out(tmp_path: Path, tiny: Path) -> None:
    nodes = {
        "t": on("signup", "w"),
        "w": wait("4 days", "mailed"),
        "mailed": ask({"did": "mail_sent"}, "buyers", "x"),
        "buyers": {"type": "wait_event", "event": "purchase", "next": {"event": "x"}},
    }
    args = ("--from", "2026-05-01", "--until", "2026-06-01")
    done, report = simulate(tmp_path, flow_of(nodes), tiny, *args)
    assert report["audience"]["replaced"] == 0
    assert value(node(report, "buyers")["entered"]) == 2
    done, report = simulate(tmp_path, flow_of(nodes), tiny, *args, "--replaces", "welcome")
    assert report["audience"]["replaced"] == 2
    assert "2 recorded events left out" in done.words
    assert value(node(report, "buyers")["entered"]) == 1, "Ada's mail was of the flow replaced"
    assert value(report["totals"]["waiting"]) == 1, "and so was Bob's purchase"


def test_replacing_a_flow_that_did_nothing_is_told(tmp_path: Path, tiny: Path) -> None:
    done, report = simulate(
        tmp_path, flow_of({"t": on("signup", "x")}), tiny, "--replaces", "welcme"
    )
    assert done.code == 0
    assert ("warning", "nothing-replaced") in {(n["level"], n["code"]) for n in report["notices"]}
    assert "was recorded for `welcme`" in done.words


def asks(attribute: str, asked: Any) -> dict[str, Any]:
    return flow_of(
        {"t": on("signup", "old"), "old": ask({"attribute": attribute, "is": asked}, "x", "x")}
    )


def test_strict_history_refuses_values_of_a_later_date(tmp_path: Path, tiny: Path) -> None:
    done, report = simulate(
        tmp_path, asks("age", 20), tiny, "--strict-history", "--log", tmp_path / "log"
    )
    assert (done.code, report) == (3, {})
    assert "2026-07-01" in done.err
    assert "old (2 people)" in done.err
    assert "mark attributes as constant" in done.words
    assert names(tmp_path) == ["flow.yaml"], "neither a log nor a report is left"


@pytest.mark.parametrize(("attribute", "asked"), [("country", "NZ"), ("nothing", 1)])
def test_strict_history_lets_pass_what_is_of_no_date(
    tmp_path: Path, tiny: Path, attribute: str, asked: Any
) -> None:
    done, report = simulate(tmp_path, asks(attribute, asked), tiny, "--strict-history")
    assert done.code == 0
    assert report["dated"] == []


def test_strict_history_counts_people_once_for_all_replicates(tmp_path: Path, tiny: Path) -> None:
    done, _ = simulate(
        tmp_path, asks("plan", "gold"), tiny, "--strict-history", "--replicates", "5"
    )
    assert done.code == 3
    assert "old (1 person)" in done.err, "Ada's plan has a log of changes, Bob's has none"


# -- what is written


def test_the_log_is_what_the_reference_decides(tmp_path: Path, tiny: Path) -> None:
    nodes = {
        "t": on("signup", "m"),
        "m": send("email", "hi", "w"),
        "w": {
            "type": "wait_event",
            "event": "purchase",
            "timeout": "10 days",
            "next": {"event": "x", "timeout": "old"},
        },
        "old": ask({"attribute": "age", "above": 30}),
    }
    document = flow_of(nodes)
    done, _ = simulate(
        tmp_path, document, tiny, "--from", "2026-05-01", "--until", "2026-06-01", "--log",
        tmp_path / "log.parquet",
    )  # fmt: skip
    assert done.code == 0
    options = RunOptions(ms("2026-05-01"), ms("2026-06-01"), ms("2026-06-01"))
    records = run_reference(Flow.model_validate(document), load_whole(tiny), options, None).records
    assert [
        (
            r["customer"],
            r["step"],
            int(r["time"].timestamp() * 1000),
            r["entry"],
            r["node"],
            r["port"],
        )
        for r in pq.read_table(tmp_path / "log.parquet").to_pylist()
    ] == [(r.customer, r.step, r.time_ms, r.entry, r.node, r.port) for r in records]
    assert Counter(r.port for r in records) == {
        "next": 4,
        "event": 1,
        "timeout": 1,
        "no": 1,
        "end": 2,
    }


@pytest.mark.parametrize("name", ["welcome", "abandoned-cart", "win-back"])
def test_the_log_of_a_whole_sample_is_what_the_reference_decides(
    tmp_path: Path, sample: Path, name: str
) -> None:
    path = EXAMPLES / f"{name}.yaml"
    done, report = simulate(
        tmp_path, path, sample, "--responses", RESPONSES, "--log", tmp_path / "log"
    )
    assert done.code == 0
    flow, responses = open_flow(path).flow, open_responses(RESPONSES)
    audience = load_audience(sample, needs_of(compile_flow(flow, responses)))
    window = report["window"]
    options = RunOptions(
        window["from_ms"],
        window["until_ms"],
        window["horizon_ms"],
        audience_zone=read_schema(sample).zone,
    )
    records = run_reference(flow, audience, options, responses).records
    table = pq.read_table(tmp_path / "log")
    times = table["time"].cast(pa.int64())
    columns = [table[name] for name in ("customer", "step", "entry", "node", "port")]
    found = list(zip(*(column.to_pylist() for column in [*columns, times]), strict=True))
    assert found == [(r.customer, r.step, r.entry, r.node, r.port, r.time_ms) for r in records]
    assert len(found) > 500


def test_the_page_and_the_report_are_written(tmp_path: Path, tiny: Path) -> None:
    done, report = simulate(
        tmp_path, flow_of({"t": on("signup", "x")}), tiny, "--html", tmp_path / "page.html"
    )
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>f – dry run</title>" in page
    assert report["audience"]["name"] == "audience"
    wrote = [line for line in done.out.splitlines() if line.startswith("wrote ")]
    assert wrote == [f"wrote {tmp_path / 'report.json'}", f"wrote {tmp_path / 'page.html'}"]


def test_quiet_prints_nothing(tmp_path: Path, tiny: Path) -> None:
    done, report = simulate(
        tmp_path, flow_of({"t": on("signup", "x")}), tiny, "--quiet", "--trace", "ada"
    )
    assert done == Done(0, "", "")
    assert value(report["totals"]["people"]) == 2
    assert len(report["stories"]) == 1


def test_progress_is_told_from_the_first_step_to_the_last(tmp_path: Path, tiny: Path) -> None:
    done, _ = simulate(tmp_path, flow_of({"t": on("signup", "x")}), tiny)
    assert done.err.splitlines() == [
        "checking the flow ...",
        "reading customers ...",
        "reading events ...",
        "dry run ...",
        "building the report ...",
    ]


# -- stories


def test_a_trace_tells_the_way_and_its_reasons(tmp_path: Path, tiny: Path) -> None:
    nodes = {"t": on("signup", "w"), "w": wait("1 day", "of-age"),
             "of-age": ask({"attribute": "age", "at_least": 30})}  # fmt: skip
    done, report = simulate(tmp_path, flow_of(nodes), tiny, "--trace", "ada", "--trace", "cyd")
    assert [story["customer"] for story in report["stories"]] == ["ada", "cyd"]
    first = report["stories"][0]
    assert [(step["node"], step["port"]) for step in first["steps"]] == [
        ("t", "next"),
        ("w", "next"),
        ("of-age", "yes"),
        ("x", "end"),
    ]
    assert "The way of ada times of Pacific/Auckland" in done.words
    assert "2026-05-01 22:00 t" in done.words
    assert "`age` is 36" in done.words
    assert "The way of cyd times of UTC Never entered: · `t`: no `signup` ever" in done.words


def test_a_trace_of_an_unknown_customer_is_refused_before_the_run(
    tmp_path: Path, tiny: Path
) -> None:
    done, report = simulate(tmp_path, flow_of({"t": on("signup", "x")}), tiny, "--trace", "eve")
    assert (done.code, report) == (2, {})
    assert "the audience has no customer 'eve'. Ids look like 'ada'" in done.err
    assert "dry run" not in done.err


# -- loud reports


def test_an_attribute_that_the_audience_lacks_is_loud(tmp_path: Path, tiny: Path) -> None:
    done, report = simulate(tmp_path, asks("contry", "DE"), tiny)
    assert done.code == 0
    assert report["notices"][0]["level"] == "error"
    assert "ERROR: The audience has no attribute `contry`" in done.out
    assert "Did you mean" in done.out
    assert done.out.index("ERROR") < done.out.index("In short")


def test_types_that_do_not_fit_are_refused(tmp_path: Path, tiny: Path) -> None:
    flow = flow_of({"t": on("signup", "c"), "c": ask({"attribute": "country", "above": 3})})
    done, report = simulate(tmp_path, flow, tiny)
    assert (done.code, report) == (1, {})
    assert "type-mismatch" in done.err
    assert "/nodes/c/if/above" in done.err


def test_many_errors_are_told_in_part(tmp_path: Path, tiny: Path) -> None:
    nodes = {"t": on("signup", [f"n{k}" for k in range(30)])}
    done, _ = simulate(tmp_path, flow_of(nodes), tiny)
    assert done.code == 1
    assert done.err.count("dangling-edge") == 20
    assert "and 11 more; `headrace check` tells them all" in done.err


def test_errors_of_the_responses_file_are_told(tmp_path: Path, tiny: Path) -> None:
    responses = tmp_path / "responses.yaml"
    responses.write_text(
        "headrace_responses: 1\nrules:\n  - for: {channel: email}\n    outcomes:\n"
        "      - {event: opened, probability: 150%, delay: {constant: 1 hour}}\n"
    )
    done, report = simulate(
        tmp_path, flow_of({"t": on("signup", "x")}), tiny, "--responses", responses
    )
    assert (done.code, report) == (1, {})
    assert f"{responses}:5 /rules/0/outcomes/0/probability" in done.err


def test_an_audience_without_events_in_the_window_is_loud(tmp_path: Path, tiny: Path) -> None:
    done, _ = simulate(
        tmp_path, flow_of({"t": on("signup", "x")}), tiny,
        "--from", "2026-08-01", "--until", "2026-09-01",
    )  # fmt: skip
    assert done.code == 0
    assert "ERROR: Nobody entered the flow" in done.out


def test_people_in_zones_that_do_not_exist_are_counted(tmp_path: Path, tiny: Path) -> None:
    slot = {"type": "wait_slot", "slots": [{"from": "09:00", "until": "12:00"}], "next": "x"}
    flow = flow_of({"t": on("signup", "w"), "w": slot})
    done, _ = simulate(tmp_path, flow, tiny)
    assert "1 customer without a valid zone" in done.words


# -- bad input


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--from", "May"), "--from: 'May' is no date or time. Write a time such as"),
        (("--until", "2026-02-30"), "--until: '2026-02-30' is no date or time"),
        (("--horizon", "+14 dys"), "unknown unit 'dys'"),
        (("--horizon", "later"), "--horizon: 'later' is no date or time"),
        (("--horizon", "2020-01-01"), "is before the window's end"),
        (("--from", "2026-05-09", "--until", "2026-05-09"), "the window is empty"),
        (("--from", "1900-01-01"), "3,660 days are the most"),
        (("--replicates", "0"), "'--replicates'"),
        (("--workers", "0"), "'--workers'"),
        (("--seed", "x"), "'--seed'"),
        (("--audience-zone", "UTC"), "No such option"),
        (("--responses", "absent.yaml"), "absent.yaml: No such file"),
        (("--json", "absent/r.json"), "absent/r.json: --json can't write there: there is no such"),
        (("--html", "."), ".: --html can't write there: it is a folder"),
    ],
)
def test_bad_options_are_errors(
    tmp_path: Path, tiny: Path, args: tuple[str, ...], said: str
) -> None:
    (tmp_path / "flow.json").write_text(json.dumps(flow_of({"t": on("signup", "x")})))
    done = call("simulate", tmp_path / "flow.json", "--audience", tiny, *args)
    assert done.code == 2
    assert said in done.words
    assert "dry run" not in done.err
    assert done.out == ""


def test_a_flow_that_cannot_be_read_is_an_error(tmp_path: Path, tiny: Path) -> None:
    done, _ = simulate(tmp_path, tmp_path / "absent.yaml", tiny)
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        f"headrace: {tmp_path / 'absent.yaml'}: No such file or directory",
    )
    done = call("simulate", tmp_path, "--audience", tiny)
    assert (done.code, "Is a directory" in done.err) == (2, True)


def test_audiences_that_cannot_be_read_are_errors(tmp_path: Path) -> None:
    flow = flow_of({"t": on("signup", "x")})
    done, _ = simulate(tmp_path, flow, tmp_path / "absent")
    assert (done.code, "there is no such audience folder" in done.err) == (2, True)
    (tmp_path / "other").mkdir()
    done, _ = simulate(tmp_path, flow, tmp_path / "other")
    assert (done.code, "it holds no schema.json: no audience" in done.err) == (2, True)
    (tmp_path / "other" / "schema.json").write_text('{"headrace_audience": 2}')
    done, _ = simulate(tmp_path, flow, tmp_path / "other")
    assert done.code == 2
    assert "its format version is 2, and this program reads version 1" in done.err
    assert "Import the audience again" in done.err


def test_an_empty_audience_is_an_error(tmp_path: Path, tiny: Path) -> None:
    schema = json.loads((tiny / "schema.json").read_text())
    schema["counts"]["customers"] = 0
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "schema.json").write_text(json.dumps(schema))
    done, _ = simulate(tmp_path, flow_of({"t": on("signup", "x")}), tmp_path / "empty")
    assert (done.code, "the audience is empty" in done.err) == (2, True)


@pytest.mark.parametrize("file", ["customers.parquet", "events.parquet"])
@pytest.mark.parametrize("kept", [0.5, 0])
def test_a_parquet_file_cut_short_is_an_error(
    tmp_path: Path, tiny: Path, file: str, kept: float
) -> None:
    folder = tmp_path / "cut"
    folder.mkdir()
    for path in tiny.iterdir():
        data = path.read_bytes()
        (folder / path.name).write_bytes(
            data[: int(len(data) * kept)] if path.name == file else data
        )
    done, _ = simulate(tmp_path, flow_of({"t": on("signup", "x")}), folder)
    assert done.code == 2
    assert f"{folder / file}: it is damaged or cut short" in done.err


RAFFLE = """
headrace: 1
flow: raffle
settings: {coupons: {prize: 100}, reentry: {policy: once}}
nodes:
  start: {type: on_event, event: signup, next: draw}
  draw: {type: take_coupon, pool: prize, next: {taken: done, sold_out: done}}
  done: {type: end}
"""


def test_coupons_and_the_rate_of_entries_can_be_stated(sample: Path, tmp_path: Path) -> None:
    flow = tmp_path / "raffle.yaml"
    flow.write_text(RAFFLE, encoding="utf-8")
    log = tmp_path / "log.parquet"
    done, _ = simulate(tmp_path, flow, sample, *WHOLE, "--log", log)
    assert done.code == 0, done.err
    assert "of 100 taken" in done.out
    done, _ = simulate(
        tmp_path, flow, sample, *WHOLE, "--coupons", "prize=7", "--entry-rate", "3", "--log", log
    )
    assert done.code == 0, done.err
    assert "Coupons of prize: 7 of 7 taken, 0 left." in done.out
    assert "At most 3 entries a second" in done.out
    assert Counter(ports(log, "draw").values())["taken"] == 7


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("prize", "is not a pool and a number of coupons"),
        ("=5", "is not a pool and a number of coupons"),
        ("prize=-1", "is not a pool and a number of coupons"),
        ("prize=1000000001", "is not a pool and a number of coupons"),
        ("prise=5", "the flow has no pool of coupons 'prise'"),
    ],
)
def test_coupons_that_cannot_be_are_refused(
    sample: Path, tmp_path: Path, stated: str, told: str
) -> None:
    flow = tmp_path / "raffle.yaml"
    flow.write_text(RAFFLE, encoding="utf-8")
    done, _ = simulate(tmp_path, flow, sample, *WHOLE, "--coupons", stated)
    assert done.code == 2, done.err
    assert told in done.err
