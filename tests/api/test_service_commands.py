"""Keys and audit logs from the machine, while the service runs and when it stands still."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.service.plane import Plane
from actors.service.transactions import number_key
from api.plane_folder import anchor_of
from command import call
from http_service import served


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a service has run in; two tenants."""
    folder = tmp_path_factory.mktemp("commands") / "data"
    with served(folder) as service:
        body = {"id": "acme", "name": "Acme"}
        assert service.ask("POST", "/v1/tenants", key=service.admin, json=body).status_code == 201
        busy = call("keys", "list", folder)
        assert busy.code == 2
        assert "Stop the service first" in busy.err
    return folder


def test_a_lost_admin_key_is_replaced(data: Path) -> None:
    made = call("keys", "new", data, "--name", "new one")
    assert made.code == 0, made.err
    secret = made.out.split()[-1]
    assert secret.startswith("hr_live_")
    with served(data) as service:
        assert service.ask("GET", "/v1/tenants", key=secret).status_code == 200
        found = service.ask("GET", "/v1/audit?action=key.create", key=secret).json()["items"]
    assert found[0]["actor"] == "operator"
    assert found[0]["object"] == f"key:{secret.split('_')[2]}"


def test_keys_are_listed_and_revoked(data: Path) -> None:
    made = json.loads(call("keys", "new", data, "--tenant", "acme", "--json").out)
    assert "tenants:admin" not in made["key"]["scopes"]
    key_id = made["key"]["key_id"]
    table = call("keys", "list", data, "--tenant", "acme").out
    assert key_id in table
    assert made["secret"].rpartition("_")[2] not in table
    assert call("keys", "revoke", data, key_id, "--tenant", "acme").out == f"{key_id} is revoked\n"
    again = call("keys", "revoke", data, key_id, "--tenant", "acme")
    assert again.out == f"{key_id} was revoked before\n"
    listed = json.loads(call("keys", "list", data, "--tenant", "acme", "--json").out)
    assert {key["key_id"]: key["status"] for key in listed}[key_id] == "revoked"
    wrong = call("keys", "revoke", data, key_id)
    assert (wrong.code, "no such key" in wrong.err) == (2, True)
    wrong = call("keys", "list", data, "--tenant", "nobody")
    assert (wrong.code, "There are: acme, main" in wrong.err) == (2, True)


def test_a_folder_without_a_service_is_told(tmp_path: Path) -> None:
    done = call("audit", "verify", tmp_path)
    assert (done.code, "headrace serve" in done.err) == (2, True)


def test_audit_logs_are_verified_and_exported(data: Path) -> None:
    done = call("audit", "verify", data, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert set(told) == {"(operator)", "acme", "main"}
    operators = told["(operator)"]
    lines = call("audit", "export", data).out.splitlines()
    assert len(lines) == operators["entries"] == 1
    anchor = f"={operators['entries']}:{operators['hash']}"
    assert f"anchor {anchor[1:]}" in call("audit", "verify", data).out
    assert call("audit", "verify", data, "--anchor", anchor).code == 0
    other = f"=1:{'00' * 32}"
    done = call("audit", "verify", data, "--anchor", other)
    assert (done.code, "is not the one that was anchored" in done.out) == (1, True)
    assert call("audit", "verify", data, "--anchor", "1:ab").code == 2


def test_a_changed_entry_is_found(data: Path) -> None:
    with Plane.open(data / "service") as plane, plane.operator.write() as txn:
        entry = txn.get("audit", number_key(1)) or {}
        txn.put("audit", number_key(1), {**entry, "actor": "user:nobody"})
    done = call("audit", "verify", data)
    assert done.code == 1
    assert "entry 1 was changed" in done.out


def test_an_anchor_has_its_form() -> None:
    assert anchor_of(f"acme=7:{'ab' * 32}") == ("acme", (7, b"\xab" * 32))
    for wrong in ("", "acme=7", f"7:{'ab' * 32}", "acme=7:ab", f"acme=0:{'ab' * 32}"):
        with pytest.raises(ValueError):  # noqa: PT011
            anchor_of(wrong)
