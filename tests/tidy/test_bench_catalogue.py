"""Checks that every node type has a benchmark that runs, and that its page explains what is slow.

`bench` is no part of what is installed, so it is imported from the checkout. No time is
judged here.
"""

import re
from importlib import import_module
from typing import Any

import pytest

from core.nodes import NODE_TYPES
from house import CHECKOUT

CELLS = re.compile(r"\| `(\w+)` \| ([\w ]+) \| (\w*) \| ([0-9.]+) \| ([0-9.]+) \| (.*) \|")


@pytest.fixture(name="catalogue")
def _catalogue(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(CHECKOUT))
    return import_module("bench.micro.catalogue")


def row(catalogue: Any, name: str = "send", times: float = 1.0, why: str = "") -> Any:
    return catalogue.Row(name, "Actions", "", 2.0 * times, times, why)


def test_every_type_runs_and_has_a_row(catalogue: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main(["--short"]) == 0
    printed = capsys.readouterr().out
    rows = re.findall(r"^│ (\w+) +│ ([A-Z][\w ]+?) +│ (\w*) +│", printed, flags=re.MULTILINE)
    assert [row[:2] for row in rows] == [(n, m.category) for n, m in NODE_TYPES.items()]
    assert all((ended_by != "") == NODE_TYPES[name].waits for name, _, ended_by in rows)
    assert re.search(r"every type once, \d+ nodes: read and compiled in [0-9.]+ ms", printed)


def test_the_page_has_every_type_and_a_sentence_for_what_is_slow(catalogue: Any) -> None:
    rows = CELLS.findall(catalogue.PAGE.read_text(encoding="utf-8"))
    assert [name for name, *_ in rows] == list(NODE_TYPES), "write it anew, as it says"
    for name, category, _, _, times, why in rows:
        assert category == NODE_TYPES[name].category
        assert float(times) <= catalogue.TIMES_MAX, name
        assert why.endswith(".") == (float(times) > catalogue.TIMES_TOLD), name


def test_the_page_is_the_template_and_a_line_for_each_row(catalogue: Any) -> None:
    rows = [row(catalogue), row(catalogue, "wait", 30.04, "It waits.")]
    page = catalogue.page_of(rows, 7.25)
    assert "read and compiled in 7.2 ms" in page
    assert "the slowest takes 30.0 ×" in page
    assert CELLS.findall(page) == [
        ("send", "Actions", "", "2.0", "1.0", ""),
        ("wait", "Actions", "", "60.1", "30.0", "It waits."),
    ]


@pytest.mark.parametrize(
    ("times", "why", "compiled_ms", "said"),
    [
        (20.0, "", 100.0, []),
        (20.5, "It waits.", 1.0, []),
        (20.5, "", 1.0, ["send: 20 x the plain condition, and no word of why"]),
        (100.5, "It waits.", 1.0, ["send: 100 x the plain condition, beyond 100"]),
        (1.0, "", 101.0, ["every type once: compiled in 101 ms, bar 100"]),
    ],
)
def test_what_is_slow_fails_the_benchmark(
    times: float, why: str, compiled_ms: float, said: list[str], catalogue: Any,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rows = [row(catalogue, times=times, why=why)]
    assert catalogue.complaints(rows, compiled_ms) == said
    monkeypatch.setattr(catalogue, "measure", lambda *, short: rows)
    monkeypatch.setattr(catalogue, "compile_ms", lambda: [compiled_ms])
    assert catalogue.main([]) == (1 if said else 0)
    assert all(line in capsys.readouterr().out for line in said)
    assert catalogue.main(["--short"]) == 0


def test_the_short_form_writes_no_page(catalogue: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = catalogue.PAGE.read_bytes()
    with pytest.raises(SystemExit, match="2"):
        catalogue.main(["--short", "--page"])
    assert "says nothing of speed" in capsys.readouterr().err
    assert catalogue.PAGE.read_bytes() == before


def test_customers_that_do_not_come_or_do_not_wait_are_told(catalogue: Any) -> None:
    cases = import_module("bench.micro.catalogue_cases")
    met = cases.case_of_node({"type": "wait_condition", "if": {"never_did": "x"}})
    with pytest.raises(AssertionError, match="in all they waited for 0 ms"):
        catalogue._Pair(met, 10)
    nobody = cases.case_of_node({"type": "send", "channel": "email", "template": "a"})
    with pytest.raises(AssertionError, match="0 tokens came of 10 customers"):
        catalogue._Pair(cases.Case(nobody.flow, nobody.without, (), nobody.inputs), 10)


def test_a_flow_of_every_type_once(catalogue: Any) -> None:
    flow = import_module("bench.micro.catalogue_cases").flow_of_all()
    assert sorted(node.type for node in flow.nodes.values()) == sorted(NODE_TYPES)
