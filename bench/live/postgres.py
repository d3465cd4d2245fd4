"""Start a PostgreSQL server of our own, durable and on a local socket, for the rivals that use one.

PostgreSQL refuses to run as root; there it runs as the user `postgres`, else `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp

from bench.live.contender import NotHereError

USERS = ("postgres", "nobody")
READY_S_MAX = 30
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "listen_addresses": "",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
}
"""What a careful administrator sets for such a load; nothing that lessens durability."""


class PostgresServer:
    """A server in a new temporary folder, which goes with it.

    NotHereError where PostgreSQL is not installed or no user may run it.
    """

    def __init__(self) -> None:
        for program in ("initdb", "postgres"):
            if shutil.which(program) is None:
                raise NotHereError(f"{program} is not installed")
        self._user = _user()
        # Not below the caller's folder, which the server's user may not be allowed to enter.
        self.folder = Path(mkdtemp(prefix="headrace-postgres-"))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def conninfo(self) -> str:
        """How libpq connects to the server's first database."""
        return f"host={self.folder} dbname=postgres user=bench"

    def close(self) -> None:
        """Stop the server and delete its folder."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self.folder)

    def _start(self) -> None:
        data = self.folder / "data"
        made = subprocess.run(
            ["initdb", "-D", data, "-U", "bench", "-A", "trust", "--locale=C", "-E", "UTF8"],
            user=self._user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise NotHereError(f"initdb failed: {made.stderr.strip().splitlines()[-1]}")
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["postgres", "-D", data, f"--unix_socket_directories={self.folder}", *settings],
                user=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        pid_file = data / "postmaster.pid"
        deadline = time.monotonic() + READY_S_MAX
        # The last line of the file says when connections are taken.
        while not (pid_file.exists() and pid_file.read_text().split()[-1:] == ["ready"]):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text().strip().splitlines()
                raise NotHereError(f"postgres did not start: {said[-1] if said else 'no reason'}")
            time.sleep(0.02)


def _user() -> str | None:
    """The user to run the server as, None for our own."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for user in USERS:
        if user in known:
            return user
    raise NotHereError("PostgreSQL does not run as root, and there is no user postgres or nobody")
