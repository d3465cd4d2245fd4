"""Judge what is to be published: a flow by itself, by what there is to send and by what runs.

Segments are judged here too: a flow means for ever what its segments meant when it was published,
so a change of one is told of wherever it makes a difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from actors.live.control import FlowState, Standing
from actors.live.errors import FlowError, RefusedError
from actors.live.replies import InFlight
from actors.tenant_content import tenant_content
from core.audience import AttributeSchema, AudienceSchema
from core.content import Content
from core.document import located, read_flow, read_segments, read_values, resolved_text
from core.flow import Flow
from core.lint import lint
from core.lint_channels import addresses
from core.lint_content import ENTRY
from core.lint_schema import undeclared
from core.lint_view import View
from core.nodes import Send
from core.segments import Segments, meaning, named_in
from core.tenant_schema import TenantSchema
from core.violations import Violation, at_publishing, close_to, quoted, violation

KNOWN_MAX = 1_000  # documents that were read before, so that they need not be again


@dataclass(frozen=True, slots=True)
class Judged:
    """A flow that may be published, and what is doubtful about it.

    `text` is what was sent, `document` the same with its segments resolved, and with what messages
    show of the entering event.
    """

    flow: Flow
    text: str
    document: str
    doubts: list[Violation]

    def command(
        self, standing: Standing, in_flight: InFlight = "pin", entry_rate: int | None = None
    ) -> dict[str, Any]:
        """The command that publishes it. RefusedError for what is published already."""
        name = self.flow.flow
        known = standing.flows.get(name)
        same = known is not None and (known.text, known.document) == (self.text, self.document)
        if known is not None and same and known.status != "stopped":
            raise RefusedError(
                f"this very document is version {known.version} of flow {name} already",
                advice="Nothing needs to be done",
            )
        command = {
            "kind": "publish",
            "flow": name,
            "version": 1 if known is None else known.version + 1,
            "document": self.document,
            "in_flight": in_flight,
        }
        if self.document != self.text:
            command["authored"] = self.text
        if entry_rate is not None:
            command["entry_rate"] = entry_rate
        return command


def judge(
    document: str,
    name: str,
    folder: Path,
    schema: TenantSchema,
    standing: Standing,
    now_ms: int,
) -> Judged:
    """The flow in a document, if it may be published to a tenant of whom all this stands.

    `folder` is the data directory, whose templates and content list say what is ready to be sent.
    Raises FlowError with all that is wrong, and HeadraceError for a template that it sends, or a
    content list, that can't be read.
    """
    segments = segments_of(standing)
    flow, violations = read_flow(document, name=name, segments=segments)
    plain = document
    if flow is not None:
        plain = resolved_text(document, name=name, segments=segments)
        running = [state for state in standing.flows.values() if state.status != "stopped"]
        sends = {node.template for node in flow.core.nodes.values() if isinstance(node, Send)}
        content = tenant_content(folder, sends)
        plain = showing_entries(plain, name, flow, content)
        found = _doubts(flow, content, schema, running, now_ms)
        if flow.flow in standing.flows:
            found += _since(standing.flows[flow.flow], document, name, segments)
        violations = located(at_publishing([*violations, *found]), document, name=name)
        if plain != document:
            # What is run is read from this text, which can be too large where the other isn't.
            violations += read_flow(plain, name="flow")[1]
    if flow is None or any(v.severity == "error" for v in violations):
        raise FlowError(violations, file=name)
    return Judged(flow, document, plain, violations)


def judge_segments(
    document: str, name: str, standing: Standing
) -> tuple[Segments, list[Violation]]:
    """The segments in a document that a tenant may have, and which flows go on without the change.

    Raises FlowError with all that is wrong, those included that are gone but in use.
    """
    segments, violations = read_segments(document, name=name)
    if segments is not None:
        for state in standing.flows.values():
            if state.status != "stopped":
                violations += _following(state, segments)
        violations = located(violations, document, name=name)
    if segments is None or any(v.severity == "error" for v in violations):
        raise FlowError(violations, file=name)
    return segments, violations


def segments_of(standing: Standing) -> Segments:
    """The segments that a tenant's flows may name now."""
    return Segments.model_validate(standing.segments)


def showing_entries(document: str, name: str, flow: Flow, content: Content) -> str:
    """The document of a flow whose messages carry what their content shows of entering events.

    It is `document` itself where none shows anything, else JSON: there `entry.amount` is one more
    variable of the node, `{entry: amount}`.
    """
    wanted: dict[str, dict[str, Any]] = {}
    for node_id, node in flow.nodes.items():
        item = content.items.get(getattr(node, "template", ""))
        known = getattr(node, "variables", {})
        for shown in [] if item is None else item.variables:
            if shown.startswith(ENTRY) and shown not in known:
                said = {"entry": shown.removeprefix(ENTRY)}
                wanted.setdefault(node_id, {})[shown] = said
    if not wanted:
        return document
    stated = read_values(document, name=name)
    for node_id, variables in wanted.items():
        node = stated["nodes"][node_id]
        node["variables"] = {**node.get("variables", {}), **variables}
    return json.dumps(stated, ensure_ascii=False)


def _doubts(
    flow: Flow, content: Content, schema: TenantSchema, running: list[FlowState], now_ms: int
) -> list[Violation]:
    """What lint finds, given what there is to send and which flows run."""
    others = [other for state in running if (other := _read(state.document)) is not None]
    found = lint(flow, content=content, others=others, now_ms=now_ms)
    if schema.attributes:
        found += addresses(View(flow, _attributes(schema)))
    return found + undeclared(flow, schema, others)


def _following(state: FlowState, segments: Segments) -> Iterator[Violation]:
    """What becomes of a running flow's segments: it keeps them, but those must be there still."""
    running = f"flow {quoted(state.flow)} (version {state.version})"
    for (kind, name), had in _pinned(state).items():
        has = meaning({kind: name}, segments)
        if has is None:
            what = f"segment {quoted(name)} would be gone, and {running} names it"
            cure = "Keep it, or stop the flow or publish it without the segment first."
            advice = f"{close_to(name, segments.segments)} {cure}".lstrip()
            yield violation("segment-in-use", ("segments",), what, advice)
        elif has != had:
            what = f"{running} keeps {kind} {quoted(name)} as it was when it was published"
            advice = "Publish the flow again to let it have the new one."
            place = ("segments", name) if kind == "segment" else ("groups",)
            yield violation("segment-changed", place, what, advice)


def _since(known: FlowState, document: str, name: str, segments: Segments) -> Iterator[Violation]:
    """The segments that the version before has otherwise."""
    pinned = _pinned(known)
    for steps, stands in named_in(read_values(document, name=name)):
        [(kind, named)] = stands.items()
        had = pinned.get((kind, named))
        if had is not None and had != meaning(stands, segments):
            what = f"{kind} {quoted(named)} isn't what it is in version {known.version}"
            advice = "From this version on the flow has it as it is now."
            yield violation("segment-changed", steps, what, advice)


def _pinned(state: FlowState) -> dict[tuple[str, str], Any]:
    """What the newest version's segments, and its starts on a group, mean in it."""
    plain = read_values(state.document, name="flow")
    found: dict[tuple[str, str], Any] = {}
    for steps, stands in named_in(read_values(state.text, name="flow")):
        part = plain
        for step in steps:
            part = part[step]
        [(kind, name)] = stands.items()
        # An `on_group` has the group or, where others are left out, is a start on a condition.
        found[kind, name] = part.get("if", stands) if "type" in part else part
    return found


@lru_cache(maxsize=KNOWN_MAX)
def _read(document: str) -> Flow | None:
    """A flow that was published, None for one that is read no more."""
    return read_flow(document, name="flow")[0]


def _attributes(schema: TenantSchema) -> AudienceSchema:
    """The attributes that messages can be sent to: those kept apart as personal are among them."""
    kinds = {name: AttributeSchema(type=each.type) for name, each in schema.attributes.items()}
    return AudienceSchema(attributes=kinds)
