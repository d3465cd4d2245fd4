"""Scenario 11 with real processes: kill -9 between a gateway's 200 and the mark, over HTTP."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors.store.verify import verify
from relay_work import Engine, gateway, sends
from store_work import environment

CHILD = Path(__file__).parents[1] / "support" / "relay_work.py"
COUNT = 10
CONCURRENCY = 2


def run(folder: Path, failpoints: str = "") -> int:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder), str(COUNT)],
        env=environment(failpoints),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.parametrize("kills", [(3,), pytest.param((1, 1, 2, 1), marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("keyed", "resend"), [(True, False), (False, False), (False, True)], ids=str
)
def test_11_a_relay_killed_after_the_answer(
    tmp_path: Path,
    keyed: bool,
    resend: bool,
    kills: tuple[int, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with gateway() as provider:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "providers.yaml").write_text(provider.providers(keyed, resend))
        crashes = 0
        most: list[int] = []
        for hit in kills:
            before = provider.attempts.copy()
            crashes += run(tmp_path / "d", f"relay_after_200_before_mark=kill@{hit}") != 0
            most.append(max((provider.attempts - before).values(), default=0))
        assert run(tmp_path / "d") == 0
    assert crashes == len(kills)
    assert verify(tmp_path / "d" / "partitions" / "000").first_problem == ""
    engine = Engine(tmp_path / "d")
    engine.relay.start()
    parked = engine.relay.ask(lambda relay: relay.parked("gate"))
    results = engine.results()
    effects = list(engine.partition.relay_rows(b"pending/"))
    engine.close()
    attempts = provider.attempts
    with capsys.disabled():
        print(
            f"\nscenario 11: keys known: {keyed}, resend: {resend}: {crashes} kill -9, "
            f"{attempts.total()} requests for {COUNT} sends, {max(attempts.values())} at most for "
            f"one key, {len(parked)} held as ambiguous"
        )
    assert effects == []
    wanted = {send.key for send in sends(COUNT)}
    # What was claimed and had not left yet cannot be told from what had.
    assert wanted - attempts.keys() <= {each.key for each in parked}
    assert attempts.keys() <= wanted
    # Within one life of the relay a key is sent once.
    assert most == [1] * len(most)
    doubtful = attempts.total() - COUNT
    if keyed or resend:
        assert parked == []
        assert results == {"message_sent": COUNT}
        assert 1 <= doubtful <= crashes * CONCURRENCY
    else:
        assert max(attempts.values()) == 1
        assert {each.state for each in parked} == {"ambiguous"}
        assert {each.reason for each in parked} == {"relay_stopped"}
        assert results == {"message_sent": COUNT - len(parked), "message_ambiguous": len(parked)}
        assert crashes <= len(parked) <= crashes * CONCURRENCY
