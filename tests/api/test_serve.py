"""Tests of `api.serve`: the command as users run it, killed and started again."""

import os
import re
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from actors.live.errors import DownError
from api.client import Client
from command import call, ended, start
from serving import SCHEMA, WELCOME, customers, serving, signups
from waiting import until

INLINE = ("--inline", "--no-send")


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    with serving(folder, *INLINE, "--partitions", "2") as process:
        with Client(folder) as client:
            client.set_schema(SCHEMA)
            assert client.publish(WELCOME, name="welcome.yaml").version == 1
            assert client.upsert_customers(customers(300)).accepted == 300
            assert client.send_events(signups(300)).accepted == 300
            before = client.counts("welcome").entered.tolist()
            state = client.state_of("c7")
        assert before[:4] == [300] * 4
        process.kill()
        process.wait()
    with serving(folder, *INLINE) as process, Client(folder) as client:
        assert client.counts("welcome").entered.tolist() == before
        assert client.state_of("c7") == state
        assert client.send_events(signups(300)).duplicates == 300
        assert client.send_events(signups(10, first=300)).accepted == 10
        assert client.counts("welcome").entered.tolist()[0] == 310
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.code == 0
    assert "stopping; what was sent is being stored" in done.err
    assert done.err.rstrip().endswith("stopped")


def test_a_client_lives_through_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    sent: list[int] = []
    stop = threading.Event()

    def send(client: Client) -> None:
        while not stop.is_set():
            client.send_events(signups(5, first=len(sent) * 5))
            sent.append(5)

    with serving(folder, *INLINE, "--partitions", "2") as process, Client(folder) as client:
        client.set_schema(SCHEMA)
        client.publish(WELCOME)
        thread = threading.Thread(target=send, args=(client,))
        thread.start()
        time.sleep(0.4)
        process.kill()
        process.wait()
        with serving(folder, *INLINE) as process:
            known = len(sent)
            until(lambda: len(sent) >= known + 5)
            stop.set()
            thread.join()
            assert client.counts("welcome").entered.tolist()[0] == 5 * len(sent)


def test_one_folder_has_one_engine_and_what_is_fixed_stays(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    with serving(folder, *INLINE, "--partitions", "2", "--zone", "Europe/Berlin"):
        assert stat.S_IMODE((folder / "headrace.sock").stat().st_mode) == 0o600
        done = call("serve", folder, "--inline")
        assert done.code == 2
        assert re.search(r"the data directory is in use by process \d+", done.err)
    for options, message in (
        (["--partitions", "3"], "the data directory has partitions 2, not 3"),
        (["--zone", "UTC"], "the data directory has zone 'Europe/Berlin', not 'UTC'"),
        (["--tenant", "x"], "the data directory has tenant 'd', not 'x'"),
    ):
        done = call("serve", folder, "--inline", *options)
        assert (done.code, message in done.words) == (2, True)


def test_bad_options_are_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    for arguments, message in (
        ([tmp_path / "other"], "the folder is not empty, and holds no data directory"),
        ([tmp_path / "d", "--zone", "Mars/Olympus"], "there is no time zone 'Mars/Olympus'"),
        ([tmp_path / "d", "--address", "1.2.3.4:5"], "--inline does without Ray"),
        ([tmp_path / "d", "--schema", tmp_path / "none.yaml"], "none.yaml"),
    ):
        done = call("serve", *arguments, "--inline")
        assert done.code == 2
        assert message in done.words
    assert not (tmp_path / "d").exists()


def test_a_schema_file_is_adopted(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text("events: {signup: {}}\n")
    options = (*INLINE, "--schema", str(tmp_path / "schema.yaml"))
    for expected in (1, 1):
        with serving(tmp_path / "d", *options), Client(tmp_path / "d") as client:
            assert client.status()["commands"] == expected
            assert client.send_events([{"customer": "c", "event": "signup"}]).accepted == 1


def test_sigterm_stops_it_in_good_order(tmp_path: Path) -> None:
    with serving(tmp_path / "d", *INLINE) as process:
        process.terminate()
        assert ended(process).code == 0
    assert not (tmp_path / "d" / "headrace.sock").exists()


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    process = start("serve", tmp_path / "d", *INLINE, "--no-http", "--quiet")
    until((tmp_path / "d" / "headrace.sock").exists)
    with Client(tmp_path / "d") as client:
        assert client.flows() == []
    os.kill(process.pid, signal.SIGINT)
    done = ended(process)
    assert (done.code, done.out) == (0, "")
    assert "ready" not in done.err


def test_no_engine_is_told(tmp_path: Path) -> None:
    with serving(tmp_path / "d", *INLINE):
        pass
    with (
        Client(tmp_path / "d", timeout_s=0.2) as client,
        pytest.raises(DownError, match=r"no engine answers.*headrace serve"),
    ):
        client.flows()
