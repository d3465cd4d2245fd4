"""Run followers of a data directory in a process of their own, and ask them.

That process is niced and only reads what the engine writes, so no answer holds anybody up. It is
started by the first question, lives on while questions come, and saves where it is when it ends.
Both sides talk over pipes: a length, u32, and a msgpack map.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

import msgpack

from actors.live.control import TenantSettings
from actors.live.data_dir import partition_path, read_manifest
from actors.live.errors import DownError, RefusedError
from actors.live.flow_answers import FlowAnswers
from actors.live.follower import follow
from actors.live.shared_store import SharedStore
from core.errors import HeadraceError

FOLDER = "reports"
NICE = 10
IDLE_S = 600.0
POLL_S = 1.0
ANSWER_S = 120.0
CLOSE_S = 30.0
_LENGTH = struct.Struct("<I")


class Following:
    """Asks the followers of one data directory. Any thread may; questions take turns."""

    def __init__(self, folder: Path) -> None:
        """Nothing is started yet; `folder` is the data directory's."""
        self._folder = folder
        self._asking = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: str, **said: Any) -> dict[str, Any]:
        """The answer to a question of `actors.live.flow_answers`.

        Raises what it raises as RefusedError, and DownError where no answer came.
        """
        with self._asking:
            try:
                answer = self._answer(question, said)
            except TimeoutError as error:
                raise _silent() from error
            except (OSError, EOFError):
                # It ended just then, because nobody had asked for so long, or it was killed.
                answer = self._answer_at_last(question, said)
        if "error" in answer:
            kind = RefusedError if answer["refused"] else DownError
            raise kind(answer["error"], advice=answer["advice"])
        return answer

    def _answer_at_last(self, question: str, said: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._answer(question, said)
        except (OSError, EOFError, TimeoutError) as error:
            raise _silent() from error

    def _answer(self, question: str, said: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        try:
            _put(process.stdin, {"question": question, "said": said})
            return _get(process.stdout, ANSWER_S)
        except (OSError, EOFError, TimeoutError):
            self._end(process)
            self._process = None
            raise

    def rest(self) -> None:
        """End the process until the next question. Again does nothing."""
        with self._asking:
            process, self._process = self._process, None
            if process is not None:
                self._end(process, CLOSE_S)

    @staticmethod
    def _end(process: subprocess.Popen[bytes], within_s: float = 0.0) -> None:
        """End a process: it does so by itself once nobody can ask, if it is given the time."""
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end(self._process)
            self._process = None
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "actors.live.following", os.fspath(self._folder)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C at a terminal is for the engine: this one ends when its pipe does.
                start_new_session=True,
            )
        return self._process


def _silent() -> DownError:
    return DownError("the reports of live flows do not answer", advice="Ask again in a moment")


def _put(pipe: BinaryIO | Any, said: dict[str, Any]) -> None:
    data = msgpack.packb(said)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _get(pipe: BinaryIO | Any, within_s: float) -> dict[str, Any]:
    """The next map. EOFError where the other side ended, TimeoutError."""
    until_s = time.monotonic() + within_s
    length = _LENGTH.unpack(_read(pipe.fileno(), _LENGTH.size, until_s))[0]
    found: dict[str, Any] = msgpack.unpackb(_read(pipe.fileno(), length, until_s))
    return found


def _read(number: int, size: int, until_s: float) -> bytes:
    found = bytearray()
    while len(found) < size:
        ready, _, _ = select.select([number], [], [], max(0.0, until_s - time.monotonic()))
        if not ready:
            raise TimeoutError
        piece = os.read(number, min(size - len(found), 1 << 20))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)


def answer_questions(folder: Path, asked: BinaryIO | Any, answers: BinaryIO | Any) -> None:
    """Follow the data directory in `folder` and answer until nobody asks any more."""
    manifest = read_manifest(folder)
    settings = TenantSettings.of(manifest)
    followers = []
    for number in range(manifest.partitions):
        source = SharedStore.open(partition_path(folder, number))
        own = folder / FOLDER / f"{number:03}"
        followers.append(follow(source, own, settings, manifest.instance))
    found = FlowAnswers(followers)
    idle_until_s = time.monotonic() + IDLE_S
    behind = 1
    while time.monotonic() < idle_until_s:
        ready, _, _ = select.select([asked.fileno()], [], [], 0.0 if behind else POLL_S)
        if not ready:
            behind = found.catch_up(POLL_S)
            continue
        try:
            question = _get(asked, ANSWER_S)
        except EOFError:
            break
        try:
            answer = found.ask(question["question"], question["said"])
        except HeadraceError as error:
            refused = isinstance(error, RefusedError)
            answer = {"error": error.message, "advice": error.advice, "refused": refused}
        _put(answers, answer)
        idle_until_s = time.monotonic() + IDLE_S
    for follower in followers:
        follower.save()
        follower.close()


def main(arguments: list[str]) -> None:
    """The process."""
    os.nice(NICE)
    try:
        answer_questions(Path(arguments[0]), sys.stdin.buffer, sys.stdout.buffer)
    except (HeadraceError, BrokenPipeError) as error:
        sys.exit(f"headrace reports: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
