"""Tests of `actors.live.control`: commands are numbered, durable, and add up."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.live.control import ControlLog, FlowState, TenantSettings
from actors.live.data_dir import Manifest
from actors.store.errors import CorruptError, InUseError, TooLargeError
from actors.store.partition import Partition


def publish(version: int = 1, document: str = "flow: f", at_ms: int = 5) -> dict[str, Any]:
    return {
        "kind": "publish",
        "flow": "f",
        "version": version,
        "document": document,
        "in_flight": "pin",
        "at_ms": at_ms,
    }


def test_commands_are_found_again_in_order(tmp_path: Path) -> None:
    commands = [
        {"kind": "schema", "schema": {"attributes": {"age": "int64"}}, "at_ms": 1},
        publish(),
        {"kind": "pause", "flow": "f", "at_ms": 6},
    ]
    with ControlLog.open(tmp_path) as log:
        assert log.last == 0
        assert [log.append(command) for command in commands] == [1, 2, 3]
    with ControlLog.open(tmp_path) as log:
        assert log.after(0) == list(enumerate(commands, 1))
        assert log.after(2) == [(3, commands[2])]
        assert log.after(3) == []
        assert log.standing.schema == {"attributes": {"age": "int64"}}
        assert log.standing.flows == {"f": FlowState("f", 1, "flow: f", "paused", 5)}
        log.append(publish(2, "flow: f # new", 9))
        assert log.standing.flows["f"] == FlowState("f", 2, "flow: f # new", "active", 9)
        log.append({"kind": "stop", "flow": "f", "in_flight": "pin", "at_ms": 10})
        assert log.standing.flows["f"].status == "stopped"


def test_a_large_flow_fits(tmp_path: Path) -> None:
    document = "".join(f"node{i}: {{type: end}}\n" for i in range(200_000))
    assert len(document) > 4 << 20
    with ControlLog.open(tmp_path) as log:
        log.append(publish(document=document))
    with ControlLog.open(tmp_path) as log:
        assert log.standing.flows["f"].document == document


def test_one_too_large_is_refused_and_not_decided(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(1_500_000).hex()
    with ControlLog.open(tmp_path) as log:
        with pytest.raises(TooLargeError):
            log.append(publish(document=noise))
        assert (log.last, log.standing.flows) == (0, {})


@pytest.mark.parametrize("command", [{"kind": "dance", "at_ms": 1}, {"kind": "pause"}, {}])
def test_what_is_no_command_is_refused(tmp_path: Path, command: dict[str, Any]) -> None:
    with ControlLog.open(tmp_path) as log:
        with pytest.raises(ValueError, match="not a command"):
            log.append(command)
        assert log.last == 0


def test_a_command_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as store:
        store.commit(b"nonsense")
    with pytest.raises(CorruptError, match="command 1: the command makes no sense"):
        ControlLog.open(tmp_path)
    with Partition.open(tmp_path):  # it was closed
        pass


def test_it_is_open_once(tmp_path: Path) -> None:
    with ControlLog.open(tmp_path) as log:
        log.tend()
        with pytest.raises(InUseError):
            ControlLog.open(tmp_path)


def test_settings_are_those_of_the_manifest() -> None:
    found = TenantSettings.of(Manifest("shop", 4, salt="s", zone="Europe/Berlin"))
    assert found == TenantSettings("shop", "s", "Europe/Berlin", 4, {})
