"""Tests of `actors.live.export`: a dry run on what is exported decides as live did."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from actors.audience import load_audience, read_schema
from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.data_dir import partition_path
from actors.live.export import export_journals
from actors.live.partition import LivePartition
from actors.live.reading import reading
from actors.store.errors import TrimmedError
from core.audience import Needs
from core.binding import bind
from core.compiler import compile_flow, needs_of
from core.document import read_flow
from core.hashing import hash_customer
from core.options import RunOptions
from core.outcomes import outcome_text
from core.reference import Record
from core.tenant_schema import TenantSchema
from data_dirs import made
from differential import Cut, TooLongError, run_cut, run_reference
from live_cases import Way, live_options, run_live
from random_flows import random_case
from scanning import hits

DAY_MS = 86_400_000
T_MS = 1_780_000_000_000
SCHEMA = {
    "attributes": {
        "plan": {"type": "string"},
        "age": {"type": "int64"},
        "vip": {"type": "bool"},
        "born": {"type": "date", "constant": True},
        "email": {"type": "string", "personal": True},
    },
    "events": {"buy": {"properties": {"amount": "float64", "what": "string"}}, "visit": {}},
    "zone": "Europe/Berlin",
}


def export(folder: Path, settings: TenantSettings, to: Path) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(reading(f)) for f in sorted(folder.iterdir())]
        export_journals(stores, settings, to)


def check(seed: int) -> int:
    """Run a case live, export it, dry-run on that; returns its decisions."""
    loaded = live_options(random_case(seed))
    try:
        expected = run_reference(loaded)[0]
    except TooLongError:
        return 0
    if loaded.audience.customers == 0:
        return 0  # an audience without customers is none
    with tempfile.TemporaryDirectory() as made_:
        folder = Path(made_)
        tenant = run_live(folder / "p", loaded, Way(2, 64), seed)
        tenant.close()
        export(folder / "p", tenant.settings, folder / "out")
        program = compile_flow(loaded.flow)
        audience = load_audience(folder / "out", needs_of(program, replaces=loaded.flow.flow))
        found = run_cut(bind(program, audience, loaded.options), Cut())[0]
    assert sorted(found) == sorted(expected), f"seed {seed}"
    return len(found)


def test_a_dry_run_on_the_export_decides_as_live_did() -> None:
    decisions = 0

    @settings(max_examples=15, phases=(Phase.explicit, Phase.generate), deadline=None)
    @given(st.integers(0, 2**63 - 1))
    def check_one(seed: int) -> None:
        nonlocal decisions
        decisions += check(seed)

    check_one()
    print(f"{decisions:,} decisions, 0 differ")
    assert decisions > 200


def test_what_came_in_is_in_the_audience(tmp_path: Path) -> None:
    schema = TenantSchema.of(SCHEMA)
    settings_ = TenantSettings("shop", schema=SCHEMA)
    with LivePartition.open(tmp_path / "p" / "000", settings_, create=True) as partition:

        def take(at_ms: int, *rows: dict[str, object]) -> None:
            decoded = decode_rows(list(rows), schema, batch=at_ms.to_bytes(16, "little"))
            assert decoded.rejects == []
            partition.take([decoded.frame], at_ms)

        take(
            T_MS,
            {"customer": "a", "set": {"plan": "free", "born": "1990-02-03", "vip": True}},
            {"customer": "b", "set": {"age": 5}, "tags": {"add": ["old"]}, "zone": "Asia/Tokyo"},
        )
        take(T_MS + 10, {"customer": "a", "set": {"plan": "pro"}, "tags": {"add": ["new"]}})
        take(
            T_MS + 20,
            {"customer": "b", "event": "buy", "properties": {"amount": 2.5, "what": "tea"}},
            {"customer": "a", "event": "visit"},
        )
        take(T_MS + 30, {"customer": "a", "set": {"plan": None}})
        # It happened ten days ago, and is history only.
        old = "2026-05-19T00:00:00Z"
        take(T_MS + 40, {"customer": "b", "event": "visit", "occurred": old})
    export(tmp_path / "p", settings_, tmp_path / "out")
    found = read_schema(tmp_path / "out")
    assert found.counts.model_dump(include={"customers", "events", "changes"}) == {
        "customers": 2, "events": 3, "changes": 3
    }  # fmt: skip
    constant = {name: a.constant for name, a in found.attributes.items()}
    assert constant == {"plan": False, "age": True, "vip": True, "born": True}
    assert (found.zone, found.tags) == ("Europe/Berlin", {"new": 1, "old": 1})
    needs = Needs(
        {"plan", "age", "born"}, {"old", "new"}, set(), {"buy", "visit"}, {"amount", "what"}
    )
    audience = load_audience(tmp_path / "out", needs)
    assert [audience.id_of(c) for c in range(2)] == ["a", "b"]
    assert audience.created_ms.tolist() == [T_MS, T_MS]
    assert audience.zone_names[audience.zone_code[1]] == "Asia/Tokyo"
    assert audience.attributes["age"].value(1) == 5
    assert audience.attributes["born"].value(0) == 7338
    assert audience.tags["old"].tolist() == [0, 1]
    times = [(int(ms) - T_MS) // DAY_MS for ms in audience.event_ms]
    assert [audience.event_names[t] for t in audience.event_type] == ["visit", "visit", "buy"]
    assert times[0] == times[2] == 0
    assert times[1] < -8
    assert audience.properties["what"].value(2) == "tea"
    assert audience.properties["amount"].value(2) == 2.5
    changes = audience.changes
    assert changes is not None
    assert (changes.ms - T_MS).tolist() == [0, 10, 30]


def test_a_standard_attribute_that_no_schema_names_is_exported(tmp_path: Path) -> None:
    settings_ = TenantSettings("shop")
    for number in range(2):
        folder = tmp_path / "p" / f"00{number}"
        with LivePartition.open(folder, settings_, create=True) as partition:
            row: dict[str, object] = {"customer": f"c{number}"}
            if number == 1:
                row["set"] = {"score": 7, "rfm": "lost"}
            batch = number.to_bytes(16, "little")
            decoded = decode_rows([row], TenantSchema(), batch=batch)
            assert decoded.rejects == []
            partition.take([decoded.frame], T_MS)
    export(tmp_path / "p", settings_, tmp_path / "out")
    audience = load_audience(tmp_path / "out", Needs({"score", "rfm"}, set(), set(), set(), set()))
    assert [audience.attributes["score"].value(c) for c in range(2)] == [None, 7]
    assert [audience.attributes["rfm"].value(c) for c in range(2)] == [None, "lost"]
    assert audience.attributes["score"].kind == "int64"


def test_nothing_of_the_erased_is_exported(tmp_path: Path) -> None:
    schema = TenantSchema.of(SCHEMA)
    settings_ = TenantSettings("shop", schema=SCHEMA)
    with LivePartition.open(tmp_path / "p" / "000", settings_, create=True) as partition:
        for at_ms in (T_MS, T_MS + 10):
            if at_ms > T_MS:
                hashes = [hash_customer(name) for name in ("a", "b")]
                erase = {"kind": "erase", "hashes": hashes, "at_ms": at_ms}
                partition.command(1, erase)
            rows = [
                row
                for name in ("abc" if at_ms == T_MS else "bc")
                for row in (
                    {"customer": name, "set": {"plan": f"{name}{at_ms}"}},
                    {"customer": name, "event": "buy", "properties": {"what": f"{name}{at_ms}"}},
                )
            ]
            frame = decode_rows(rows, schema, batch=at_ms.to_bytes(16, "little")).frame
            partition.take([frame], at_ms)
    export(tmp_path / "p", settings_, tmp_path / "out")
    audience = load_audience(tmp_path / "out", Needs({"plan"}, set(), set(), {"buy"}, {"what"}))
    assert [audience.id_of(c) for c in range(audience.customers)] == ["b", "c"]
    assert np.diff(audience.event_offsets).tolist() == [1, 2]
    what = audience.properties["what"]
    assert [what.value(e) for e in range(3)] == [f"b{T_MS + 10}", f"c{T_MS}", f"c{T_MS + 10}"]
    changes = audience.changes
    assert changes is not None
    assert np.diff(changes.offsets).tolist() == [1, 2]
    assert not hits(tmp_path / "out", [f"a{T_MS}".encode(), f"b{T_MS}".encode()])


CAPPED = {
    "headrace": 1,
    "flow": "b",
    "settings": {"reentry": {"policy": "always"}},
    "nodes": {
        "t": {"type": "on_event", "event": "visit", "next": "mail"},
        "h": {
            "type": "on_event",
            "event": "message_sent",
            "where": {"property": "template", "is": "a"},
            "next": "x",
        },
        "mail": {
            "type": "send",
            "channel": "email",
            "template": "b",
            "guards": [
                {
                    "reason": "capped",
                    "if": {"did": "message_sent", "at_least": 1, "within": "1 day"},
                }
            ],
            "next": "x",
        },
        "x": {"type": "end"},
    },
}


def test_a_dry_run_knows_what_other_flows_sent(tmp_path: Path) -> None:
    """Flow `a` sends where somebody buys and waits; `b` is capped by that, and hears it."""
    schema = TenantSchema.of(SCHEMA)
    settings_ = TenantSettings("shop", schema=SCHEMA)
    asking = {
        **CAPPED,
        "flow": "a",
        "nodes": {
            "t": {"type": "on_event", "event": "buy", "next": ["w", "mail"]},
            "w": {"type": "wait", "for": "3 days", "next": "mail"},
            "mail": {"type": "send", "channel": "email", "template": "a", "next": "x"},
            "x": {"type": "end"},
        },
    }
    folder = tmp_path / "p"
    live: list[Record] = []
    for number in range(2):
        with LivePartition.open(folder / f"00{number}", settings_, create=True, log=True) as part:
            for serial, document in enumerate((asking, CAPPED), 1):
                said = {"kind": "publish", "flow": document["flow"], "version": 1}
                said |= {"document": json.dumps(document), "at_ms": T_MS}
                part.command(serial, said)
            for day, (who, event) in enumerate(
                [("c", "visit"), ("c", "buy"), ("c", "visit"), ("d", "visit"), ("c", "visit"),
                 ("d", "buy"), ("c", "visit"), ("d", "visit"), ("c", "visit"), ("d", "visit")]
            ):  # fmt: skip
                at_ms = T_MS + day * DAY_MS // 2 + 7
                row = {"customer": f"{who}{number}", "event": event}
                frame = decode_rows([row], schema, batch=b"%d" % day).frame
                while part.tick(at_ms):
                    pass
                part.take([frame], at_ms)
                if day == 5:
                    while part.snapshot(now=True):
                        pass
            version = part.version("b")
            for customer, step, ms, entry, node, port in part.take_log("b").tolist():
                name = version.program.node_ids[node]
                said_ = outcome_text(port) if port < 0 else version.flow.nodes[name].ports[port]
                live.append(Record(part.id_of(customer), step, ms, entry, name, said_))
    export(folder, settings_, tmp_path / "out")
    flow, violations = read_flow(json.dumps(CAPPED), name="b")
    assert flow is not None, violations
    options = RunOptions(T_MS, T_MS + 90 * DAY_MS, T_MS + 90 * DAY_MS)

    def dry_run(replaces: str | None) -> list[Record]:
        program = compile_flow(flow)
        audience = load_audience(tmp_path / "out", needs_of(program, replaces=replaces))
        return sorted(run_cut(bind(program, audience, options), Cut())[0])

    assert dry_run("b") == sorted(live)
    taken = Counter(record.port for record in live if record.node == "mail")
    assert taken == {"capped": 6, "next": 10}
    assert Counter(r.node for r in live)["h"] == 6
    # Without the other flow nothing but its own messages caps it.
    assert Counter(r.node for r in dry_run("a"))["h"] == 0
    needs = Needs(set(), set(), set(), {"message_sent"}, {"channel", "template", "node", "flow"})
    audience = load_audience(tmp_path / "out", needs)
    told = {
        tuple(audience.properties[name].value(row) for name in ("channel", "template", "node"))
        for row in range(len(audience.event_ms))
    }
    assert told == {("email", "a", "mail"), ("email", "b", "mail")}
    of = np.repeat(np.arange(4), np.diff(audience.event_offsets))
    assert len(set(zip(of.tolist(), audience.event_hash.tolist(), strict=True))) == 16


def test_a_journal_that_was_trimmed_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "d", 1)
    folder = partition_path(tmp_path / "d", 0)
    from actors.store.partition import Partition

    with Partition.open(folder) as store:
        store.trim_journal(3)
    with reading(folder) as store, pytest.raises(TrimmedError, match="begins with record 3"):
        export_journals([store], TenantSettings("shop"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
