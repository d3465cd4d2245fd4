"""Checks how violations are placed, sorted and declared, and that docs/lint.md is their table."""

import json
import pickle

import pytest

from core.violations import (
    CODES,
    SEVERITIES,
    Violation,
    close_to,
    codes_page,
    has_errors,
    listed,
    pointer,
    quoted,
    steps_of,
    violation,
)
from house import CHECKOUT


def test_every_code_is_declared_well() -> None:
    for name, code in CODES.items():
        assert name == name.lower().replace("_", "-").replace(" ", "-")
        assert code.severity in SEVERITIES
        assert code.meaning.endswith(".")
        assert "|" not in code.meaning


def test_the_page_of_codes_is_up_to_date() -> None:
    page = (CHECKOUT / "docs" / "lint.md").read_text(encoding="utf-8")
    assert page == codes_page(), "write docs/lint.md anew: it is core.violations.codes_page()"
    assert page.count("\n| `") == len(CODES)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), ""),
        (("nodes", "a", "next", 0), "/nodes/a/next/0"),
        (("a/b", "c~d", "~1"), "/a~1b/c~0d/~01"),
        (("",), "/"),
    ],
)
def test_pointers_escape_as_rfc_6901_says(steps: tuple[str | int, ...], text: str) -> None:
    assert pointer(steps) == text
    assert steps_of(text) == [str(step) for step in steps]


def test_a_lone_surrogate_is_shown_as_an_escape() -> None:
    shown = violation("unknown-field", ("\ud800",), quoted("\udfff"), "").to_json()
    assert json.dumps(shown, ensure_ascii=False).encode()
    assert shown["pointer"] == "/\\ud800"


def test_errors_sort_before_warnings_and_those_by_place() -> None:
    late = violation("no-end", ("nodes",), "b", "", 9)
    early = violation("no-end", ("nodes",), "a", "", 2)
    warning = violation("unreachable-node", (), "c", "", 1)
    unplaced = violation("unreachable-node", (), "c", "")
    assert sorted([warning, late, unplaced, early]) == [early, late, unplaced, warning]


def test_a_violation_is_a_value() -> None:
    one = violation("no-end", ("nodes",), "the flow has no end", "Add one.", 3)
    assert one == Violation("no-end", "error", "/nodes", "the flow has no end", "Add one.", line=3)
    assert pickle.loads(pickle.dumps(one)) == one
    assert json.loads(json.dumps(one.to_json())) == {
        "code": "no-end",
        "severity": "error",
        "pointer": "/nodes",
        "message": "the flow has no end",
        "advice": "Add one.",
        "line": 3,
    }
    assert str(one) == "error no-end at /nodes (line 3): the flow has no end. Add one."


def test_only_errors_forbid_a_run() -> None:
    assert has_errors([violation("no-end", (), "", "")])
    assert not has_errors([violation("unreachable-node", (), "", "")])


def test_wording() -> None:
    assert quoted("x" * 70) == repr("x" * 57 + "...")
    assert listed("abc", 2) == "a, b and 1 more"
    assert close_to("welcom", ["welcome", "done"]) == "Did you mean 'welcome'?"
    assert close_to("zzz", ["welcome"], "Remove it.") == "Remove it."
