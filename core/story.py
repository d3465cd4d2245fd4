"""Tell one customer's way through a flow: each step with its reason, or why he never entered.

The reference interpreter runs this one customer with a listener, so a story can't differ from what
the rules decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from core.audience import Audience
from core.conditions import Model
from core.couplings import Grants
from core.describe import describe
from core.flow import Flow
from core.limits import WEIGHT_TOTAL
from core.nodes import (
    ABTest,
    BranchAttribute,
    BranchTag,
    ConditionNode,
    NodeBase,
    OnEvent,
    OnSegment,
    Split,
    TakeCoupon,
    WaitDate,
    WaitEvent,
)
from core.options import RunOptions
from core.outcomes import CoupledOutcome, Outcome
from core.reference import run
from core.reference_conditions import View
from core.reference_people import Happening, Person, Value
from core.reference_state import Entry, Lined, Observer, Record, Token
from core.reference_time import zone
from core.responses import Responses
from core.story_words import clock_text, explain, on_clock, value_text


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant: ms UTC, and ISO text in UTC and on the customer's clock."""

    ms: int
    utc: str
    local: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the decision log with its reason; `entry` counts the customer's entries from 0.

    A refusal has no entry. `modelled`: a modelled event caused it.
    """

    at: Moment
    entry: int | None
    node: str
    port: str
    reason: str
    modelled: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token is at the horizon, `waiting`, `idle` or `parked`: since when, until when."""

    entry: int
    node: str
    status: str
    since: Moment
    due: Moment | None
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one customer. Every field is plain data: `dataclasses.asdict` makes it JSON.

    `never_entered` has a reason for each trigger of the flow where the customer never entered, and
    is empty otherwise. `zone` is that of his clock.
    """

    customer: str
    zone: str
    steps: list[Step]
    places: list[Place]
    never_entered: list[str]


def tell(
    flow: Flow,
    audience: Audience,
    customer: int,
    options: RunOptions,
    responses: Responses | None = None,
    *,
    grants: Grants | None = None,
) -> Story:
    """Tell the story of the customer in row `customer`; IndexError where there is none.

    Where customers depend on each other, `grants` save running all of them.
    """
    name = audience.id_of(customer)
    told = _Listener(flow.core, options)
    run(flow, audience, options, responses, observer=told, customers=[customer], grants=grants)
    return Story(name, told.here.key, told.steps, told.places, told.never_entered())


@dataclass(slots=True)
class _Trigger:
    """How a trigger was judged: how often, how often it matched, and why the last time."""

    judged: int = 0
    matched: int = 0
    reason: str = ""
    refusal: str = ""


class _Listener(Observer):
    """Hears one customer's run and puts reasons to its lines. Tokens go by (entry, fork number)."""

    def __init__(self, flow: Flow, options: RunOptions) -> None:
        self.flow = flow
        self.options = options
        self.here = zone("UTC")
        self.customer: Person | None = None
        self.steps: list[Step] = []
        self.places: list[Place] = []
        self.triggers = {
            node_id: _Trigger()
            for node_id, node in flow.nodes.items()
            if node.trigger or (isinstance(node, WaitEvent) and node.entry)
        }
        self.lines: dict[int, tuple[str, bool]] = {}  # the same of entries claimed, by number
        self.entering: dict[int, tuple[str, bool]] = {}  # new entries: reason, by a modelled event?
        self.facts: dict[tuple[int, int], str] = {}  # what decided the token's coming step
        self.waits: dict[tuple[int, int], tuple[int, int | None]] = {}  # since, due
        self.moved: dict[tuple[int, int], int] = {}  # time of the token's last step
        self.last = ("", False)  # reason of the trigger judged last; was its event a modelled one?
        self.hindrance = ""  # reason of the refusal to come
        self.entries = 0

    # -- what the run tells

    def begun(self, customer: Person, here: ZoneInfo) -> None:
        self.customer, self.here = customer, here

    def trigger(self, node: str, matched: bool, view: View, happening: Happening | None) -> None:
        trigger, declared = self.triggers[node], self.flow.nodes[node]
        asked: Model | None = getattr(declared, "if_", None) or getattr(declared, "where", None)
        reasons = [] if asked is None else [explain(asked, view)]
        if happening is not None:
            when = "" if matched else f" at {clock_text(view.now_ms, self.here)}"
            reasons.insert(0, _happened(happening) + when)
        elif not reasons:
            reasons = ["its time came"]
        trigger.judged += 1
        trigger.matched += matched
        trigger.reason = ("; " if matched else ", but ").join(reasons)
        self.last = trigger.reason, happening is not None and happening.modelled

    def lined_up(self, place: Lined) -> None:
        self.lines[place.number] = self.last
        when = clock_text(place.began_ms, self.here)
        self.triggers[place.node].refusal = f"{self.last[0]}, and stands in line since {when}"

    def let_out(self, place: Lined, now_ms: int) -> None:
        reason, modelled = self.lines.pop(place.number)
        if now_ms > place.began_ms:
            reason += f", then stood in line since {clock_text(place.began_ms, self.here)}"
        self.last = reason, modelled

    def entered(self, entry: Entry) -> None:
        self.entering[entry.number] = self.last
        self.entries += 1

    def refused(
        self, node: str, why: Outcome | CoupledOutcome, before: Entry | Lined | None
    ) -> None:
        reentry = self.flow.settings.reentry
        when = "" if before is None else clock_text(before.began_ms, self.here)
        same = "" if reentry.key is None else f" with this `{reentry.key}`"
        hindrance = {
            CoupledOutcome.REFUSED_CAP: "as many people as may had entered",
            CoupledOutcome.REFUSED_LATE: "the time of entries was over",
            Outcome.REFUSED_NO_KEY: f"there is no `{reentry.key}` to tell entries apart",
            Outcome.REFUSED_ONCE: f"entered{same} at {when} already, and may once only",
            Outcome.REFUSED_INSIDE: f"still inside{same} since {when}",
            Outcome.REFUSED_HOLDOUT: "belongs to those kept out for comparison",
            Outcome.REFUSED_GAP: f"the last entry{same} at {when} is less than {reentry.gap} ago",
        }[why]
        if isinstance(before, Lined):
            hindrance = f"stands in line{same} since {when} already"
        self.hindrance = self.triggers[node].refusal = f"{self.last[0]}, but {hindrance}"

    def condition(self, token: Token, condition: Model, result: bool, view: View) -> None:
        self.facts[_key(token)] = f"{explain(condition, view)} -> {'yes' if result else 'no'}"

    def value(self, token: Token, read: Value | list[str] | None, port: str) -> None:
        node = self.flow.nodes[token.node]
        if isinstance(node, BranchTag) and isinstance(read, list):
            named = {tag for tags in node.branches.values() for tag in tags}
            carried = [f"`{tag}`" for tag in read if tag in named]
            found = f"tagged {', '.join(carried)}" if carried else "carries no tag of a branch"
        else:
            assert isinstance(node, BranchAttribute) and not isinstance(read, list)
            found = f"`{node.attribute}` is {value_text(read, self.here)}"
        self.facts[_key(token)] = f"{found} -> {port}"

    def draw(self, token: Token, points: int) -> None:
        self.facts[_key(token)] = f"draw {points} of {WEIGHT_TOTAL}"

    def decided(self, token: Token, port: str) -> None:
        self.facts[_key(token)] = "the test had ended"

    def waiting(self, token: Token, now_ms: int, due_ms: int | None) -> None:
        self.waits[_key(token)] = now_ms, due_ms

    def record(self, record: Record, token: Token | None) -> None:
        entry, modelled = None, False
        if token is None:
            reason, modelled = self.hindrance, self.last[1]
        elif token.entry.number in self.entering:
            entry = token.entry.number
            reason, modelled = self.entering.pop(entry)
        else:
            entry = token.entry.number
            reason = self._reason(record, token)
            modelled = token.cause is not None and token.cause.modelled
        node = self.flow.nodes[record.node]
        if token is not None:
            self.moved[_key(token)] = record.time_ms
            if record.port in node.ports and not node.targets(record.port):
                reason += "; nothing follows"
        at = self._moment(record.time_ms)
        self.steps.append(Step(at, entry, record.node, record.port, reason, modelled))

    def finished(self, entries: list[Entry]) -> None:
        for entry in entries:
            for token in entry.tokens:
                if token.status in ("waiting", "idle", "parked"):
                    self.places.append(self._place(token))

    # -- reasons

    def _reason(self, record: Record, token: Token) -> str:
        """Why a token took a port, ended or was parked."""
        node, fact = self.flow.nodes[record.node], self.facts.get(_key(token), "")
        match record.port:
            case Outcome.WHOLE_FLOW.text:
                return "another token ended the whole entry"
            case Outcome.NO_BRANCH.text:
                return f"{fact}, and nothing follows for others"
            case Outcome.PARKED_BUDGET.text:
                return f"parked: more than {self.options.step_budget:,} nodes in one go"
            case Outcome.PARKED_OVERFLOW.text:
                return "parked: the sum is beyond what a number can hold"
        if isinstance(node, Split | ABTest):
            return f"assigned to {record.port}: {fact}"
        if isinstance(node, TakeCoupon):
            return f"{describe(node)} -> {record.port}"
        if isinstance(node, WaitDate) and record.port in ("missing", Outcome.NO_DATE.text):
            return f"`{node.attribute}` is missing"
        if isinstance(node, ConditionNode | BranchAttribute | BranchTag):
            return fact
        return self._waited(record, token, node) if node.waits else describe(node)

    def _waited(self, record: Record, token: Token, node: NodeBase) -> str:
        since_ms, due_ms = self.waits[_key(token)]
        if token.cause is not None:
            return _happened(token.cause)
        due = "" if due_ms is None else clock_text(due_ms, self.here)
        if isinstance(node, WaitEvent):
            fitting = "" if node.where is None and node.message is None else "fitting "
            return f"no {fitting}`{node.event}` until {due} -> {record.port}"
        if due_ms is not None and due_ms <= since_ms:
            return f"{describe(node)}: {due} had come already"
        return f"{describe(node)}: until {due}"

    def _place(self, token: Token) -> Place:
        node, key = self.flow.nodes[token.node], _key(token)
        if token.status == "waiting":
            since_ms, due_ms = self.waits[key]
            reason = describe(node)
        else:
            since_ms, due_ms = self.moved[key], None
            reason = "parked" if token.status == "parked" else "nothing follows"
        due = None if due_ms is None else self._moment(due_ms)
        since = self._moment(since_ms)
        return Place(token.entry.number, token.node, token.status, since, due, reason)

    def _moment(self, at_ms: int) -> Moment:
        utc = on_clock(at_ms, zone("UTC")).isoformat(timespec="milliseconds")
        return Moment(at_ms, utc, on_clock(at_ms, self.here).isoformat(timespec="milliseconds"))

    # -- why nobody entered

    def never_entered(self) -> list[str]:
        """A reason for each trigger, where the customer never entered."""
        if self.entries:
            return []
        return [f"`{node}`: {self._kept_out(node, found)}" for node, found in self.triggers.items()]

    def _kept_out(self, node_id: str, trigger: _Trigger) -> str:
        node = self.flow.nodes[node_id]
        if trigger.refusal:
            return trigger.refusal
        if trigger.judged == 0:
            return self._not_judged(node)
        if isinstance(node, OnSegment) and trigger.matched:
            if node.members == "joining":
                return "matched from the start, and only those enter who come to match"
            return "came to match later, and only those enter who match at the start"
        if isinstance(node, OnEvent | WaitEvent):
            return f"{trigger.reason}; the last of {trigger.judged:,}"
        return f"never matched: {trigger.reason}"

    def _not_judged(self, node: NodeBase) -> str:
        """Why a trigger was never judged: nothing of its kind fell into the entry window."""
        assert self.customer is not None
        if isinstance(node, OnEvent | WaitEvent):
            times = [
                item.time_ms
                for item in self.customer.inputs
                if isinstance(item, Happening) and item.name == node.event
            ]
            if not times:
                return f"no `{node.event}` ever"
            last = clock_text(max(times), self.here)
            return f"no `{node.event}` in the time of entries; the last was at {last}"
        if self.customer.created_ms is not None:
            created = clock_text(self.customer.created_ms, self.here)
            return f"its time did not come in the time of entries, for a customer since {created}"
        return "its time did not come in the time of entries"


def _key(token: Token) -> tuple[int, int]:
    return token.entry.number, token.number


def _happened(happening: Happening) -> str:
    return f"`{happening.name}` happened{' (modelled)' if happening.modelled else ''}"
