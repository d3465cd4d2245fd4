"""Makes up whole cases by chance: a flow free of lint errors, an audience, responses and options.

`random_case(seed)` is a vector without expectations, as tests/vectors holds them. Flows use every
node type, port and setting; edges lead backward only from nodes that wait, so that no cycle is
without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.internal_events import MESSAGE_SENT
from random_audiences import (
    DAY_MS,
    EVENTS,
    GROUPS,
    HOUR_MS,
    TAGS,
    Dice,
    World,
    random_audience,
    random_world,
)
from random_conditions import (
    CARRIED,
    SPANS,
    made_event,
    maybe_filter,
    moving_condition,
    random_condition,
    random_slots,
)

WAITS = ("wait", "wait_until", "wait_date", "wait_event", "wait_any", "wait_slot")
# More of those that decide or wait than of those that act.
TYPES = (
    *["condition"] * 4, "branch_attribute", "branch_tag", *["wait"] * 3, "wait_until", "wait_date",
    *["wait_event"] * 3, "wait_any", "wait_condition", "wait_slot", "split", "ab_test", "send",
    "send", "add_tag", "remove_tag",
    "set_attribute", "add_to_attribute", "add_to_attribute", "add_to_group", "remove_from_group",
    "end",
)  # fmt: skip
DURATIONS = (
    "0 s", "1 ms", "1 hour", "1 hour", "3 hours", "6 hours", "12 hours", "1 day", "1 day",
    "24 hours", "2 days", "1 week", "1 month", "1 day 1 hour", "1 month 1 day", "1 year",
)  # fmt: skip
CHANNELS = CARRIED["channel"]
TEMPLATES = CARRIED["template"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEIGHTS = ((5000, 5000), (3333, 3333, 3334), (1, 9999), (0, 10_000), (2500, 2500, 5000), (10_000,))
MODELLED = ("opened", "clicked", "order", "visit", "unheard")
REASONS = ("capped", "quiet", "unreachable")


def random_case(seed: int) -> dict[str, Any]:
    """The case of a seed, all of it plain data."""
    dice = Dice(seed)
    world = random_world(dice)
    case: dict[str, Any] = {"flow": _Maker(world).flow()}
    case |= random_audience(world)
    if dice.chance(0.6):
        case["responses"] = _responses(world, case["flow"]["nodes"])
    case["options"] = {
        "from": world.from_ms,
        "until": world.until_ms,
        "horizon": world.horizon_ms,
        "seed": dice.randrange(2**64) if dice.chance(0.5) else dice.randrange(3),
        "replicate": dice.choice((0, 0, 1)),
        "salt": dice.choice(("headrace", "pepper")),
        "audience_zone": world.option_zone,
        "step_budget": dice.choice((dice.randint(3, 30), dice.randint(31, 300), 300)),
    }
    return case


class _Maker:
    def __init__(self, world: World) -> None:
        self.world = world
        self.dice = world.dice
        self.sends: list[str] = []

    def flow(self) -> dict[str, Any]:
        """A flow document."""
        dice = self.dice
        count = dice.randint(2, 16)
        types = [dice.choice(TYPES) for _ in range(count)] + ["end"]
        for place in range(dice.choice((0, 0, 1, 2)) if count > 2 else 0):
            types[2 * place : 2 * place + 2] = ["send", "wait_event"]
        names = [f"{t}-{i}" for i, t in enumerate(types)]
        self.sends = [n for n, t in zip(names, types, strict=True) if t == "send"]
        nodes = {n: _NODES[t](self) for n, t in zip(names, types, strict=True)}
        keyed = dice.chance(0.2)
        self._triggers(names, nodes, keyed)
        for place, name in enumerate(names):
            self._lead_on(names, place, nodes[name])
        self._first_waits_have_no_timeout(nodes)
        _drop_parts_without_trigger(nodes)
        order = list(nodes)
        if dice.chance(0.5):
            dice.shuffle(order)
        document: dict[str, Any] = {"headrace": 1, "flow": dice.choice(("draft-a", "draft-b"))}
        if dice.chance(0.5):
            document["lineage"] = "line"
        document["settings"] = self._settings(order, keyed)
        document["nodes"] = {name: nodes[name] for name in order}
        return document

    # -- the graph

    def _triggers(self, names: list[str], nodes: dict[str, Any], keyed: bool) -> None:
        """Add triggers, and make some waits entry points."""
        dice = self.dice
        kinds = ["on_event"] if keyed else ["on_event", "on_event", "on_segment", "on_schedule"]
        chosen = [dice.choice(kinds) for _ in range(dice.randint(1, 4))]
        for number, kind in enumerate(chosen):
            first = dice.choice((0, 1, len(names) // 2))
            nodes[f"{kind}-t{number}"] = {
                **_NODES[kind](self),
                "next": self._targets(names[: first + 1], dice.choice((1, 1, 1, 1, 2, 3, 0))),
            }
        if dice.chance(0.7):
            easy = next((n for n in nodes.values() if n["type"] == "on_event"), {})
            easy.pop("where", None)
            easy |= {"event": dice.choice(EVENTS[:3])} if easy else {}
        for name in names:
            first = nodes[name]["type"] == "wait_event" and "message" not in nodes[name]
            if first and dice.chance(0.15):
                nodes[name]["entry"] = True

    def _lead_on(self, names: list[str], place: int, node: dict[str, Any]) -> None:
        """Connect the ports of a node: mostly to one of the next nodes, sometimes back."""
        dice = self.dice
        onward = names[place + 1 : place + 5] if dice.chance(0.85) else names[place + 1 :]
        edges = {}
        for port in _ports(node):
            if dice.chance(0.1):
                continue
            stays = node["type"] in WAITS and "0 s" not in (node.get("for"), node.get("timeout"))
            back = stays and dice.chance(0.25)
            among = names[: place + 1] if back else onward
            targets = self._targets(among, dice.choice((1, 1, 1, 1, 1, 1, 2, 3)))
            if targets:
                edges[port] = targets
        if list(edges) == ["next"] and dice.chance(0.5):
            node["next"] = edges["next"]
        elif edges:
            node["next"] = edges

    def _targets(self, among: list[str], count: int) -> Any:
        chosen = self.dice.some(among, count, count) if count and among else []
        return chosen[0] if len(chosen) == 1 and self.dice.chance(0.5) else chosen

    @staticmethod
    def _first_waits_have_no_timeout(nodes: dict[str, Any]) -> None:
        for _ in nodes:  # a timeout less may leave another wait without any way to it
            reached = {t for node in nodes.values() for ts in _edges(node).values() for t in ts}
            for name, node in nodes.items():
                if node.get("entry") and name not in reached and "timeout" in node:
                    del node["timeout"]
                    if isinstance(node.get("next"), dict):
                        node["next"].pop("timeout", None)

    def _settings(self, names: list[str], keyed: bool) -> dict[str, Any]:
        dice, world = self.dice, self.world
        settings: dict[str, Any] = {}
        if world.zone is not None:
            settings["zone"] = world.zone
        reentry: dict[str, Any] = {
            "policy": dice.choice(("once", "after_exit", "always", "always"))
        }
        if dice.chance(0.4):
            reentry["gap"] = dice.choice(SPANS)
        if keyed:
            reentry["key"] = dice.choice(sorted(world.properties))
        if dice.chance(0.85):
            settings["reentry"] = reentry
        if dice.chance(0.3):
            start, stop = sorted((world.time(), world.time()))
            form = dice.choice(("", "Z"))
            settings["stop"] = world.time_text(stop + 2 * DAY_MS, form)
            if dice.chance(0.7):
                settings["start"] = world.time_text(start, form)
        if dice.chance(0.5):
            settings["goal"] = self.target()
        if dice.chance(0.2):
            settings["exit"] = [self._exit() for _ in range(dice.often_few(2))]
        if dice.chance(0.2):
            group = {"group": "everywhere"} if dice.chance(0.5) else {}
            settings["holdout"] = {"share": dice.choice(("20%", "50%", "100%")), **group}
        if dice.chance(0.5):
            settings["funnel"] = [
                {"name": f"layer {i}", "nodes": dice.some(names, 1, 4)}
                for i in range(dice.often_few(3))
            ]
        return settings

    def _exit(self) -> dict[str, Any]:
        if self.dice.chance(0.5):
            return {"event": self.event(), **maybe_filter(self.world, 0.3)}
        return {"if": self._turning()}

    def _turning(self) -> dict[str, Any]:
        world = self.world
        if self.dice.chance(0.5):
            return moving_condition(world)
        return random_condition(world, entered=False)

    # -- nodes

    def target(self) -> dict[str, Any]:
        """What counts as a success."""
        where = maybe_filter(self.world, 0.3)
        return {"event": self.event(), "within": self.dice.choice(SPANS), **where}

    def event(self) -> str:
        """An event type, mostly one that happens, or that the flow itself may make happen."""
        if self.dice.chance(0.2):
            return made_event(self.world)
        rare = self.dice.choice(("opened", "never", "clicked", "clicked"))
        return self.dice.choice(EVENTS) if self.dice.chance(0.8) else rare

    def on_event(self) -> dict[str, Any]:
        """A trigger on an event."""
        return {"type": "on_event", "event": self.event(), **maybe_filter(self.world, 0.3)}

    def on_segment(self) -> dict[str, Any]:
        """A trigger on a condition."""
        node: dict[str, Any] = {"type": "on_segment"}
        moving = self.dice.chance(0.6)
        world = self.world
        node["if"] = moving_condition(world) if moving else random_condition(world, entered=False)
        if self.dice.chance(0.6):
            node["members"] = self.dice.choice(("all", "at_start", "joining"))
        return node

    def on_schedule(self) -> dict[str, Any]:
        """A trigger on the calendar."""
        dice, world = self.dice, self.world
        repeat = dice.choice(("once", "daily", "daily", "weekly", "monthly"))
        node: dict[str, Any] = {"type": "on_schedule", "repeat": repeat, "at": self.clock(False)}
        if repeat == "once":
            node["date"] = world.time_text(world.time(), "date")
        elif repeat == "weekly":
            node["weekdays"] = dice.some(WEEKDAYS, 1, 7)
        elif repeat == "monthly":
            node["days"] = dice.some(range(1, 32), 1, 12)
        if repeat != "once" and dice.chance(0.4):
            node["every"] = dice.randint(1, 4)
        if dice.chance(0.5):
            node["zone"] = dice.choice(("customer", "customer", "flow"))
        if dice.chance(0.4):
            node["if"] = random_condition(world, 1, entered=False)
        return node

    def condition(self) -> dict[str, Any]:
        """A yes / no question."""
        return {"type": "condition", "if": random_condition(self.world)}

    def branch_attribute(self) -> dict[str, Any]:
        """Branches by the values of an attribute."""
        dice, world = self.dice, self.world
        name = dice.choice(sorted(world.attributes))
        kind = world.attributes[name]
        values = {repr(v): v for v in (world.literal(kind) for _ in range(6))}
        # 1 and 1.0 are one value, and may stand in one branch only; so are 0.0 and -0.0.
        unlike: dict[Any, Any] = {}
        for value in values.values():
            unlike.setdefault(("bool" if isinstance(value, bool) else "other", value), value)
        return {
            "type": "branch_attribute",
            "attribute": name,
            "branches": self._branches(list(unlike.values())),
        }

    def branch_tag(self) -> dict[str, Any]:
        """Branches by tags."""
        return {"type": "branch_tag", "branches": self._branches([*TAGS, "nobody"])}

    def _branches(self, values: list[Any]) -> dict[str, Any]:
        dice = self.dice
        dice.shuffle(values)
        branches: dict[str, Any] = {}
        for number in range(dice.often_few(3)):
            held, values = values[:2], values[2:]
            if held:
                branches[f"b{number}"] = held[0] if dice.chance(0.5) else held
        return branches

    def wait(self) -> dict[str, Any]:
        """A wait for a duration."""
        return {"type": "wait", "for": self.dice.choice(DURATIONS)}

    def wait_until(self) -> dict[str, Any]:
        """A wait for an instant."""
        world = self.world
        node: dict[str, Any] = {"type": "wait_until", "at": world.time_text(world.time())}
        if self.dice.chance(0.4):
            node["zone"] = self.dice.choice(("customer", "flow"))
        return node

    def wait_date(self) -> dict[str, Any]:
        """A wait for a date of the customer's."""
        dice, world = self.dice, self.world
        dated = [k for k, v in sorted(world.attributes.items()) if v in ("date", "datetime")]
        node: dict[str, Any] = {"type": "wait_date", "attribute": dice.choice(dated or ["nodate"])}
        if dice.chance(0.6):
            sign = dice.choice(("", "-"))
            node["offset"] = sign + dice.choice(DURATIONS[1:])
        if dice.chance(0.4):
            node["at"] = self.clock(True)
        return node

    def wait_event(self) -> dict[str, Any]:
        """A wait for an event."""
        dice = self.dice
        node: dict[str, Any] = {"type": "wait_event", "event": self.event()}
        node |= maybe_filter(self.world, 0.3)
        if dice.chance(0.75):
            node["timeout"] = dice.choice(DURATIONS)
        if self.sends and dice.chance(0.35):
            node["message"] = dice.choice(self.sends)
            node["event"] = dice.choice((*MODELLED, MESSAGE_SENT))
        return node

    def wait_any(self) -> dict[str, Any]:
        """A wait for one of several events."""
        dice = self.dice
        events = {
            f"e{i}": {"event": self.event(), **maybe_filter(self.world, 0.3)}
            for i in range(dice.often_few(3))
        }
        node: dict[str, Any] = {"type": "wait_any", "events": events}
        if dice.chance(0.75):
            node["timeout"] = dice.choice(DURATIONS)
        return node

    def wait_condition(self) -> dict[str, Any]:
        """A wait until something holds."""
        node: dict[str, Any] = {"type": "wait_condition", "if": self._turning()}
        if self.dice.chance(0.75):
            node["timeout"] = self.dice.choice(DURATIONS)
        return node

    def wait_slot(self) -> dict[str, Any]:
        """A wait for a time of the week."""
        spread = {"spread": self.dice.choice(SPANS)} if self.dice.chance(0.3) else {}
        return {"type": "wait_slot", "slots": random_slots(self.dice), **spread}

    def split(self) -> dict[str, Any]:
        """A random split."""
        return {"type": "split", **self._weights(1)}

    def ab_test(self) -> dict[str, Any]:
        """A split with a target."""
        return {"type": "ab_test", **self._weights(2), "target": self.target()}

    def _weights(self, least: int) -> dict[str, Any]:
        weights = self.dice.choice([w for w in WEIGHTS if len(w) >= least])
        branches = {f"w{i}": weight for i, weight in enumerate(weights)}
        return {"branches": branches, **({"sticky": False} if self.dice.chance(0.5) else {})}

    def send(self) -> dict[str, Any]:
        """A message."""
        dice = self.dice
        node = {"type": "send", "channel": dice.choice(CHANNELS)}
        node["template"] = dice.choice(TEMPLATES)
        if dice.chance(0.3):
            reasons = dice.some(REASONS, 1, 3)
            node["guards"] = [{"reason": r, "if": random_condition(self.world, 1)} for r in reasons]
        return node

    def set_attribute(self) -> dict[str, Any]:
        """A change of an attribute."""
        world = self.world
        name = self.dice.choice(sorted(world.attributes))
        kind = world.attributes[name]
        value = world.literal(kind)
        if kind == "int64" and isinstance(value, float):
            value = 7
        return {"type": "set_attribute", "attribute": name, "value": value}

    def add_to_attribute(self) -> dict[str, Any]:
        """An addition to an attribute."""
        world = self.world
        numeric = [k for k, v in sorted(world.attributes.items()) if v in ("int64", "float64")]
        name = self.dice.choice(numeric or ["nonumber"])
        by = world.literal(world.attributes.get(name, "int64"))
        if world.attributes.get(name) != "float64" and isinstance(by, float):
            by = 4.0
        return {"type": "add_to_attribute", "attribute": name, "by": by}

    def clock(self, midnight: bool) -> str:
        """A time of day, also those that changes of clocks skip or repeat."""
        clocks = (
            "00:00",
            "00:30",
            "01:30",
            "02:00",
            "02:15",
            "02:30",
            "03:00",
            "09:00",
            "23:59:59",
        )
        return self.dice.choice((*clocks, "24:00") if midnight else clocks)


_NODES: dict[str, Callable[[_Maker], dict[str, Any]]] = {
    **{
        name: getattr(_Maker, name)
        for name in {*TYPES, "on_event", "on_segment", "on_schedule"}
        if hasattr(_Maker, name)
    },
    "add_tag": lambda m: {"type": "add_tag", "tag": m.dice.choice(TAGS)},
    "remove_tag": lambda m: {"type": "remove_tag", "tag": m.dice.choice(TAGS)},
    "add_to_group": lambda m: {"type": "add_to_group", "group": m.dice.choice(GROUPS)},
    "remove_from_group": lambda m: {"type": "remove_from_group", "group": m.dice.choice(GROUPS)},
    "end": lambda m: {"type": "end", **({"whole_flow": True} if m.dice.chance(0.3) else {})},
}


def _ports(node: dict[str, Any]) -> list[str]:
    match node["type"]:
        case "end":
            return []
        case "condition":
            return ["yes", "no"]
        case "branch_attribute" | "branch_tag":
            return [*node["branches"], "other"]
        case "split" | "ab_test":
            return list(node["branches"])
        case "wait_date":
            return ["next", "missing"]
        case "send":
            return ["next", *(guard["reason"] for guard in node.get("guards", ()))]
        case "wait_any":
            return [*node["events"], *(["timeout"] if "timeout" in node else [])]
        case "wait_condition":
            return ["met", "timeout"] if "timeout" in node else ["met"]
        case "wait_event":
            return ["event", "timeout"] if "timeout" in node else ["event"]
    return ["next"]


def _edges(node: dict[str, Any]) -> dict[str, list[str]]:
    stated = node.get("next", {})
    ports = stated if isinstance(stated, dict) else {"next": stated}
    return {port: [t] if isinstance(t, str) else t for port, t in ports.items()}


def _drop_parts_without_trigger(nodes: dict[str, Any]) -> None:
    """Remove what no trigger is connected with, but for one end."""
    joined: dict[str, set[str]] = {name: set() for name in nodes}
    for name, node in nodes.items():
        for targets in _edges(node).values():
            for target in targets:
                joined[name].add(target)
                joined[target].add(name)
    kept = {n for n, node in nodes.items() if node["type"].startswith("on_") or node.get("entry")}
    waiting = list(kept)
    while waiting:
        fresh = joined[waiting.pop()] - kept
        kept |= fresh
        waiting += fresh
    ends = [n for n in nodes if nodes[n]["type"] == "end"]
    for name in [n for n in nodes if n not in kept]:
        del nodes[name]
    if not any(n in nodes for n in ends):
        trigger = next(n for n in nodes if nodes[n]["type"].startswith("on_"))
        nodes["end"] = {"type": "end"}
        nodes[trigger]["next"] = [*_edges(nodes[trigger]).get("next", []), "end"]
    for node in nodes.values():
        if node.get("message") not in nodes:
            node.pop("message", None)


def _responses(world: World, nodes: dict[str, Any]) -> dict[str, Any]:
    dice = world.dice
    sends = [name for name, node in nodes.items() if node["type"] == "send"]
    rules = []
    for _ in range(dice.often_few(4)):
        scope: dict[str, Any] = {}
        if dice.chance(0.15):
            scope["channel"] = dice.choice(CHANNELS)
        if dice.chance(0.15):
            scope["template"] = dice.choice(TEMPLATES)
        if sends and dice.chance(0.15):
            scope["node"] = dice.choice(sends)
        if dice.chance(0.2):
            scope["if"] = random_condition(world, 1)
        outcomes: list[dict[str, Any]] = []
        for event in dice.some(MODELLED, 1, 4):
            outcome: dict[str, Any] = {
                "event": event,
                "probability": dice.choice(("100%", "100%", 0.5, 0.999999999, "20%", 0)),
                "delay": _delay(dice),
            }
            if outcomes and dice.chance(0.5):
                outcome["after"] = dice.choice(outcomes)["event"]
            if dice.chance(0.6):
                outcome["properties"] = _carried(world)
            outcomes.append(outcome)
        rules.append({"for": scope, "outcomes": outcomes} if scope else {"outcomes": outcomes})
    return {"headrace_responses": 1, "rules": rules}


def _carried(world: World) -> dict[str, Any]:
    """Properties of a modelled event, of the types that recorded ones have."""
    found = {}
    for name, kind in world.properties.items():
        value = world.literal(kind)
        whole = kind == "int64" and isinstance(value, float)
        if world.dice.chance(0.5):
            found[name] = 3 if whole else value
    return found


def _delay(dice: Dice) -> dict[str, Any]:
    law = dice.choice(("constant", "constant", "lognormal", "exponential", "uniform", "quantiles"))
    span = dice.choice(("1 hour", "3 hours", "6 hours", "1 day", f"{HOUR_MS} ms"))
    if law == "constant":
        return {law: dice.choice(("0 s", "1 ms", span))}
    if law == "lognormal":
        return {law: {"median": span, "sigma": dice.choice((0.5, 2))}}
    if law == "exponential":
        return {law: {"mean": span}}
    if law == "uniform":
        return {law: ["1 hour", "1 day"]}
    return {
        law: [[0.5, "1 hour"], [0.9, span if span != f"{HOUR_MS} ms" else "1 hour"], [1, "2 days"]]
    }
