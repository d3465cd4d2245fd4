"""Named segments and groups of several priorities, as users meet them: dry, live, and in commands.

The names carry the ids of what was promised.
"""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.live.engine import Engine
from actors.live.errors import FlowError, RefusedError
from api.client import Client
from both_ways import ALWAYS, ran, told
from cases import ask, on, wait
from command import call, ended, simulate
from core.segments import Segments
from house import CHECKOUT
from importing import import_files
from segmented import Segmented, agreed, open_engine
from serving import serving

VISITS = [("05-04 10:00", "visit"), ("05-05 10:00", "visit")]
NAMED = {
    "segments": {
        "active": {"did": "visit", "within": "3 days"},
        "lapsed": {"all": [{"did": "visit"}, {"not": {"segment": "active"}}]},
    }
}
WINDOW = ("05-01", "05-12", "05-12")
WAITS = {"type": "wait_condition", "if": {"segment": "lapsed"}, "timeout": "9 days",
         "next": {"met": "x", "timeout": "x"}}  # fmt: skip
GUARDED = {"type": "send", "channel": "email", "template": "t",
           "guards": [{"reason": "gone", "if": {"segment": "lapsed"}}],
           "next": {"next": "x", "gone": "x"}}  # fmt: skip


def of(nodes: dict[str, Any], settings: dict[str, Any], **fields: Any) -> Segmented:
    stated = {"events": VISITS, "named": NAMED, "window": WINDOW, **fields}
    return Segmented(nodes, settings=settings, **stated)


def steps(case: Segmented) -> list[str]:
    """What is decided but for ends."""
    return [line for line in told(case) if not line.endswith(" end")]


@pytest.mark.parametrize(
    ("trigger", "time"),
    [
        ({"type": "on_enter_segment", "if": {"segment": "active"}}, "05-04 10:00"),
        ({"type": "on_segment", "if": {"segment": "active"}}, "05-04 10:00"),
        # Nothing happens then: the visit is three days ago.
        ({"type": "on_exit_segment", "if": {"segment": "active"}}, "05-08 10:00"),
        ({"type": "on_enter_segment", "if": {"segment": "lapsed"}}, "05-08 10:00"),
    ],
)
def test_A101_A102_a_named_segment_is_entered_and_left_also_as_time_passes(
    tmp_path: Path, trigger: dict[str, Any], time: str
) -> None:
    case = of({"t": {**trigger, "next": "x"}}, ALWAYS)
    assert steps(case) == [f"{time} t next"]
    assert agreed(case, tmp_path / "d").people == 1


def test_A118_a_condition_asks_for_a_named_segment_when_somebody_comes_there(
    tmp_path: Path,
) -> None:
    nodes = {
        "t": on("visit", "q"),
        "q": ask({"segment": "active"}, yes="w"),
        "w": wait("80 hours", "again"),
        "again": ask({"any": [{"segment": "lapsed"}, {"tag": "z"}]}),
    }
    case = of(nodes, ALWAYS)
    assert [line for line in steps(case) if "q " in line or "again" in line] == [
        "05-04 10:00 q yes",
        "05-05 10:00 q yes",
        "05-07 18:00 again no",
        "05-08 18:00 again yes",
    ]
    agreed(case, tmp_path / "d")


def test_N15_a_wait_for_a_named_segment_ends_as_time_passes(tmp_path: Path) -> None:
    case = of({"t": on("visit", "w"), "w": WAITS}, {})
    assert steps(case)[-1] == "05-08 10:00 w met"
    agreed(case, tmp_path / "d")


def test_N11_a_named_segment_takes_out_of_the_flow_as_time_passes(tmp_path: Path) -> None:
    settings = {"exit": [{"if": {"segment": "lapsed"}}]}
    case = of({"t": on("visit", "w"), "w": wait("20 days", "x")}, settings)
    assert steps(case)[-1] == "05-08 10:00 w exit"
    agreed(case, tmp_path / "d")


def test_a_named_segment_stands_in_guards_and_schedules_too(tmp_path: Path) -> None:
    daily = {"type": "on_schedule", "repeat": "daily", "at": "09:00", "next": "w",
             "if": {"segment": "active"}}  # fmt: skip
    case = of({"t": daily, "w": wait("2 days", "m"), "m": GUARDED}, ALWAYS)
    lines = steps(case)
    assert [line for line in lines if " t " in line] == [
        f"05-0{day} 09:00 t next" for day in (5, 6, 7, 8)
    ]
    assert [line for line in lines if " m " in line] == [
        "05-07 09:00 m next",
        "05-08 09:00 m next",
        "05-09 09:00 m gone",
        "05-10 09:00 m gone",
    ]
    agreed(case, tmp_path / "d")


# -- A033: groups of several priorities

GROUPS = [
    {"id": "both", "groups": ["vip", "all"]},
    {"id": "high", "groups": ["vip"]},
    {"id": "low", "groups": ["all"]},
]


@pytest.mark.parametrize(
    ("named", "entered"),
    [
        ({"groups": ["vip", "all"], "deduplicate": True}, ["low"]),
        ({"groups": ["vip", "all"], "deduplicate": False}, ["both", "low"]),
        ({"groups": ["vip", "all"]}, ["both", "low"]),
        ({"groups": ["all", "vip"], "deduplicate": True}, ["both", "low"]),
        ({}, ["both", "low"]),
    ],
)
@pytest.mark.parametrize(
    "start",
    [
        {"type": "on_group", "group": "all"},
        {"type": "on_segment", "if": {"all": [{"not": {"tag": "x"}}, {"group": "all"}]}},
        {"type": "on_schedule", "repeat": "daily", "at": "09:00", "if": {"group": "all"}},
    ],
    ids=lambda start: start["type"],
)
def test_A033_those_of_a_higher_group_are_left_out_only_if_the_account_says_so(
    tmp_path: Path, named: dict[str, Any], entered: list[str], start: dict[str, Any]
) -> None:
    case = of({"t": {**start, "next": "x"}}, {}, events=[], customers=GROUPS, named=named)
    assert sorted({r.customer for r in ran(case).records}) == entered
    assert agreed(case, tmp_path / "d").people == len(entered)


# -- live: what a version means never changes


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(tmp_path / "d")
    engine.set_schema({"attributes": {"city": {"type": "string"}}, "events": {"visit": {}}})
    yield engine
    engine.close()


FLOW = """\
# Whoever is near
headrace: 1
flow: %s
nodes:
  t: {type: on_event, event: visit, next: q}
  q: {type: condition, if: {segment: near}, next: {yes: x, no: y}}
  x: {type: end}
  y: {type: end}
"""


def near(*cities: str, **more: Any) -> str:
    segments = {"near": {"any": [{"attribute": "city", "is": city} for city in cities]}, **more}
    return json.dumps({"headrace_segments": 1, "segments": segments})


def visits(engine: Engine, city: str) -> None:
    engine.send([{"customer": city, "set": {"city": city}}, {"customer": city, "event": "visit"}])


def answers(engine: Engine, flow: str = "f") -> tuple[int, int]:
    """How often the condition was answered yes, and no."""
    yes, no = engine.counts(flow).port[1:3]
    return int(yes), int(no)


def test_a_published_version_keeps_what_its_segments_meant(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "d")
    engine.set_schema({"attributes": {"city": {"type": "string"}}, "events": {"visit": {}}})
    assert engine.set_segments(near("Bonn")).warnings == []
    assert engine.publish(FLOW % "f").warnings == []
    visits(engine, "Bonn")
    visits(engine, "Ulm")
    assert answers(engine) == (1, 1)

    (told,) = engine.set_segments(near("Ulm"), name="s.json").warnings
    assert (told["code"], told["pointer"]) == ("segment-changed", "/segments/near")
    assert told["message"] == (
        "flow 'f' (version 1) keeps segment 'near' as it was when it was published"
    )
    assert "Publish the flow again" in told["advice"]
    engine.close()
    engine = open_engine(tmp_path / "d")
    engine.send([{"customer": "Bonn", "event": "visit"}, {"customer": "Ulm", "event": "visit"}])
    assert answers(engine) == (1, 1)  # who entered once does not again
    visits(engine, "Kiel")
    assert answers(engine) == (1, 2)

    # The same text is another version now, and its answer says why.
    done = engine.publish(FLOW % "f")
    assert done.version == 2
    (told,) = done.warnings
    assert (told["code"], told["pointer"]) == ("segment-changed", "/nodes/q/if")
    assert told["line"] == 6
    assert told["message"] == "segment 'near' isn't what it is in version 1"
    with pytest.raises(RefusedError, match="version 2 of flow f already"):
        engine.publish(FLOW % "f")
    engine.close()
    assert call("verify", tmp_path / "d", "--quiet").code == 0


def test_a_segment_that_a_running_flow_names_cannot_go(engine: Engine) -> None:
    engine.set_segments(near("Bonn", far={"not": {"segment": "near"}}))
    engine.publish(FLOW % "f")
    for other, meant in (("{}", "Keep it"), (near("Bonn").replace("near", "nearer"), "'nearer'?")):
        with pytest.raises(FlowError) as caught:
            engine.set_segments(other, name="s.json")
        (found,) = caught.value.violations
        assert (found.code, found.pointer) == ("segment-in-use", "/segments"[: len(found.pointer)])
        assert found.message == ("segment 'near' would be gone, and flow 'f' (version 1) names it")
        assert meant in found.advice
        assert "stop the flow" in found.advice
    engine.set_segments(near("Bonn"))  # nobody names the other one
    engine.stop("f")
    engine.set_segments('{"headrace_segments": 1}')
    with pytest.raises(FlowError, match="there is no segment 'near'"):
        engine.publish(FLOW % "f")


def test_a_flow_that_names_no_segment_is_published_as_it_was_sent(engine: Engine) -> None:
    plain = FLOW.replace("{segment: near}", "{tag: segment}")
    engine.set_segments(near("Bonn"))
    engine.publish(plain % "plain")
    engine.publish(FLOW % "f")
    texts = {state.flow: (state.text, state.document) for state in engine.flows()}
    assert texts["plain"] == (plain % "plain", plain % "plain")
    text, document = texts["f"]
    assert text == FLOW % "f"
    assert "segment" not in document
    assert json.loads(document)["nodes"]["q"]["if"] == {
        "any": [{"attribute": "city", "is": "Bonn"}]
    }


@pytest.mark.parametrize(
    ("document", "code", "pointer", "said"),
    [
        ("segments: {a: {segment: b}}", "unknown-segment", "/segments/a/segment", "segment 'b'"),
        ("segments: {a: {not: {segment: a}}}", "segment-circle", "/segments/a/not/segment", "a, a"),
        ("segments: {a: {tag: x}, a: {tag: y}}", "duplicate-key", "/segments/a", "'a'"),
        ("segments: [a]", "wrong-type", "/segments", "expected a mapping"),
        ("segments: {a: near}", "wrong-type", "/segments/a", "mapping"),
        ("segments: {a: {segmant: x}}", "unclear-condition", "/segments/a", "no kind of test"),
        ("segments: {a: {segment: [b]}}", "wrong-type", "/segments/a/segment", "its name"),
        ("groups: vip", "wrong-type", "/groups", "expected a list"),
        ("groups: [vip, all, vip]", "repeated-group", "/groups/2", "'vip' has two priorities"),
        ("deduplicate: yes", "wrong-type", "/deduplicate", "true or false"),
        ("priorities: [vip]", "unknown-field", "/priorities", "no field"),
    ],
)
def test_segments_that_are_wrong_are_refused_with_their_place(
    engine: Engine, document: str, code: str, pointer: str, said: str
) -> None:
    with pytest.raises(FlowError) as caught:
        engine.set_segments("headrace_segments: 1\n" + document, name="s.yaml")
    (found,) = caught.value.violations
    assert (found.code, found.pointer, found.line) == (code, pointer, 2)
    assert said in found.message
    assert found.advice
    assert engine.control.standing.segments == {}


def test_a_flow_that_names_what_is_not_there_is_refused_with_the_close_name(
    engine: Engine,
) -> None:
    engine.set_segments(near("Bonn"))
    with pytest.raises(FlowError) as caught:
        engine.publish(FLOW.replace("segment: near", "segment: naer") % "f")
    (found,) = caught.value.violations
    assert (found.code, found.pointer, found.line) == ("unknown-segment", "/nodes/q/if/segment", 6)
    assert found.advice == "Did you mean 'near'?"
    assert Segments.model_validate(engine.control.standing.segments).segments.keys() == {"near"}


def test_switching_the_account_over_tells_which_starts_go_on_as_before(engine: Engine) -> None:
    start = """\
headrace: 1
flow: g
nodes:
  t: {type: on_group, group: all, next: x}
  x: {type: end}
"""
    engine.set_segments('{"groups": ["vip", "all"]}')
    put(engine, "both", "vip", "all")
    put(engine, "low", "all")
    engine.advance(1_000)
    engine.publish(start)
    engine.advance(2_000)
    assert engine.counts("g").people == 2
    (told,) = engine.set_segments('{"groups": ["vip", "all"], "deduplicate": true}').warnings
    assert (told["code"], told["pointer"]) == ("segment-changed", "/groups")
    assert "keeps group 'all' as it was" in told["message"]
    put(engine, "both-2", "vip", "all")
    assert engine.counts("g").people == 3
    engine.advance(3_000)
    (told,) = engine.publish(start).warnings
    assert (told["code"], told["pointer"]) == ("segment-changed", "/nodes/t")
    engine.advance(4_000)
    assert engine.counts("g").people == 1  # of version 2: `low`
    put(engine, "both-3", "vip", "all")
    assert engine.counts("g").people == 1
    put(engine, "low-2", "all")
    assert engine.counts("g").people == 2


def put(engine: Engine, customer: str, *groups: str) -> None:
    engine.send([{"customer": customer, "groups": {"add": list(groups)}}])


# -- commands

SHOP = {
    "headrace_mapping": 1,
    "customers": {"file": "customers.csv", "id": "id", "attributes": {"city": "city"}},
    "events": {"file": "events.csv", "customer": "who", "time": "when", "event": "what"},
}
PEOPLE = "id,city\na,Bonn\nb,Ulm\nc,Bonn\n"
EVENTS = "who,when,what\na,2026-05-04,visit\nb,2026-05-04,visit\nc,2026-05-04,other\n"
SEGMENTS = "headrace_segments: 1\nsegments:\n  near: {attribute: city, is: %s}\n"


@pytest.fixture
def audience(tmp_path: Path) -> Path:
    files = {"customers.csv": PEOPLE, "events.csv": EVENTS}
    return import_files(tmp_path, SHOP, files).folder


def simulated(folder: Path, audience: Path, *args: str | Path) -> tuple[int, int]:
    """How many were near and how many not, as `headrace simulate` reports."""
    done, report = simulate(folder, folder / "f.yaml", audience, *args)
    assert done.code == 0, done.err
    [node] = [node for node in report["nodes"] if node["id"] == "q"]
    ports = {port["port"]: port["count"]["value"] for port in node["ports"]}
    return ports["yes"], ports["no"]


def test_a_dry_run_takes_the_segments_beside_the_flow_or_those_stated(
    tmp_path: Path, audience: Path
) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "f.yaml").write_text(FLOW % "f")
    (folder / "segments.yaml").write_text(SEGMENTS % "Bonn")
    (tmp_path / "other.yaml").write_text(
        "segments: {near: {not: {segment: far}}, far: {any: [{segment: x}, {segment: y}]},\n"
        "           x: {attribute: city, is: Bonn}, y: {attribute: city, is: Ulm}}\n"
    )
    assert simulated(folder, audience) == (1, 1)
    assert simulated(folder, audience, "--segments", tmp_path / "other.yaml") == (0, 2)
    compiled = call("listing", folder / "f.yaml").out
    assert "Bonn" in compiled
    assert "Ulm" in call("listing", folder / "f.yaml", "--segments", tmp_path / "other.yaml").out


def test_check_tells_what_is_wrong_with_names_and_with_the_file(
    tmp_path: Path, audience: Path
) -> None:
    flow = tmp_path / "f.yaml"
    flow.write_text(FLOW % "f")
    done = call("check", flow, "--json")
    (found,) = json.loads(done.out)
    assert (done.code, found["code"], found["line"]) == (1, "unknown-segment", 6)
    assert "none was given" in found["advice"]

    beside = tmp_path / "segments.yaml"
    beside.write_text(SEGMENTS % "Bonn")
    assert (call("check", flow, "--audience", audience).code, call("check", flow).code) == (0, 0)
    beside.write_text(SEGMENTS.replace("city", "town") % "Bonn")
    done = call("check", flow, "--audience", audience, "--json")
    assert [(v["code"], v["pointer"], v["line"]) for v in json.loads(done.out)] == [
        ("absent-attribute", "/nodes/q/if", 6)
    ]
    beside.write_text(SEGMENTS.replace("near", "nearby") % "Bonn")
    assert "Did you mean 'nearby'?" in call("check", flow).words

    beside.write_text("segments: {near: {segment: near}}\n")
    done = call("check", flow)
    assert (done.code, done.out) == (1, "")
    assert f"segment-circle {beside}:1 /segments/near/segment" in done.words
    absent = call("check", flow, "--segments", tmp_path / "no.yaml")
    assert (absent.code, "no.yaml" in absent.err) == (2, True)


def test_overlap_resolves_the_segments_of_each_flow(tmp_path: Path, audience: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        text = FLOW.replace("{type: on_event, event: visit", "{type: on_segment, if: {segment: s}")
        text = text.replace("{segment: near}", "{tag: t}")
        (tmp_path / name / "f.yaml").write_text(text % name)
        city = "Bonn" if name == "one" else "Ulm"
        (tmp_path / name / "segments.yaml").write_text((SEGMENTS % city).replace("near:", "s:"))
    flows = [tmp_path / name / "f.yaml" for name in ("one", "two")]
    done = call("overlap", *flows, "--audience", audience, "--json")
    assert done.code == 0, done.err
    assert [each["entered"] for each in json.loads(done.out)["alone"]] == [2, 1]
    stated = tmp_path / "two" / "segments.yaml"
    done = call("overlap", *flows, "--audience", audience, "--segments", stated, "--json")
    assert [each["entered"] for each in json.loads(done.out)["alone"]] == [1, 1]
    assert json.loads(done.out)["pairs"][0]["entered"] == 1


def test_a_responses_file_may_name_segments_too(tmp_path: Path, audience: Path) -> None:
    (tmp_path / "segments.yaml").write_text(SEGMENTS % "Bonn")
    flow = FLOW.replace("next: q}", "next: m}").replace(
        "  q:", "  m: {type: send, channel: email, template: t, next: w}\n"
        "  w: {type: wait_event, event: email_clicked, timeout: 5 days,"
        " next: {event: x, timeout: q}}\n  q:")  # fmt: skip
    (tmp_path / "f.yaml").write_text(flow % "f")
    (tmp_path / "r.yaml").write_text(
        "headrace_responses: 1\nrules:\n"
        "  - for: {if: {segment: near}}\n"
        "    outcomes: [{event: email_clicked, probability: 1, delay: {constant: 1 hour}}]\n"
    )
    # Whoever is near clicks, so nobody who is comes to the question.
    args = ("--responses", tmp_path / "r.yaml", "--horizon", "2026-06-01")
    assert simulated(tmp_path, audience, *args) == (0, 1)


def test_a_tenants_dry_run_takes_the_tenants_segments(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "d")
    engine.set_schema({"attributes": {"city": {"type": "string"}}, "events": {"visit": {}}})
    engine.advance(1_700_000_000_000)
    for city in ("Bonn", "Ulm", "Kiel"):
        visits(engine, city)
    engine.close()
    (tmp_path / "f.yaml").write_text(FLOW % "f")
    report = tmp_path / "r.json"

    def dry(*args: str | Path) -> Any:
        data = ("--tenant-data", tmp_path / "d", "--quiet", "--json", report)
        done = call("simulate", tmp_path / "f.yaml", *data, *args)
        assert done.code in (0, 1), done.err
        if done.code:
            return done.words
        nodes = json.loads(report.read_text())["nodes"]
        [node] = [node for node in nodes if node["id"] == "q"]
        return {port["port"]: port["count"]["value"] for port in node["ports"]}["yes"]

    assert "there is no segment 'near'" in dry()
    (tmp_path / "segments.yaml").write_text(SEGMENTS % "Bonn")
    assert dry() == 1
    engine = open_engine(tmp_path / "d")
    engine.set_segments(near("Ulm", "Kiel"))
    engine.close()
    assert dry() == 2
    assert dry("--segments", tmp_path / "segments.yaml") == 1


def test_a_template_keeps_the_names_of_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_TEMPLATES", str(tmp_path / "templates"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.yaml").write_text(FLOW % "f")
    assert "there is no segment 'near'" in call("save-template", "f.yaml", "mine").words
    (tmp_path / "segments.yaml").write_text(SEGMENTS % "Bonn")
    assert call("save-template", "f.yaml", "mine").code == 0
    assert "if: {segment: near}" in call("new", "--template", "mine").out
    new = ("new", "--template", "mine", "--set", "flow=g", "--output")
    assert call(*new, "g.yaml").code == 0
    assert call("check", "g.yaml").code == 0
    (tmp_path / "elsewhere").mkdir()
    assert "there is no segment 'near'" in call(*new, "elsewhere/g.yaml").words
    # A file that nobody asks is no reason to fail.
    (tmp_path / "segments.yaml").write_text("no segments")
    assert call("new").code == 0


# -- the page

PAGE = (CHECKOUT / "docs" / "customer-record.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def test_the_examples_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    for name in ("segments.yaml", "win-back.yaml", "set_segments.py"):
        (tmp_path / name).write_text(BLOCKS[name])
    done = call("check", tmp_path / "win-back.yaml", "--json")
    assert (done.code, json.loads(done.out)) == (0, [])
    (told,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    folder = tmp_path / "my-data"
    with serving(folder, "--inline", "--no-send") as process:
        script = subprocess.run(
            [sys.executable, "set_segments.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (script.stderr, script.stdout) == ("", told)
        process.send_signal(signal.SIGINT)
        ended(process)
    # Version 2 has 60 days, the file 90 still.
    file = tmp_path / "segments.yaml"
    with serving(folder, "--inline", "--no-send", "--segments", str(file)) as process:
        with Client(folder) as client:
            assert client.segments()["segments"]["lapsed"]["within"] == "90 days"
            with pytest.raises(FlowError, match="would be gone"):
                client.set_segments({})
        process.send_signal(signal.SIGINT)
        ended(process)
    file.write_text("headrace_segments: 1\nsegments: {lapsed: {segment: none}}\n")
    refused = call("serve", folder, "--inline", "--segments", file)
    assert (refused.code, f"unknown-segment {file}:2" in refused.words) == (1, True)
