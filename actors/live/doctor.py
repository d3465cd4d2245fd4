"""Tell an operator what is wrong with a data directory, and what to do; only looks are taken.

A directory in use is looked at by its engine, which is asked; another from outside, each store in a
process of its own. docs/operations.md lists the codes.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from actors.live.data_dir import (
    LOCK,
    Manifest,
    is_data_dir,
    partition_path,
    people_path,
    read_manifest,
)
from actors.live.machine_look import (
    MEMORY,
    REMOTE,
    bytes_max,
    clock_synchronised,
    file_system,
)
from actors.live.snapshots import TAIL_BYTES, TAIL_RECORDS
from actors.live.store_look import StoreLook, look_in_process
from actors.live.surroundings import PLANE, TENANTS, tenant_folders
from actors.live.watermarks import Marks, Watermarks
from actors.people.manifest import read_manifest as read_people
from actors.service import plane_backup
from actors.store.errors import FormatError
from actors.store.folder import FORMAT, QUARANTINED, os_errors
from actors.store.starts import unsettled
from core.errors import HeadraceError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
MINUTE_MS = 60_000
BACKLOG_WARN_MS = 15 * MINUTE_MS
BACKLOG_ERROR_MS = 24 * 60 * MINUTE_MS
LEAP_MS = 5_000
PARKED = ("dead", "ambiguous", "unreadable")
RELEASE = "Run `python -m actors.store.verify --release {}`: it lets the store go if it is sound"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: a code, where, how bad it is, and what to do."""

    code: str
    place: str
    severity: Severity
    message: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """As a mapping that JSON can carry."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a running engine answers: its status, and a look at each store by its place."""

    status: Mapping[str, Any]
    looks: Mapping[str, StoreLook | str]


def examine(
    folder: Path, ask: Callable[[], Asked], *, marks: Marks | None = None, now_ms: int = 0
) -> list[Finding]:
    """All findings, the worst first; `ask` asks the engine, and is called only if there is one.

    `marks` are where the disk is full, `now_ms` the time (0: this machine's). Raises StoreError for
    a missing right.
    """
    found = list(_machine(folder, marks or Marks()))
    try:
        with os_errors(folder):
            manifest = read_manifest(folder)
    except FormatError as error:
        found.append(Finding("format", str(folder), "error", error.message, error.advice))
        return _sorted(found)
    holder = in_use(folder)
    now_ms = now_ms or time.time_ns() // 1_000_000
    if holder is None:
        looks = _looks(folder, manifest)
        found += _plane(folder)
        for theirs in tenant_folders(folder):
            found += _tenant(theirs, ask, marks, now_ms)
    else:
        told = f"an engine works in it, process {holder or 'unknown'}"
        found.append(Finding("in_use", str(folder), "note", told))
        try:
            asked = ask()
        except HeadraceError as error:
            what = f"the engine does not answer: {error.message}"
            advice = "If it is not just starting, stop its process, then start it again"
            found.append(Finding("engine_silent", str(folder), "error", what, advice))
            return _sorted(found)
        found += _status(asked.status)
        looks = dict(asked.looks)
    found += _folders(folder, manifest, used=holder is not None)
    for place, look in looks.items():
        if isinstance(look, str):
            advice = "Run `headrace verify`; restore from the last backup what is damaged"
            found.append(Finding("unreadable", place, "error", look, advice))
        else:
            found += _store(place, look, now_ms)
    return _sorted(found)


def _sorted(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda f: (SEVERITIES.index(f.severity), f.place, f.code))


def in_use(folder: Path) -> str | None:
    """The process that has the data directory open, "" if that is not told, None if nobody has."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 20, 0).decode("ascii", "replace").strip()
    finally:
        os.close(fd)
    return None


def _machine(folder: Path, marks: Marks) -> Iterator[Finding]:
    synchronised, why = clock_synchronised()
    if synchronised is None:
        yield Finding("clock_unknown", "machine", "note", f"the clock was not looked at: {why}")
    elif not synchronised:
        advice = "Start chrony, ntpd or systemd-timesyncd: timers fire by this clock"
        what = "the kernel holds the clock for not synchronised"
        yield Finding("clock_not_synchronised", "machine", "warning", what, advice)
    kind = file_system(folder)
    if kind in REMOTE:
        what = f"the folder is on {kind}, a remote file system: LMDB would be damaged there"
        yield Finding("remote_file_system", str(folder), "error", what, "Move it to a local disk")
    elif kind in MEMORY:
        what = f"the folder is on {kind}: it is gone when the machine is switched off"
        yield Finding("file_system_in_memory", str(folder), "warning", what, "Move it to a disk")
    if not folder.exists():
        return
    disk = Watermarks(folder, marks)
    disk.look()
    used = f"the disk is {disk.disk_used:.0%} full, {disk.disk_free >> 20:,} MiB are free"
    if disk.disk_state == "full":
        advice = "Free space there: nothing is taken in until then"
        yield Finding("disk_full", str(folder), "error", used, advice)
    elif disk.disk_state == "warn":
        advice = f"Free space there: from {marks.disk_full:.0%} on nothing is taken in"
        yield Finding("disk_nearly_full", str(folder), "warning", used, advice)


def places(folder: Path, manifest: Manifest) -> dict[str, Path]:
    """The folder of every store of a data directory, by place; of those that there are."""
    found = {"control": folder / "control"}
    for number in range(manifest.partitions):
        found[f"partitions/{number:03}"] = partition_path(folder, number)
        people = people_path(folder, number)
        if people.is_dir():
            try:
                found[f"people/{number:03}"] = read_people(people).folder(people)
            except HeadraceError:
                found[f"people/{number:03}"] = people / "values"
    return {place: path for place, path in found.items() if path.parent.is_dir()}


def _looks(folder: Path, manifest: Manifest) -> dict[str, StoreLook | str]:
    # A partition's folder is missing where no engine ever opened it.
    there = {
        place: path
        for place, path in places(folder, manifest).items()
        if path.is_dir() or not place.startswith("partitions/")
    }
    return dict(zip(there, look_in_process(list(there.values())), strict=True))


def _plane(folder: Path) -> Iterator[Finding]:
    """What a control plane that no service has open is like."""
    path = folder / PLANE
    if not (path / FORMAT).exists():
        return
    if died := unsettled(path):
        what = f"{died} openings in a row died young"
        yield Finding("died_young", PLANE, "warning", what, "Run `headrace verify`")
    try:
        problem = plane_backup.inspect(path).first_problem
    except HeadraceError as error:
        problem = error.message
    if problem:
        advice = "Run `headrace verify`; restore from the last backup what is damaged"
        yield Finding("unreadable", PLANE, "error", problem, advice)


def _tenant(
    folder: Path, ask: Callable[[], Asked], marks: Marks | None, now_ms: int
) -> Iterator[Finding]:
    """What the data directory of a further tenant is like, but for the machine, which is known."""
    if not is_data_dir(folder):
        return
    for finding in examine(folder, ask, marks=marks, now_ms=now_ms):
        if finding.place not in ("machine", str(folder)):
            yield replace(finding, place=f"{TENANTS}/{folder.name}/{finding.place}")


def _folders(folder: Path, manifest: Manifest, *, used: bool) -> Iterator[Finding]:
    """What files beside the stores tell."""
    for place, path in places(folder, manifest).items():
        if (path / QUARANTINED).exists():
            reason = (path / QUARANTINED).read_text().strip()
            what = f"it is quarantined: {reason}"
            yield Finding("quarantined", place, "error", what, RELEASE.format(path))
        elif not used and (died := unsettled(path)):
            what = f"{died} openings in a row died young; after three it is quarantined"
            yield Finding("died_young", place, "warning", what, "Run `headrace verify`")


def _status(status: Mapping[str, Any]) -> Iterator[Finding]:
    """What the engine says of its shards and partitions."""
    for shard in status["shards"]:
        numbers = shard["numbers"]
        place = f"shard {numbers[0]}-{numbers[-1]}"
        if "partitions" not in shard or not shard.get("alive", False):
            what = shard.get("error") or "it does not answer yet"
            advice = "It is started again by itself; if that goes on, start the engine again"
            yield Finding("shard_down", place, "error", what, advice)
            continue
        leap_ms = shard["clock_difference_ms"]
        if abs(leap_ms) > LEAP_MS:
            what = f"the machine's clock leapt by {leap_ms / 1000:+,.0f} s"
            advice = "Check that it is synchronised; timers go on by a clock that does not leap"
            yield Finding("clock_leapt", place, "warning", what, advice)
        for number, partition in shard["partitions"].items():
            yield from _hosted(f"partitions/{int(number):03}", partition)


def _hosted(place: str, partition: Mapping[str, Any]) -> Iterator[Finding]:
    if partition["state"] == "halted":
        advice = "Put right what is told, then start the engine again"
        yield Finding("halted", place, "error", partition["error"], advice)
    elif partition["state"] != "open":
        advice = "It is opened again by itself"
        yield Finding("opening", place, "warning", partition["error"], advice)
    if partition["companions"]:
        advice = "Put right what is told; it is started again within a minute"
        yield Finding("relay_down", place, "error", partition["companions"], advice)


def _store(place: str, look: StoreLook, now_ms: int) -> Iterator[Finding]:
    """What a look at a store tells."""
    if look.tail_records > 2 * TAIL_RECORDS or look.tail_bytes > 2 * TAIL_BYTES:
        what = f"{look.tail_records:,} records came after the last snapshot; a start replays them"
        advice = "Let the engine run until it has written one; if it does not, see its log"
        if not place.startswith("control"):
            yield Finding("snapshot_old", place, "warning", what, advice)
    age_ms = now_ms - look.oldest_effect_ms if look.oldest_effect_ms else 0
    if age_ms > BACKLOG_WARN_MS:
        what = f"messages wait for {age_ms // MINUTE_MS:,} minutes already"
        advice = "Check providers.yaml and the provider; serve without --no-send"
        worst: Severity = "error" if age_ms > BACKLOG_ERROR_MS else "warning"
        yield Finding("relay_stuck", place, worst, what, advice)
    parked = [f"{n:,} {state}" for state in PARKED if (n := look.rows.get(state))]
    if parked:
        what = f"messages are parked: {', '.join(parked)}"
        advice = "Decide on each: docs/messages.md tells how to send again or discard"
        yield Finding("messages_parked", place, "warning", what, advice)
    if look.dead_readers:
        what = f"{look.dead_readers} readers are gone and hold pages; they are cleared in a minute"
        yield Finding("dead_readers", place, "warning", what, "See that nobody else opens the file")
    limit, name = bytes_max()
    if limit and 2 * look.map_bytes > limit:
        what = f"the map has {look.map_bytes >> 20:,} MiB, and {name} allows {limit >> 20:,} MiB"
        yield Finding("map_limit", place, "warning", what, f"Lift {name} for the engine")
