"""Follows 76,277 offers with plain pandas, and compares every single one with the dry run.

The flow has three facts of each offer to find: the first look at it after it arrived, the first
redemption after that look, and the first redemption at all. `merge_asof` finds them on the order of
the raw file's lines; nothing of the engine or of the importer takes part.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from actors.audience import read_schema
from actors.importer import import_audience
from house import CHECKOUT
from journeys import (
    Expectation,
    Journey,
    Run,
    Step,
    busiest,
    check,
    check_reference,
    figures_of_readme,
    run_flow,
    spread,
)

pytestmark = pytest.mark.slow

EXAMPLE = CHECKOUT / "examples" / "starbucks"
EPOCH_MS = int(pd.Timestamp("2018-01-01", tz="UTC").timestamp()) * 1000
HOUR_MS = 3_600_000
INFORMATIONAL = {"3f207df678b143eea3cee63160fa8bed", "5a8bc65990b245e5a138643cd4eb9837"}
OPEN_HOURS, REDEEM_HOURS, GOAL_HOURS = 72, 7 * 24, 10 * 24
NEVER = 10**9

# From, until and horizon in hours: all of it, and a part that begins after a wave of sends, ends
# right before another, and is followed to an hour at which much is going on.
ALL, PART = (0, 715, 715), (168, 504, 576)
REENTRY: dict[str, dict[str, Any]] = {
    "inside": {"policy": "after_exit", "key": "offer_id"},
    "gap": {"policy": "always", "key": "offer_id", "gap": "7 days"},
}
REFUSED = {"inside": 910, "gap": 973}


@pytest.fixture(scope="module")
def folder(data_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audience, imported as the example says."""
    out = tmp_path_factory.mktemp("starbucks") / "audience"
    import_audience(EXAMPLE / "mapping.yaml", out, data=data_dir("starbucks"))
    return out


@pytest.fixture(scope="module")
def lines(data_dir: Callable[[str], Path]) -> pd.DataFrame:
    """The raw events on offers: their place in the file, person, event, hour, offer."""
    with gzip.open(data_dir("starbucks") / "transcript.ndjson.gz", "rt") as file:
        raw = [json.loads(line) for line in file if line.strip()]
    frame = pd.DataFrame(
        {
            "person": [r["person"] for r in raw],
            "event": [r["event"] for r in raw],
            "hour": [r["time"] for r in raw],
            "offer": [r["value"].get("offer id", r["value"].get("offer_id")) for r in raw],
        }
    )
    assert frame.hour.is_monotonic_increasing, "the order of the lines is the order of time"
    frame["line"] = range(len(frame))
    return frame[frame.offer.notna()]


@pytest.fixture(scope="module")
def offers(lines: pd.DataFrame, data_dir: Callable[[str], Path]) -> pd.DataFrame:
    """Each receipt with the first look after it, the first redemption after that, and at all."""
    profile = pd.read_json(data_dir("starbucks") / "profile.json.gz", lines=True)
    known = profile.set_index("id").age != 118
    found = lines[lines.event == "offer received"].drop(columns="event")
    found = _followed(found, "line", lines[lines.event == "offer viewed"], "viewed")
    completed = lines[lines.event == "offer completed"]
    found = _followed(found, "viewed_line", completed, "redeemed")
    found = _followed(found, "line", completed, "goal")
    return found.assign(known=found.person.map(known)).sort_values("line")


def _followed(left: pd.DataFrame, after: str, events: pd.DataFrame, name: str) -> pd.DataFrame:
    """Adds the hour and the line of the next of `events` of the same person and offer."""
    right = events[["person", "offer", "hour", "line"]]
    right = right.rename(columns={"hour": name, "line": f"{name}_line"})
    merged = pd.merge_asof(
        left.sort_values(after), right, left_on=after, right_on=f"{name}_line",
        by=["person", "offer"], direction="forward", allow_exact_matches=False,
    )  # fmt: skip
    columns = [name, f"{name}_line"]
    merged[columns] = merged[columns].fillna(NEVER).astype("int64")
    return merged


def expected(
    offers: pd.DataFrame, window: tuple[int, int, int], policy: str = "always"
) -> Expectation:
    """What must become of each offer received inside the window."""
    begin, until, horizon = window
    found = Expectation()
    last: dict[tuple[str, str], tuple[int, tuple[int, int]]] = {}  # began, ended at (hour, line)
    for offer in offers[(offers.hour >= begin) & (offers.hour < until)].itertuples():
        key = offer.person, offer.offer
        if key in last and (why := _refusal(policy, offer, *last[key])) is not None:
            step = EPOCH_MS + offer.hour * HOUR_MS, "received", why
            found.journeys.append(Journey(offer.person, (step,)))
            continue
        steps, waits, line = _journey(offer, horizon)
        last[key] = offer.hour, (NEVER, 0) if waits else (steps[-1][0], line)
        timed = tuple((EPOCH_MS + hour * HOUR_MS, node, port) for hour, node, port in steps)
        found.journeys.append(Journey(offer.person, timed, waits))
        found.goal.add(offer.hour, GOAL_HOURS, offer.goal, horizon)
    return found


def _journey(offer: Any, horizon: int) -> tuple[list[Step], str | None, int]:
    """Steps in hours, where it waits at the horizon, the line that ended it (NEVER: a timer)."""
    steps: list[Step] = [(offer.hour, "received", "next")]
    due = offer.hour + OPEN_HOURS
    if offer.viewed > due or offer.viewed >= horizon:
        if due >= horizon:
            return steps, "opened", NEVER
        mail = "reminder-mail" if offer.known else "reminder-in-app"
        steps += [
            (due, "opened", "timeout"),
            (due, "details-known", "yes" if offer.known else "no"),
        ]
        steps += [(due, mail, "next"), (due, "done", "end")]
        return steps, None, NEVER
    informs = offer.offer in INFORMATIONAL
    steps += [(offer.viewed, "opened", "event")]
    steps += [(offer.viewed, "only-informs", "yes" if informs else "no")]
    if informs:
        return [*steps, (offer.viewed, "done", "end")], None, offer.viewed_line
    due = offer.viewed + REDEEM_HOURS
    at = offer.redeemed
    if at <= due and at < horizon:
        steps += [(at, "redeemed", "event"), (at, "keen", "next"), (at, "done", "end")]
        return steps, None, offer.redeemed_line
    if due >= horizon:
        return steps, "redeemed", NEVER
    steps += [(due, "redeemed", "timeout"), (due, "nudge", "next"), (due, "done", "end")]
    return steps, None, NEVER


def _refusal(policy: str, offer: Any, began: int, ended: tuple[int, int]) -> str | None:
    """Why an offer that came before may not be followed a second time."""
    if policy == "inside" and ended >= (offer.hour, offer.line):  # a timer acts after all lines
        return "refused_inside"
    if policy == "gap" and began > offer.hour - REDEEM_HOURS:
        return "refused_gap"
    return None


def run(folder: Path, window: tuple[int, int, int], policy: str = "always") -> Run:
    begin, until, horizon = (EPOCH_MS + hour * HOUR_MS for hour in window)
    settings = {"reentry": REENTRY[policy]} if policy in REENTRY else None
    flow = EXAMPLE / "flow.yaml"
    return run_flow(
        flow, folder, from_ms=begin, until_ms=until, horizon_ms=horizon, settings=settings
    )


def test_the_import_keeps_everything(folder: Path) -> None:
    schema = read_schema(folder)
    counts = schema.counts
    assert (counts.customers, counts.events) == (17_000, 306_534)
    assert (counts.rejected, counts.duplicates, counts.out_of_order) == (0, 397, 0)
    assert schema.attributes["age"].nulls == schema.attributes["gender"].nulls == 2_175
    assert {name: event.count for name, event in schema.events.items()} == {
        "transaction": 138_953,
        "offer received": 76_277,
        "offer viewed": 57_725,
        "offer completed": 33_579,
    }


def test_the_hard_cases_occur(lines: pd.DataFrame, offers: pd.DataFrame) -> None:
    """Else the comparisons below would prove less than they seem to."""
    assert lines.event.value_counts().to_dict() == {
        "offer received": 76_277,
        "offer viewed": 57_725,
        "offer completed": 33_579,
    }
    assert lines.duplicated(["person", "event", "hour", "offer"]).sum() == 397
    assert offers.duplicated(["person", "offer"]).sum() == 12_989
    assert (offers.viewed == offers.hour).sum() == 12_667  # after the receipt, in the same hour
    assert (offers.viewed == offers.hour + OPEN_HOURS).sum() == 802  # at the deadline
    seen = offers[offers.viewed <= offers.hour + OPEN_HOURS]
    assert (seen.redeemed == seen.viewed).sum() == 2_608
    assert (seen.redeemed == seen.viewed + REDEEM_HOURS).sum() == 104
    assert (offers.goal < offers.viewed).sum() == 10_163  # redeemed before a look, or without one
    assert offers[offers.viewed < NEVER].duplicated("viewed_line").sum() == 1_216  # wakes several


@pytest.mark.parametrize("window", [ALL, PART])
def test_every_offer_goes_the_same_way(
    folder: Path, offers: pd.DataFrame, window: tuple[int, int, int]
) -> None:
    check(run(folder, window), expected(offers, window))


@pytest.mark.parametrize("policy", list(REENTRY))
def test_every_refusal_is_the_same(folder: Path, offers: pd.DataFrame, policy: str) -> None:
    wanted = expected(offers, PART, policy)
    assert sum(journey.refused for journey in wanted.journeys) == REFUSED[policy]
    check(run(folder, PART, policy), wanted)


@pytest.mark.parametrize(("window", "policy"), [(ALL, "always"), (PART, "inside")])
def test_the_reference_says_the_same_of_a_sample(
    folder: Path, window: tuple[int, int, int], policy: str
) -> None:
    done = run(folder, window, policy)
    check_reference(done, sorted({*busiest(done, 20), *spread(done, 300)}))


def test_the_readme_tells_what_comes_out(folder: Path) -> None:
    figures_of_readme(EXAMPLE / "README.md", run(folder, ALL))
