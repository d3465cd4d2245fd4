"""Tell a relay which channels are switched off: their messages wait, or are dropped.

DATA_DIR/switches.json has an entry for each of them. Every attempt looks at the file's state first,
so a switch works at once in every process, and after a restart, without anybody being told.

    {"headrace_switches": 1, "channels": {"email": {"messages": "wait", "since_ms": 1789000000000}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

from actors.relay.vault import write_whole
from core.errors import HeadraceError
from core.nodes import CHANNELS

SWITCHES = "switches.json"
FORMAT = 1
REASON = "channel_off"
Mode = Literal["wait", "drop"]
MODES: tuple[Mode, ...] = ("wait", "drop")
ALL_WAIT: Mapping[str, Mode] = dict.fromkeys(CHANNELS, "wait")


@dataclass(frozen=True, slots=True)
class Off:
    """A channel that is switched off since `since_ms`, UTC, and what becomes of its messages."""

    messages: Mode
    since_ms: int


class Switches(Protocol):
    """Where a relay asks."""

    def off(self) -> Mapping[str, Mode]:
        """What becomes of the messages of each channel that is off now."""
        ...


class AllOn:
    """Switches of a relay that has none."""

    def off(self) -> Mapping[str, Mode]:
        """No channel."""
        return {}


class FolderSwitches:
    """The switches of a data directory; a file that changed is read again."""

    def __init__(self, data_dir: Path) -> None:
        """Bind a data directory."""
        self._path = data_dir / SWITCHES
        self._state: tuple[int, int, int] | None = None
        self._off: Mapping[str, Mode] = {}

    def off(self) -> Mapping[str, Mode]:
        """What becomes of whose messages now; a file that can't be read lets all wait."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return {}
        except OSError:
            return ALL_WAIT
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if state != self._state:
            try:
                self._off = {name: each.messages for name, each in _read(self._path).items()}
            except HeadraceError:
                return ALL_WAIT
            self._state = state
        return self._off


def read_switches(data_dir: Path) -> dict[str, Off]:
    """The channels that are switched off. Raises HeadraceError for a file that can't be read."""
    path = data_dir / SWITCHES
    return _read(path) if path.exists() else {}


def write_switches(data_dir: Path, off: Mapping[str, Off]) -> None:
    """Switch these channels off and all others on; when it returns, the disk has it."""
    channels = {name: asdict(each) for name, each in sorted(off.items())}
    document = {"headrace_switches": FORMAT, "channels": channels}
    write_whole(data_dir / SWITCHES, json.dumps(document, indent=1).encode())


def _read(path: Path) -> dict[str, Off]:
    try:
        document = json.loads(path.read_bytes())
        if document["headrace_switches"] != FORMAT:
            raise ValueError("another format")
        found = {name: Off(**each) for name, each in document["channels"].items()}
        if any(off.messages not in MODES for off in found.values()):
            raise ValueError("an unknown mode")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise HeadraceError(
            "the switches of channels can't be read, so all messages wait",
            advice="Switch channels off anew, or remove the file to switch all on",
            file=str(path),
        ) from None
    return found
