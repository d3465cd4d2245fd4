"""Tests of `actors.live.household`: a partition, its people and its relay, in one shard."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.data_dir import partition_path
from actors.live.errors import RefusedError
from actors.live.household import Household, HouseholdFactory
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from actors.relay.relay_thread import RelayThread
from actors.store.partition import Partition
from core.tenant_schema import TenantSchema
from serving import SCHEMA, WELCOME, customers, signups, write_templates
from waiting import PATIENCE_S, until

HOSTING = Hosting(inline=True, shards=1, options=ShardOptions(marks=Marks(disk_full=1.1)))
TEMPLATE = """
channels:
  email: {address: email, parts: {subject: "Hello", text: "from {{ shop }}"}}
constants: {shop: Acme}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "d").mkdir()
    engine = start_engine(tmp_path / "d", Making(partitions=1), HOSTING)
    templates = tmp_path / "d" / "templates"
    write_templates(templates)
    (templates / "welcome.yaml").write_text(TEMPLATE)
    engine.set_schema(SCHEMA)
    engine.publish(WELCOME)
    yield engine
    engine.close()


def sent(folder: Path) -> list[dict[str, Any]]:
    path = folder / "outgoing" / "messages-000.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_messages_leave_with_personal_values_that_stay_apart(engine: Any, tmp_path: Path) -> None:
    engine.send(customers(20))
    engine.send(signups(20))
    until(lambda: len(sent(tmp_path / "d")) == 20)
    found = sent(tmp_path / "d")
    assert {message["to"] for message in found} == {f"c{i}@shop.example" for i in range(20)}
    assert {message["text"] for message in found} == {"from Acme"}
    assert len({message["key"] for message in found}) == 20
    assert engine.state_of("c3")["personal"] == {"email": "c3@shop.example"}
    engine.close()
    for part in ("partitions", "control"):
        for path in (tmp_path / "d" / part).rglob("*"):
            assert not path.is_file() or b"@shop.example" not in path.read_bytes()


NEWS = """
headrace: 1
flow: news
nodes:
  bought: {type: on_event, event: purchase, next: news}
  news: {type: send_email, template: news, variables: {sender: The shop, sizes: [1, 2]}, next: x}
  x: {type: end}
"""
NEWS_TEMPLATE = """
channels:
  email:
    address: email
    parts:
      subject: "{{ sender }} to {{ first_name }}"
      text: "{% for size in sizes %}{{ size }} {% endfor %}{{ city }}"
constants: {city: nowhere}
"""


def test_A054_messages_show_attributes_and_what_the_flow_states(  # noqa: N802 - an id
    engine: Any, tmp_path: Path
) -> None:
    named = {"first_name": {"type": "string", "personal": True}, "city": {"type": "string"}}
    engine.set_schema({**SCHEMA, "attributes": {**SCHEMA["attributes"], **named}})
    (tmp_path / "d" / "templates" / "news.yaml").write_text(NEWS_TEMPLATE)
    engine.publish(NEWS)
    engine.send(
        [
            {"customer": "a", "set": {"email": "a@x.example", "first_name": "Ann", "city": "Ulm"}},
            {"customer": "b", "set": {"email": "b@x.example", "first_name": "Bob"}},
        ]
    )
    engine.send([{"customer": c, "event": "purchase", "message_id": c} for c in "ab"])
    until(lambda: len(sent(tmp_path / "d")) == 2)
    found = {m["to"]: (m["subject"], m["text"]) for m in sent(tmp_path / "d")}
    assert found == {
        "a@x.example": ("The shop to Ann", "1 2 Ulm"),
        "b@x.example": ("The shop to Bob", "1 2 nowhere"),
    }


def test_a_flow_that_states_too_much_for_its_messages_is_refused(engine: Any) -> None:
    flow = NEWS.replace("template: news", "template: welcome")
    with pytest.raises(RefusedError, match="node news has variables of 70,018 characters"):
        engine.publish(flow.replace("The shop", "x" * 70_000))
    named = ", ".join(f"v{i}: {{}}" for i in range(257))
    with pytest.raises(RefusedError, match="names 257 attributes"):
        engine.publish(flow.replace("sizes: [1, 2]", named))


def test_what_became_of_messages_comes_back_as_rows(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "d" / "templates" / "welcome.yaml").unlink()
    engine.send(customers(5))
    engine.send(signups(5))
    partition = engine._handles[0].shard._seats[0].partition.partition
    until(lambda: partition.row_counts.get("accepted", 0) == 5 + 5 + 5)
    assert sent(tmp_path / "d") == []


def test_a_relay_that_cannot_start_is_told_and_the_partition_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    start_engine(folder, Making(partitions=1), HOSTING).close()
    (folder / "providers.yaml").write_text("providers: 5\n")
    with start_engine(folder, None, HOSTING) as engine:
        engine.set_schema(SCHEMA)
        engine.publish(WELCOME)
        assert engine.send(signups(3)).accepted == 3
        shard = engine._handles[0].shard
        assert "providers.yaml" in shard.status()["partitions"][0]["companions"]
        (folder / "providers.yaml").unlink()
        shard.ask(shard._seats[0].tend)
        assert shard.status()["partitions"][0]["companions"] == ""


def test_no_byte_of_an_erased_customer_is_left(engine: Any, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    engine.send(customers(20))
    engine.send(signups(20))
    until(lambda: len(sent(folder)) == 20)
    done = engine.erase(["c3", "c17", "nobody"], request="r")
    assert done.pending == []
    assert engine.erase(["c3", "c17", "nobody"], request="r").command == done.command
    assert "personal" not in engine.state_of("c3")
    assert engine.state_of("c3")["attributes"] == {}
    assert engine.state_of("c4")["personal"] == {"email": "c4@shop.example"}
    engine.close()
    found = dict.fromkeys(("c3", "c17", "c4"), 0)
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for name in found:
            found[name] += data.count(f"{name}@shop.example".encode())
    assert (found["c3"], found["c17"]) == (0, 0)
    assert found["c4"] > 0
    with start_engine(folder, None, HOSTING) as again:
        again.send(customers(20))
        assert again.state_of("c3")["personal"] == {"email": "c3@shop.example"}


def tail(folder: Path) -> int:
    """How many records the next opening replays."""
    with Partition.open(partition_path(folder, 0)) as store:
        snapshot = store.load_snapshot()
        return store.head.journal_last - (0 if snapshot is None else snapshot.sequence)


def test_a_clean_stop_leaves_nothing_to_replay(engine: Any, tmp_path: Path) -> None:
    engine.send(customers(5))
    engine.close()
    assert tail(tmp_path / "d") == 0


def test_a_snapshot_under_way_does_not_keep_a_stop_from_saving_what_came_since(
    tmp_path: Path,
) -> None:
    household = HouseholdFactory(tmp_path, TenantSettings("t", schema=SCHEMA), relays=False).open(0)
    for first in (0, 5):
        household.take([decode_rows(signups(5, first), TenantSchema.of(SCHEMA)).frame], 1_000)
        assert first or household.snapshot(now=True)  # a slice of the first
    household.settle()
    assert household.partition.store.sweep_snapshots() == 0  # it ended, sweeping included
    household.close()
    assert tail(tmp_path) == 0


def test_results_that_come_during_a_stop_are_taken_and_saved(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d" / "templates" / "welcome.yaml").unlink()  # so that every message fails
    stopping, asked, stop, ask = Event(), Event(), RelayThread.stop, Household._ask

    def stop_and_tell(relay: RelayThread, timeout_s: float | None = None) -> bool:
        stopping.set()
        return stop(relay, timeout_s)

    def ask_late(household: Household, run: Any) -> Any:
        asked.set()
        assert stopping.wait(PATIENCE_S)
        time.sleep(0.05)
        return ask(household, run)

    monkeypatch.setattr(RelayThread, "stop", stop_and_tell)
    monkeypatch.setattr(Household, "_ask", ask_late)
    engine.send(customers(5))
    engine.send(signups(5))
    assert asked.wait(PATIENCE_S)
    household = engine._handles[0].shard._seats[0].partition
    engine.close()
    assert household._relay.failure is None
    assert tail(tmp_path / "d") == 0
    with start_engine(tmp_path / "d", None, replace(HOSTING, relays=False)) as again:
        partition = again._handles[0].shard._seats[0].partition.partition
        assert partition.row_counts["accepted"] == 5 + 5 + 5
        with pytest.raises(StopIteration):
            next(partition.store.relay_rows(b"pending/"))


def test_a_stop_that_cannot_save_tells_it_and_closes(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise OSError("it is broken")

    engine.send(customers(5))
    monkeypatch.setattr(Household, "settle", fail)
    engine.close()
    assert "partition 0: its state is not saved: it is broken" in caplog.text
    assert tail(tmp_path / "d") > 0


THANKS = """
headrace: 1
flow: thanks
settings: {reentry: {policy: always}}
nodes:
  bought: {type: on_event, event: order, next: later}
  later: {type: wait, for: 1 second, next: mail}
  mail: {type: send_email, template: thanks, variables: {paid: {entry: amount}}, next: x}
  x: {type: end}
"""
THANKS_TEMPLATE = """
channels:
  email:
    address: email
    parts: {subject: "{{ paid }} for {{ entry.item }}", text: "on {{ entry.on }}, {{ entry.card }}"}
"""


def test_A055_messages_show_the_event_with_which_the_entry_began(  # noqa: N802 - an id
    engine: Any, tmp_path: Path
) -> None:
    kinds = {"amount": "float64", "item": "string", "on": "date", "card": "bool"}
    engine.set_schema({**SCHEMA, "events": {**SCHEMA["events"], "order": {"properties": kinds}}})
    (tmp_path / "d" / "templates" / "thanks.yaml").write_text(THANKS_TEMPLATE)
    engine.publish(THANKS)
    engine.send([{"customer": c, "set": {"email": f"{c}@x.example"}} for c in "ab"])
    said = {"amount": 9.5, "item": "tea", "on": "2026-05-04", "card": True}

    def order(customer: str, number: int, **other: Any) -> dict[str, Any]:
        properties = {**said, **other}
        return {
            "customer": customer, "event": "order", "message_id": f"o{number}",
            "properties": properties,
        }  # fmt: skip

    engine.send([order("a", 1), order("b", 2, amount=20.0, item="ink", card=False)])
    engine.send([order("a", 3, item="cup")])
    # Other rows come while they wait.
    engine.send([order(f"c{i}", 10 + i, item="no") for i in range(50)])
    until(lambda: len(sent(tmp_path / "d")) == 3)
    found = sorted((m["to"], m["subject"], m["text"]) for m in sent(tmp_path / "d"))
    assert found == [
        ("a@x.example", "9.5 for cup", "on 2026-05-04, true"),
        ("a@x.example", "9.5 for tea", "on 2026-05-04, true"),
        ("b@x.example", "20.0 for ink", "on 2026-05-04, false"),
    ]
