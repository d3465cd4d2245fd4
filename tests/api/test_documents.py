"""Checks how documents are opened, and how their violations are told."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
from rich.console import Console

from api.documents import (
    ViolationsError,
    find_violations,
    open_flow,
    open_responses,
    read_bytes,
    summary,
    tell,
)
from command import EXAMPLES
from core import limits
from core.errors import HeadraceError
from core.violations import violation

WARNING = violation("idle-port", ("nodes", "m"), "nothing follows", "Lead it on", 7)
ERROR = violation("no-end", (), "there is no [b]end[/b]", "Add one.")


def told(most: int | None = None, *, width: int = 40) -> str:
    out = io.StringIO()
    tell(Console(file=out, width=width, highlight=False), "f.yaml", [ERROR, WARNING], most=most)
    return out.getvalue()


def test_violations_are_told_a_paragraph_each_and_never_wrapped() -> None:
    assert told() == (
        "error no-end f.yaml /\n"
        "    there is no [b]end[/b].\n"
        "    → Add one.\n"
        f"{WARNING.severity} idle-port f.yaml:7 /nodes/m\n"
        "    nothing follows.\n"
        "    → Lead it on.\n"
    )
    assert told(width=10) == told()


def test_beyond_the_most_they_are_counted() -> None:
    assert told(1).splitlines()[3:] == ["and 1 more; `headrace check` tells them all"]
    assert told(2) == told()


def test_the_summary_counts_each_severity() -> None:
    assert summary([]) == "no violations"
    assert summary([ERROR]) == "1 error"
    assert summary([ERROR] * 1234 + [WARNING]).startswith("1,234 errors, 1 ")


def test_a_flow_is_opened_with_what_is_no_error(tmp_path: Path) -> None:
    opened = open_flow(EXAMPLES / "welcome.yaml")
    assert opened.flow.flow == "welcome"
    assert opened.text == (EXAMPLES / "welcome.yaml").read_bytes()
    assert [v.severity for v in opened.violations if v.severity == "error"] == []


def test_a_flow_with_errors_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("headrace: 1\nflow: f\nnodes: {a: {type: add_tag, tag: b}}\n")
    with pytest.raises(ViolationsError) as caught:
        open_flow(path)
    assert caught.value.exit_code == 1
    assert caught.value.path == str(path)
    assert {v.code for v in caught.value.violations} >= {"no-end", "no-trigger"}
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.violations) == (str(caught.value), caught.value.violations)


def test_responses_are_opened_or_their_errors_raised(tmp_path: Path) -> None:
    assert len(open_responses(EXAMPLES / "responses.yaml").rules) == 4
    path = tmp_path / "r.yaml"
    path.write_text("headrace_responses: 1\nrules: 3\n")
    with pytest.raises(ViolationsError, match=r"1 error\. Mend"):
        open_responses(path)


def test_what_is_no_flow_has_violations_and_no_flow(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text("[1, 2")
    flow, text, violations = find_violations(path, None)
    assert flow is None
    assert text == b"[1, 2"
    assert [v.severity for v in violations] == ["error"]


def test_only_files_of_a_size_are_read(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * limits.FLOW_BYTES_MAX)
    assert len(read_bytes(path)) == limits.FLOW_BYTES_MAX
    with path.open("ab") as file:
        file.write(b"#")
    with pytest.raises(HeadraceError, match="at most 16,777,216 are read") as caught:
        read_bytes(path)
    assert caught.value.exit_code == 2
    with pytest.raises(HeadraceError, match="Is a directory"):
        read_bytes(tmp_path)
