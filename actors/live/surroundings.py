"""Say what lies in a data directory beside its engine's own: the control plane, further tenants.

service/         the control plane
tenants/ID/      the data directory of each further tenant

What runs there is copied by the service that runs it; what stands still from the folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from actors.live.data_dir import DataDir, is_data_dir
from actors.service import plane_backup
from actors.store.folder import FORMAT

if TYPE_CHECKING:
    from actors.live.backup import Source

PLANE = "service"
TENANTS = "tenants"


class Surroundings(Protocol):
    """What can be copied beside an engine."""

    def copy_plane(self, to: Path) -> dict[str, int]:
        """Copy the control plane into the new folder `to`; {} where there is none.

        Returns `commits` and `transactions` of the copy.
        """
        ...

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Each further tenant with what his data directory is copied from, one after the other."""
        ...


class StoppedSurroundings:
    """What lies beside an engine that stands still."""

    def __init__(self, folder: Path) -> None:
        """Copy from the data directory in `folder`."""
        self._folder = folder

    def copy_plane(self, to: Path) -> dict[str, int]:
        """Copy the control plane, if one was made."""
        folder = self._folder / PLANE
        if not (folder / FORMAT).exists():
            return {}
        head = plane_backup.copy(folder, to)
        return {"commits": head.journal_last, "transactions": head.transactions}

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Each further tenant's data directory, held while it is copied."""
        from actors.live.backup import Stopped

        for folder in tenant_folders(self._folder):
            if is_data_dir(folder):
                with DataDir.open(folder) as data:
                    yield folder.name, Stopped(data)


def tenant_folders(folder: Path) -> list[Path]:
    """The folders of further tenants in a data directory or a backup."""
    return sorted(path for path in (folder / TENANTS).glob("[!.]*") if path.is_dir())
