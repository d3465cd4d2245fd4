"""Judge a flow before it is published: by itself, by what there is to send, by what runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from actors.live.control import FlowState
from actors.live.errors import FlowError
from actors.tenant_content import tenant_content
from core.audience import AttributeSchema, AudienceSchema
from core.document import located, read_flow
from core.flow import Flow
from core.lint import lint
from core.lint_channels import addresses
from core.lint_view import View
from core.nodes import Send
from core.tenant_schema import TenantSchema
from core.violations import Violation, at_publishing

KNOWN_MAX = 1_000  # documents that were read before, so that they need not be again


def judge(
    document: str,
    name: str,
    folder: Path,
    schema: TenantSchema,
    running: Iterable[FlowState],
    now_ms: int,
) -> tuple[Flow, list[Violation]]:
    """The flow in a document that may be published, with what is doubtful about it.

    `folder` is the data directory, whose templates and content list say what is ready to be sent;
    `running` are the tenant's flows. Raises FlowError with all that is wrong, and HeadraceError for
    a template that it sends, or a content list, that can't be read.
    """
    flow, violations = read_flow(document, name=name)
    if flow is not None:
        sends = {node.template for node in flow.core.nodes.values() if isinstance(node, Send)}
        content = tenant_content(folder, sends)
        beside = [_read(state.document) for state in running if state.status != "stopped"]
        others = [other for other in beside if other is not None]
        found = lint(flow, content=content, others=others, now_ms=now_ms)
        if schema.attributes:
            found += addresses(View(flow, _attributes(schema)))
        violations = located(at_publishing([*violations, *found]), document, name=name)
    if flow is None or any(v.severity == "error" for v in violations):
        raise FlowError(violations, file=name)
    return flow, violations


@lru_cache(maxsize=KNOWN_MAX)
def _read(document: str) -> Flow | None:
    """A flow that was published, None for one that is read no more."""
    return read_flow(document, name="flow")[0]


def _attributes(schema: TenantSchema) -> AudienceSchema:
    """The attributes that messages can be sent to: those kept apart as personal are among them."""
    kinds = {name: AttributeSchema(type=each.type) for name, each in schema.attributes.items()}
    return AudienceSchema(attributes=kinds)
