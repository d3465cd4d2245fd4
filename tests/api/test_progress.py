"""Checks how progress is shown: bars on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import io
import re

import pytest

from api.progress import shown


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def steps() -> None:
    with shown(quiet=False) as progress:
        progress("reading [b]a.csv[/b]", 0, 0)
        for done in range(5):
            progress("reading [b]a.csv[/b]", done, 0)
        for done in (0, 7, 20):
            progress("dry run", done, 20)


def test_elsewhere_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    steps()
    assert capsys.readouterr() == ("", "reading [b]a.csv[/b] ...\ndry run ...\n")


def test_long_names_stay_on_their_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with shown(quiet=False) as progress:
        progress("reading " + "x" * 100, 1, 2)
    assert capsys.readouterr().err == f"reading {'x' * 100} ...\n"


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(quiet=True) as progress:
        progress("reading", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    steps()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "reading [b]a.csv[/b]" in plain
    last = plain.rpartition("dry run")[2]
    assert "20/20" in last
    assert "━" in last


def test_progress_that_goes_on_after_an_error_is_ended(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with shown(quiet=False) as progress:
            progress("reading", 0, 1)
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert capsys.readouterr().err == "reading ...\n"
