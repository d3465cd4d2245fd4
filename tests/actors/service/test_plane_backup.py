"""A control plane and further tenants in a backup: made while they work, or at rest; restored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.live import backup as backups
from actors.live.data_dir import DataDir
from actors.live.doctor import Asked, examine
from actors.live.surroundings import StoppedSurroundings
from actors.live.verify import verify
from actors.service import plane_backup
from actors.store.errors import CorruptError, InUseError, StoreError
from http_service import Served, served


def nobody() -> Asked:
    raise AssertionError("no engine works in it")


def places(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for check in verify(folder, quick=True).checks:
        worst = found.get(check.place)
        found[check.place] = check.verdict if worst in (None, "sound", "skipped") else str(worst)
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A data directory with two tenants, and its backups while it worked and at rest."""
    base = tmp_path_factory.mktemp("backups")
    with served(base / "data") as service:
        secret = prepared(service)
        beside = service.service.engine("main").data.beside
        assert beside is service.service
        backups.back_up(service.engine.engine, base / "live", beside=beside)
        backups.back_up(service.engine.engine, base / "bare", people=False, beside=beside)
        with pytest.raises(InUseError):
            plane_backup.inspect(base / "data" / "service")
    with DataDir.open(base / "data") as data:
        stopped, beside_it = backups.Stopped(data), StoppedSurroundings(data.path)
        backups.back_up(stopped, base / "rest", beside=beside_it)
    return {"base": base, "secret": secret}


def prepared(service: Served) -> str:
    body = {"id": "acme", "name": "Acme"}
    made = service.ask("POST", "/v1/tenants", key=service.admin, json=body).json()
    secret = str(made["key"]["secret"])
    with service.service.plane.tenant("acme").write() as txn:
        txn.put("content", "canary", {"is": "here"})
    engine = service.service.engine("acme")
    engine.set_schema({"events": {"signup": {"properties": {}}}})
    assert engine.send([{"customer": "a", "event": "signup"}]).accepted == 1
    return secret


@pytest.mark.parametrize("kind", ["live", "rest"])
def test_a_backup_is_whole_and_restored(folders: dict[str, Any], kind: str) -> None:
    copy, again = folders["base"] / kind, folders["base"] / f"{kind}-again"
    found = places(copy)
    assert found["service"] == "sound"
    assert found["tenants/acme/control"] == "sound"
    assert "damaged" not in found.values()
    told = json.loads((copy / "backup.json").read_text())
    assert told["stores"]["service"]["transactions"] > 3
    assert "tenants/acme/backup.json" in told["files"]
    assert not any("/people/" in name for name in told["files"])
    backups.restore(copy, again)
    assert "damaged" not in places(again).values()
    codes = {(each.place, each.code) for each in examine(again, nobody) if each.place != "machine"}
    assert not {code for _, code in codes} & {"unreadable", "died_young"}
    with served(again) as service:
        assert service.ask("GET", "/v1/keys", key=folders["secret"]).status_code == 200
        with service.service.plane.tenant("acme").read() as txn:
            assert txn.get("content", "canary") == {"is": "here"}
        assert sum(service.service.engine("acme").status()["rejects"].values()) == 0
        assert service.service.engine("acme").state_of("a") is not None


def test_what_is_only_looked_at_has_nobodys_names(folders: dict[str, Any]) -> None:
    bare = folders["base"] / "bare"
    assert not (bare / "service").exists()
    assert not (bare / "tenants").exists()


def test_damage_is_found_and_not_restored(folders: dict[str, Any], tmp_path: Path) -> None:
    copy, file = tmp_path / "copy", tmp_path / "copy" / "data.mdb"
    plane_backup.copy(folders["base"] / "rest" / "service", copy)
    assert plane_backup.inspect(copy).sound
    data = bytearray(file.read_bytes())
    at = data.index(b"canary")
    data[at] ^= 1
    file.write_bytes(bytes(data))
    report = plane_backup.inspect(copy)
    assert not report.sound
    with pytest.raises(CorruptError, match="the backup is damaged"):
        plane_backup.restore(copy, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    with pytest.raises(StoreError):
        plane_backup.restore(tmp_path / "nothing", tmp_path / "again")


def test_damage_at_rest_is_told_by_verify_and_doctor(folders: dict[str, Any]) -> None:
    again = folders["base"] / "hurt"
    backups.restore(folders["base"] / "rest", again)
    file = again / "service" / "data.mdb"
    data = bytearray(file.read_bytes())
    data[data.index(b"canary")] ^= 1
    file.write_bytes(bytes(data))
    assert places(again)["service"] == "damaged"
    assert ("service", "unreadable") in {(f.place, f.code) for f in examine(again, nobody)}
