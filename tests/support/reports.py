"""Makes reports to show: of the everyday flow with responses, of a large one, of a hostile one."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from typing import Any

from core.audience import Absence
from core.audience_build import audience_from_python
from core.reference import run
from core.report import AudienceFacts, Report, RunFacts
from core.report_build import build_report
from core.story import tell
from sample_flows import EVIL, hostile, large, welcome, welcome_responses
from walks import FROM_MS, HOUR_MS, OPTIONS, walk

AUDIENCE = AudienceFacts(
    name="shop customers",
    customers=400,
    events=5213,
    first_ms=FROM_MS - 100 * 24 * HOUR_MS,
    last_ms=OPTIONS.horizon_ms,
    as_of_ms=FROM_MS,
)
MISSPELT = replace(
    AUDIENCE, absent=(Absence("attribute", "country", ("Country",)),), invalid_zones=3
)


@cache
def everyday(replicates: int = 20, people: int = 400) -> Report:
    """The welcome journey, its responses modelled, with a misspelt attribute."""
    flow, responses = welcome(), welcome_responses()
    audience = replace(MISSPELT, customers=people)
    runs = [walk(flow, people=people, responses=responses, replicate=k) for k in range(replicates)]
    return build_report(
        flow,
        runs,
        OPTIONS,
        audience=audience,
        responses=responses,
        run=RunFacts(elapsed_s=1.25, workers=2, headrace="0.1.0", made="2026-02-01T10:00:00+00:00"),
    )


@cache
def recorded() -> Report:
    """The welcome journey on history alone."""
    return build_report(welcome(), walk(welcome()), OPTIONS, audience=AUDIENCE)


@cache
def sixty(people: int = 300) -> Report:
    """A flow of 62 nodes, with parts that nobody reached."""
    avoid = frozenset({("c3-wait", "event"), ("c2-split", "c")})
    counters = walk(large(), people=people, avoid=avoid)
    return build_report(large(), counters, OPTIONS, audience=AUDIENCE)


@cache
def evil() -> Report:
    """Names that try to be markup, everywhere that a name can stand."""
    audience = replace(
        AUDIENCE, name=EVIL, absent=(Absence("attribute", EVIL, (EVIL,)), Absence("event", EVIL))
    )
    story: dict[str, Any] = {"customer": EVIL, "zone": "UTC", "steps": [], "places": []}
    story["never_entered"] = [EVIL]
    return build_report(hostile(), walk(hostile()), OPTIONS, audience=audience, stories=[story])


@cache
def told() -> Report:
    """The welcome journey of four customers, each with a story; one never enters."""
    flow, responses, at = welcome(), welcome_responses(), FROM_MS + 12 * HOUR_MS
    customers = [
        {
            "id": name,
            "zone": "Europe/Berlin",
            "attributes": {"country": country, "sms_consent": True, "points": 10},
        }
        for name, country in (("ada", "DE"), ("ben", "GB"), ("<i>cy", "FR"), ("dot", "DE"))
    ]
    events = [
        {"customer": name, "event": "signup", "time": at, "properties": {"source": source}}
        for name, source in (("ada", "web"), ("ben", "app"), ("<i>cy", "web"), ("dot", "shop"))
    ]
    events.append({"customer": "ada", "event": "clicked", "time": at + HOUR_MS})
    events.append({"customer": "ada", "event": "signup", "time": at + 200 * HOUR_MS,
                   "properties": {"source": "web"}})  # fmt: skip
    audience = audience_from_python(customers, events, as_of=FROM_MS)
    options = replace(OPTIONS, horizon_ms=FROM_MS + 14 * 24 * HOUR_MS)
    return build_report(
        flow,
        run(flow, audience, options, responses).counters,
        options,
        audience=replace(AUDIENCE, customers=4, events=6),
        responses=responses,
        stories=[asdict(tell(flow, audience, c, options, responses)) for c in range(4)],
    )
