"""Describe a flow document: what a marketer writes, as immutable models.

The document says what is meant, nothing about how it runs. `core.document` reads it from text,
`core.lint` judges it, `core.compiler` turns it into a program and `core.reference` carries it out
as it stands.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, StrictInt, StrictStr, model_validator

from core import limits
from core.conditions import Condition, Filter, Model, Name, WindowField
from core.control_lowering import controlled
from core.controls import CONTROLS_MAX, Blackout, Budget, Cap, MessageRules, QuietHours
from core.lowering import lowered_nodes
from core.nodes import LOCAL_TIME, ABTest, Node, NodeBase, NodeId, TakeCoupon, Target, Weight

LocalTime = Annotated[StrictStr, Field(pattern=LOCAL_TIME)]


class Reentry(Model):
    """Who may enter again: by policy, after a gap, for each value of a key."""

    policy: Literal["once", "after_exit", "always"] = "once"
    gap: WindowField | None = None
    key: Name | None = None


class FunnelLayer(Model):
    """A named layer of the funnel: those who reached any of its nodes."""

    name: Name
    nodes: list[NodeId] = Field(min_length=1)


class EntryRate(Model):
    """How many entries may begin within a second; the others wait in line."""

    per_second: Annotated[StrictInt, Field(ge=1, le=limits.ENTRY_RATE_MAX)]


class ExitRule(Model):
    """What takes a customer out of the flow at once: an event, or a condition that comes true."""

    event: Name | None = None
    where: Filter | None = None
    if_: Condition | None = Field(None, alias="if")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.event is None) is (self.if_ is None):
            raise ValueError("an exit rule names an 'event' or a condition 'if'")
        if self.where is not None and self.event is None:
            raise ValueError("'where' is a filter of the 'event'")
        return self


class Holdout(Model):
    """A share of customers who are kept out of the flow, and judged by its goal all the same.

    The same customers are kept out of all flows that name the same `group`.
    """

    share: Weight
    group: Name | None = None


class Settings(Model):
    """What holds for the flow as a whole."""

    zone: Name | None = None
    reentry: Reentry = Reentry()
    start: LocalTime | None = None
    stop: LocalTime | None = None
    goal: Target | None = None
    priority: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        0,
        description="Live, flows of a higher priority come first where one thing moves several.",
    )
    funnel: list[FunnelLayer] = Field(default_factory=list, max_length=100)
    exit: list[ExitRule] = Field(default_factory=list, max_length=limits.EXITS_MAX)
    holdout: Holdout | None = None
    entry_rate: EntryRate | None = None
    entry_cap: Annotated[StrictInt, Field(ge=1, le=limits.PEOPLE_MAX)] | None = None
    coupons: dict[Name, Annotated[StrictInt, Field(ge=0, le=limits.PEOPLE_MAX)]] = Field(
        default_factory=dict, max_length=1000
    )
    caps: list[Cap] = Field(default_factory=list, max_length=CONTROLS_MAX)
    quiet_hours: list[QuietHours] = Field(default_factory=list, max_length=CONTROLS_MAX)
    blackouts: list[Blackout] = Field(default_factory=list, max_length=CONTROLS_MAX)
    budget: list[Budget] = Field(default_factory=list, max_length=CONTROLS_MAX)
    messages: MessageRules | None = None

    @property
    def controls(self) -> bool:
        """Whether anything limits the messages of the flow."""
        listed = self.caps or self.quiet_hours or self.blackouts or self.budget
        return bool(listed) or self.messages is not None

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.start is not None and self.stop is None:
            raise ValueError("a flow with a start time needs a stop time too")
        return self


class Flow(Model):
    """A whole flow document, format version 1."""

    headrace: Literal[1]
    flow: NodeId
    name: str | None = Field(None, max_length=limits.NAME_CHARS_MAX)
    description: str | None = None
    lineage: NodeId | None = None
    settings: Settings = Settings()
    nodes: dict[NodeId, Node] = Field(min_length=1)

    _authored: Flow | None = PrivateAttr(None)
    _core: tuple[object, object, Flow] | None = PrivateAttr(None)

    @property
    def core(self) -> Flow:
        """This flow in operations: every node that stands for others is replaced by them.

        Interpreters run it. Ids and ports stay; nodes that came in have an id with '~'. It is the
        flow itself where nothing is to be replaced.
        """
        # A copy of the model takes the cache along, but not always the nodes and the settings.
        held = self._core
        if held is None or held[0] is not self.nodes or held[1] is not self.settings:
            nodes = lowered_nodes(self.nodes)
            core, settings = self, self.settings
            if settings.controls:
                nodes, settings = controlled(nodes, settings)
            if nodes is not self.nodes or settings is not self.settings:
                core = self.model_copy(update={"nodes": nodes, "settings": settings})
                core._authored = self.authored
                core._core = (nodes, settings, core)
            self._core = held = (self.nodes, self.settings, core)
        return held[2]

    @property
    def authored(self) -> Flow:
        """The flow as somebody wrote it, which `core` was made of."""
        return self._authored or self

    @property
    def title(self) -> str:
        """The name for people, the id where there is none."""
        return self.name or self.flow

    @property
    def draws_as(self) -> str:
        """The lineage that keys every draw: two drafts of one lineage share their luck."""
        return self.lineage or self.flow

    def drawing_as(self, lineage: str) -> Flow:
        """This flow with the luck of another lineage."""
        if lineage == self.draws_as:
            return self
        flow = self.model_copy(update={"lineage": lineage})
        flow._core = None  # it would be that of the former lineage
        return flow

    @property
    def triggers(self) -> dict[str, NodeBase]:
        """The trigger nodes by id, in declared order."""
        return {i: n for i, n in self.nodes.items() if n.trigger}

    @property
    def tests(self) -> dict[str, ABTest]:
        """The A/B test nodes by id, in declared order."""
        return {i: n for i, n in self.nodes.items() if isinstance(n, ABTest)}

    @property
    def watches(self) -> int:
        """How many success watches are counted apart: a branch of a test each, goal and holdout."""
        goal = 0 if self.settings.goal is None else 1 + (self.settings.holdout is not None)
        return sum(len(test.branches) for test in self.tests.values()) + goal

    @property
    def couplings(self) -> list[tuple[str, ...]]:
        """The places in the document that make customers depend on each other, in its order."""
        settings = self.settings
        gates = {"entry_rate": settings.entry_rate, "entry_cap": settings.entry_cap}
        found: list[tuple[str, ...]] = [("settings", n) for n, v in gates.items() if v is not None]
        for node_id, node in self.nodes.items():
            if isinstance(node, TakeCoupon):
                found.append(("nodes", node_id))
            elif isinstance(node, ABTest) and node.until is not None:
                found.append(("nodes", node_id, "until"))
        return found
