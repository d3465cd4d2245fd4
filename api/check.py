"""Check a flow file and tell every violation."""

from __future__ import annotations

import json
from pathlib import Path

from actors.audience import read_schema
from api.console import console
from api.documents import find_violations, summary, tell

OK, FAILED = 0, 1


def run(path: Path, audience: Path | None, *, as_json: bool) -> int:
    """Print the violations of a flow file; return 1 where any is an error, else 0."""
    schema = None if audience is None else read_schema(audience)
    flow, _, violations = find_violations(path, schema)
    failed = flow is None or any(v.severity == "error" for v in violations)
    if as_json:
        print(json.dumps([v.to_json() for v in violations], indent=2))
    else:
        out = console()
        tell(out, str(path), violations)
        out.print(f"{path}: {summary(violations)}", markup=False, soft_wrap=True)
    return FAILED if failed else OK
