"""Channels that are switched off: their messages wait or are dropped, others go by."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from actors.relay.channels.base import Message
from actors.relay.lane import ROWS_AT_ONCE
from actors.relay.outcomes import Ambiguous, Outcome
from actors.relay.provider import Provider
from actors.relay.switches import SWITCHES, FolderSwitches, Mode, Off, read_switches, write_switches
from core.errors import HeadraceError
from core.nodes import CHANNELS
from relaying import EPOCH_MS, MemoryOutbox, Scripted, Setup, effects, run_virtual


class Board:
    """Switches in memory."""

    def __init__(self, **off: Mode) -> None:
        self.modes: dict[str, Mode] = dict(off)

    def off(self) -> Mapping[str, Mode]:
        return self.modes


def setup(outbox: MemoryOutbox, board: Board, channel: Scripted, *names: str) -> Setup:
    provider = Provider("gate", channel)
    return Setup(outbox, dict.fromkeys(names, provider), switches=board)


def test_a_channel_that_is_off_holds_up_no_other_of_its_provider() -> None:
    channel, board, outbox = Scripted(), Board(sms="wait"), MemoryOutbox()
    count = 2 * ROWS_AT_ONCE + 5

    async def main() -> None:
        found = setup(outbox, board, channel, "sms", "email")
        outbox.commit(effects(count, channel="sms"))
        outbox.commit(effects(9, node="mail"))
        await found.run_until(lambda: found.counts["message_sent"] == 9)
        assert len(outbox.names("held")) == count
        assert channel.attempts.total() == 9
        # Another relay takes over, and finds it off still.
        again = setup(outbox, board, channel, "sms", "email")
        outbox.commit(effects(1, node="more"))
        await again.run_until(lambda: again.counts["message_sent"] == 1)
        assert len(outbox.names("held")) == count
        board.modes.clear()
        on = setup(outbox, board, channel, "sms", "email")
        await on.run_until(lambda: on.counts["message_sent"] == count)

    run_virtual(main())
    assert outbox.names("held") == outbox.names("pending") == []
    assert set(channel.attempts.values()) == {1}
    assert channel.attempts.total() == count + 10


def test_a_channel_is_switched_on_while_the_relay_works() -> None:
    channel, board, outbox = Scripted(), Board(sms="wait"), MemoryOutbox()

    async def main() -> None:
        found = setup(outbox, board, channel, "sms", "email")
        outbox.commit([*effects(3, channel="sms"), *effects(1)])
        loop = asyncio.get_running_loop()
        loop.call_later(30, board.modes.clear)
        await found.run_until(lambda: found.counts["message_sent"] == 4)
        assert 30 <= loop.time() <= 32

    run_virtual(main())


def test_a_provider_whose_channels_are_all_off_leaves_all_in_the_outbox() -> None:
    channel, board, outbox = Scripted(), Board(sms="wait"), MemoryOutbox()

    async def main() -> None:
        found = setup(outbox, board, channel, "sms")
        outbox.commit(effects(5, channel="sms"))
        loop = asyncio.get_running_loop()

        def look() -> None:
            assert outbox.names("held") == outbox.names("pending") == []
            assert outbox.blocks
            board.modes.clear()

        loop.call_later(60, look)
        await found.run_until(lambda: found.counts["message_sent"] == 5)
        assert 60 <= loop.time() <= 62

    run_virtual(main())


def test_messages_are_dropped_and_that_is_reported() -> None:
    channel, board, outbox = Scripted(), Board(sms="drop"), MemoryOutbox()

    async def main() -> list[str]:
        found = setup(outbox, board, channel, "sms")
        outbox.commit(effects(4, channel="sms"))
        await found.run_until(lambda: found.counts["message_skipped"] == 4)
        return [result.reason for result in found.results]

    assert run_virtual(main()) == ["channel_off"] * 4
    assert channel.attempts.total() == 0
    assert outbox.names("pending") == outbox.names("parked") == []


def test_what_expires_while_it_is_held_is_not_sent() -> None:
    channel, board, outbox = Scripted(), Board(sms="wait"), MemoryOutbox()

    async def main() -> Counter[str]:
        found = setup(outbox, board, channel, "sms", "email")
        soon = EPOCH_MS + 5_000
        outbox.commit(effects(2, channel="sms", expires_ms=soon, fresh_until_ms=soon))
        asyncio.get_running_loop().call_later(60, board.modes.clear)
        await found.run_until(lambda: found.counts["message_expired"] == 2)
        return found.counts

    assert run_virtual(main()) == {"message_expired": 2}
    assert channel.attempts.total() == 0


def test_what_may_have_left_is_not_dropped_but_left_to_a_person() -> None:
    board, outbox = Board(), MemoryOutbox()

    def answer(message: Message, attempt: int) -> Outcome:
        board.modes["sms"] = "drop"
        return Ambiguous("timeout")

    channel = Scripted(answer)

    async def main() -> None:
        found = setup(outbox, board, channel, "sms")
        outbox.commit(effects(1, channel="sms"))
        await found.run_until(lambda: found.counts["message_ambiguous"] == 1)

    run_virtual(main())
    assert len(outbox.names("parked")) == 1
    assert channel.attempts.total() == 1


def test_held_messages_go_along_to_another_provider() -> None:
    channel, board, outbox = Scripted(), Board(sms="wait"), MemoryOutbox()

    async def main() -> None:
        found = setup(outbox, board, channel, "sms", "email")
        outbox.commit([*effects(3, channel="sms"), *effects(1)])
        await found.run_until(lambda: found.counts["message_sent"] == 1)
        board.modes.clear()
        other = Setup(outbox, {"sms": Provider("new", channel)}, switches=board)
        await other.run_until(lambda: other.counts["message_sent"] == 3)

    run_virtual(main())
    assert outbox.names("held") == []


def test_switches_in_a_file_count_from_the_next_look_on(tmp_path: Path) -> None:
    switches = FolderSwitches(tmp_path)
    assert switches.off() == {}
    write_switches(tmp_path, {"email": Off("wait", 5), "sms": Off("drop", 6)})
    assert switches.off() == {"email": "wait", "sms": "drop"}
    assert read_switches(tmp_path) == {"email": Off("wait", 5), "sms": Off("drop", 6)}
    write_switches(tmp_path, {})
    assert switches.off() == {}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"headrace_switches": 2, "channels": {}}',
     json.dumps({"headrace_switches": 1, "channels": {"sms": {"messages": "x", "since_ms": 1}}})],
)  # fmt: skip
def test_switches_that_cannot_be_read_let_all_wait(tmp_path: Path, text: str) -> None:
    (tmp_path / SWITCHES).write_text(text)
    assert set(FolderSwitches(tmp_path).off().items()) == {(each, "wait") for each in CHANNELS}
    with pytest.raises(HeadraceError, match="switches"):
        read_switches(tmp_path)
