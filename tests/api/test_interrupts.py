"""Checks that Ctrl-C asks first and forces then, and only while a run goes on."""

from __future__ import annotations

import signal
import threading

import pytest

from actors.dry_run import Cancel
from api.interrupts import stopped_by_ctrl_c


def test_the_first_asks_and_the_second_forces(capfd: pytest.CaptureFixture[str]) -> None:
    cancel = Cancel()
    found = []
    with stopped_by_ctrl_c(cancel):
        found.append((cancel.asked.is_set(), cancel.forced.is_set()))
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
            found.append((cancel.asked.is_set(), cancel.forced.is_set()))
    assert found == [(False, False), (True, False), (True, True), (True, True)]
    assert capfd.readouterr().err.count("Ctrl-C again aborts") == 1


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    def fail() -> None:
        with stopped_by_ctrl_c(Cancel()):
            raise ValueError

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_signals_alone() -> None:
    found = []

    def work() -> None:
        with stopped_by_ctrl_c(Cancel()):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
