"""Find what is done twice: the same message by two nodes, or an action met again by one person."""

from __future__ import annotations

import json
from collections.abc import Iterator

from core.lint_view import View
from core.lowering import HELPER_MARK
from core.nodes import NodeBase, Send, TakeCoupon
from core.violations import Violation, listed, quoted, violation

Key = tuple[str, ...]
"""What two nodes share that do the same."""


def message_key(view: View, node: Send) -> Key:
    """What two messages share that say the same, by the same channel to the same address.

    Of content whose text is known, that counts and not its name.
    """
    item = None if view.content is None else view.content.items.get(node.template)
    said = f"={item.body}" if item is not None and item.body is not None else node.template
    variables = json.dumps(node.variables, sort_keys=True, default=str) if node.variables else ""
    return ("send", node.channel, said, variables, node.to or "")


def repeats(view: View) -> Iterator[Violation]:
    """Nodes that send the same message (A045), and actions that one person can meet twice.

    Setting an attribute, a tag or a group again changes nothing, and scores are made by adding
    again and again; messages and coupons are what nobody should get twice.
    """
    core = view.core
    groups: dict[Key, list[int]] = {}
    for i, (node_id, node) in enumerate(core.flow.nodes.items()):
        if HELPER_MARK in node_id:
            continue
        if isinstance(node, Send):
            groups.setdefault(message_key(view, node), []).append(i)
        elif isinstance(node, TakeCoupon):
            groups.setdefault(("coupon", node.pool), []).append(i)
    if not groups:
        return
    again = _Again(core, list(groups.values()))
    nodes, ids = list(core.flow.nodes.values()), core.graph.ids
    for members in groups.values():
        sure = not again.found.keys().isdisjoint(members)  # that says more than being the same
        for place, i in enumerate(members):
            others = [ids[j] for j in members if j != i]
            if i in again.found:
                yield _twice(core, ids[i], nodes[i], others, again.found[i])
            elif place and not sure and isinstance(nodes[i], Send):
                yield _same(core, ids[i], nodes[i], ids[members[0]], nodes[members[0]])


def _twice(view: View, node_id: str, node: NodeBase, others: list[str], fork: str) -> Violation:
    what = f"'{node.template}'" if isinstance(node, Send) else "a coupon of this pool"
    if others and not fork:
        message = f"one person can get {what} twice: from {listed(map(quoted, others), 3)} as well"
    elif others:
        message = f"one person can get {what} twice: the paths that fork at {quoted(fork)} both "
        message += f"give it, {listed(map(quoted, others), 3)} on the other"
    else:
        message = f"one person can get {what} twice: the paths that fork at {quoted(fork)} "
        message += "meet before it, and are not merged"
    advice = "Give it on one path only, or ask before it whether it was given already."
    place = view.place(node_id, "template" if isinstance(node, Send) else "pool")
    return violation("action-twice", place, message, advice)


def _same(view: View, node_id: str, node: NodeBase, first: str, held: NodeBase) -> Violation:
    assert isinstance(node, Send) and isinstance(held, Send)
    message = f"{quoted(first)} sends {quoted(held.template)} by {held.channel} too"
    if held.template != node.template:
        message += ", which says the same"
    advice = "Use another template, unless people are to get it twice."
    return violation("repeated-template", view.place(node_id, "template"), message, advice)


class _Again:
    """Which members of groups one person can come to after, or beside, another of the group.

    `found` has the fork beside whose other path a member is, "" for one that lies behind another.
    All groups and all forks are followed in one pass of bit sets, as `core.lint_graph` does for
    paths that meet again: the targets of a fork are numbered, and each binary digit of the numbers
    has one bit in two sets, `zeros` behind targets with that digit 0 and `ones` behind the others.
    """

    def __init__(self, view: View, groups: list[list[int]]) -> None:
        self.view = view
        self.found: dict[int, str] = {}
        graph, component = view.graph, view.component
        self.group_of = {i: g for g, members in enumerate(groups) for i in members}
        members: list[list[int]] = [[] for _ in range(max(component, default=-1) + 1)]
        for i, part in enumerate(component):
            members[part].append(i)
        forks = self._forks()
        before = [0] * len(members)
        zeros, ones = [0] * len(members), [0] * len(members)
        self.behind: dict[int, tuple[int, int]] = {}  # by group: zeros and ones of its members
        self.owners: list[str] = []
        several = {g for g, held in enumerate(groups) if len(held) > 1}
        # Edges run from higher components to lower ones.
        for part in range(len(members) - 1, -1, -1):
            for fork, targets in forks.get(part, ()):
                self._number(fork, [component[t] for t in targets], zeros, ones)
            actions = [i for i in members[part] if i in self.group_of]
            self._judge(actions, before[part], zeros[part], ones[part])
            own = before[part]
            for i in actions:
                if self.group_of[i] in several:
                    own |= 1 << self.group_of[i]
            onward = {component[j] for i in members[part] for j in graph.onward[i]} - {part}
            for below in onward:
                before[below] |= own
                zeros[below] |= zeros[part]
                ones[below] |= ones[part]
            before[part] = zeros[part] = ones[part] = 0

    def _forks(self) -> dict[int, list[tuple[str, list[int]]]]:
        """The forks with their targets, by the component of the target that comes first."""
        number, component = self.view.graph.number, self.view.component
        found: dict[int, list[tuple[str, list[int]]]] = {}
        for node_id, node in self.view.flow.nodes.items():
            for port, ids in node.next.items():
                if len(ids) < 2 or port not in node.ports:
                    continue
                targets = [number[t] for t in dict.fromkeys(ids) if t in number]
                if len(targets) > 1:
                    first = max(component[t] for t in targets)
                    found.setdefault(first, []).append((node_id, targets))
        return found

    def _number(self, fork: str, targets: list[int], zeros: list[int], ones: list[int]) -> None:
        digits = (len(targets) - 1).bit_length()
        every = (1 << digits) - 1
        for place, part in enumerate(targets):
            ones[part] |= place << len(self.owners)
            zeros[part] |= (every ^ place) << len(self.owners)
        self.owners += [fork] * digits

    def _judge(self, actions: list[int], before: int, zeros: int, ones: int) -> None:
        here: dict[int, int] = {}
        for i in actions:
            here[self.group_of[i]] = here.get(self.group_of[i], 0) + 1
        for i in actions:
            group = self.group_of[i]
            if before >> group & 1 or here[group] > 1:
                self.found[i] = ""
            if zeros | ones:
                held = self.behind.get(group, (0, 0))
                both = (held[0] | zeros) & (held[1] | ones)
                self.behind[group] = (held[0] | zeros, held[1] | ones)
                fresh = both & (zeros | ones)
                if fresh and i not in self.found:
                    self.found[i] = self.owners[fresh.bit_length() - 1]
