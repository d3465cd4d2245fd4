"""Keep claims answered: open the coordinator when a coupled flow is there, and let it step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from actors.live.control import ControlLog, TenantSettings
from actors.live.coordinator import CoupledVersions, LiveCoordinator, Read
from actors.live.opening import patiently
from actors.store.head import Head
from core.errors import HeadraceError

STEP_S = 0.02
IDLE_S = 1.0  # where no flow is coupled, and after a failure
TEND_S = 60.0


class Coordinating:
    """The coordinator of an engine, opened when it is first needed, and its thread."""

    def __init__(
        self,
        folder: Path,
        settings: TenantSettings,
        control: ControlLog,
        read: Read,
        clock: Callable[[], int],
    ) -> None:
        """`folder` is the coordinator's own; `read` calls a method of a partition.

        `clock` tells the time, milliseconds UTC.
        """
        self.problem = ""  # why claims wait, "" where they do not
        self._folder = folder
        self._partitions = settings.partitions
        self._read = read
        self._clock = clock
        self._versions = CoupledVersions(control, settings)
        self._stepping = threading.Lock()
        self._coordinator: LiveCoordinator | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to step by itself."""
        self._thread = threading.Thread(target=self._run, name="coordinator", daemon=True)
        self._thread.start()

    def step(self) -> int:
        """Answer what was claimed since the last time; returns how many claims were."""
        with self._stepping:
            coordinator = self._opened()
            return 0 if coordinator is None else coordinator.step(self._read, self._clock())

    def backup(self, to: Path) -> Head | None:
        """Copy the store into the new folder `to`; the counters of the copy, None without one."""
        with self._stepping:
            coordinator = self._opened()
            return None if coordinator is None else coordinator.backup(to)

    def stop(self) -> None:
        """Take no further step; no partition is called then any more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Stop, and close the store. Closing again does nothing."""
        self.stop()
        if self._coordinator is not None:
            self._coordinator.close()

    def _opened(self) -> LiveCoordinator | None:
        """The coordinator, None where no flow is coupled."""
        if self._coordinator is None and self._versions.follow():
            self._coordinator = patiently(
                lambda takeover: LiveCoordinator.open(
                    self._folder, self._partitions, self._versions, takeover=takeover
                )
            )
        return self._coordinator

    def _tend(self) -> None:
        with self._stepping:
            if self._coordinator is not None:
                self._coordinator.tend()

    def _run(self) -> None:
        next_tend_s = time.monotonic() + TEND_S
        while not self._stopped.wait(STEP_S if self._coordinator else IDLE_S):
            try:
                self.step()
                if time.monotonic() >= next_tend_s:
                    next_tend_s = time.monotonic() + TEND_S
                    self._tend()
            except HeadraceError as error:
                self.problem = str(error)
                self._stopped.wait(IDLE_S)
            else:
                self.problem = ""
