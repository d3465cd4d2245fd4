"""Scenario 21: customers move to other partitions in the midst of flows, and nothing else changes.

A case is run by one partition, moved to two, four and three in the midst of it, and must decide as
the reference does all along; the digest is the same before and after each move.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from actors.live.control import SOURCE, TenantSettings
from actors.live.data_dir import DataDir, partition_path, people_path
from actors.live.errors import RefusedError
from actors.live.reading import reading
from actors.live.repartition import repartition, state_of, write_journals
from actors.people.people import People
from actors.relay.effect_block import expand
from actors.relay.effects import decode_effect
from actors.relay.outbox import Cursor
from actors.relay.rows import Row, encode_cursor, encode_row
from actors.store.partition import Partition
from data_dirs import digest_of, driven_engine, made, work
from differential import Loaded, TooLongError, run_reference
from live_cases import Inputs, Tenant, Way, live_options, run_live, sorted_records
from random_flows import random_case

SEEDS = st.integers(0, 2**63 - 1)
PHASES = (Phase.explicit, Phase.generate)
COUNTS = (1, 2, 4, 3)


def moved(tenant: Tenant, folder: Path, partitions: int) -> Tenant:
    """The tenant in so many other partitions; its digest and its places are the same."""
    places = places_of(tenant)
    digest = sum(p.digest() for p in tenant.partitions) % 2**64
    tenant.close()
    count = tenant.way.partitions
    with ExitStack() as stack:
        stores = {n: stack.enter_context(reading(tenant.folder / f"{n:03}")) for n in range(count)}
        write_journals(stores, tenant.settings, partitions, lambda n: folder / f"{n:03}")
    found = Tenant(folder, tenant.loaded, Way(partitions))
    for partition in found.partitions:
        found._skip_replayed(partition)
    found.records = tenant.records
    assert sum(p.digest() for p in found.partitions) % 2**64 == digest
    assert places_of(found) == places
    return found


def places_of(tenant: Tenant) -> dict[str, Any]:
    """Where everybody stands, and what is known of them."""
    return {
        partition.id_of(c): partition.state_of(partition.id_of(c))
        for partition in tenant.partitions
        for c in range(partition.customers)
    }


def check(seed: int) -> int:
    """Run a case with a move after each quarter of its inputs; returns its decisions."""
    loaded = live_options(random_case(seed))
    try:
        expected = run_reference(loaded)[0]
    except TooLongError:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = run_moving(Path(folder), loaded)
    assert found == expected, f"seed {seed}"
    return len(expected)


def run_moving(folder: Path, loaded: Loaded) -> list[Any]:
    """The decisions of a case whose customers move now and then."""
    tenant = Tenant(folder / "0", loaded, Way(COUNTS[0]))
    inputs, options = Inputs(loaded.audience), loaded.options
    start = min([int(m) for m in inputs.ms[:1]] + [options.from_ms]) - 1
    tenant.take(inputs.first(start), start)
    before = int(np.searchsorted(inputs.ms, options.from_ms))
    end = int(np.searchsorted(inputs.ms, options.horizon_ms))
    if before:
        tenant.take(inputs.frame(np.arange(before)), start)
    document = json.dumps(loaded.flow.model_dump(mode="json", by_alias=True, exclude_unset=True))
    command = {"kind": "publish", "flow": loaded.flow.flow, "version": 1, "document": document}
    tenant.command(1, command | {"at_ms": options.from_ms})
    for number, (first, last) in enumerate(itertools.pairwise(quarters(inputs, before, end))):
        if first < last:
            tenant.take(inputs.frame(np.arange(first, last)), options.from_ms)
            if last < end and number % 2:
                tenant.tick(int(inputs.ms[last]) - 1)
        if number + 1 < len(COUNTS):
            tenant = moved(tenant, folder / str(number + 1), COUNTS[number + 1])
    tenant.tick(options.horizon_ms - 1)
    tenant.close()
    return sorted_records(tenant.records, loaded.audience)


def quarters(inputs: Inputs, first: int, last: int) -> Sequence[int]:
    """Bounds of four parts; rows of one time are never parted."""
    bounds = [first + (last - first) * part // 4 for part in range(5)]
    for i in (1, 2, 3):
        while first < bounds[i] < last and inputs.ms[bounds[i]] == inputs.ms[bounds[i] - 1]:
            bounds[i] += 1
        bounds[i] = max(bounds[i], bounds[i - 1])
    return bounds


def test_customers_who_move_in_the_midst_decide_as_if_they_had_not() -> None:
    decisions = 0

    @settings(max_examples=12, phases=PHASES, deadline=None)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        nonlocal decisions
        decisions += check(seed)

    check_one()
    print(f"scenario 21: {decisions:,} decisions with 3 moves, 0 differ")
    assert decisions > 200


def test_moves_one_after_the_other_keep_the_digest(tmp_path: Path) -> None:
    moves = 0
    for seed in (*range(8), 119, 123):
        loaded = live_options(random_case(seed))
        try:
            run_reference(loaded)
        except TooLongError:
            continue
        tenant = run_live(tmp_path / f"{seed}", loaded, Way(1, 64), seed)
        for number, partitions in enumerate((2, 4, 3, 1)):
            tenant = moved(tenant, tmp_path / f"{seed}-{number}", partitions)
            moves += 1
        tenant.close()
    assert moves >= 24


@pytest.mark.soak
def test_customers_who_move_in_many_cases() -> None:
    decisions = 0

    @settings(phases=PHASES, deadline=None)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        nonlocal decisions
        decisions += check(seed)

    check_one()
    print(f"scenario 21: {decisions:,} decisions with 3 moves, 0 differ")


def test_a_data_directory_moves_with_people_messages_and_erasures(tmp_path: Path) -> None:
    digest = made(tmp_path / "d", 2)
    for number in range(2):
        with People.open(people_path(tmp_path / "d", number)) as people:
            people.erase([b"c7", b"never-here"], 1_800_000_000_000)
    with DataDir.open(tmp_path / "d") as data:
        found = repartition(data, 3, tmp_path / "e")
    assert (found.partitions, found.customers, found.digest) == (3, 80, digest)
    assert (found.erasures, found.unknown) == (1, 3)  # c7 is a customer of one partition only
    assert messages(tmp_path / "e", 3) == messages(tmp_path / "d", 2)
    assert found.messages == len(messages(tmp_path / "d", 2)) > 0
    with driven_engine(tmp_path / "e") as engine:
        assert digest_of(engine) == digest
        erased, kept = engine.state_of("c7"), engine.state_of("c8")
        assert erased is not None
        assert "personal" not in erased
        assert kept is not None
        assert kept["personal"] == {"email": "c8@shop.example"}
        assert engine.control.last == 2
        work(engine, first=200, count=10)  # it goes on
        assert engine.counts("welcome").entered[0] == 90


def messages(folder: Path, partitions: int) -> list[tuple[int, int, str]]:
    """Who is to get what: what stands in all outboxes."""
    found = []
    for number in range(partitions):
        with reading(partition_path(folder, number)) as store:
            for block in store.outbox():
                for data in expand(block.effects):
                    effect = decode_effect(data)
                    found.append((effect.customer, effect.entry, effect.node))
    return sorted(found)


def test_what_cannot_be_moved_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "d", 2)

    def refused() -> str:
        with DataDir.open(tmp_path / "d") as data, pytest.raises(RefusedError) as caught:
            repartition(data, 4, tmp_path / "e")
        assert not (tmp_path / "e").exists()
        return caught.value.message

    def store() -> Partition:
        return Partition.open(partition_path(tmp_path / "d", 1))

    row = encode_row(Row(None, "waiting"))
    with store() as partition:
        partition.mark_relay(put={b"pending/a/1": row})
    assert refused() == "1 messages are under way"
    with store() as partition:
        partition.mark_relay(put={b"parked/a/1": row}, delete=[b"pending/a/1"])
    assert refused() == "1 messages are parked"
    with store() as partition:
        put = {b"cursor/a": encode_cursor(Cursor(0, 0))}
        partition.mark_relay(put=put, delete=[b"parked/a/1"])
    assert refused() == "the relay has taken a part of the messages that wait"
    with store() as partition:
        partition.mark_relay(delete=[b"cursor/a"])
        last = partition.head.journal_last
        found = partition.load_snapshot()
        assert found is not None
        assert found.sequence <= last
        partition.trim_journal(2)
    assert refused().startswith("the journal was trimmed, and begins with record 2")


def test_a_numbered_source_must_be_equally_far_everywhere(tmp_path: Path) -> None:
    made(tmp_path / "d", 2)
    with Partition.open(partition_path(tmp_path / "d", 0)) as partition:
        record = next(partition.journal())[1]
        assert partition.cursors[SOURCE] == 2
        partition.commit([record], cursors={b"crm": 5})
    with DataDir.open(tmp_path / "d") as data:
        with pytest.raises(RefusedError, match="unknown in another") as caught:
            repartition(data, 4, tmp_path / "e")
        assert "Start the engine" in caught.value.advice
        folders = [data.partition(n) for n in range(2)]
        assert state_of(folders[1:], TenantSettings.of(data.manifest))[0] > 0
