"""Checks that all who run the journey live count alike, and that they are as durable as they say.

`bench` is no part of what is installed, so it is imported from the checkout. A rival whose package
or server is absent is skipped with the reason.
"""

import json
import signal
import sqlite3
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from house import CHECKOUT

ENTRIES, BATCH = 1_500, 130
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def _load(entries: int = ENTRIES, batch: int = BATCH) -> Any:
    return import_module("bench.live.load").make_load(entries, batch)


def _entrants() -> dict[str, Any]:
    return {entrant.module.split(".")[-1]: entrant for entrant in _contest().RIVALS}


def _contest() -> ModuleType:
    return import_module("bench.live.contest")


def _kind(name: str) -> Any:
    """The class of a rival, else a skip with the reason."""
    contender = import_module("bench.live.contender")
    try:
        return _entrants()[name].load()
    except contender.NotHereError as error:
        pytest.skip(str(error))


def test_the_load_is_the_journey_in_order_of_time() -> None:
    loads, load = import_module("bench.live.load"), _load()
    batches = list(load.batches())
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    clock = 0
    for batch in batches:
        assert batch.now_ms >= clock
        assert len(batch) == len(batch.ids) <= BATCH
        if len(batch):
            assert np.all(np.diff(batch.at_ms) >= 0)
            assert clock <= batch.at_ms[0] <= batch.at_ms[-1] == batch.now_ms
        clock = batch.now_ms
    rows = [row for batch in batches for row in batch.rows()]
    entered = {name: at for kind, name, at, _, _ in rows if kind == loads.TRIGGER}
    clicked = {name: at for kind, name, at, _, _ in rows if kind == loads.CLICK}
    assert len(entered) == ENTRIES == load.entries
    assert len(rows) == len(entered) + len(clicked)
    assert len(clicked) / ENTRIES == pytest.approx(0.2, abs=0.03)
    assert all(0 <= at - entered[name] < 2 * DAY_MS for name, at in clicked.items())
    assert clock == load.end_ms == max(entered.values()) + 4 * DAY_MS
    assert {country for _, _, _, country, _ in rows} == {b"DE", b"FR", b"IT", b"US", b"PL"}
    # Ticks fire about as many timers each as batches do.
    events = -(-len(rows) // BATCH)
    assert 1 < len(batches) - events < events


def test_batches_are_the_same_from_anywhere() -> None:
    load, again = _load(), _load()
    whole = list(load.batches())
    for after in (0, 5, len(whole) - 1, len(whole)):
        rest = list(again.batches(after))
        assert [(b.number, b.now_ms, *b.rows()) for b in rest] == [
            (b.number, b.now_ms, *b.rows()) for b in whole[after:]
        ]


def test_the_size_of_batches_changes_no_count() -> None:
    kind = _kind("lmdb_python")
    for batch in (1, 64, 10_000):
        _contest().run_once(kind, _load(400, batch))


@pytest.mark.parametrize("bad", [(0, 5), (5, 0)])
def test_a_load_of_nothing_is_refused(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        _load(*bad)


@pytest.mark.parametrize(
    ("name", "entries", "batch"),
    [
        ("lmdb_python", ENTRIES, BATCH),
        ("sqlite_sets", ENTRIES, BATCH),
        ("postgres_sets", ENTRIES, BATCH),
        ("bytewax_flow", ENTRIES, BATCH),
        ("dbos_workflows", 12, 4),
    ],
)
def test_all_contenders_agree(name: str, entries: int, batch: int) -> None:
    kind, load = _kind(name), _load(entries, batch)
    try:
        outcome = _contest().run_once(kind, load)
    except import_module("bench.live.contender").NotHereError as error:
        pytest.skip(str(error))
    assert outcome.entries == entries == outcome.counts[0] == outcome.counts[-1]
    assert outcome.seconds > 0
    assert sum(outcome.stages.values()) == pytest.approx(outcome.seconds, rel=0.05)
    assert {"load", "apply"} <= set(outcome.stages)


def test_every_rival_is_tried() -> None:
    assert {*_entrants()} - {"headrace"} == {
        path.stem for path in (CHECKOUT / "bench" / "rivals_live").glob("[!_]*.py")
    }


@pytest.mark.parametrize(
    "where", [pytest.param("Headrace", marks=pytest.mark.slow), "HeadraceInline"]
)
def test_headrace_itself_agrees_and_tells_its_stages(where: str) -> None:
    kind = getattr(import_module("bench.live.headrace"), where)
    outcome = _contest().run_once(kind, _load())
    assert outcome.entries == ENTRIES == outcome.counts[0] == outcome.counts[-1]
    gateway = {name: outcome.stages[name] for name in ("load", "decode", "transfer", "wait")}
    assert sum(gateway.values()) == pytest.approx(outcome.seconds, rel=0.05)
    assert outcome.stages["apply"] > 0
    assert outcome.stages["commit"] > 0


KILLED = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from bench.live.load import make_load

name, kind, folder, entries, batch, calls = sys.argv[1:]
module = import_module("bench.rivals_live." + name)
draw, left = module.takes_b, int(calls)

def takes_b(ids, key):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(ids, key)

module.takes_b = takes_b
contender = getattr(module, kind)()
contender.prepare(Path(folder), make_load(int(entries), int(batch)))
contender.run()
"""


@pytest.mark.parametrize(
    ("name", "killed_in", "durable"),
    [
        ("lmdb_python", (3, 4), {5}),
        ("sqlite_sets", (3,), {2}),
        # An epoch is durable only some time after the next has begun.
        ("bytewax_flow", (5,), {2, 3, 4}),
    ],
)
def test_a_killed_rival_goes_on_from_its_store_alone(
    name: str, killed_in: tuple[int, ...], durable: set[int], tmp_path: Path
) -> None:
    """Killed in the midst of a transaction, in the third batch of a run, say: two are durable."""
    kind, load = _kind(name), _load()
    for calls in killed_in:
        sizes = (str(ENTRIES), str(BATCH), str(calls))
        command = [sys.executable, "-c", KILLED, name, kind.__name__, str(tmp_path), *sizes]
        killed = subprocess.run(command, cwd=CHECKOUT, check=False)
        assert killed.returncode == -signal.SIGKILL
    contender = kind()
    asked: list[int] = []
    batches = type(load).batches

    class Watched(type(load)):  # type: ignore[misc]
        def batches(self, after: int = 0) -> Any:
            asked.append(after)
            return batches(self, after)

    watched = Watched(**{name: getattr(load, name) for name in load.__dataclass_fields__})
    try:
        contender.prepare(tmp_path, watched)
        outcome = contender.run()
    finally:
        contender.close()
    _contest().hold_equal(outcome, load)
    assert len(asked) == 1
    assert asked[0] in durable


def test_the_stores_are_as_durable_as_they_can_be(tmp_path: Path) -> None:
    load = _load(20, 5)
    lmdb_python = _kind("lmdb_python")()
    lmdb_python.prepare(tmp_path, load)
    flags = lmdb_python._env.flags()
    assert flags["sync"]
    assert flags["metasync"]
    lmdb_python.close()
    sqlite_sets = _kind("sqlite_sets")()
    sqlite_sets.prepare(tmp_path, load)
    assert isinstance(sqlite_sets._db, sqlite3.Connection)
    assert sqlite_sets._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert sqlite_sets._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    sqlite_sets.close()
    settings = import_module("bench.live.postgres").SETTINGS
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert settings[name] == "on"


def test_why_there_is_no_postgresql_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = import_module("bench.live.postgres")
    missing = import_module("bench.live.contender").NotHereError
    monkeypatch.setattr(postgres.os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres.pwd, "getpwall", list)
    monkeypatch.setattr(postgres.shutil, "which", lambda program: program)
    with pytest.raises(missing, match="does not run as root, and there is no user postgres or"):
        postgres.PostgresServer()
    monkeypatch.setattr(postgres.shutil, "which", lambda program: None)
    with pytest.raises(missing, match="initdb is not installed"):
        postgres.PostgresServer()


def _fake(monkeypatch: pytest.MonkeyPatch, module: str, change: dict[str, Any]) -> Any:
    """An entrant that runs as the named rival but reports otherwise; its runs are counted."""
    real = _kind("lmdb_python")
    outcomes = import_module("bench.live.contender").Outcome
    runs: list[int] = []

    class Fake(real):  # type: ignore[misc,valid-type]
        def run(self) -> Any:
            runs.append(self._load.entries)
            said = super().run()
            fields = {name: getattr(said, name) for name in said.__dataclass_fields__}
            return outcomes(**{k: change[k](v) if k in change else v for k, v in fields.items()})

    made = ModuleType(module)
    monkeypatch.setitem(sys.modules, module, made)
    monkeypatch.setattr(made, "Fake", Fake, raising=False)
    return _contest().Entrant(module, module, "Fake"), runs


def _more(node: int) -> Any:
    def change(counts: Any) -> Any:
        changed = counts.copy()
        changed[node] += 1
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counts": _more(7)}, r"liar counts otherwise than the dry run: mail-b \d+ instead of"),
        ({"effects": _more(3)}, r"\d+ effects of sms instead of \d+"),
        ({"entries": lambda entries: entries - 1}, "199 entries instead of 200"),
    ],
)
def test_nobody_is_timed_beside_a_liar(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], said: str
) -> None:
    honest, ran = _fake(monkeypatch, "honest", {})
    liar, lied = _fake(monkeypatch, "liar", change)
    with pytest.raises(import_module("bench.contest").CountsDifferError, match=said):
        _contest().contest([honest, liar], 200, 50, 3)
    assert (ran, lied) == ([200], [200])


def test_who_is_not_here_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lacks_it.py").write_text("import a_package_that_is_nowhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    command = import_module("bench.live.__main__")
    honest, ran = _fake(monkeypatch, "honest", {})
    absent = _contest().Entrant("absent", "lacks_it", "Any")
    small = _contest().Entrant("small", "honest", "Fake", 100, 10)
    monkeypatch.setattr(command, "RIVALS", (honest, absent, small))
    contest = ["--groups", "contest"]
    asked = [
        *contest,
        "--entries",
        "300",
        "--batch",
        "50",
        "--runs",
        "2",
        "--results",
        str(tmp_path),
    ]
    assert command.main(asked) == 0
    printed = capsys.readouterr().out
    reason = "the package a_package_that_is_nowhere is not installed"
    assert reason in printed
    assert ran == [300, 100, 300, 100, 300, 100]
    document = json.loads((tmp_path / "live.json").read_text())
    assert document["headrace_live_bench"] == 2
    assert document["versions"]["lmdb"]
    first, second, third = document["contenders"]
    assert second == {
        "name": "absent", "skipped": reason, "entries": 300, "batch_max": 50,
        "entries_per_second": None, "spread": None, "seconds": [], "stages_us": {},
    }  # fmt: skip
    assert (first["entries"], first["batch_max"], third["entries"], third["batch_max"]) == (
        *(300, 50),
        *(100, 10),
    )
    median = float(np.median(first["seconds"]))
    assert len(first["seconds"]) == 2
    assert first["entries_per_second"] == pytest.approx(300 / median)
    assert set(first["stages_us"]) == {"load", "apply", "commit"}


def test_a_liar_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = import_module("bench.live.__main__")
    liar, _ = _fake(monkeypatch, "liar", {"counts": _more(0)})
    monkeypatch.setattr(command, "RIVALS", (liar,))
    assert (
        command.main(
            ["--groups", "contest", "--entries", "50", "--results", str(tmp_path / "none")]
        )
        == 1
    )
    assert "start 51 instead of 50; nothing is written" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
