"""Know which request brought rows in, from the gateway to the shard and to the relay.

A frame carries the ids of its requests; the journal does not. A partition remembers for its latest
commits whose they were, so that its relay can say of a message which request made it leave at once.
What happens later, by a timer or after a restart, has no request.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being worked, "" outside of one."""

TAG_CHARS_MAX = 1_024
COMMITS_MAX = 4_096
LOG_BYTES_MAX = 16 << 20
LOG_FILES_MAX = 4
SHARD, RELAY = "headrace.shard", "headrace.relay"
"""The loggers of lines that name requests; each line is a JSON object."""


def joined_tags(tags: Iterable[str]) -> str:
    """Ids of requests as one tag, apart by commas, as many as it may hold."""
    found = ",".join(dict.fromkeys(tag for tag in tags if tag))
    if len(found) <= TAG_CHARS_MAX:
        return found
    return found[: TAG_CHARS_MAX + 1].rpartition(",")[0]


def log_line(logger: str, event: str, tag: str, **fields: object) -> None:
    """Log what was done for requests, if anybody listens; fields hold nothing personal."""
    found = logging.getLogger(logger)
    if not found.isEnabledFor(logging.INFO):
        return
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    said = {"event": event, "level": "info", "request_id": tag, "timestamp": now, **fields}
    found.info(json.dumps(said, sort_keys=True))


class _Lines(RotatingFileHandler):
    """Lines that cannot be written, as on a full disk, are left out."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Go on."""


def log_to(path: Path) -> None:
    """From now on the lines of this process go to files of bounded size, `path` the newest."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = _Lines(path, maxBytes=LOG_BYTES_MAX, backupCount=LOG_FILES_MAX - 1, delay=True)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name in (SHARD, RELAY):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


class Tags:
    """Whose the latest commits of a partition were. Its thread writes, any thread may read."""

    def __init__(self) -> None:
        """Nobody's."""
        self._of: dict[int, str] = {}
        self._through = 0
        self._committing = threading.Lock()

    @contextmanager
    def committing(self) -> Iterator[None]:
        """The block commits and notes; who asks of a commit that is not noted waits for it."""
        with self._committing:
            yield

    def note(self, commit: int, tag: str) -> None:
        """Commits up to this one are noted; `tag` is whose it was, "" for nobody's."""
        self._through = max(self._through, commit)
        if tag:
            self._of[commit] = joined_tags((self._of.get(commit, ""), tag))
            while len(self._of) > COMMITS_MAX:
                del self._of[next(iter(self._of))]

    def of(self, commit: int) -> str:
        """The tag of a commit, "" where there is none or nobody knows."""
        if commit > self._through:
            with self._committing:
                pass
        return self._of.get(commit, "")
