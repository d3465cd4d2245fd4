"""Erasing a customer from a partition: tokens leave, and nothing is known of him."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core.hashing import hash_customer, hash_parts
from core.tenant_schema import TenantSchema

SCHEMA = {
    "attributes": {"country": {"type": "string"}, "points": {"type": "int64"}},
    "events": {"go": {"properties": {"n": "int64"}}, "seen": {}},
}
FLOW = {
    "headrace": 1,
    "flow": "greeting",
    "settings": {"reentry": {"policy": "once"}},
    "nodes": {
        "start": {"type": "on_event", "event": "go", "next": ["mail", "wait"]},
        "mail": {"type": "send", "channel": "email", "template": "hi", "next": "listen"},
        "listen": {
            "type": "wait_event",
            "event": "seen",
            "timeout": "2 days",
            "next": {"event": "end", "timeout": "end"},
        },
        "wait": {"type": "wait", "for": "1 day", "next": "end"},
        "end": {"type": "end"},
    },
}


def opened(folder: Path) -> LivePartition:
    settings = TenantSettings("t", schema=SCHEMA)
    return LivePartition.open(folder, settings, create=True)


def rows(partition: LivePartition, now_ms: int, *sent: dict[str, Any]) -> None:
    batch = hash_parts(now_ms, repr(sent)).to_bytes(16, "big")
    decoded = decode_rows(list(sent), TenantSchema.of(SCHEMA), batch=batch)
    assert not decoded.rejects
    partition.take([decoded.frame], now_ms)


def publish(partition: LivePartition) -> None:
    command = {"kind": "publish", "flow": "greeting", "version": 1, "document": json.dumps(FLOW)}
    partition.command(1, command | {"at_ms": 1_000})


def erase(partition: LivePartition, number: int, at_ms: int, *ids: str) -> None:
    hashes = [hash_customer(each) for each in ids]
    partition.command(number, {"kind": "erase", "hashes": hashes, "at_ms": at_ms})


@pytest.mark.parametrize("snapshot", [False, True])
def test_nothing_is_left_of_an_erased_customer(tmp_path: Path, snapshot: bool) -> None:
    partition = opened(tmp_path / "p")
    publish(partition)
    for name in ("anna", "bert"):
        rows(
            partition,
            2_000,
            {"customer": name, "set": {"country": "DE", "points": 7}, "tags": {"add": ["vip"]}},
            {"customer": name, "event": "go", "properties": {"n": 1}},
        )
    anna = partition.state_of("anna")
    assert anna is not None
    assert len(anna["places"]) == 2
    erase(partition, 2, 3_000, "anna")
    for again in (False, True):
        anna, bert = partition.state_of("anna"), partition.state_of("bert")
        assert anna is not None
        assert bert is not None
        assert (anna["attributes"], anna["places"]) == ({}, [])
        assert bert["attributes"] == {"country": "DE", "points": 7}
        assert len(bert["places"]) == 2
        assert partition.flows()[0]["inside"] == 1
        if not again:
            digest = partition.digest()
            while snapshot and partition.snapshot(now=True):
                pass
            partition.close()
            partition = opened(tmp_path / "p")
            assert partition.digest() == digest
    partition.tick(200_000_000)
    assert partition.counts("greeting").waiting.sum() == 0
    assert partition.flows()[0]["inside"] == 0
    partition.close()


def test_an_erased_customer_comes_again_as_somebody_new(tmp_path: Path) -> None:
    partition = opened(tmp_path / "p")
    publish(partition)
    rows(partition, 2_000, {"customer": "anna", "event": "go"})
    rows(partition, 3_000, {"customer": "anna", "event": "go"})
    assert partition.counts("greeting").entered[0] == 1
    erase(partition, 2, 4_000, "anna", "a stranger")
    rows(partition, 5_000, {"customer": "anna", "event": "go"})
    assert partition.counts("greeting").entered[0] == 2
    assert partition.id_of(0) == "anna"
    partition.close()
