"""Checks the command itself: help, options, exit codes, and that every error becomes a message."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import api.check
import api.main
import api.simulate
from api.documents import open_flow, open_responses
from command import (
    CLEAN,
    COMMAND,
    EXAMPLES,
    Done,
    call,
    names,
    needs_full_disk,
    spawn,
    start,
)
from core.compiler import compile_flow
from core.listing import listing
from house import CHECKOUT

COMMANDS = typer.main.get_command(api.main.app).commands  # type: ignore[attr-defined]
PAGE = (CHECKOUT / "docs" / "command-line.md").read_text(encoding="utf-8")
# What takes long to import, and asking for help needs none of.
HEAVY = {
    *{"numpy", "scipy", "pyarrow", "pydantic", "igraph", "pandas", "yaml", "re2", "msgspec"},
    *{"rich", "markdown_it", "pygments"},
    *{"ext", "actors"},
}


def test_without_arguments_the_commands_are_listed() -> None:
    done = call()
    assert done.code == 2
    assert done.out == ""
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.err, re.MULTILINE)
    assert not re.search(r"\w\.\.\.$", done.err, re.MULTILINE)  # no line of help is cut off


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_options(name: str) -> None:
    done = call(name, "--help")
    assert (done.code, done.err) == (0, "")
    for option in COMMANDS[name].params:
        if option.param_type_name == "option":
            assert option.opts[0] in done.out
            assert option.help, f"{option.opts[0]} has no help"


def test_the_version_is_told() -> None:
    done = call("--version")
    assert done.code == 0
    assert re.fullmatch(r"headrace \d+\.\d+\.\d+\n", done.out)


@pytest.mark.parametrize(
    "args",
    [
        ("simulat",),
        ("--verbose",),
        ("simulate",),
        ("simulate", "flow.yaml"),
        ("check", "a.yaml", "b.yaml"),
        ("check", "a.yaml", "--jsn"),
        ("import", "mapping.yaml"),
        ("sample", "x", "--customers", "many"),
    ],
)
def test_what_the_command_does_not_know_is_an_error(args: tuple[str, ...]) -> None:
    done = call(*args)
    assert (done.code, done.out) == (2, "")
    assert "Usage: headrace" in done.err
    assert "--help" in done.err


@pytest.mark.parametrize(
    ("args", "heavy"),
    [
        ((), HEAVY),
        (("--help",), HEAVY),
        # Typer itself takes pydantic to judge what stands on the command line.
        (("--version",), HEAVY - {"pydantic"}),
        (("simulate", "--help"), HEAVY - {"pydantic"}),
    ],
)
def test_help_imports_nothing_that_takes_long(args: tuple[str, ...], heavy: set[str]) -> None:
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    imported = {
        line.rpartition("|")[2].strip().split(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "typer" in imported
    assert not imported & heavy


def test_a_listing_is_that_of_the_compiled_flow(tmp_path: Path) -> None:
    done = call("listing", EXAMPLES / "welcome.yaml", "--responses", EXAMPLES / "responses.yaml")
    flow, responses = EXAMPLES / "welcome.yaml", EXAMPLES / "responses.yaml"
    program = compile_flow(open_flow(flow).flow, open_responses(responses))
    assert done == Done(0, listing(program), "")
    (tmp_path / "flow.yaml").write_text(flow.read_text().replace("next: may-mail", "next: nobody"))
    done = call("listing", tmp_path / "flow.yaml")
    assert (done.code, done.out) == (1, "")
    assert "error dangling-edge" in done.err
    assert done.err.splitlines()[-1].endswith("2 errors, 1 note. Mend the errors and try again")


# -- errors


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Done:
    """What the command makes of an error that `check` raises."""

    def run(*args: Any, **named: Any) -> int:
        print("half a line", end="")
        raise error

    monkeypatch.setattr(api.check, "run", run)
    return call("check", "flow.yaml")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            MemoryError("the machine's state can't grow"),
            2,
            "out of memory: the machine's state can't grow. "
            "Use fewer workers, a shorter window, or no --log",
        ),
        (
            MemoryError(),
            2,
            "out of memory: no room. Use fewer workers, a shorter window, or no --log",
        ),
        (OSError(28, "No space left on device", "a.json"), 2, "a.json: No space left on device"),
        (OSError("odd"), 2, "odd"),
        (PermissionError(13, "Permission denied", "x"), 2, "x: Permission denied"),
    ],
)
def test_errors_become_messages(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    assert failing(monkeypatch, error) == Done(code, "half a line", f"headrace: {said}\n")


def test_a_mistake_of_ours_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["headrace", "check", "flow.yaml"])
    monkeypatch.setattr(api.check, "run", lambda *args, **named: 1 // 0)
    monkeypatch.delenv("HEADRACE_TRACEBACK", raising=False)
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            api.main.main()
        assert ended.value.code == 70
        said = "headrace: internal error, please report it: ZeroDivisionError: "
        assert capsys.readouterr().err.startswith(said)
        monkeypatch.setenv("HEADRACE_TRACEBACK", "1")
        with pytest.raises(ZeroDivisionError):
            api.main.main()
    finally:
        signal.signal(signal.SIGTERM, terminated)


def test_an_argument_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    done = call("check", os.fsdecode(b"a\xff.yaml"))
    assert done == Done(2, "", "headrace: an argument is not UTF-8: 'a\\udcff.yaml'\n")


def test_errors_cannot_move_the_cursor() -> None:
    done = call("check", "a\x1b[2Jb\x9b")
    assert done == Done(2, "", "headrace: a\ufffd[2Jb\ufffd: No such file or directory\n")


def test_a_terminal_without_unicode_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text("headrace: 1\nflow: f\nnodes: {t: {type: ende}}\n")
    command = [*COMMAND, "check", str(tmp_path / "flow.yaml")]
    done = subprocess.run(
        command, capture_output=True, cwd=CHECKOUT, env=CLEAN | {"PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"\\u2192 Did you mean" in done.stdout


# -- who listens


@pytest.mark.parametrize(
    "args",
    [("schema",), ("check", EXAMPLES / "responses.yaml")],
    ids=lambda args: str(args[0]),
)
def test_a_reader_who_goes_away_is_no_error(args: tuple[str | Path, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = spawn(*args, stdout=writing, stderr=writing)
    os.close(writing)
    assert done.code == 141


@needs_full_disk
def test_a_full_disk_behind_the_output_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = spawn("schema", stdout=full)
    assert (done.code, done.err) == (2, "headrace: No space left on device\n")


def test_an_output_that_is_closed_is_no_error() -> None:
    command = [*COMMAND, "check", str(EXAMPLES / "welcome.yaml")]
    line = " ".join(map(repr, command)) + " >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], cwd=CHECKOUT, env=CLEAN).returncode == 0


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "headrace: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_signals_end_the_command_and_leave_nothing(
    tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    process = start("sample", tmp_path / "shop", "--customers", "200000")
    assert process.stderr is not None
    line = process.stderr.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert line == "making events ...\n"
    assert (process.returncode, out, err.removeprefix("naming events ...\n")) == (code, "", said)
    assert names(tmp_path) == []


# -- the page


def section(title: str) -> str:
    """The part of docs/command-line.md under a heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"docs/command-line.md has no section {title!r}"
    return found[1]


def test_the_page_has_a_section_for_each_command() -> None:
    titles = re.findall(r"^## headrace (\S+)", PAGE, re.MULTILINE)
    assert titles == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_tells_every_argument_and_option(name: str) -> None:
    params = COMMANDS[name].params
    arguments = [p.metavar for p in params if p.param_type_name == "argument"]
    options = [p for p in params if p.param_type_name == "option" and p.name != "help"]
    text = section(f"headrace {name}")
    usage = re.search(r"```sh\nheadrace (.*?)\n```", text, re.DOTALL)
    assert usage, "the section begins with an example"
    assert usage[1].split()[: 1 + len(arguments)] == [name, *arguments]
    rows = re.findall(r"^\| `(--?[^`]*)`", text, re.MULTILINE)
    assert rows == [
        ", ".join([*o.opts]) + ("" if o.is_flag else f" {o.metavar or o.type.name.upper()}")
        for o in options
    ]


def test_the_page_tells_every_exit_code() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)}
    known = {0, api.check.FAILED, 2, api.simulate.REFUSED, api.main.INTERNAL_ERROR}
    known |= {api.main.INTERRUPTED, api.main.BROKEN_PIPE, api.main.TERMINATED}
    assert told == known
