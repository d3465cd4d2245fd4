"""Whose a mark or a callback is, among tenants who must not know of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from actors.relay.marks import KEY_FILE, Mark, MarkKey
from actors.service.plane import Plane
from actors.service.postmarks import LOOK_S, Postmarks
from actors.service.service import Service
from actors.service.tenants import FIRST, Tenant

MARK = Mark("click", 1, 2, 3, 4, 5, "f", "n", "email", "t", "m", link="l", target="https://a.test")


@dataclass
class _Tenants:
    """Folders of tenants; `listed` counts how often all were asked for."""

    root: Path
    ids: list[str]
    listed: int = 0

    def folder(self, tenant_id: str) -> Path:
        return self.root / tenant_id

    def list(self, txn: object) -> list[Tenant]:
        self.listed += 1
        return [Tenant(each, each, 0) for each in self.ids]


@dataclass
class _Service:
    """As much of a service as is asked here."""

    plane: Plane
    tenants: _Tenants
    public_url: str = ""


@dataclass
class Setup:
    """Tenants `main`, `a` and `b`, and a clock that stands still."""

    marks: Postmarks
    tenants: _Tenants
    keys: dict[str, MarkKey] = field(default_factory=dict)
    now_s: float = 100.0


@pytest.fixture
def setup(folder: Path, plane: Plane) -> Setup:
    ids = [FIRST, "a", "b"]
    tenants = _Tenants(folder, ids)
    for each in ids:
        (folder / each).mkdir()
    holder: list[Setup] = []
    service = cast(Service, _Service(plane, tenants))
    found = Setup(Postmarks(service, lambda: holder[0].now_s), tenants)
    holder.append(found)
    # Another object makes the keys, as relays in other processes do.
    makers = Postmarks(service)
    found.keys = {each: makers.of(each).key for each in ids}
    return found


def test_a_mark_is_of_the_tenant_whose_key_sealed_it(setup: Setup) -> None:
    for tenant, key in setup.keys.items():
        found = setup.marks.open(key.seal(MARK))
        assert found is not None
        post, mark = found
        assert (post.tenant, post.key, mark) == (tenant, key, MARK)
        assert post.folder == setup.tenants.folder(tenant)
    assert len({post.id for post in setup.keys.values()}) == 3


def test_one_tenant_cannot_seal_for_another(setup: Setup) -> None:
    a, b = setup.keys["a"], setup.keys["b"]
    mixed = MarkKey(b.id, a.derived("secret of a"))
    assert setup.marks.open(mixed.seal(MARK)) is None
    assert setup.marks.open("x" * 80) is None
    assert setup.marks.open("") is None


def test_made_up_numbers_have_folders_read_once_a_second(setup: Setup) -> None:
    stranger = MarkKey(b"strang", b"\x00" * 32).seal(MARK)
    for _ in range(50):
        assert setup.marks.open(stranger) is None
    assert setup.tenants.listed == 1
    setup.now_s += LOOK_S
    assert setup.marks.open(stranger) is None
    assert setup.tenants.listed == 2


def test_a_tenant_that_came_later_is_found(setup: Setup, folder: Path) -> None:
    stranger = MarkKey(b"strang", b"\x00" * 32).seal(MARK)
    assert setup.marks.open(stranger) is None
    setup.tenants.ids.append("late")
    (folder / "late").mkdir()
    (folder / "late" / KEY_FILE).write_bytes(b"HRmarks1" + b"strang" + b"\x00" * 32)
    assert setup.marks.open(stranger) is None
    setup.now_s += LOOK_S
    found = setup.marks.open(stranger)
    assert found is not None
    assert found[0].tenant == "late"


def test_a_tenant_whose_key_is_damaged_harms_no_other(setup: Setup, folder: Path) -> None:
    (folder / "a" / KEY_FILE).write_bytes(b"damaged")
    for tenant in (FIRST, "b"):
        assert setup.marks.open(setup.keys[tenant].seal(MARK)) is not None
    assert setup.marks.open(setup.keys["a"].seal(MARK)) is None


def test_callbacks_are_named_with_the_number_of_the_tenants_key(setup: Setup) -> None:
    found: Any = setup.marks.named("mailer")
    assert (found[0].tenant, found[1]) == (FIRST, "mailer")
    number = setup.keys["b"].id.hex()
    found = setup.marks.named(f"mailer.{number}")
    assert (found[0].tenant, found[1], found[0].number) == ("b", "mailer", number)
    for name in ("mailer.", "mailer.zz", "mailer.00", f"mailer.{number}.{number}"):
        assert setup.marks.named(name) is None
