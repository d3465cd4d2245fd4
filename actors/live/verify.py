"""Verify a data directory that no engine has open, or a backup: what it holds, and that it agrees.

Every store is verified by `actors.store.verify` in a process of its own. What passes is replayed,
once from the last snapshot and once from the journal's first record: both must end in one state,
with the counters that the decisions add up to. Nothing in the folder is changed. Records that
another version of the engine wrote are no damage where this one decides otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from actors.live import backup_manifest
from actors.live.basis import installed_basis
from actors.live.control import ControlLog, TenantSettings
from actors.live.data_dir import Manifest, is_data_dir, partition_path, people_path
from actors.live.errors import EngineError
from actors.live.partition import LivePartition
from actors.live.reading import reading
from actors.live.records import CommandRecord, decode_record
from actors.live.replay import Recount, Recounting
from actors.live.surroundings import PLANE, TENANTS, tenant_folders
from actors.live.version import LiveVersion
from actors.people.erasures import read_ledger
from actors.people.manifest import ERASURES
from actors.people.manifest import read_manifest as read_people
from actors.service import plane_backup
from actors.store.errors import InUseError
from actors.store.folder import os_errors
from actors.store.partition import Partition
from actors.store.verify import verify as verify_store
from core.balance import check_balance
from core.counters import Counters
from core.errors import HeadraceError
from core.outcomes import ENDS, REFUSALS

Progress = Callable[[str, int, int], None]
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: where, what, whether it is `sound`, `damaged` or `skipped`."""

    place: str
    check: str
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying a folder found; `digest` is the tenant's, "" where it was not computed."""

    folder: str
    checks: tuple[Check, ...]
    digest: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return all(check.verdict != "damaged" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As a mapping that JSON can carry."""
        return {
            "folder": self.folder,
            "sound": self.sound,
            "digest": self.digest,
            "checks": [asdict(check) for check in self.checks],
        }


def verify(folder: Path, *, quick: bool = False, progress: Progress | None = None) -> Verification:
    """Verify the data directory or backup in `folder`; with `quick` nothing is replayed.

    Raises FormatError if it is neither, InUseError while an engine has it open, StoreError.
    """
    tell = progress or (lambda label, done, total: None)
    with backup_manifest.held(folder) as manifest:
        looking = _Looking(folder, manifest, quick, tell)
        checks = tuple(looking.checks())
    digest = f"{looking.digest:016x}" if looking.complete else ""
    return Verification(str(folder), checks, digest)


class _Looking:
    """One verification under way."""

    def __init__(self, folder: Path, manifest: Manifest, quick: bool, tell: Progress) -> None:
        self.folder = folder
        self.manifest = manifest
        self.quick = quick
        self.tell = tell
        self.settings = TenantSettings.of(manifest)
        self.commands: list[Mapping[str, Any]] | None = None
        self.digest = 0
        self.replayed = 0

    @property
    def complete(self) -> bool:
        return self.replayed == self.manifest.partitions

    def checks(self) -> Iterator[Check]:
        count = self.manifest.partitions
        total = count + 1
        self.tell("verifying", 0, total)
        if (self.folder / backup_manifest.FILE).exists():
            yield self._guarded("backup", "files", self._files)
        yield from self._control()
        for number in range(count):
            self.tell("verifying", number + 1, total)
            yield from self._partition(number)
            yield from self._people(number)
        if (self.folder / PLANE).is_dir():
            yield from self._plane(self.folder / PLANE)
        for folder in tenant_folders(self.folder):
            yield from self._tenant(folder)
        self.tell("verifying", total, total)

    def _plane(self, folder: Path) -> Iterator[Check]:
        try:
            report = plane_backup.inspect(folder)
        except InUseError:
            raise
        except HeadraceError as error:
            yield Check(PLANE, "structure", "damaged", str(error))
            return
        for found in report.findings:
            yield Check(PLANE, found.check, _verdict(found.sound), found.detail)

    def _tenant(self, folder: Path) -> Iterator[Check]:
        """All checks of a further tenant's data directory."""
        place = f"{TENANTS}/{folder.name}"
        if not is_data_dir(folder) and not (folder / backup_manifest.FILE).exists():
            yield Check(place, "structure", SKIPPED, "no engine was ever made here")
            return
        try:
            with backup_manifest.held(folder) as manifest:
                theirs = _Looking(folder, manifest, self.quick, lambda label, done, total: None)
                for check in theirs.checks():
                    yield replace(check, place=f"{place}/{check.place}")
        except InUseError:
            raise
        except HeadraceError as error:
            yield Check(place, "structure", "damaged", str(error))

    def _store(self, place: str, folder: Path) -> Iterator[Check]:
        if not folder.is_dir():
            yield Check(place, "structure", "damaged", "the folder is missing")
            return
        for found in verify_store(folder).findings:
            yield Check(place, found.check, _verdict(found.sound), found.detail)

    def _guarded(self, place: str, check: str, look: Callable[[], str]) -> Check:
        try:
            return Check(place, check, "sound", look())
        except EngineError as error:
            return Check(place, check, SKIPPED, str(error))
        except HeadraceError as error:
            return Check(place, check, "damaged", str(error))
        except (ValueError, KeyError, TypeError, IndexError, MemoryError) as error:
            return Check(place, check, "damaged", f"{type(error).__name__}: {error}")

    def _files(self) -> str:
        manifest = backup_manifest.read_manifest(self.folder)
        with os_errors(self.folder):
            backup_manifest.check_files(self.folder, manifest)
        return f"{len(manifest.files):,} files, {manifest.bytes:,} bytes"

    def _control(self) -> Iterator[Check]:
        place, folder = "control", self.folder / "control"
        checks = list(self._store(place, folder))
        yield from checks
        if all(check.verdict == "sound" for check in checks):
            yield self._guarded(place, "commands", lambda: self._commands(folder))

    def _commands(self, folder: Path) -> str:
        with reading(folder) as store:
            log = ControlLog(store)
            self.commands = [command for _, command in log.after(0)]
        flows = log.standing.flows
        return f"{log.last:,} commands, {len(flows):,} flows"

    def _people(self, number: int) -> Iterator[Check]:
        place, folder = f"people/{number:03}", people_path(self.folder, number)
        if not folder.is_dir():
            # An engine that never hosted it has made none.
            yield Check(place, "values", SKIPPED, "there is none")
            return
        try:
            manifest = read_people(folder)
        except HeadraceError as error:
            yield Check(place, "values", "damaged", str(error))
            return
        checks = list(self._store(place, manifest.folder(folder)))
        damaged = [check for check in checks if check.verdict != "sound"]
        if damaged:
            yield from damaged
            return
        yield Check(place, "values", "sound", checks[0].detail)

        def ledger() -> str:
            erasures, length = read_ledger(folder / ERASURES, manifest.key)
            if not length:
                raise HeadraceError("the ledger's first record is damaged")
            return f"{len(erasures):,} erasures"

        yield self._guarded(place, "erasures", ledger)

    def _partition(self, number: int) -> Iterator[Check]:
        place, folder = f"partitions/{number:03}", partition_path(self.folder, number)
        if not folder.is_dir():
            yield Check(place, "structure", SKIPPED, "it was never opened, and holds nothing")
            self.replayed += 1
            return
        checks = list(self._store(place, folder))
        yield from checks
        if any(check.verdict != "sound" for check in checks):
            return
        yield self._guarded(place, "commands", lambda: self._applied(folder))
        if self.quick:
            yield Check(place, "replay", SKIPPED, "not asked for")
            return
        yield from self._replays(place, folder)

    def _applied(self, folder: Path) -> str:
        """The partition's commands are those of the control log, in its order, without a gap."""
        with reading(folder) as store:
            found = [
                (record.sequence, dict(record.command))
                for number, data in store.journal(store.head.journal_first - 1)
                if isinstance(record := decode_record(number, data, str(folder)), CommandRecord)
            ]
        if self.commands is None:
            return f"{len(found):,} applied; the control log cannot tell whether they are right"
        for at, (sequence, command) in enumerate(found):
            if at and sequence != found[at - 1][0] + 1:
                raise HeadraceError(f"command {sequence} follows {found[at - 1][0]}")
            if not 1 <= sequence <= len(self.commands):
                raise HeadraceError(
                    f"it applied command {sequence}, and the control log ends with "
                    f"{len(self.commands)}"
                )
            if command != self.commands[sequence - 1]:
                raise HeadraceError(f"command {sequence} is another one in the control log")
        last = found[-1][0] if found else 0
        behind = len(self.commands) - last
        return f"{last:,} applied" + (f", {behind:,} at the next start" if behind else "")

    def _replays(self, place: str, folder: Path) -> Iterator[Check]:
        """Replay from the snapshot, and from the beginning; compare."""
        states: list[_State] = []

        def from_snapshot() -> str:
            with reading(folder) as store:
                sequence = _snapshot_sequence(store)
                states.append(_State(LivePartition(store, self.settings)))
                tail = store.head.journal_last - sequence
            return f"{_from(sequence)}{tail:,} records, {states[0].told}"

        def from_the_beginning() -> str:
            with reading(folder, whole=True) as store:
                replay = Recounting(store, self.settings)
                state = _State(replay)
            try:
                state.compare(states[0])
            except HeadraceError as error:
                others = replay.engines - {installed_basis().engine}
                if not others:
                    raise
                raise EngineError(
                    f"Headrace {', '.join(sorted(others))} wrote a part of it, and this version "
                    f"decides otherwise: {error}"
                ) from error
            return f"{store.head.journal_last:,} records, {_recounted(state, replay)}"

        check = self._guarded(place, "replay", from_snapshot)
        yield check
        if check.verdict != "sound":
            return
        self.digest = (self.digest + states[0].digest) % 2**64
        self.replayed += 1
        with reading(folder) as store:
            first = store.head.journal_first
        if first > 1:
            what = f"the journal was trimmed, and begins with record {first:,}"
            yield Check(place, "whole replay", SKIPPED, what)
        else:
            yield self._guarded(place, "whole replay", from_the_beginning)


class _State:
    """What is compared of a replayed partition."""

    def __init__(self, partition: LivePartition) -> None:
        self.digest = partition.digest()
        self.customers = partition.customers
        self.clock_ms = partition.clock_ms
        self.control = partition.control_sequence
        self.row_counts = partition.row_counts
        self.versions = [partition.version(f["flow"], f["version"]) for f in partition.flows()]
        self.counters = [version.machine.count() for version in self.versions]

    @property
    def told(self) -> str:
        return f"{self.customers:,} customers, digest {self.digest:016x}"

    def compare(self, other: _State) -> None:
        """Raise HeadraceError where this state is not the other one, which a snapshot gave."""
        for name in ("customers", "clock_ms", "control", "row_counts", "digest"):
            one, two = getattr(self, name), getattr(other, name)
            if one != two:
                raise HeadraceError(f"{name} is {one}, and {two} by the last snapshot")
        for version, mine, theirs in zip_longest(self.versions, self.counters, other.counters):
            for field in fields(Counters):
                if not np.array_equal(getattr(mine, field.name), getattr(theirs, field.name)):
                    raise HeadraceError(
                        f"{version.name}, version {version.number}: {field.name} differs from "
                        "what the last snapshot gave"
                    )


def _recounted(state: _State, replay: Recounting) -> str:
    """Compare counters with the sums of all decisions, and with who is where. HeadraceError."""
    decisions = 0
    for version, counters in zip(state.versions, state.counters, strict=True):
        recount = replay.recount(version)
        _check_recount(version, counters, recount)
        decisions += recount.decisions
        # Whoever was taken out by a command stands nowhere, and no counter tells.
        there = replace(
            counters,
            waiting=counters.waiting + recount.waiting,
            idle=counters.idle + recount.idle,
        )
        check_balance(version.flow, there)
    return f"the same digest, {decisions:,} decisions recounted"


def _check_recount(version: LiveVersion, counters: Counters, recount: Recount) -> None:
    told = f"{version.name}, version {version.number}"
    if not np.array_equal(counters.port, recount.port):
        raise HeadraceError(f"{told}: the counters of ports are not what the decisions add up to")
    for outcome in (*ENDS, *REFUSALS):
        column = outcome.column
        if not np.array_equal(counters.outcome[:, column], recount.outcome[:, column]):
            raise HeadraceError(
                f"{told}: the counters of {outcome.text} are not what the decisions add up to"
            )


def _snapshot_sequence(store: Partition) -> int:
    found = store.load_snapshot()
    return 0 if found is None else found.sequence


def _from(sequence: int) -> str:
    return f"snapshot of record {sequence:,} and " if sequence else "no snapshot; "


def _verdict(sound: bool) -> str:
    return "sound" if sound else "damaged"
