"""Hold the target of an A/B test against what its branches do: it must be an answer to that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.catalogue.channels import Channel
from core.conditions import Model, PropertyTest
from core.graph import spread
from core.lint_logic import facts_of
from core.lint_view import View
from core.nodes import ABTest, Send, WaitAny, WaitEvent
from core.phrases import CHANNEL_NAMES
from core.violations import Violation, quoted, violation

ANSWERS: Mapping[str, Channel] = {
    "email_opened": "email",
    "email_clicked": "email",
    "wechat_interacted": "wechat",
    "banner_clicked": "banner",
}
"""Events that only what was sent on a channel can bring about."""
MESSAGE = ("message", "")
"""That a branch sends something by a channel of which clicks are `message_clicked`."""


def targets(view: View) -> Iterator[Violation]:
    """Targets that a branch can't lead to, or that it isn't steered by as the others are (A072)."""
    tests = [(i, node) for i, node in view.flow.nodes.items() if isinstance(node, ABTest)]
    if not tests:
        return
    bit_of, seeds = dict[tuple[str, str], int](), dict[int, int]()
    for node_id, test in tests:
        for port in test.ports:
            bit = bit_of[node_id, port] = 1 << len(bit_of)
            for target in test.targets(port):
                if (j := view.graph.number.get(target)) is not None:
                    seeds[j] = seeds.get(j, 0) | bit
    done = _done(view, spread(view.graph.onward, view.component, seeds))
    for node_id, test in tests:
        event, template = test.target.event, _template(test.target.where)
        needs: list[tuple[str, str]] = []
        if event in ANSWERS:
            needs.append(("channel", ANSWERS[event]))
        elif event == "message_clicked":
            needs.append(MESSAGE)
        if needs and template is not None:
            needs.append(("template", template))
        # A branch is steered by answers; where others wait for the target, it should as well.
        bits = [bit_of[node_id, port] for port in test.ports]
        steered = [bit for bit in bits if done.get(("wait", ""), 0) & bit]
        if any(done.get(("wait", event), 0) & bit for bit in steered):
            needs.append(("wait", event))
        for port, bit in zip(test.ports, bits, strict=True):
            for need in needs:
                if done.get(need, 0) & bit or (need[0] == "wait" and bit not in steered):
                    continue
                message = f"branch {quoted(port)} {_lack(need)}, and the target is {quoted(event)}"
                advice = "Let the test be judged by what each of its branches asks for."
                yield violation("target-disagrees", ("nodes", node_id, "target"), message, advice)
                break


def _done(view: View, before: list[int]) -> dict[tuple[str, str], int]:
    """By what is done (kind, name), in which branches; ("wait", "") is a wait for any event."""
    done: dict[tuple[str, str], int] = {}
    for node_id, node in view.flow.nodes.items():
        bits = before[view.graph.number[node_id]]
        acts: list[tuple[str, str]] = []
        if not bits:
            continue
        if isinstance(node, Send):
            acts = [("channel", node.channel), ("template", node.template)]
            if node.channel not in ("email", "banner"):  # whose clicks have names of their own
                acts.append(MESSAGE)
        elif isinstance(node, WaitEvent):
            acts = [("wait", node.event), ("wait", "")]
        elif isinstance(node, WaitAny):
            acts = [("wait", ""), *(("wait", each.event) for each in node.events.values())]
        for act in acts:
            done[act] = done.get(act, 0) | bits
    return done


def _template(where: Model | None) -> str | None:
    """The template that a target's filter asks for, None for any."""
    for _, test, held in [] if where is None else facts_of(where, True):
        if isinstance(test, PropertyTest) and test.property == "template" and held:
            return test.is_ if isinstance(test.is_, str) else None
    return None


def _lack(need: tuple[str, str]) -> str:
    kind, name = need
    if need == MESSAGE:
        return "sends nothing whose clicks are told so"
    if kind == "channel":
        return f"sends nothing by {CHANNEL_NAMES[name]}"
    return f"never sends {quoted(name)}" if kind == "template" else "waits for something else"
