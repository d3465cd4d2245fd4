"""Verify a partition that nobody has open: its structure, all checksums, and that nothing is gone.

    python -m actors.store.verify FOLDER             a table; exit status 0 sound, 1 not, 2 unknown
    python -m actors.store.verify --release FOLDER   the same, then ends a quarantine if it is sound

The structure is checked by py-lmdb's own verifier, which reads the file as bytes; only a file that
passes is opened. Even so it all happens in a process of its own: what is damaged can kill it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from actors.store import cursors, journal, outbox, relay_marks, snapshot, starts
from actors.store.environment import Environment
from actors.store.errors import StoreError
from actors.store.folder import DATA, QUARANTINED, SIDE, FolderLock, check_format, os_errors
from actors.store.side_file import read_number

SOUND, UNSOUND, NO_ANSWER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    sound: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying a partition found, check by check; it ends with the first that failed."""

    folder: str
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether every check passed."""
        return all(finding.sound for finding in self.findings)

    @property
    def first_problem(self) -> str:
        """What is wrong, for people; empty if nothing is."""
        wrong = (f"{found.check}: {found.detail}" for found in self.findings if not found.sound)
        return next(wrong, "")


def verify(folder: str | os.PathLike[str]) -> Report:
    """Verify a partition in a process of its own, and survive whatever that meets.

    Raises StoreError if there is no answer: no partition there, or somebody has it open.
    """
    done = subprocess.run(
        [sys.executable, "-m", "actors.store.verify", "--json", os.fspath(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in (SOUND, UNSOUND):
        answer = json.loads(done.stdout)
        return Report(answer["folder"], tuple(Finding(**item) for item in answer["findings"]))
    if done.returncode < 0:
        died = f"reading it killed the process: {signal.Signals(-done.returncode).name}"
        return Report(os.fspath(folder), (Finding("records", False, died),))
    raise StoreError(done.stderr.strip() or "verification gave no answer", file=os.fspath(folder))


def inspect(folder: Path) -> Report:
    """Verify a partition within this process, which a damaged file may kill.

    Raises FormatError if there is none, InUseError if somebody has it open.
    """
    with os_errors(folder):
        check_format(folder)
        lock = FolderLock(folder)
        try:
            return Report(str(folder), tuple(_findings(folder)))
        finally:
            lock.release()


def _findings(folder: Path) -> Iterator[Finding]:
    problem = structure(folder)
    size = (folder / DATA).stat().st_size if (folder / DATA).exists() else 0
    yield Finding("structure", not problem, problem or f"{size:,} bytes")
    if problem:
        return
    opened: list[Environment] = []

    def side_file() -> str:
        number = read_number(folder / SIDE)
        opened.append(Environment(folder, 0, readonly=True))
        return f"transaction {opened[0].head.transactions:,}, {number:,} beside it"

    checks: dict[str, Callable[[], str]] = {
        "commit sequence": side_file,
        "journal": lambda: _journal(opened[0]),
        "outbox": lambda: _outbox(opened[0]),
        "cursors": lambda: f"{len(cursors.load(opened[0])):,} sources",
        "relay": lambda: _relay(opened[0]),
        "snapshot": lambda: _snapshot(opened[0]),
    }
    try:
        for name, check in checks.items():
            try:
                yield Finding(name, True, check())
            except StoreError as error:
                yield Finding(name, False, f"{error.pointer or 'file'}: {error.message}")
                return
    finally:
        for environment in opened:
            environment.close()


def structure(folder: Path) -> str:
    """What py-lmdb's verifier has to say against the file, empty if nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "lmdb", "verify", "-e", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    more = f" and {len(lines) - 1:,} lines more" if len(lines) > 1 else ""
    return f"{lines[0] if lines else 'the verifier died'}{more}"


def _journal(environment: Environment) -> str:
    first = environment.head.journal_first
    total = sum(len(record) for _, record in journal.read(environment, first - 1))
    count = environment.head.journal_last - first + 1
    return f"{count:,} records from {first:,} on, {total:,} bytes"


def _outbox(environment: Environment) -> str:
    blocks = effects = 0
    for block in outbox.read(environment, environment.head.outbox_trimmed):
        blocks += 1
        effects += len(block.effects)
    return f"{blocks:,} blocks with {effects:,} effects"


def _relay(environment: Environment) -> str:
    rows = sum(1 for _ in relay_marks.read(environment, b""))
    relay_marks.check_names(environment)
    return f"at commit {environment.head.relay_commit:,}, {rows:,} rows"


def _snapshot(environment: Environment) -> str:
    found = snapshot.load(environment)
    if found is None:
        return "none"
    sizes = [len(data) for _, data in found.slices()]
    return f"{len(sizes):,} slices, {sum(sizes):,} bytes, of journal record {found.sequence:,}"


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m actors.store.verify", description="Verify a partition that is not open."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--release", action="store_true", help="end a quarantine if it is sound")
    options = parser.parse_args(arguments)
    try:
        report = inspect(options.folder)
    except StoreError as error:
        print(error, file=sys.stderr)
        return NO_ANSWER
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        Console().print(_table(report))
    if options.release and report.sound:
        starts.release(options.folder)
    elif (options.folder / QUARANTINED).exists():
        print("The partition is quarantined.", file=sys.stderr)
    return SOUND if report.sound else UNSOUND


def _table(report: Report) -> Table:
    table = Table(title=report.folder, title_justify="left")
    for name in ("check", "verdict", "detail"):
        table.add_column(name)
    for finding in report.findings:
        table.add_row(finding.check, "sound" if finding.sound else "DAMAGED", finding.detail)
    return table


if __name__ == "__main__":
    sys.exit(main())
