"""Collect the nodes of a flow that is converted, and write it as a document that was checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from core.convert.document_text import document_text
from core.convert.notes import Converted, ConvertError, Kind, Note, in_order, one_line
from core.document import read_flow
from core.duration import Duration
from core.limits import NAME_CHARS_MAX, WEIGHT_TOTAL
from core.lint import lint
from core.violations import has_errors, quoted, steps_of

CHECKS = 6  # how often a wait looks whether a condition holds, beside on arrival
DAY_MS = 86_400_000
ID_CHARS_MAX = 64
_ID_BASE_CHARS = 48  # leaves room for what is appended to make an id unique
_PLACEHOLDER = re.compile(r"\$[A-Za-z_][\w.]*(\(\))?")

Test = dict[str, Any]
"""A condition or a filter as a flow document states it."""


def id_of(text: str, otherwise: str, chars: int = _ID_BASE_CHARS) -> str:
    """An id as a flow takes it, made of any text; of a longer one the begin and the end."""
    made = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-_.") or otherwise
    if len(made) <= chars:
        return made
    half = chars // 2 - 1
    return f"{made[:half].strip('-_.')}..{made[-half:].strip('-_.')}"


def elapsed(ms: int | float) -> str:
    """A duration of elapsed time as text, in hours and shorter: a journey's day is 24 hours."""
    return str(Duration(ms=round(ms)))


def is_placeholder(value: object) -> bool:
    """Whether a value is the name of a variable of the program that wrote the document."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def weights(shares: Sequence[int | float]) -> list[str]:
    """Shares of 100 as percentages of a flow: two decimals that total 100 %.

    What rounding takes away goes to the largest remainders. The shares must total 100.
    """
    exact = [Decimal(str(share)) * WEIGHT_TOTAL / 100 for share in shares]
    whole = [int(e.to_integral_value(ROUND_FLOOR)) for e in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))
    for i in by_remainder[: WEIGHT_TOTAL - sum(whole)]:
        whole[i] += 1
    return [f"{w / 100:g}%" for w in whole]


def only_reads_events(test: Test) -> bool:
    """Whether a condition can stand as a filter: it asks for nothing but the event."""
    return all(
        key in ("entry", "property")
        or (key == "not" and only_reads_events(value))
        or (key in ("all", "any") and all(only_reads_events(part) for part in value))
        or key not in ("all", "any", "not", "attribute", "tag", "group", "did", "never_did")
        for key, value in test.items()
    )


def _reads_entry(test: Any) -> bool:
    """Whether a condition asks for the entering event, be it in a filter of past ones."""
    if isinstance(test, dict):
        return "entry" in test or any(_reads_entry(part) for part in test.values())
    return isinstance(test, list) and any(_reads_entry(part) for part in test)


def _unlike(texts: Sequence[str], otherwise: str, taken: Sequence[str] = ()) -> list[str]:
    """Names of ports made of texts, each another one and none of those `taken`."""
    names: list[str] = []
    for text in texts:
        name = base = id_of(text, otherwise)
        number = len(names)
        while name in names or name in taken:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names


def all_of(tests: Sequence[Test]) -> Test | None:
    """All the tests as one, None where there is none."""
    if len(tests) > 1:
        return {"all": list(tests)}
    return tests[0] if tests else None


def any_of(tests: Sequence[Test]) -> Test | None:
    """At least one of the tests as one, None where there is none."""
    if len(tests) > 1:
        return {"any": list(tests)}
    return tests[0] if tests else None


class Draft:
    """A flow in the making: nodes by id in their order, settings, notes."""

    def __init__(self, product: str, name: str) -> None:
        self.product = product
        self.flow_id = ""
        self.call(name)
        self.name: str | None = None
        self.description: str | None = None
        self.settings: dict[str, Any] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.notes: list[Note] = []
        self.sources: list[str] = []
        self._ids: dict[str, int] = {}  # how many were asked for by this one
        self._places: dict[str, str] = {}
        self._end: str | None = None

    def call(self, name: str) -> str:
        """Give the flow an id made of a name."""
        self.flow_id = id_of(name, "flow", ID_CHARS_MAX)
        return self.flow_id

    def new_id(self, wanted: str, otherwise: str = "node") -> str:
        """A node id that nothing else has, as close to `wanted` as can be."""
        base = id_of(wanted, otherwise)
        made = base
        while made in self._ids:
            self._ids[base] += 1
            made = f"{base}-{self._ids[base]}"
        self._ids[made] = 1
        return made

    def add(self, node_id: str, pointer: str, node: dict[str, Any]) -> str:
        """Add a node that came of the foreign one at `pointer`; fields that are None are absent.

        Ports that all lead to one node stay apart: the document then tells what was meant.
        """
        first = ("type", "title", "note")
        stated = {key: value for key, value in node.items() if value is not None}
        rest = {key: value for key, value in stated.items() if key not in (*first, "next")}
        head = {key: stated[key] for key in first if key in stated}
        self.nodes[node_id] = head | rest | ({"next": stated["next"]} if "next" in stated else {})
        self._places[node_id] = pointer
        return node_id

    def source(self, pointer: str) -> None:
        """Count a node of the foreign document."""
        self.sources.append(pointer)

    def end(self) -> str:
        """The id of the one end."""
        if self._end is None:
            self._end = self.new_id("done")
        return self._end

    def note(self, pointer: str, what: str, kind: Kind, reason: str, stand_in: str) -> None:
        """Note what did not come along as it was."""
        self.notes.append(Note(pointer, what, kind, reason, stand_in))

    def unknown(self, pointer: str, what: str, reason: str) -> Test:
        """A test that stands in for one that a flow can't ask: of a group that may be filled."""
        group = f"{self.product}: {what}"[:NAME_CHARS_MAX]
        self.note(
            pointer, what, "approximated", reason, f"membership in the group {quoted(group, 200)}"
        )
        return {"group": group}

    def condition(
        self, node_id: str, pointer: str, test: Test, yes: str, no: str, title: str | None = None
    ) -> str:
        """Add a node that asks a question."""
        node = {"type": "condition", "title": title, "if": test, "next": {"yes": yes, "no": no}}
        return self.add(node_id, pointer, node)

    def ask(
        self,
        node_id: str,
        pointer: str,
        tests: Sequence[tuple[Test, str]],
        otherwise: str,
        title: str | None = None,
    ) -> None:
        """Add conditions, one behind the other: the first that holds says what follows."""
        for number, (test, target) in enumerate(tests):
            last = number == len(tests) - 1
            after = otherwise if last else self.new_id(f"{node_id}-else")
            self.condition(node_id, pointer, test, target, after, title)
            node_id, title = after, None

    def listen(
        self,
        node_id: str,
        pointer: str,
        events: Sequence[tuple[str, Test | None, str]],
        timeout_ms: int | float,
        otherwise: str,
        title: str | None = None,
    ) -> None:
        """Add a wait for events, each with its filter and the node that follows then."""
        made: dict[str, Any] = {"type": "wait_event", "title": title}
        if len(events) == 1:
            event, where, target = events[0]
            made |= {"event": event, "where": where}
            following = {"event": target}
        else:
            ports = _unlike([event for event, *_ in events], "event", taken=("timeout",))
            tests = {
                port: {"event": event} | ({} if where is None else {"where": where})
                for port, (event, where, _) in zip(ports, events, strict=True)
            }
            made |= {"type": "wait_any", "events": tests}
            following = dict(zip(ports, (target for *_, target in events), strict=True))
        made |= {"timeout": elapsed(timeout_ms), "next": following | {"timeout": otherwise}}
        self.add(node_id, pointer, made)

    def watch(
        self,
        node_id: str,
        pointer: str,
        tests: Sequence[tuple[Test, str]],
        timeout_ms: int | float,
        otherwise: str,
        title: str | None = None,
    ) -> None:
        """Add a wait until one of the tests holds, each with the node that follows then.

        What asks for the entering event alone never changes, so it is asked on arrival. A test that
        asks for it and for more can't be waited for: then the flow looks, and a note says so.
        """
        varying = [(test, target) for test, target in tests if not only_reads_events(test)]
        if any(_reads_entry(test) for test, _ in varying):
            self.note(
                pointer,
                f"wait {node_id}",
                "approximated",
                "what is waited for depends on the entering event, which a wait does not read",
                self.looks(timeout_ms),
            )
            self.look(node_id, pointer, tests, timeout_ms, otherwise, title=title)
            return
        if len(varying) < len(tests):
            wait = self.new_id(f"{node_id}-wait")
            self.ask(node_id, pointer, tests, wait, title)
            node_id, title = wait, None
        made: dict[str, Any] = {"title": title, "timeout": elapsed(timeout_ms)}
        if not varying:
            made = {"type": "wait", "for": made["timeout"], "next": otherwise}
        else:
            met = varying[-1][1]
            if any(target != met for _, target in varying):
                met = self.new_id(f"{node_id}-which")
            made |= {"type": "wait_condition", "if": any_of([test for test, _ in varying])}
            made["next"] = {"met": met, "timeout": otherwise}
        self.add(node_id, pointer, made)
        if varying and met != varying[-1][1]:
            self.ask(met, pointer, varying[:-1], varying[-1][1])

    def look(
        self,
        node_id: str,
        pointer: str,
        tests: Sequence[tuple[Test, str]],
        timeout_ms: int | float,
        otherwise: str,
        *,
        arrival: Sequence[tuple[Test, str]] | None = None,
        title: str | None = None,
    ) -> None:
        """Add looks whether one of the tests holds, for what `watch` can't wait for.

        They are on arrival and then `CHECKS` times at equal distances, the last at the timeout;
        `otherwise` follows when none ever held. `arrival` are the tests on arrival, all of them
        unless stated.
        """
        step_ms = max(1, round(timeout_ms / CHECKS))
        looks = CHECKS if timeout_ms >= CHECKS else 0
        name = node_id
        for look in range(looks + 1):
            asked = tests if look or arrival is None else arrival
            after = otherwise
            if look < looks:
                after = self.new_id(f"{node_id}-wait-{look + 1}") if asked else name
            self.ask(name, pointer, asked, after, None if look else title)
            if look == looks:
                break
            name = self.new_id(f"{node_id}-look-{look + 1}")
            # The last stretch takes up what rounding left, so that the timeout itself is exact.
            span = timeout_ms - step_ms * (looks - 1) if look == looks - 1 else step_ms
            shown = None if look or asked else title
            made = {"type": "wait", "title": shown, "for": elapsed(span), "next": name}
            self.add(after, pointer, made)

    def looks(self, timeout_ms: int | float, *, arrival: bool = True) -> str:
        """What `look` does, in words."""
        step = elapsed(max(1, round(timeout_ms / CHECKS)))
        first = "on arrival and then " if arrival else ""
        return f"it is asked {first}every {step}, {CHECKS} times"

    def split(
        self,
        node_id: str,
        pointer: str,
        branches: Sequence[tuple[str, int | float, str]],
        *,
        sticky: bool,
        title: str | None,
    ) -> str:
        """Add a split into branches of a name, a share of 100 and the node that follows."""
        names = _unlike([wanted for wanted, *_ in branches], "branch")
        shares = weights([share for _, share, _ in branches])
        node = {
            "type": "split",
            "title": title,
            "branches": dict(zip(names, shares, strict=True)),
            "sticky": sticky,
            "next": dict(zip(names, (target for *_, target in branches), strict=True)),
        }
        return self.add(node_id, pointer, node)

    def finish(self, *, source: str) -> Converted:
        """Write the flow and check it as `headrace check` does.

        Raises ConvertError where it has errors, at the place in the foreign document that each
        came of. `source` says in a few words what was converted.
        """
        if self._end is not None or all(n["type"] != "end" for n in self.nodes.values()):
            self.nodes[self.end()] = {"type": "end"}
        document = {
            "headrace": 1,
            "flow": self.flow_id,
            "name": None if self.name is None else one_line(self.name)[:NAME_CHARS_MAX],
            "description": self.description,
            "settings": self.settings or None,
            "nodes": self.nodes,
        }
        notes = in_order(self.notes)
        text = document_text(
            {key: value for key, value in document.items() if value is not None},
            [f"Converted from {one_line(source)}.", *(one_line(str(note)) for note in notes)],
        )
        flow, violations = read_flow(text, name="flow.yaml")
        if flow is not None:
            violations = lint(flow)
        if has_errors(violations):
            first = min(v for v in violations if v.severity == "error")
            steps = steps_of(first.pointer)
            place = self._places.get(steps[1]) if steps[:1] == ["nodes"] and steps[1:] else None
            raise ConvertError(
                f"what it converts to is no valid flow: {first.message}",
                pointer=place or "the document",
                advice=first.advice,
            )
        return Converted(self.product, self.flow_id, text, notes, tuple(self.sources))
