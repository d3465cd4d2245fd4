"""Runs flows on what is computed of the customer record, from the command's work to the decisions.

The names carry the ids of the features. Audiences are imported and enriched in files, as a user
does it, so that what was computed is what a dry run reads.
"""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.audience import load_audience, read_schema
from actors.enrichment import enrich
from actors.importer import import_audience
from actors.sample import make_sample
from cases import END, ask, log_of, on, send
from core.audience import INT64_MIN
from core.compiler import compile_flow, needs_of
from core.enrichment_rules import EnrichmentRules
from core.flow import Flow
from core.instants import instant_ms
from core.options import RunOptions
from core.segments import Segments, group_condition
from interpreters import Interpreter
from live_side import EVERY_WAY

every_way = pytest.mark.parametrize("interpreter", EVERY_WAY.values(), ids=EVERY_WAY)

MAPPING = """
headrace_mapping: 1
as_of: 2026-06-01T00:00:00Z
customers: {file: people.csv, id: id, groups: {column: groups, separator: ","}}
events:
  - file: events.csv
    customer: id
    time: time
    event: {column: event}
    properties:
      amount: {column: amount, type: float64}
      lat: {column: lat, type: float64}
      lon: {column: lon, type: float64}
      product: product
"""
PEOPLE = 'id,groups\nann,"vip,everybody"\nben,everybody\ncyd,\n'
HERE, AWAY = "52.52,13.405", "52.62,13.405"
EVENTS = f"""id,time,event,amount,lat,lon,product
ann,2026-05-04T10:00:00Z,position,,{HERE},
ann,2026-05-05T10:00:00Z,position,,{HERE},
ann,2026-05-06T10:00:00Z,position,,{AWAY},
ann,2026-05-09T10:00:00Z,position,,{HERE},
ben,2026-05-09T11:00:00Z,position,,{AWAY},
ann,2026-04-25T10:00:00Z,purchase,10,,,
ann,2026-05-10T10:00:00Z,purchase,10,,,
ben,2026-05-13T10:00:00Z,purchase,90,,,
ann,2026-05-20T09:00:00Z,login,,,,
ben,2026-05-20T09:00:00Z,login,,,,
cyd,2026-05-20T09:00:00Z,login,,,,
ann,2026-05-27T09:00:00Z,login,,,,
ben,2026-05-05T10:00:00Z,page_visited,,,,lamp
cyd,2026-05-19T10:00:00Z,page_visited,,,,lamp
ann,2026-05-19T10:00:00Z,page_visited,,,,desk
"""
PRICES = """time,product,attribute,value
2026-05-01T00:00:00Z,lamp,price,60
2026-05-01T00:00:00Z,desk,price,60
2026-05-12T06:00:00Z,lamp,price,45
2026-05-21T06:00:00Z,lamp,price,40
2026-05-22T06:00:00Z,lamp,price,55
2026-05-23T06:00:00Z,lamp,price,30
"""
RULES = EnrichmentRules.model_validate(
    {
        "rfm": {
            "every": "7 days",
            "recency": [5, 10, 15, 20],
            "frequency": [2, 3, 4, 5],
            "money": [5, 20, 50, 80],
        },
        "geo": {"fences": {"shop": {"circle": {"lat": 52.52, "lon": 13.405, "radius_m": 300}}}},
        "merchandise": {
            "changes": "prices.csv",
            "rules": {
                "cheap": {
                    "when": {"attribute": "price", "below": 50},
                    "interested": [{"event": "page_visited", "within": "30 days"}],
                }
            },
        },
    }
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small audience, enriched with all but predictions."""
    folder = tmp_path_factory.mktemp("record")
    texts = {"people.csv": PEOPLE, "events.csv": EVENTS, "prices.csv": PRICES}
    for name, text in (texts | {"mapping.yaml": MAPPING}).items():
        (folder / name).write_text(text)
    import_audience(folder / "mapping.yaml", folder / "plain")
    parts = {"rfm", "geo", "merchandise"}
    enrich(folder / "plain", folder / "shop", parts, RULES, base=folder)
    return folder / "shop"


def flow_of(nodes: dict[str, Any], **settings: Any) -> Flow:
    document = {"headrace": 1, "flow": "f", "settings": settings, "nodes": {**nodes, "x": END}}
    return Flow.model_validate(document)


def runner(folder: Path, interpreter: Interpreter, flow: Flow) -> Callable[[str], list[str]]:
    """Run a flow on a folder over May 2026; gives the log of a customer."""
    audience = load_audience(folder, needs_of(compile_flow(flow)))
    window = [instant_ms(f"2026-{day}") for day in ("05-01", "06-01", "06-01")]
    ran = interpreter(flow, audience, RunOptions(*window), None)
    return lambda customer: log_of(ran, customer)


# Ann bought for 10 on 25 April and again on 10 May, Ben for 90 on 13 May. By the bounds above both
# are then recent buyers of middling worth until Monday, 25 May.


@every_way
def test_E07_a_flow_starts_when_the_rfm_status_changes(
    shop: Path, interpreter: Interpreter
) -> None:
    changed = {"attribute": "rfm", "is": "needs_attention"}
    start = {"type": "on_segment", "if": changed, "next": "remind"}
    nodes = {"start": start, "remind": send("email", "come-again", "x")}
    log = runner(shop, interpreter, flow_of(nodes, reentry={"policy": "always"}))
    expected = ["05-25 00:00 start next", "05-25 00:00 remind next", "05-25 00:00 x end"]
    assert [log(customer) for customer in ("ann", "ben", "cyd")] == [expected, expected, []]


@every_way
def test_C09_the_rfm_status_is_that_of_the_last_schedule(
    shop: Path, interpreter: Interpreter
) -> None:
    names = ("potential_loyal", "needs_attention", "at_risk")
    branch: dict[str, Any] = {"type": "branch_attribute", "attribute": "rfm"}
    branch["branches"] = {name: [name] for name in names}
    branch["next"] = dict.fromkeys((*names, "other"), "x")
    flow = flow_of({"start": on("login", "status"), "status": branch}, reentry={"policy": "always"})
    log = runner(shop, interpreter, flow)
    decided = {c: [line for line in log(c) if " status " in line] for c in ("ann", "ben", "cyd")}
    assert decided == {
        "ann": ["05-20 09:00 status potential_loyal", "05-27 09:00 status needs_attention"],
        "ben": ["05-20 09:00 status potential_loyal"],
        "cyd": ["05-20 09:00 status other"],
    }


@every_way
def test_A106_every_time_a_customer_comes_near_the_flow_starts(
    shop: Path, interpreter: Interpreter
) -> None:
    start = on("geo_entered", "hi", where={"property": "fence", "is": "shop"})
    flow = flow_of(
        {"start": start, "hi": send("push", "welcome", "x")}, reentry={"policy": "always"}
    )
    log = runner(shop, interpreter, flow)
    assert [line for line in log("ann") if "start" in line] == [
        "05-04 10:00 start next",
        "05-09 10:00 start next",
    ]
    assert log("ben") == []
    leaving = flow_of({"start": on("geo_exited", "x")})
    assert runner(shop, interpreter, leaving)("ann")[0] == "05-06 10:00 start next"


@every_way
def test_A028_a_price_that_falls_reaches_those_who_looked_at_the_product(
    shop: Path, interpreter: Interpreter
) -> None:
    start = on("product_changed", "tell", where={"property": "attribute", "is": "price"})
    flow = flow_of(
        {"start": start, "tell": send("email", "price-drop", "x")}, reentry={"policy": "always"}
    )
    log = runner(shop, interpreter, flow)
    told = {c: [line for line in log(c) if "start" in line] for c in ("ann", "ben", "cyd")}
    assert told == {
        "ann": [],
        # From 45 to 40 it was below 50 already; then it rose and fell again.
        "ben": ["05-12 06:00 start next", "05-23 06:00 start next"],
        "cyd": ["05-23 06:00 start next"],
    }


@every_way
@pytest.mark.parametrize("active", [False, True])
def test_A033_a_group_leaves_out_those_of_a_higher_one_only_if_activated(
    shop: Path, interpreter: Interpreter, active: bool
) -> None:
    groups = Segments(groups=["vip", "everybody"], deduplicate=active)
    start = {"type": "on_segment", "if": group_condition("everybody", groups), "next": "x"}
    log = runner(shop, interpreter, flow_of({"start": start}))
    entered = {c: bool(log(c)) for c in ("ann", "ben", "cyd")}
    assert entered == {"ann": not active, "ben": True, "cyd": False}


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample shop with predictions, every 60 days."""
    folder = tmp_path_factory.mktemp("predicted")
    make_sample(folder / "a", customers=4_000, days=300)
    rule = {"horizon": "40 days", "every": "60 days"}
    rules = EnrichmentRules.model_validate({"churn": rule, "purchase": rule})
    enrich(folder / "a", folder / "b", {"churn", "purchase"}, rules)
    return folder / "b"


@every_way
def test_C16_a_condition_reads_the_churn_prediction_of_its_time(
    predicted: Path, interpreter: Interpreter
) -> None:
    check_prediction(predicted, interpreter, "churn", 0.8)


@every_way
def test_C18_a_condition_reads_the_purchase_prediction_of_its_time(
    predicted: Path, interpreter: Interpreter
) -> None:
    check_prediction(predicted, interpreter, "purchase_score", 0.1)


def check_prediction(
    predicted: Path, interpreter: Interpreter, attribute: str, least: float
) -> None:
    """Each decision on a score is that of the last prediction made by then, and before any: no."""
    flow = flow_of(
        {
            "start": on("page_view", "likely"),
            "likely": ask({"attribute": attribute, "at_least": least}),
        },
        reentry={"policy": "always"},
    )
    audience = load_audience(predicted, needs_of(compile_flow(flow)))
    last_ms = read_schema(predicted).time.last_ms
    assert last_ms is not None
    from_ms = last_ms - 130 * 86_400_000
    ran = interpreter(flow, audience, RunOptions(from_ms, last_ms, last_ms), None)
    asked = [record for record in ran.records if record.node == "likely"]
    log = audience.changes
    assert log is not None
    assert len(asked) > 500
    truths = []
    for record in asked:
        customer = audience.index_of(record.customer)
        assert customer is not None
        mine = slice(int(log.offsets[customer]), int(log.offsets[customer + 1]))
        own = log.value[mine][log.ms[mine] <= record.time_ms]
        score = own[-1:].view(np.float64)
        truths.append(bool(len(score) and score[0] >= least))
        assert record.port == ("yes" if truths[-1] else "no")
    assert {True, False} == set(truths)
    # Before the first prediction there is none.
    first_ms = int(log.ms.min())
    assert first_ms > from_ms > INT64_MIN
    assert all(record.port == "no" for record in asked if record.time_ms < first_ms)
