"""The service of one data directory: its first start, its tenants, what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.live.starting import Hosting, Making, start_engine
from actors.service.access import OPERATOR, ROLES
from actors.service.errors import ForbiddenError, NotFoundError
from actors.service.service import Service
from actors.service.tenants import FIRST, Tenant
from actors.store.errors import HaltedError
from core.errors import HeadraceError
from live_work import armed
from waiting import until

NOW_MS = 1_772_357_400_000
HOSTING = Hosting(inline=True, shards=1, relays=False)


@contextmanager
def opened(folder: Path) -> Iterator[Service]:
    making = Making() if folder.exists() else Making(tenant="Shop", partitions=1)
    with (
        start_engine(folder, making, HOSTING) as engine,
        Service.open(folder, engine, hosting=HOSTING, now_ms=lambda: NOW_MS) as service,
    ):
        yield service


def test_the_first_start_makes_a_key_and_the_next_does_not(tmp_path: Path) -> None:
    with opened(tmp_path / "d") as service:
        key = service.first_key
        caller = service.keys.authenticate(key, None, NOW_MS)
        assert (caller.tenant, caller.role) == (FIRST, "admin")
        assert caller.scopes == ROLES["admin"] | {OPERATOR}
        with service.plane.operator.read() as txn:
            assert service.tenants.list(txn) == [Tenant(FIRST, "Shop", NOW_MS)]
    with opened(tmp_path / "d") as service:
        assert service.first_key == ""
        assert service.keys.authenticate(key, None, NOW_MS).key_id == caller.key_id
        service.keys.flush()
        with service.plane.operator.read() as txn:
            own = txn.within(service.plane.tenant(FIRST))
            assert service.keys.get(own, caller.key_id).last_used_ms == NOW_MS


def test_a_tenants_engine_opens_when_it_is_first_used(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    with opened(folder) as service:
        with service.plane.operator.write() as txn:
            service.tenants.put(txn, Tenant("acme", "Acme", NOW_MS))
            service.tenants.put(txn, Tenant("late", "Late", NOW_MS, "suspended"))
        assert not (folder / "tenants").exists()
        engine = service.engine("acme")
        assert service.engine("acme") is engine
        assert engine.path == folder / "tenants" / "acme"
        assert (engine.manifest.tenant, engine.partitions) == ("Acme", 1)
        engine.set_schema({"events": {"a": {}}})
        engine.send([{"customer": "ada", "event": "a", "message_id": "1"}])
        assert service.engine(FIRST).state_of("ada") is None
        assert set(service.statuses()) == {FIRST, "acme"}
        with pytest.raises(ForbiddenError):
            service.engine("late")
        with pytest.raises(NotFoundError):
            service.engine("nobody")
    with opened(folder) as service:
        # One that has data opens by itself, so that its flows go on.
        until(lambda: set(service.statuses()) == {FIRST, "acme"})
        state = service.engine("acme").state_of("ada")
        assert state is not None
        assert state["customer"] == "ada"


def test_what_does_not_work_is_told(tmp_path: Path) -> None:
    with opened(tmp_path / "d") as service:
        engine = service.engine(FIRST)
        while not all("partitions" in shard for shard in engine.status()["shards"]):
            pass
        assert service.problems() == []
        (numbers, status) = next(iter(engine._statuses.items()))
        wrong = {0: {**status["partitions"][0], "state": "halted"}}
        engine._statuses[numbers] = {**status, "partitions": wrong}
        assert service.problems() == [("tenant main", "partitions are halted")]
        engine._statuses[numbers] = {"numbers": numbers, "alive": False, "error": "it is gone"}
        assert service.problems() == [("tenant main", "it is gone")]
    service.close()


def test_a_control_plane_that_halted_keeps_nobody_from_being_closed(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    with opened(folder) as service:
        with service.plane.operator.write() as txn:
            service.tenants.put(txn, Tenant("acme", "Acme", 1))
        engine = service.engine("acme")
        with pytest.raises(HaltedError), armed("after_transaction", "eio"):  # noqa: SIM117
            with service.plane.operator.write() as txn:
                service.tenants.put(txn, Tenant("late", "Late", 1))
        assert service.problems()[0] == ("control-plane", "it is halted")
    with pytest.raises(HeadraceError):
        engine.send([{"customer": "ada", "set": {}}])
    with opened(folder) as service, service.plane.operator.read() as read:
        # What nobody knew to be stored was, and the tenant's engine can be opened again.
        assert "acme" in {tenant.id for tenant in service.tenants.list(read)}
        assert service.engine("acme").partitions == 1
