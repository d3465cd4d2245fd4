"""Checks that `headrace check` tells every violation: its place, what is wrong, what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cases import ask, on
from command import EXAMPLES, Done, call, flow_of
from core.violations import CODES

FINE = """\
headrace: 1
flow: f
nodes:
  t: {type: on_event, event: signup, next: m}
  m: {type: send, channel: email, template: hi, next: x}
  x: {type: end}
"""
SPLIT = """\
headrace: 1
flow: f
nodes:
  t: {type: on_event, event: signup, next: m}
  m: {type: split, branches: {a: 50%, b: 50%}, next: {a: x, b: x}}
  x: {type: end}
"""
VALUES = """\
headrace: 1
flow: f
nodes:
  t: {type: on_event, event: signup, next: m}
  m:
    type: branch_attribute
    attribute: country
    branches: {a: DE, b: [FR, DE]}
    next: {a: x, b: x, other: x}
  x: {type: end}
"""
CIRCLE = """\
headrace: 1
flow: f
nodes:
  t: {type: on_event, event: signup, next: a}
  a: {type: add_tag, tag: q, next: b}
  b: {type: condition, if: {tag: v}, next: {yes: a, no: x}}
  x: {type: end}
"""
BOMB = "\n".join(
    ["a0: &a0 [x, x]"] + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
)
BAD = {
    "dangling edge": (
        FINE.replace("next: x", "next: nowhere"),
        "error dangling-edge {file}:5 /nodes/m/next",
        "the edge leads to 'nowhere', and there is no such node.",
        "Add the node, or lead the edge elsewhere.",
    ),
    "unknown node type": (
        FINE.replace("type: send", "type: sende"),
        "error unknown-node-type {file}:5 /nodes/m/type",
        "there is no node type 'sende'.",
        "Did you mean 'send' or 'end' or 'send_email'? The types are on_event,",
    ),
    "weights": (
        SPLIT.replace("b: 50%", "b: 40%"),
        "error weights-total {file}:5 /nodes/m/branches",
        "the weights total 90%, not 100%.",
        "Add 10% somewhere.",
    ),
    "NaN": (
        SPLIT.replace("b: 50%", "b: .nan"),
        "error not-finite {file}:5 /nodes/m/branches/b",
        ".nan is not a finite number.",
        "Write a finite number, or a text in quotes.",
    ),
    "duplicate ids": (
        FINE + "  m: {type: end}\n",
        "error duplicate-key {file}:7 /nodes/m",
        "the key 'm' is on line 5 and again on line 7.",
        "Rename one of the two, or remove it.",
    ),
    "no end": (
        FINE.replace(", next: x", "").replace("  x: {type: end}\n", ""),
        "error no-end {file}:3 /nodes",
        "the flow has no end.",
        "Add a node of type end where people are through.",
    ),
    "two branches": (
        VALUES,
        "error value-in-two-branches {file}:8 /nodes/m/branches/b/1",
        "'DE' is in branch 'a' already, which comes first.",
        "Keep it in one branch.",
    ),
    "circle": (
        CIRCLE,
        "error cycle-without-wait {file}:5 /nodes/a",
        "there is no wait on the cycle a, b, a.",
        "Put a wait on it, or lead its last edge elsewhere.",
    ),
    "zone": (
        FINE.replace("nodes:", "settings: {zone: Europe/Berln}\nnodes:"),
        "error invalid-zone {file}:3 /settings/zone",
        "there is no time zone 'Europe/Berln'.",
        "Did you mean 'Europe/Berlin'",
    ),
    "aliases": (
        BOMB,
        "error alias {file}:1 /a0",
        "the anchor &a0 is there to be repeated by aliases.",
        "Write out what it stands for.",
    ),
    "nothing": ("", "error empty-document {file} /", "the text holds no document.", "Write a flow"),
}


def check(folder: Path, text: str | bytes, *args: str | Path) -> tuple[Done, Path]:
    path = folder / "flow.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return call("check", path, *args), path


@pytest.mark.parametrize(
    ("text", "head", "message", "advice"),
    BAD.values(),
    ids=BAD,
)
def test_each_violation_is_told(
    tmp_path: Path, text: str, head: str, message: str, advice: str
) -> None:
    done, path = check(tmp_path, text)
    assert (done.code, done.err) == (1, "")
    lines = done.out.splitlines()
    assert lines[0] == head.format(file=path)
    assert lines[1] == f"    {message}"
    assert lines[2].startswith(f"    → {advice}")
    assert lines[-1].startswith(f"{path}: 1 error")
    assert ".." not in done.out.replace(str(path), "")


def test_text_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    done, path = check(tmp_path, FINE.encode() + b"# \xff\n")
    assert done.code == 1
    assert done.out.splitlines()[0] == f"error not-utf8 {path}:7 /"


def test_a_deep_document_is_told(tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000):
        done, _ = check(tmp_path, text)
        assert done.code == 1
        assert "too-deep" in done.out


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    with path.open("wb") as file:
        file.truncate(16 * 2**20 + 1)
    began = time.process_time()
    done = call("check", path)
    assert (done.code, done.out) == (2, "")
    assert f"{path}: the file has 16,777,217 bytes; at most 16,777,216 are read" in done.err
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("name", "said"), [("absent.yaml", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, name: str, said: str) -> None:
    done = call("check", tmp_path / name)
    assert done == Done(2, "", f"headrace: {tmp_path / name}: {said}\n")


def test_all_violations_are_told_worst_first(tmp_path: Path) -> None:
    text = SPLIT.replace("b: 50%", "b: 40%").replace("a: x", "a: nowhere").replace("b: x", "b: t")
    done, path = check(tmp_path, text)
    heads = [line.split()[:2] for line in done.out.splitlines() if f"{path}:" in line]
    assert heads[:-1] == [
        ["error", "weights-total"],
        ["error", "dangling-edge"],
        ["error", "edge-to-trigger"],
        ["warning", "unreachable-node"],
    ]
    assert done.out.splitlines()[-1] == f"{path}: 3 errors, 1 warning"


def test_thousands_of_violations_are_all_told(tmp_path: Path) -> None:
    flow = flow_of({"t": on("signup", [f"n{k}" for k in range(3000)])})
    done, path = check(tmp_path, json.dumps(flow))
    assert done.code == 1
    assert done.out.count("dangling-edge") == 3000
    assert done.out.splitlines()[-1].startswith(f"{path}: 3,000 errors")


def test_json_is_for_programs(tmp_path: Path) -> None:
    done, _ = check(tmp_path, SPLIT.replace("b: 50%", "b: 40%"), "--json")
    assert (done.code, done.err) == (1, "")
    (violation,) = json.loads(done.out)
    assert violation == {
        "code": "weights-total",
        "severity": "error",
        "pointer": "/nodes/m/branches",
        "message": "the weights total 90%, not 100%",
        "advice": "Add 10% somewhere.",
        "line": 5,
    }
    assert violation["code"] in CODES
    assert check(tmp_path, FINE, "--json")[0] == Done(0, "[]\n", "")


def test_warnings_do_not_fail(tmp_path: Path) -> None:
    done, path = check(tmp_path, FINE.replace("  x:", "  y: {type: end}\n  x:"))
    assert done.code == 0
    assert done.out.splitlines()[-1] == f"{path}: 1 warning"
    done, path = check(tmp_path, FINE)
    assert done == Done(0, f"{path}: no violations\n", "")


def test_names_and_types_are_checked_against_an_audience(tmp_path: Path, tiny: Path) -> None:
    text = json.dumps(
        flow_of(
            {
                "t": on("sign-up", "old"),
                "old": ask({"attribute": "country", "above": 3}, "x", "tall"),
                "tall": ask({"attribute": "height", "above": 180}),
            }
        )
    )
    assert check(tmp_path, text)[0].code == 0
    done, _ = check(tmp_path, text, "--audience", tiny)
    assert done.code == 1
    assert "error type-mismatch" in done.out
    assert "attribute 'country' is text in the audience" in done.out
    assert "the audience has no attribute 'height'" in done.out
    assert "no event 'sign-up'" in done.out
    assert "Did you mean 'signup'?" in done.out
    done, _ = check(tmp_path, text, "--audience", tmp_path / "absent")
    assert (done.code, "there is no such audience folder" in done.err) == (2, True)


def test_names_cannot_mark_up_what_is_printed(tmp_path: Path) -> None:
    done, _ = check(tmp_path, FINE.replace("type: send", 'type: "[red]\\e[2J"'))
    assert "[red]" in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize("path", [EXAMPLES / "welcome.yaml", *EXAMPLES.rglob("flow.yaml")])
def test_the_examples_are_fine(path: Path) -> None:
    done = call("check", path)
    assert done.code == 0


def test_the_schema_is_that_of_flows_or_of_reports() -> None:
    flow, report = call("schema"), call("schema", "--report")
    assert json.loads(flow.out)["properties"]["headrace"]["const"] == 1
    assert {"nodes", "totals", "partial"} <= json.loads(report.out)["properties"].keys()
