"""Find what flows that run beside this one do as well: the same action on the same trigger."""

from __future__ import annotations

from collections.abc import Iterator

from core.conditions import Filter, FilterAllOf
from core.flow import Flow
from core.graph import spread
from core.lint_logic import verdict
from core.lint_repeats import Key, message_key
from core.lint_view import View, enters
from core.lowering import HELPER_MARK
from core.nodes import NodeBase, OnEvent, Send, WaitEvent
from core.violations import Violation, quoted, violation

_APART = {"title", "note", "next"}
_PAIRS_MAX = 100  # of filters of one event that are compared


def rivals(view: View) -> Iterator[Violation]:
    """Actions that another flow does on the same trigger: both run, so they happen twice."""
    if not view.others:
        return
    own = _Doing(view.core)
    told: set[int] = set()
    for other in view.others:
        if other.flow == view.flow.flow or other.draws_as == view.flow.draws_as:
            continue
        doing = _Doing(View(other, content=view.content).core)
        shared = [key for key in own.triggers if key in doing.triggers and _meet(key, own, doing)]
        if not shared:
            continue
        mine, theirs = own.reached(shared), doing.reached(shared)
        done = {doing.keys[i]: theirs[i] for i in doing.keys if theirs[i]}
        for i, key in own.keys.items():
            if i not in told and mine[i] & done.get(key, 0):
                told.add(i)
                yield _done(view.core, i, other, shared[_first(mine[i] & done[key])])


def _done(view: View, i: int, other: Flow, trigger: Key) -> Violation:
    node_id = view.graph.ids[i]
    on = f"the event {quoted(trigger[1])}" if trigger[0] == "event" else "the same trigger"
    message = f"the flow {quoted(other.title)} does the same on {on}"
    advice = "Leave it to one of the two: flows run independently, so it happens twice."
    return violation("done-elsewhere", view.place(node_id), message, advice)


def _first(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


class _Doing:
    """What a flow does, and on which triggers."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.triggers: dict[Key, list[int]] = {}
        self.keys: dict[int, Key] = {}
        for i, (node_id, node) in enumerate(view.flow.nodes.items()):
            if enters(node):
                self.triggers.setdefault(_trigger_key(node), []).append(i)
            elif node.makes and HELPER_MARK not in node_id:
                self.keys[i] = _action_key(view, node)

    def reached(self, triggers: list[Key]) -> list[int]:
        """By node, from which of the triggers it can be come to: bit k for the k-th."""
        seeds: dict[int, int] = {}
        for bit, key in enumerate(triggers):
            for i in self.triggers[key]:
                seeds[i] = seeds.get(i, 0) | 1 << bit
        return spread(self.view.graph.onward, self.view.component, seeds)

    def filters(self, key: Key) -> list[Filter | None]:
        """The filters of the triggers with this key."""
        nodes = list(self.view.flow.nodes.values())
        held = [nodes[i] for i in self.triggers[key]]
        return [node.where for node in held if isinstance(node, OnEvent | WaitEvent)]


def _trigger_key(node: NodeBase) -> Key:
    if isinstance(node, OnEvent | WaitEvent):
        return ("event", node.event)
    return (node.type, node.model_dump_json(exclude=_APART, by_alias=True))


def _action_key(view: View, node: NodeBase) -> Key:
    if isinstance(node, Send):
        return message_key(view, node)
    return (node.type, node.model_dump_json(exclude=_APART, by_alias=True))


def _meet(key: Key, own: _Doing, other: _Doing) -> bool:
    """Whether one event can pass a filter of both, as far as can be seen."""
    mine, theirs = own.filters(key), other.filters(key)
    if key[0] != "event" or len(mine) * len(theirs) > _PAIRS_MAX:
        return True
    return any(_overlap(a, b) for a in mine for b in theirs)


def _overlap(a: Filter | None, b: Filter | None) -> bool:
    if a is None or b is None:
        return True
    return verdict(FilterAllOf.model_construct(all=[a, b]), {}) is not False
