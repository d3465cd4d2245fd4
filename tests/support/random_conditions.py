"""Makes up conditions and filters by chance: every test, operator and type, nested."""

from __future__ import annotations

from typing import Any

from core.internal_events import CHANGE_KINDS, MESSAGE_SENT, change_event
from core.nodes import WEEKDAYS
from random_audiences import EVENTS, GROUPS, TAGS, TIME_FORMS, Dice, World

EQUALITIES = ("is", "is_not", "one_of", "none_of")
ORDERINGS = ("above", "at_least", "below", "at_most")
MOMENTS = ("before", "after", "within_last", "within_next", "older_than", "anniversary_in_days")
OPERATORS = {
    "bool": (*EQUALITIES, "is_set"),
    "int64": (*EQUALITIES, *ORDERINGS, "between", "is_set"),
    "float64": (*EQUALITIES, *ORDERINGS, "between", "is_set"),
    "string": (*EQUALITIES, "contains", "starts_with", "ends_with", "matches", "is_set"),
    "datetime": (*EQUALITIES, *ORDERINGS, *MOMENTS, "between", "is_set"),
    "date": (*EQUALITIES, *ORDERINGS, *MOMENTS, "between", "is_set"),
}
PATTERNS = ("^gold$", "(?i)gold", "[A-Z]{2}", "a|b", r"\d{4}", ".", "^$", "ä")
PARTS = ("gold", "o", "D", "E", "ä.", " ", "-03-", "|")
NUMBERS = ("int64", "float64")
SPANS = (
    "1 ms", "1 hour", "3 hours", "6 hours", "12 hours", "1 day", "24 hours", "2 days", "1 week",
    "30 days",
)  # fmt: skip
CARRIED = {
    "channel": ("email", "sms"),
    "template": ("hello", "tschüß"),
    "flow": ("draft-a", "draft-b"),
    "node": ("send-0", "send-2"),
}
"""What modelled events carry by themselves, and values that they may have."""
MORE_EVENTS = (*EVENTS, "clicked", "opened", "never")


def comparison(world: World, names: dict[str, str], word: str, *, refer: bool) -> dict[str, Any]:
    """A test `{word: name, operator: operand}` of one of `names`, whose kinds it fits."""
    dice = world.dice
    name = dice.choice(sorted(names))
    kind = names[name]
    operator = dice.choice(OPERATORS[kind])
    return {word: name, operator: _operand(world, kind, operator, refer)}


def _operand(world: World, kind: str, operator: str, refer: bool) -> Any:
    dice = world.dice
    if operator == "is_set":
        return dice.chance(0.7)
    if operator in ("within_last", "within_next", "older_than"):
        return dice.choice(SPANS)
    if operator == "anniversary_in_days":
        return dice.choice((0, 0, 1, -1, 7, 30, 365, -366))
    if operator == "matches":
        return dice.choice(PATTERNS)
    if operator in ("contains", "starts_with", "ends_with"):
        return dice.choice(PARTS)
    if operator in ("one_of", "none_of"):
        return [world.literal(kind) for _ in range(dice.often_few(4))]
    if operator == "between":
        return _bounds(world, kind)
    if refer and operator not in ("before", "after") and dice.chance(0.25):
        alike = [
            name
            for name, other in world.properties.items()
            if other == kind or (kind in NUMBERS and other in NUMBERS)
        ]
        if alike:
            return {"entry": dice.choice(sorted(alike))}
    return world.literal(kind)


def _bounds(world: World, kind: str) -> list[Any]:
    if kind == "datetime":
        form = world.dice.choice(TIME_FORMS)
        times = sorted((world.value(kind), world.value(kind)))
        return [world.time_text(at, form) for at in times]
    bounds = [world.literal(kind), world.literal(kind)]
    return sorted(bounds)


def random_filter(world: World, depth: int = 2) -> dict[str, Any]:
    """A filter of an event."""
    dice = world.dice
    if depth and dice.chance(0.3):
        return _joined(world, lambda: random_filter(world, depth - 1))
    word = "entry" if dice.chance(0.2) else "property"
    if dice.chance(0.1):
        name = dice.choice(sorted(CARRIED))
        return {word: name, dice.choice(("is", "is_not")): dice.choice(CARRIED[name])}
    return comparison(world, world.properties, word, refer=True)


def maybe_filter(world: World, probability: float = 0.4) -> dict[str, Any]:
    """The field `where`, or nothing."""
    return {"where": random_filter(world)} if world.dice.chance(probability) else {}


def random_condition(world: World, depth: int = 3, *, entered: bool = True) -> dict[str, Any]:
    """A condition; `entered` where an entry has begun, so that `entry` may mean something."""
    dice = world.dice
    if depth and dice.chance(0.4):
        return _joined(world, lambda: random_condition(world, depth - 1, entered=entered))
    kind = dice.choice(("attribute", "attribute", "attribute", "tag", "group", "did", "did",
                        "never_did", "entry" if entered else "attribute", "clock"))  # fmt: skip
    if kind == "clock":
        return {"clock": random_slots(dice)}
    if kind == "tag":
        return {"tag": dice.choice((*TAGS, "nobody"))}
    if kind == "group":
        return {"group": dice.choice((*GROUPS, "nobody"))}
    if kind == "attribute":
        return comparison(world, world.attributes, "attribute", refer=entered)
    if kind == "entry":
        return comparison(world, world.properties, "entry", refer=True)
    event = made_event(world) if dice.chance(0.1) else dice.choice(MORE_EVENTS)
    test: dict[str, Any] = {kind: event}
    if dice.chance(0.6):
        test |= _window(world)
    if kind == "did" and dice.chance(0.6):
        test |= _count(world)
    return {**test, **maybe_filter(world, 0.3)}


def made_event(world: World) -> str:
    """An event that the flow itself makes happen, or a change of the customer's record does."""
    dice = world.dice
    if dice.chance(0.25):
        return MESSAGE_SENT
    change = dice.choice(CHANGE_KINDS)
    if dice.chance(0.5):
        return change_event("attribute", dice.choice(sorted(world.attributes)), change)
    if dice.chance(0.5):
        return change_event("tag", dice.choice(TAGS), change)
    return change_event("group", dice.choice(GROUPS), change)


def random_slots(dice: Dice) -> list[dict[str, Any]]:
    """Hours of the week, some of which begin or end at midnight, or lie where clocks change."""
    made = []
    for _ in range(dice.often_few(3)):
        first, last = sorted(dice.sample(range(25), 2))
        slot: dict[str, Any] = {"from": f"{first:02}:00", "until": f"{last:02}:00"}
        if dice.chance(0.5):
            slot["days"] = dice.some(WEEKDAYS, 1, 5)
        made.append(slot)
    return made


def _window(world: World) -> dict[str, Any]:
    if world.dice.chance(0.3):
        return {"since": world.dice.choice(("day", "week", "month"))}
    return {"within": world.dice.choice(SPANS)}


def moving_condition(world: World) -> dict[str, Any]:
    """A condition whose truth time alone can turn."""
    dice = world.dice
    dated = {k: v for k, v in world.attributes.items() if v in ("date", "datetime")}
    test: dict[str, Any]
    if dice.chance(0.15):
        test = {"clock": random_slots(dice)}
    elif dated and dice.chance(0.5):
        operator = dice.choice(("within_last", "within_next", "older_than", "anniversary_in_days"))
        name = dice.choice(sorted(dated))
        test = {"attribute": name, operator: _operand(world, dated[name], operator, False)}
    else:
        test = {dice.choice(("did", "never_did")): dice.choice(EVENTS)}
        test |= _window(world)
        if "did" in test and dice.chance(0.6):
            test |= _count(world)
        moving = {k: v for k, v in world.properties.items() if v in ("date", "datetime")}
        if moving and dice.chance(0.3):
            word = dice.choice(("within_last", "within_next", "older_than"))
            test["where"] = {"property": dice.choice(sorted(moving)), word: dice.choice(SPANS)}
        else:
            test |= maybe_filter(world, 0.3)
    if dice.chance(0.4):
        other = random_condition(world, 1, entered=False)
        return {dice.choice(("all", "any")): [test, other]}
    return {"not": test} if dice.chance(0.2) else test


def _count(world: World) -> dict[str, int]:
    word = world.dice.choice(("at_least", "at_most", "exactly"))
    return {word: world.dice.randint(1 if word == "at_least" else 0, 4)}


def _joined(world: World, make: Any) -> dict[str, Any]:
    word = world.dice.choice(("all", "any", "not"))
    if word == "not":
        return {"not": make()}
    return {word: [make() for _ in range(world.dice.often_few(3))]}
