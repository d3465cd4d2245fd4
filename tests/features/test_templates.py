"""Runs every template of the library on the sample audience, from its file to its report.

The audience is seeded and so are the responses to messages, so that the counts are exact. People
are counted a second time from the audience's files, without the engine, where that is simple.
"""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from actors.audience import load_audience, read_schema
from actors.sample import make_sample
from api.template_folder import library
from command import EXAMPLES, call, simulate
from compiled import run_compiled
from core.compiler import compile_flow, needs_of
from core.document import read_flow, read_responses
from core.instants import instant_ms
from core.options import RunOptions
from core.reference import run
from differential import Loaded
from interpreters import run_machine
from live_side import live_differs

FROM = "2026-04-20"
NAMES = [entry.name for entry in library()]
LAUNCH = ("announce_on=2026-05-11", "launch_on=2026-05-18")
GIVEN: dict[str, tuple[str, ...]] = {
    "product-launch": LAUNCH,
    # What the sample's customers buy most often, so that some buy it again.
    "replenishment": ("what=clothing,beauty",),
}
PROMISED = {
    *{"welcome", "abandoned-cart", "full-consumption-reward", "win-back", "birthday"},
    *{"loan-due-date", "replenishment", "double-opt-in", "nps-survey", "product-launch"},
    *{"price-drop", "loyalty-tier", "churn-rescue", "lead-nurture", "post-purchase-cross-sell"},
}


class Ran(NamedTuple):
    """What a template did: people, messages, and how many took the ports that it is about."""

    people: int
    sends: int
    ports: dict[str, int]


# `clicked.event` and the like are answers that the responses file makes up; all else is history.
RAN = {
    "abandoned-cart": Ran(
        916, 570, {"thinking.event": 629, "first.next": 519, "second.next": 51, "rescued.next": 10}
    ),
    "birthday": Ran(
        665, 1106, {"voucher.next": 505, "used.yes": 12, "congratulation.next": 441,
                    "in-app.next": 148},
    ),
    "browse-abandonment": Ran(
        2059, 39, {"often.yes": 56, "waiting.event": 17, "mail.next": 39, "filled.next": 7}
    ),
    "churn-rescue": Ran(
        837, 613, {"best.best": 37, "compare.left-alone": 160, "offer.next": 388,
                   "second-try.next": 225, "rescued.next": 7},
    ),
    "double-opt-in": Ran(
        454, 916, {"confirmed.event": 256, "ask-again.next": 189, "confirmed-late.event": 17,
                   "consent.next": 273, "unconfirmed.next": 151},
    ),
    "full-consumption-reward": Ran(
        519, 95, {"reached.yes": 128, "rewarded-before.rewarded": 32, "by-mail.next": 74,
                  "by-message.next": 21, "used.next": 13},
    ),
    "lead-nurture": Ran(
        454, 941, {"first-points.next": 23, "visit-points.next": 14, "warm.yes": 3,
                   "warm-now.yes": 4, "hand-over.next": 7, "newsletter.next": 267},
    ),
    "loan-due-date": Ran(
        233, 556, {"paid-early.yes": 21, "first.next": 212, "second.next": 119, "late.next": 45,
                   "settled.next": 180, "hand-over.next": 17},
    ),
    "loyalty-tier": Ran(
        519, 35, {"earn.next": 155, "bonus.next": 32, "gold.next": 10, "gold-already.gold": 11,
                  "silver.next": 25, "silver-already.enough": 23},
    ),
    "nps-survey": Ran(
        519, 741, {"survey.next": 365, "reminder.next": 305, "review.next": 27, "sorry.next": 22,
                   "thanks.next": 22},
    ),
    "post-purchase-cross-sell": Ran(
        519, 742, {"delay.event": 29, "first-suggestion.next": 51, "second-suggestion.next": 51,
                   "which.best-sellers": 113, "which.new-arrivals": 113, "bought-again.next": 25},
    ),
    "price-drop": Ran(
        517, 573, {"price-mail.next": 416, "last-call.next": 157, "bought.next": 12}
    ),
    "product-launch": Ran(
        1233, 2460, {"announcement.next": 1232, "curious.next": 118, "first-message.next": 42,
                     "first-mail.next": 76, "launch-mail.next": 1110},
    ),
    "replenishment": Ran(
        292, 230, {"first-period.event": 21, "reminder.next": 182, "second-period.event": 9,
                   "second-reminder.next": 48, "last-period.event": 2, "again.next": 32},
    ),
    "welcome": Ran(
        454, 651, {"greeting.next": 336, "clicked.event": 25, "voucher.next": 21,
                   "reminder-question.next": 147, "reminder-promise.next": 147},
    ),
    "win-back": Ran(
        142, 211, {"compare.left-alone": 14, "we-miss-you.next": 128, "offer.next": 83,
                   "back.next": 11, "lost.next": 40},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of 4,000 customers over 90 days, with all that templates read."""
    folder = tmp_path_factory.mktemp("templates") / "shop"
    make_sample(folder, customers=4000, days=90, seed=1, lifecycle=True)
    return folder


@pytest.fixture(scope="module")
def tables(shop: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers, and events from the window's begin on, as pandas reads them."""
    events = pd.read_parquet(shop / "events.parquet")
    bought = read_schema(shop).events["purchase"].properties
    events = events.rename(columns={held.column: name for name, held in bought.items()})
    return (
        pd.read_parquet(shop / "customers.parquet"),
        events[events["time"] >= pd.Timestamp(FROM, tz="Europe/London")],
    )


def written(folder: Path, name: str, *settings: str) -> Path:
    """The file of a flow that the command made of a template."""
    path = folder / f"{name}.yaml"
    stated = [part for setting in settings for part in ("--set", setting)]
    done = call("new", "--template", name, *stated, "--output", path)
    assert (done.code, done.err) == (0, "")
    return path


def rehearsed(folder: Path, shop: Path, name: str) -> dict[str, Any]:
    """The report of a template's dry run on the shop, with the responses of the examples."""
    path = written(folder, name, *GIVEN.get(name, ()))
    answers = EXAMPLES / "responses.yaml"
    done, report = simulate(folder, path, shop, "--from", FROM, "--responses", answers, "-q")
    assert done.code == 0, done.err
    return report


def test_A133_the_library_has_what_was_promised() -> None:
    assert set(NAMES) >= PROMISED
    assert len(PROMISED) == 15
    assert set(RAN) == set(NAMES) - {"blank"}


@pytest.mark.parametrize("name", NAMES)
def test_A133_a_template_passes_the_check(name: str, shop: Path, tmp_path: Path) -> None:
    path = written(tmp_path, name, *GIVEN.get(name, ()))
    for args in ((), ("--audience", shop)):
        done = call("check", path, "--json", *args)
        found = {(v["severity"], v["code"]) for v in json.loads(done.out)}
        # That a slot's begin lets out all who waited is so, and meant.
        assert found <= {("info", "surge")}
        assert done.code == 0


@pytest.mark.parametrize("name", NAMES)
def test_A133_nothing_in_a_template_keeps_it_from_running_live(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, *GIVEN.get(name, ()))
    flow, _ = read_flow(path.read_bytes(), name=path.name)
    assert flow is not None
    assert flow.couplings == []
    assert (flow.settings.start, flow.settings.stop) == (None, None)


@pytest.mark.parametrize("name", sorted(RAN))
def test_A020_a_template_does_on_the_sample_what_it_is_for(
    name: str, shop: Path, tmp_path: Path
) -> None:
    report = rehearsed(tmp_path, shop, name)
    ports = {
        f"{node['id']}.{port['port']}": port["count"]["value"]
        for node in report["nodes"]
        for port in node["ports"]
    }
    wanted = RAN[name]
    assert {place: ports[place] for place in wanted.ports} == wanted.ports
    assert report["totals"]["people"]["value"] == wanted.people
    assert report["totals"]["sends"]["value"] == wanted.sends
    assert min(wanted.ports.values()) > 0
    assert report["totals"]["parked"]["value"] == 0
    # What it is to reach is stated, and counted from the first day on.
    assert report["goal"]["successes"]["watched"]["value"] == report["totals"]["entries"]["value"]
    assert report["goal"]["successes"]["succeeded"]["value"] > 0
    reached = [layer["people"]["value"] for layer in report["funnel"]["layers"]]
    assert reached
    assert reached[0] > 0


Tables = tuple[pd.DataFrame, pd.DataFrame]


def did(tables: Tables, event: str, where: Callable[[Any], Any] | None = None) -> int:
    """How many customers did an event within the window."""
    events = tables[1][tables[1]["event"] == event]
    return int((events if where is None else events[where(events)])["customer"].nunique())


# Whom each template lets in, counted by pandas.
PEOPLE: dict[str, Callable[[Tables], int]] = {
    "abandoned-cart": lambda t: did(t, "add_to_cart"),
    "browse-abandonment": lambda t: did(t, "product_view"),
    "churn-rescue": lambda t: int((t[0]["a.churn"] >= 0.7).sum()),
    "double-opt-in": lambda t: did(t, "contact_added"),
    "full-consumption-reward": lambda t: did(t, "purchase"),
    "lead-nurture": lambda t: did(t, "contact_added"),
    "loyalty-tier": lambda t: did(t, "purchase"),
    "nps-survey": lambda t: did(t, "purchase"),
    "price-drop": lambda t: did(t, "product_changed"),
    "product-launch": lambda t: int(
        (t[0]["a.consent:email"] & t[0]["tags"].map(lambda tags: "newsletter" in tags)).sum()
    ),
    "replenishment": lambda t: did(
        t, "purchase", lambda rows: rows["category"].isin(["clothing", "beauty"])
    ),
    "welcome": lambda t: did(t, "contact_added"),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_A020_those_who_enter_are_those_in_the_files(name: str, tables: Tables) -> None:
    assert PEOPLE[name](tables) == RAN[name].people


@pytest.fixture(scope="module")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of 400 customers over 120 days."""
    folder = tmp_path_factory.mktemp("templates") / "small"
    make_sample(folder, customers=400, days=120, seed=3, lifecycle=True)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_A020_A133_both_interpreters_and_live_carry_a_template_out_alike(
    name: str, small_shop: Path, tmp_path: Path
) -> None:
    path = written(tmp_path, name, *GIVEN.get(name, ()))
    flow, _ = read_flow(path.read_bytes(), name=path.name)
    answers = EXAMPLES / "responses.yaml"
    responses, _ = read_responses(answers.read_bytes(), name=answers.name)
    assert flow is not None
    audience = load_audience(small_shop, needs_of(compile_flow(flow, responses)))
    options = RunOptions(
        instant_ms("2026-05-01T00:00Z"),
        instant_ms("2026-06-30T00:00Z"),
        instant_ms("2026-07-20T00:00Z"),
        seed=1,
        audience_zone="Europe/London",
    )
    expected = run(flow, audience, options, responses).records
    assert run_compiled(flow, audience, options, responses)[0] == expected
    assert len(expected) > 10
    unanswered = run_machine(flow, audience, options, None)
    assert live_differs(Loaded(flow, audience, options, None), unanswered) is None
    assert len(unanswered.records) > 10


def test_A020_full_consumption_reward_rewards_once_who_reaches_the_target(
    shop: Path, tables: Tables, tmp_path: Path
) -> None:
    log = tmp_path / "log.parquet"
    settings = ("order_target=200", "total_target=100000", "delay=1 hour")
    path = written(tmp_path, "full-consumption-reward", *settings)
    done, _ = simulate(tmp_path, path, shop, "--from", FROM, "--log", log, "-q")
    assert done.code == 0, done.err
    rows = pd.read_parquet(log)
    rewarded = rows[rows["node"].isin(["by-mail", "by-message"])]["customer"]
    assert rewarded.is_unique
    customers, events = tables
    large = events[(events["event"] == "purchase") & (events["amount"] >= 200)]
    first = large.groupby("customer")["time"].min()
    in_time = first[first <= events["time"].max() - pd.Timedelta("1 hour")]
    assert set(rewarded) == set(customers["id"].iloc[in_time.index])
    assert len(rewarded) > 20


def test_A134_parameters_make_another_flow_of_the_same_template(shop: Path, tmp_path: Path) -> None:
    settings = ("left_alone=50%", "silence=30 days", "patience=3 days", "flow=back", "name=Back!")
    path = written(tmp_path, "win-back", *settings)
    flow, _ = read_flow(path.read_bytes(), name=path.name)
    assert flow is not None
    written_out = flow.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert (written_out["flow"], written_out["name"]) == ("back", "Back!")
    assert written_out["nodes"]["compare"]["branches"] == {"written-to": "50%", "left-alone": "50%"}
    assert written_out["nodes"]["first-answer"]["timeout"] == "3 days"
    done, report = simulate(tmp_path, path, shop, "--from", FROM, "-q")
    assert done.code == 0, done.err
    (compare,) = [node for node in report["nodes"] if node["id"] == "compare"]
    alone = [port["count"]["value"] for port in compare["ports"]]
    people = report["totals"]["people"]["value"]
    assert people > RAN["win-back"].people  # whoever is silent for 60 days was so for 30
    assert sum(alone) >= people
    assert 0.4 < alone[0] / sum(alone) < 0.6


def test_A021_a_blank_flow_runs(shop: Path, tables: Tables, tmp_path: Path) -> None:
    path = tmp_path / "blank.yaml"
    assert call("new", "--output", path).code == 0
    done, report = simulate(tmp_path, path, shop, "--from", FROM, "-q")
    assert done.code == 0, done.err
    assert report["totals"]["people"]["value"] == did(tables, "contact_added") == 454


def test_A022_a_flow_saved_as_a_template_is_reused_with_other_values(
    shop: Path, tmp_path: Path
) -> None:
    cart = written(tmp_path, "abandoned-cart", "second_channel=push", "flow=ours")
    mine = ("--templates", tmp_path / "mine")
    parameter = "patience=/nodes/next-day/timeout"
    saved = call("save-template", cart, "our-cart", "--parameter", parameter, *mine)
    assert saved.code == 0, saved.err
    assert "our-cart (own)" in call("new", "--list", *mine).out
    again = tmp_path / "again.yaml"
    done = call("new", "--template", "our-cart", "--output", again, *mine)
    assert done.code == 0, done.err
    _, first = simulate(tmp_path, cart, shop, "--from", FROM, "-q")
    _, second = simulate(tmp_path, again, shop, "--from", FROM, "-q")
    assert second["totals"] == first["totals"]
    assert second["nodes"] == first["nodes"]
    settings = ("--set", "patience=5 days", "--set", "flow=ours-slow")
    call("new", "--template", "our-cart", *settings, "--output", again, "--replace", *mine)
    flow, _ = read_flow(again.read_bytes(), name=again.name)
    assert flow is not None
    assert flow.flow == "ours-slow"
    assert "timeout: 5 days" in again.read_text()
    _, slow = simulate(tmp_path, again, shop, "--from", FROM, "-q")
    assert slow["totals"]["sends"]["value"] != first["totals"]["sends"]["value"]
