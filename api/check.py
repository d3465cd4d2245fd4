"""Check a flow file and tell every violation."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from actors.audience import read_schema
from actors.audience_facts import read_facts
from api.console import console
from api.documents import (
    find_violations,
    open_content,
    open_shape,
    read_bytes,
    segments_for,
    summary,
    tell,
)
from core.document import read_flow
from core.lint_shares import wanted

OK, FAILED = 0, 1


def run(
    path: Path,
    audience: Path | None,
    *,
    as_json: bool,
    content: Path | None = None,
    beside: Sequence[Path] = (),
    segments: Path | None = None,
) -> int:
    """Print the violations of a flow file; return 1 where any is an error, else 0.

    It is held against an audience folder, a content list, and flows that run `beside` it, as far
    as they are given; the segments are those of `segments_for`. Raises HeadraceError where one of
    these can't be read.
    """
    schema, facts = None, None
    named = segments_for(path, segments)
    if audience is not None:
        schema = read_schema(audience)
        shape, _ = read_flow(read_bytes(path), name=str(path), segments=named)
        facts = None if shape is None else read_facts(audience, wanted(shape))
    flow, _, violations = find_violations(
        path,
        schema,
        segments=named,
        facts=facts,
        content=None if content is None else open_content(content),
        others=[open_shape(other, segments_for(other, segments)) for other in beside],
        now_ms=time.time_ns() // 1_000_000,
    )
    failed = flow is None or any(v.severity == "error" for v in violations)
    if as_json:
        print(json.dumps([v.to_json() for v in violations], indent=2))
    else:
        out = console()
        tell(out, str(path), violations)
        out.print(f"{path}: {summary(violations)}", markup=False, soft_wrap=True)
    return FAILED if failed else OK
