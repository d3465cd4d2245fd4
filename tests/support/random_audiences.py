"""Makes up small audiences by chance, crowded at the places where rules meet.

Times fall on a coarse grid, so that events, timers and thresholds often coincide; values come from
small pools, so that equalities are hit. Everything is plain data, as a vector holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Days on which clocks change somewhere in ZONES, ends of months, and a quiet day.
CENTRES = (
    "2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04",
    "2026-04-24", "2026-10-30", "2011-12-30", "2024-02-29", "2026-01-31", "2026-06-17",
)  # fmt: skip
ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia",
    "UTC", "Asia/Kolkata",
)  # fmt: skip
IDS = ("c", "c", "jörg-", "客", "x@y.z/")
NO_ZONES = ("Mars/Base", "europe/berlin", "")

INT_MAX = 2**63 - 1
INTS = (-3, -1, 0, 1, 2, 3, 5, 10)
LARGE_INTS = (2**53, 2**53 + 1, INT_MAX - 2, INT_MAX, -INT_MAX, -INT_MAX + 1)
FLOATS = (-1.5, -0.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 10.0)
LARGE_FLOATS = (float(2**53), 9.3e18, -9.3e18, 1e300, 1.7e308, -1.7e308, 5e-324)
TEXTS = ("DE", "AT", "gold", "Gold", "golden", "", "ä.b", "x y", "2026-03-29", "a|b")
TIME_FORMS = ("date", "", "", "Z", "+02:00", "-05:30")  # what stands behind the wall clock's time
KINDS = ("bool", "int64", "float64", "string", "datetime", "date")

ATTRIBUTES = {
    "consent": "bool",
    "age": "int64",
    "points": "int64",
    "balance": "float64",
    "country": "string",
    "tier": "string",
    "seen": "datetime",
    "renewal": "datetime",
    "birthday": "date",
    "expiry": "date",
}
PROPERTIES = {
    "gift": "bool",
    "count": "int64",
    "amount": "float64",
    "sku": "string",
    "shop": "string",
    "at": "datetime",
    "day": "date",
}
TAGS = ("vip", "new", "risk")
GROUPS = ("beta", "staff")
EVENTS = ("signup", "order", "visit", "clicked")


class Dice(Random):
    """A seeded source of choices."""

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def some(self, items: Sequence[T], least: int, most: int) -> list[T]:
        """From `least` to `most` different items, in random order."""
        most = min(most, len(items))
        return self.sample(list(items), self.randint(min(least, most), most))

    def often_few(self, most: int) -> int:
        """A number from 1 to `most`, the small ones more often."""
        return min(self.randint(1, most), self.randint(1, most))


@dataclass
class World:
    """What a flow and its audience share: the times of a run and the names that there are.

    `attributes` and `properties` map the names that a flow may refer to onto their kinds; those in
    `absent` the audience doesn't have.
    """

    dice: Dice
    from_ms: int
    until_ms: int
    horizon_ms: int
    grid_ms: int
    zone: str | None
    audience_zone: str | None
    option_zone: str | None
    attributes: dict[str, str]
    properties: dict[str, str]
    absent: set[str] = field(default_factory=set)

    def time(self, before_ms: int = 3 * DAY_MS) -> int:
        """A time around the window, mostly on the grid."""
        dice = self.dice
        low, high = self.from_ms - before_ms, self.horizon_ms + DAY_MS
        if dice.chance(0.85):
            low = self.from_ms
            high = self.until_ms if dice.chance(0.8) else self.horizon_ms
        steps = max(1, (high - low) // self.grid_ms)
        at = low + dice.randrange(steps + 1) * self.grid_ms
        return at + (dice.choice((-1, 1)) if dice.chance(0.08) else 0)

    def value(self, kind: str) -> Any:
        """A value as an audience holds it: instants in ms, dates in days."""
        dice = self.dice
        if kind == "bool":
            return dice.chance(0.5)
        if kind == "int64":
            return dice.choice(LARGE_INTS if dice.chance(0.12) else INTS)
        if kind == "float64":
            return dice.choice(LARGE_FLOATS if dice.chance(0.12) else FLOATS)
        if kind == "string":
            return dice.choice(TEXTS)
        if kind == "datetime":
            return self.time()
        return self.time(10 * DAY_MS) // DAY_MS + dice.choice((0, 0, 0, -365, 30))

    def literal(self, kind: str) -> Any:
        """A value as a document states it: times are text, with an offset or without."""
        dice = self.dice
        if kind == "int64" and dice.chance(0.1):
            return dice.choice((0.5, 2.5, 1.0, 1e300, -1e300, 9.3e18, float(2**53)))
        if kind == "float64" and dice.chance(0.3):
            return dice.choice((*INTS, *LARGE_INTS))
        value = self.value(kind)
        if kind == "date":
            return str((EPOCH + timedelta(days=value)).date())
        return self.time_text(value) if kind == "datetime" else value

    def time_text(self, ms: int, form: str | None = None) -> str:
        """Text that states a time near `ms`, in one of the forms that documents may have."""
        form = self.dice.choice(TIME_FORMS) if form is None else form
        moment = EPOCH + timedelta(milliseconds=ms)
        if form == "date":
            return str(moment.date())
        precision = "minutes" if ms % 60_000 == 0 else "milliseconds"
        return moment.replace(tzinfo=None).isoformat(timespec=precision) + form


def random_world(dice: Dice) -> World:
    """Times near a change of clocks, and some of the names."""
    centre = (datetime.fromisoformat(dice.choice(CENTRES)) - EPOCH.replace(tzinfo=None)).days
    grid_ms = dice.choice((HOUR_MS, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, DAY_MS, HOUR_MS // 2))
    steps = dice.choice((2, 6, 12, 24, 40)) if dice.chance(0.98) else dice.randrange(2)
    from_ms = centre * DAY_MS - dice.randrange(0, steps + 1) * grid_ms
    until_ms = from_ms + steps * grid_ms
    horizon_ms = until_ms + dice.choice((0, 1, grid_ms, 2 * DAY_MS, 35 * DAY_MS))
    names = {k: ATTRIBUTES[k] for k in dice.some(sorted(ATTRIBUTES), 2, 6)}
    held = {k: PROPERTIES[k] for k in dice.some(sorted(PROPERTIES), 2, 5)}
    absent = set()
    if dice.chance(0.25):
        names["ghost"] = dice.choice(KINDS)
        absent.add("ghost")
    if dice.chance(0.2):
        held["phantom"] = dice.choice(KINDS)
        absent.add("phantom")
    zone = dice.choice(ZONES) if dice.chance(0.5) else None
    return World(
        dice, from_ms, until_ms, horizon_ms, grid_ms,
        zone=zone,
        audience_zone=dice.choice(ZONES) if dice.chance(0.4) else None,
        option_zone=dice.choice(ZONES) if dice.chance(0.2) else None,
        attributes=names, properties=held, absent=absent,
    )  # fmt: skip


def random_audience(world: World) -> dict[str, Any]:
    """The parts `customers`, `events`, `changes` and `audience` of a vector."""
    dice = world.dice
    count = dice.randint(1, 12) if dice.chance(0.98) else 0
    customers = [_customer(world, f"{dice.choice(IDS)}{i}") for i in range(count)]
    events: list[dict[str, Any]] = []
    whale = dice.randrange(12) if dice.chance(0.03) else -1
    for number, customer in enumerate(customers):
        count = dice.choice((0, 2, 5, 12, dice.randint(0, 30)))
        times = [world.time() for _ in range(count)]
        if number == whale:
            times += [world.time() for _ in range(4) for _ in range(60)]
            times += [world.until_ms - 1] * 100
        elif dice.chance(0.3):
            times += [dice.choice(times)] * 3 if times else []
        events += [_event(world, customer["id"], at) for at in times]
    for number, event in enumerate(events):
        if dice.chance(0.3):
            event["id"] = f"e{number}"
    dice.shuffle(events)
    present = {k: v for k, v in world.attributes.items() if k not in world.absent}
    changes = []
    if dice.chance(0.4):
        logged = dice.some(sorted(present), 1, 3)
        changes = [
            {"customer": c["id"], "time": world.time(), "attribute": name,
             "value": None if dice.chance(0.15) else world.value(present[name])}
            for c in customers for name in logged for _ in range(dice.choice((0, 0, 1, 3)))
        ]  # fmt: skip
    about: dict[str, Any] = {
        "attribute_types": present,
        "property_types": {k: v for k, v in world.properties.items() if k not in world.absent},
        "constants": sorted(dice.some(sorted(present), 0, 2)),
    }
    if world.audience_zone is not None:
        about["zone"] = world.audience_zone
    if dice.chance(0.5):
        about["as_of"] = world.time()
    return {"customers": customers, "events": events, "changes": changes, "audience": about}


def _customer(world: World, name: str) -> dict[str, Any]:
    dice = world.dice
    customer: dict[str, Any] = {"id": name}
    if dice.chance(0.7):
        customer["zone"] = dice.choice(ZONES if dice.chance(0.9) else NO_ZONES)
    if dice.chance(0.4):
        customer["created_at"] = world.time(300 * DAY_MS)
    lacking = dice.choice((0.0, 0.2, 0.6))
    customer["attributes"] = {
        attribute: world.value(kind)
        for attribute, kind in world.attributes.items()
        if attribute not in world.absent and not dice.chance(lacking)
    }
    customer["tags"] = dice.some(TAGS, 0, 2)
    customer["groups"] = dice.some(GROUPS, 0, 1)
    return customer


def _event(world: World, customer: str, at: int) -> dict[str, Any]:
    dice = world.dice
    name = dice.choice(EVENTS[:3] if dice.chance(0.8) else EVENTS)
    lacking = 0.5 if name == "visit" else 0.15
    properties = {
        each: world.value(kind)
        for each, kind in world.properties.items()
        if each not in world.absent and not dice.chance(lacking)
    }
    return {"customer": customer, "time": at, "event": name, "properties": properties}
