"""Open flow and responses files: read, check the size first, and tell violations to a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from api.console import console
from core import limits
from core.audience import AudienceSchema
from core.audience_facts import AudienceFacts
from core.content import Content
from core.document import located, read_content, read_flow, read_responses, read_segments
from core.errors import HeadraceError
from core.flow import Flow
from core.lint import lint
from core.responses import Responses
from core.segments import Segments
from core.violations import Violation

COLOURS = {"error": "bold red", "warning": "yellow", "info": "blue"}

SEGMENTS = "segments.yaml"  # beside a flow: the segments that it may name
TOLD_MAX = 20  # violations where something else was asked for; `headrace check` tells all


class ViolationsError(HeadraceError):
    """A document has errors; `violations_told` tells them."""

    exit_code = 1

    def __init__(self, path: str, violations: Sequence[Violation]) -> None:
        self.violations = list(violations)
        self.path = path
        super().__init__(summary(violations), file=path, advice="Mend the errors and try again")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.violations)


@dataclass(frozen=True, slots=True)
class Opened:
    """A flow that can be run, its text, and what lint found beside errors."""

    flow: Flow
    text: bytes
    violations: list[Violation]


def read_bytes(path: Path) -> bytes:
    """The bytes of a document; HeadraceError where it can't be read or is larger than the limit."""
    try:
        size = path.stat().st_size
        if size > limits.FLOW_BYTES_MAX:
            raise HeadraceError(
                f"the file has {size:,} bytes; at most {limits.FLOW_BYTES_MAX:,} are read",
                advice="A flow of that size can't be meant; check that this is the right file",
                file=str(path),
            )
        return path.read_bytes()
    except OSError as error:
        raise HeadraceError(error.strerror or str(error), file=str(path)) from None


def find_violations(
    path: Path,
    schema: AudienceSchema | None,
    *,
    segments: Segments | None = None,
    content: Content | None = None,
    others: Sequence[Flow] = (),
    now_ms: int | None = None,
    facts: AudienceFacts | None = None,
) -> tuple[Flow | None, bytes, list[Violation]]:
    """Read and lint a flow file; the flow is None where it can't be read as one.

    `segments` are those that it may name; what else is given is as for `core.lint.lint`.
    """
    text = read_bytes(path)
    lints = partial(lint, schema=schema, content=content, others=others, now_ms=now_ms, facts=facts)
    flow, violations = judged(text, str(path), segments, lints)
    return flow, text, violations


def judged(
    text: bytes,
    name: str,
    segments: Segments | None,
    lints: Callable[[Flow], Sequence[Violation]],
) -> tuple[Flow | None, list[Violation]]:
    """Read a flow's text and lint it; the flow is None where it can't be read as one."""
    flow, violations = read_flow(text, name=name, segments=segments)
    if flow is not None:
        violations = [*violations, *located(lints(flow), text, name=name)]
    return flow, violations


def open_flow(
    path: Path, schema: AudienceSchema | None = None, segments: Segments | None = None
) -> Opened:
    """Read and lint a flow file that may name `segments`; ViolationsError where it has errors."""
    flow, text, violations = find_violations(path, schema, segments=segments)
    if flow is None or any(v.severity == "error" for v in violations):
        raise ViolationsError(str(path), violations)
    return Opened(flow, text, violations)


def open_shape(path: Path, segments: Segments | None = None) -> Flow:
    """Read a flow file for what it says, unjudged; ViolationsError where it can't be read."""
    flow, violations = read_flow(read_bytes(path), name=str(path), segments=segments)
    if flow is None:
        raise ViolationsError(str(path), violations)
    return flow


def open_content(path: Path) -> Content:
    """Read a content list; ViolationsError where it has errors."""
    content, violations = read_content(read_bytes(path), name=str(path))
    if content is None:
        raise ViolationsError(str(path), violations)
    return content


def segments_for(
    flow: Path, stated: Path | None = None, tenants: Segments | None = None
) -> Segments | None:
    """The segments that a flow file may name, None without any; ViolationsError for a wrong file.

    They are those of the file that was `stated`, else a tenant's, else of `segments.yaml` beside
    the flow.
    """
    if stated is None and tenants is not None:
        return tenants
    beside = flow.parent / SEGMENTS
    if stated is None and not beside.is_file():
        return None
    return open_segments(stated or beside)


def open_segments(path: Path) -> Segments:
    """Read a segments file; ViolationsError where it has errors."""
    segments, violations = read_segments(read_bytes(path), name=str(path))
    if segments is None:
        raise ViolationsError(str(path), violations)
    return segments


def open_responses(path: Path, segments: Segments | None = None) -> Responses:
    """Read a responses file that may name `segments`; ViolationsError where it has errors."""
    responses, violations = read_responses(read_bytes(path), name=str(path), segments=segments)
    if responses is None:
        raise ViolationsError(str(path), violations)
    return responses


@contextmanager
def violations_told() -> Iterator[None]:
    """Tell the first violations of a document that can't be opened, on standard error."""
    try:
        yield
    except ViolationsError as error:
        tell(console(stderr=True), error.path, error.violations, most=TOLD_MAX)
        raise


def summary(violations: Sequence[Violation]) -> str:
    """How many violations of each severity there are, in words."""
    counts = [(s, sum(v.severity == s for v in violations)) for s in COLOURS]
    words = {"error": "errors", "warning": "warnings", "info": "notes"}
    parts = [f"{n:,} {words[s] if n != 1 else words[s][:-1]}" for s, n in counts if n]
    return ", ".join(parts) or "no violations"


def tell(
    out: Console, path: str, violations: Sequence[Violation], *, most: int | None = None
) -> None:
    """Print violations, one paragraph each: place, code, what is wrong, what to do.

    Beyond `most` they are only counted.
    """
    for v in violations[:most]:
        line = f":{v.line}" if v.line else ""
        colour = COLOURS[v.severity]
        out.print(
            f"[{colour}]{v.severity}[/] [bold]{escape(v.code)}[/] [dim]{escape(path)}{line}[/] "
            f"{escape(v.pointer or '/')}",
            soft_wrap=True,
        )
        out.print(f"    {escape(_sentence(v.message))}", soft_wrap=True)
        if v.advice:
            out.print(f"    [green]→[/] {escape(_sentence(v.advice))}", soft_wrap=True)
    if most is not None and len(violations) > most:
        more = len(violations) - most
        out.print(f"and {more:,} more; `headrace check` tells them all", soft_wrap=True)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
