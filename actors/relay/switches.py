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

SWITCHES = "switches.json"
FORMAT = 1
REASON = "channel_off"
Mode = Literal["wait", "drop"]
MODES: tuple[Mode, ...] = ("wait", "drop")


@dataclass(frozen=True, slots=True)
class Off:
    """A channel that is switched off since `since_ms`, UTC, and what becomes of its messages."""

    messages: Mode
    since_ms: int


class Switches(Protocol):
    """Where a relay asks."""

    def mode(self, channel: str) -> Mode | None:
        """What becomes of a channel's messages now, None where they are sent."""
        ...


class AllOn:
    """Switches of a relay that has none."""

    def mode(self, channel: str) -> Mode | None:
        """None."""
        return None


class FolderSwitches:
    """The switches of a data directory; a file that changed is read again."""

    def __init__(self, data_dir: Path) -> None:
        """Bind a data directory."""
        self._path = data_dir / SWITCHES
        self._state: tuple[int, int, int] | None = None
        self._off: Mapping[str, Off] = {}

    def mode(self, channel: str) -> Mode | None:
        """What becomes of a channel's messages now; a file that can't be read lets all wait."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return "wait"
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if state != self._state:
            try:
                self._off = _read(self._path)
            except HeadraceError:
                return "wait"
            self._state = state
        off = self._off.get(channel)
        return None if off is None else off.messages


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
