"""The list of those to whom nothing is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.relay.marks import MarkKey
from actors.relay.suppression import RECORD_BYTES, Reason, Suppressed, Suppressions
from actors.store.errors import CorruptError

OWN: tuple[Reason, ...] = ("unsubscribed",)
KEY = MarkKey(b"\x01" * 6, b"\x02" * 32)


def test_a_bounce_is_remembered_across_processes_and_openings(tmp_path: Path) -> None:
    one, other = Suppressions(tmp_path, KEY), Suppressions(tmp_path, KEY)
    ada = one.subject("email", "ada@x.test")
    assert other.find(ada) is None
    assert one.put(ada, "bounce", 7)
    assert other.find(ada) == Suppressed("bounce", 7)
    assert Suppressions(tmp_path, KEY).find(ada) == Suppressed("bounce", 7)
    assert other.lift(ada, 8)
    assert one.find(ada) is None
    assert (one.count(), other.count()) == (0, 0)


def test_mail_is_compared_in_lower_case_and_channels_are_apart(tmp_path: Path) -> None:
    listed = Suppressions(tmp_path, KEY)
    assert listed.subject("email", " Ada@X.test ") == listed.subject("email", "ada@x.test")
    assert listed.subject("push", "Token") != listed.subject("push", "token")
    assert listed.subject("sms", "1") != listed.subject("whatsapp", "1")
    assert Suppressions(tmp_path, MarkKey(b"\x01" * 6, b"\x03" * 32)).subject("sms", "1") != (
        listed.subject("sms", "1")
    )


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("unsubscribed", "bounce", "bounce"),
        ("bounce", "unsubscribed", "bounce"),
        ("complaint", "bounce", "complaint"),
        ("unsubscribed", "unsubscribed", "unsubscribed"),
    ],
)
def test_a_weaker_reason_replaces_no_stronger_one(
    tmp_path: Path, first: Reason, second: Reason, kept: Reason
) -> None:
    listed = Suppressions(tmp_path, KEY)
    ada = listed.subject("email", "a")
    assert listed.put(ada, first, 1)
    assert listed.put(ada, second, 2) is (kept != first)
    found = listed.find(ada)
    assert found is not None
    assert found.reason == kept
    assert found.stops_all is (kept != "unsubscribed")


def test_people_lift_only_what_they_did_themselves(tmp_path: Path) -> None:
    listed = Suppressions(tmp_path, KEY)
    ada, bob = listed.subject("email", "a"), listed.subject("email", "b")
    listed.put(ada, "bounce", 1)
    listed.put(bob, "unsubscribed", 1)
    assert not listed.lift(ada, 2, only=OWN)
    assert listed.lift(bob, 2, only=OWN)
    assert not listed.lift(bob, 3)
    assert listed.count() == 1


def test_a_torn_record_does_not_count_and_the_next_one_replaces_it(tmp_path: Path) -> None:
    listed = Suppressions(tmp_path, KEY)
    ada, bob = listed.subject("email", "a"), listed.subject("email", "b")
    listed.put(ada, "bounce", 1)
    with listed.path.open("ab") as file:
        file.write(b"half of a record")
    again = Suppressions(tmp_path, KEY)
    assert again.count() == 1
    again.put(bob, "complaint", 2)
    assert listed.path.stat().st_size == 2 * RECORD_BYTES
    assert Suppressions(tmp_path, KEY).find(bob) == Suppressed("complaint", 2)
    assert listed.find(bob) == Suppressed("complaint", 2)


def test_a_damaged_record_is_told_and_nobody_is_taken_for_free(tmp_path: Path) -> None:
    listed = Suppressions(tmp_path, KEY)
    listed.put(listed.subject("email", "a"), "bounce", 1)
    data = bytearray(listed.path.read_bytes())
    for place in range(RECORD_BYTES):
        bad = bytearray(data)
        bad[place] ^= 0x10
        listed.path.write_bytes(bad)
        with pytest.raises(CorruptError, match="byte 0 is damaged"):
            Suppressions(tmp_path, KEY).find(listed.subject("email", "b"))


def test_another_file_in_its_place_is_read_anew(tmp_path: Path) -> None:
    listed = Suppressions(tmp_path, KEY)
    ada = listed.subject("email", "a")
    listed.put(ada, "bounce", 1)
    listed.put(listed.subject("email", "b"), "bounce", 1)
    listed.path.write_bytes(b"")
    assert listed.find(ada) is None


def test_no_room_on_the_disk_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Suppressions(tmp_path, KEY)
    ada, bob = listed.subject("email", "a"), listed.subject("email", "b")
    listed.put(ada, "bounce", 1)

    def full(file: int) -> None:
        raise OSError(28, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            listed.put(bob, "bounce", 2)
    assert listed.path.stat().st_size == RECORD_BYTES
    assert listed.find(bob) is None
    assert listed.put(bob, "bounce", 3)


def test_no_address_can_be_read_in_the_file(tmp_path: Path) -> None:
    listed = Suppressions(tmp_path, KEY)
    listed.put(listed.subject("email", "canary@x.test"), "bounce", 1)
    data = listed.path.read_bytes()
    assert len(data) == RECORD_BYTES
    assert b"canary" not in data
    with pytest.raises(ValueError, match="16 bytes"):
        listed.put(b"canary", "bounce", 1)
