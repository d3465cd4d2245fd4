"""Secrets at rest: encrypted, bound to their names, lost without the key."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from actors.relay.settings import Secret, known_secrets
from actors.relay.vault import KEY, KEY_VARIABLE, SECRETS, Vault
from core.errors import HeadraceError
from scanning import hits


def test_secrets_are_kept_changed_and_dropped(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    assert vault.values() == {}
    vault.change({"a": "canary-one", "b": "canary-two"})
    assert Vault(tmp_path, {}).values() == {"a": "canary-one", "b": "canary-two"}
    assert hits(tmp_path, [b"canary-one", b"canary-two"]) == {}
    vault.change({"a": "canary-three"}, keep=["a"])
    assert (vault.names(), vault.values()) == (["a"], {"a": "canary-three"})
    for name in (KEY, SECRETS):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert known_secrets(tmp_path, {"X": "y"}) == {"X": "y", "stored:a": "canary-three"}
    assert Secret(stored="a").value(known_secrets(tmp_path, {})) == "canary-three"
    with pytest.raises(HeadraceError, match="'b' is not stored"):
        Secret(stored="b").value(known_secrets(tmp_path, {}))


def test_a_secret_under_another_name_is_not_opened(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.change({"a": "one", "b": "two"})
    document = json.loads((tmp_path / SECRETS).read_text())
    entries = document["secrets"]
    entries["a"], entries["b"] = entries["b"], entries["a"]
    (tmp_path / SECRETS).write_text(json.dumps(document))
    with pytest.raises(HeadraceError, match="can't be decrypted"):
        vault.values()


def test_the_key_may_be_elsewhere_and_must_be_the_right_one(tmp_path: Path) -> None:
    place = {KEY_VARIABLE: str(tmp_path / "elsewhere")}
    data = tmp_path / "data"
    data.mkdir()
    Vault(data, place).change({"a": "one"})
    assert [path.name for path in data.iterdir()] == [SECRETS]
    assert Vault(data, place).values() == {"a": "one"}
    with pytest.raises(HeadraceError, match="key of the secrets can't be read"):
        Vault(data, {}).values()
    # A lost key is not made anew beside secrets that it could not open.
    with pytest.raises(HeadraceError, match="key of the secrets can't be read"):
        Vault(data, {}).change({"b": "two"})
    (tmp_path / "elsewhere").chmod(0o644)
    with pytest.raises(HeadraceError, match="others than its owner"):
        Vault(data, place).values()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"headrace_secrets": 9, "secrets": {}}'])
def test_a_damaged_vault_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / SECRETS).write_text(text)
    with pytest.raises(HeadraceError, match="secrets can't be read"):
        Vault(tmp_path, {}).values()


@pytest.mark.parametrize("stated", [{}, {"env": "A", "stored": "b"}, {"env": "9"}])
def test_a_secret_has_one_name(stated: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="name"):
        Secret(**stated)
