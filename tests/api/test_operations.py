"""Tests of the operator's commands, on a directory that `headrace serve` works in and at rest."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from api.client import Client
from command import EXAMPLES, call, ended
from data_dirs import made
from serving import SCHEMA, WELCOME, customers, serving, signups, until_entered

FLOW = EXAMPLES / "welcome.yaml"


def test_an_operators_day(tmp_path: Path) -> None:
    data, copy, again = tmp_path / "d", tmp_path / "copy", tmp_path / "again"
    with serving(data, "--inline", "--no-send", "--partitions", "2") as process:
        with Client(data) as client:
            client.set_schema(SCHEMA)
            client.publish(WELCOME)
            client.upsert_customers(customers(50))
            client.send_events(signups(50))
            until_entered(client, 50)
            doctor = call("doctor", data, "--json")
            codes = {finding["code"] for finding in json.loads(doctor.out)}
            assert "in_use" in codes
            assert not codes & {"engine_silent", "unreadable", "halted", "shard_down", "relay_down"}
            busy = call("verify", data)
            assert busy.code == 2
            assert "in use by process" in busy.err
            assert "verify a copy" in busy.err
            done = call("backup", data, copy)
            assert (done.code, done.out.split(":")[0]) == (0, str(copy))
            client.send_events(signups(7, first=50))
            until_entered(client, 57)
            dry = call(
                *("simulate", FLOW, "--tenant-data", data, "--quiet"),
                *("--log", tmp_path / "log.parquet", "--json", tmp_path / "report.json"),
            )
            assert dry.code == 0, dry.err
            folders = client.export_journal(tmp_path / "out")
        assert [path.name for path in folders] == ["000", "001"]
        process.send_signal(signal.SIGTERM)
        assert ended(process).code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["audience"]["customers"] == 57
    assert report["audience"]["name"] == "d"
    trigger = pq.read_table(tmp_path / "log.parquet").to_pylist()
    assert len({row["customer"] for row in trigger}) == 57
    assert not list(data.glob(".simulate-*"))
    assert "sound:" in call("verify", data).out
    assert json.loads(call("verify", copy, "--quick", "--json").out)["sound"]
    restored = call("restore", copy, again, "--former", data, "--json")
    lost = json.loads(restored.out)["lost"]
    assert lost["control"] == 0
    assert sum(lost.values()) >= 1
    with serving(again, "--inline", "--no-send"), Client(again) as client:
        assert client.counts("welcome").entered[0] == 50
        assert client.send_events(signups(57)).duplicates == 50


def test_the_exit_code_of_verify_tells_of_damage(tmp_path: Path) -> None:
    made(tmp_path / "d")
    assert call("verify", tmp_path / "d", "--quick").code == 0
    path = tmp_path / "d" / "partitions" / "000" / "data.mdb"
    path.write_bytes(path.read_bytes().replace(b"signup", b"sjgnup"))
    done = call("verify", tmp_path / "d", "--quick", "--quiet")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[-1].startswith("damaged: ")
    assert lines[-1].endswith("restore a backup")
    # Which part it is stands alone and whole, however narrow the terminal.
    assert lines[-2].startswith("partitions/000: ")


def test_repartition_makes_what_verify_finds_sound(tmp_path: Path) -> None:
    digest = made(tmp_path / "d")
    args = ("repartition", tmp_path / "d", "--partitions", "4", "--to", tmp_path / "e")
    done = call(*args, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["digest"], told["partitions"], told["customers"]) == (f"{digest:016x}", 4, 80)
    again = call(*args)
    assert again.code == 2
    assert "nothing is overwritten" in again.err
    found = json.loads(call("verify", tmp_path / "e", "--json").out)
    assert (found["sound"], found["digest"]) == (True, f"{digest:016x}")


@pytest.mark.parametrize("command", ["verify", "doctor"])
def test_a_folder_that_is_none_is_told(tmp_path: Path, command: str) -> None:
    done = call(command, tmp_path)
    assert done.code in (1, 2)
    assert "there is no data directory here" in done.words


def test_a_dry_run_has_one_audience(tmp_path: Path) -> None:
    for more in ((), ("--audience", tmp_path, "--tenant-data", tmp_path)):
        done = call("simulate", FLOW, *more)
        assert done.code == 2
        assert "state either --audience or --tenant-data" in done.words
