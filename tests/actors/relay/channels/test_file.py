"""Tests of the file that messages are appended to."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from actors.relay.channels.base import Message
from actors.relay.channels.file import FileChannel
from actors.relay.outcomes import Delivered, Retry


def message(number: int) -> Message:
    return Message(f"k{number}", "zoe@example.org", {"body": "Zeile\nZoë"}, 1_700_000_000_000)


async def write(path: Path, count: int) -> None:
    channel = FileChannel(path)
    sent = await asyncio.gather(*(channel.send(message(number)) for number in range(count)))
    assert sent == [Delivered()] * count
    await channel.close()


def test_lines_are_whole_and_share_an_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), real(file)))
    path = tmp_path / "sent.ndjson"
    asyncio.run(write(path, 50))
    lines = path.read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == [f"k{number}" for number in range(50)]
    assert json.loads(lines[0]) == {
        "key": "k0",
        "at_ms": 1_700_000_000_000,
        "customer": -1,
        "to": "zoe@example.org",
        "body": "Zeile\nZoë",
    }
    assert 1 <= len(synced) <= 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b"", b'{"key": "half', b"x" * 200_000])
def test_a_torn_line_is_cut(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "sent.ndjson"
    asyncio.run(write(path, 2))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    asyncio.run(write(path, 0))
    assert path.read_bytes() == whole
    path.write_bytes(torn)
    asyncio.run(write(path, 0))
    assert path.read_bytes() == b""


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sent.ndjson"
    asyncio.run(write(path, 1))
    whole = path.read_bytes()
    real = os.write

    async def main() -> None:
        channel = FileChannel(path)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", lambda file, data: real(file, data[:10]))
            assert await channel.send(message(1)) == Retry("disk_full")
        assert path.read_bytes() == whole
        assert await channel.send(message(1)) == Delivered()
        await channel.close()

    asyncio.run(main())
    assert len(path.read_bytes().splitlines()) == 2


def test_lines_to_the_erased_are_removed_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "sent.ndjson"
    (tmp_path / ".sent.ndjson.17.part").write_text("left behind")

    def to(customer: int) -> Message:
        return Message(f"k{customer}", f"canary{customer}@x.org", {"body": "hi"}, 5, customer)

    async def main() -> None:
        channel = FileChannel(path)
        early = [channel.send(to(number)) for number in range(10)]
        assert await asyncio.gather(*early) == [Delivered()] * 10
        late = [asyncio.ensure_future(channel.send(to(number))) for number in (20, 21)]
        assert await channel.forget({3, 4, 99}) == 2
        assert await channel.forget({3, 4}) == 0
        assert await asyncio.gather(*late) == [Delivered()] * 2
        await channel.close()
        assert await channel.forget({20}) == 1
        await channel.close()

    asyncio.run(main())
    kept = [json.loads(line)["customer"] for line in path.read_text().splitlines()]
    assert sorted(kept) == [0, 1, 2, 5, 6, 7, 8, 9, 21]
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
