"""Checks `headrace enrich`: what it says, what it refuses, and what a dry run then reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.audience import read_schema
from actors.sample import make_sample
from command import call, names

FLOW = {
    "headrace": 1,
    "flow": "rescue",
    "nodes": {
        "start": {
            "type": "on_segment",
            "if": {"attribute": "rfm", "one_of": ["at_risk", "cant_lose"]},
            "next": "call",
        },
        "call": {"type": "add_tag", "tag": "call", "next": "done"},
        "done": {"type": "end"},
    },
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("enriching") / "shop"
    make_sample(folder, customers=2_000, days=200)
    return folder


def test_a_status_is_computed_and_a_flow_runs_on_it(tmp_path: Path, shop: Path) -> None:
    done = call("enrich", shop, "--output", tmp_path / "out", "--rfm")
    assert (done.code, done.err.splitlines()[-1]) == (0, "writing customers ...")
    lines = done.out.splitlines()
    assert lines[0].startswith("rfm: ")
    schema = read_schema(tmp_path / "out")
    counts = schema.counts
    assert lines[-1] == (
        f"2,000 customers, {counts.events:,} events and {counts.changes:,} changes are in "
        f"{tmp_path / 'out'}"
    )
    assert names(tmp_path / "out") == [
        "changes.parquet",
        "customers.parquet",
        "enrichment.json",
        "events.parquet",
        "schema.json",
    ]
    (tmp_path / "flow.json").write_text(json.dumps(FLOW))
    checked = call("check", tmp_path / "flow.json", "--audience", tmp_path / "out")
    assert checked.code == 0
    assert "absent" not in checked.out
    report = tmp_path / "report.json"
    ran = call(
        "simulate", tmp_path / "flow.json", "--audience", tmp_path / "out", "--json", report, "-q"
    )
    assert ran.code == 0
    assert json.loads(report.read_text())["totals"]["entries"]["value"] > 50


def test_predictions_show_their_calibration(tmp_path: Path, shop: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("headrace_enrichment: 1\npurchase: {horizon: 40 days}\n")
    out = tmp_path / "out"
    done = call("enrich", shop, "--output", out, "--purchase", "--rules", rules, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "purchase_score: 2,000 of 2,000 customers have a score" in done.out
    assert "Brier score 0." in done.out
    assert "purchase: what was predicted, and what happened" in done.out
    assert "observed (" in done.out
    page = (out / "purchase.html").read_text()
    assert page.startswith("<!doctype html>")
    record = json.loads((out / "enrichment.json").read_text())
    assert record["rules"] == {
        "purchase": {"event": "purchase", "amount": "amount", "horizon": "40 days"}
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to compute. State one or more of --rfm, --churn"),
        (("--geo",), "there are no fences. State them under 'geo' in a rules file, with --rules"),
        (("--churn",), "cannot learn churn: purchases go back"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, shop: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = call("enrich", shop, "--output", tmp_path / "out", *arguments, "-q")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert names(tmp_path) == []


def test_rules_that_are_wrong_are_told_with_their_lines(tmp_path: Path, shop: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("headrace_enrichment: 1\nrfm:\n  evry: 7 days\n")
    done = call("enrich", shop, "--output", tmp_path / "out", "--rfm", "--rules", rules, "-q")
    assert done.code == 1
    assert "rules.yaml:3" in done.err
    assert "Did you mean 'every'?" in done.err
    assert names(tmp_path) == ["rules.yaml"]


def test_an_audience_is_never_overwritten(tmp_path: Path, shop: Path) -> None:
    done = call("enrich", shop, "--output", shop, "--rfm", "-q")
    assert done.code == 2
    assert "an audience is there already" in done.err
    assert "rfm" not in read_schema(shop).attributes
    done = call("enrich", tmp_path / "nowhere", "--output", tmp_path / "out", "--rfm", "-q")
    assert (done.code, "no such audience folder" in done.err) == (2, True)
