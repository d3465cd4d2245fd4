"""Let a dry run have a live tenant's own journal as its audience, without disturbing the engine.

The data directory is never opened beside an engine: a running one is asked for a copy, without
personal values, and the journals are read from that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from actors.live.backup_manifest import held
from actors.live.control import ControlLog, TenantSettings
from actors.live.data_dir import Manifest, partition_path
from actors.live.doctor import in_use
from actors.live.export import export_journals
from actors.live.reading import reading
from actors.store.folder import os_errors
from api.backups import copy
from api.progress import Report as Progress
from core.segments import Segments
from core.tenant_schema import TenantSchema

PREFIX = ".simulate-"


@dataclass(frozen=True, slots=True)
class Found:
    """An audience folder, and of a tenant's journal whose it is and what his flows run with.

    That is the salt of assignments, the rate of entries of flows that state none, and the
    segments that flows name, None where none were set.
    """

    folder: Path
    name: str = ""
    salt: str | None = None
    entry_rate: int | None = None
    segments: Segments | None = None


@contextmanager
def audience_of(
    audience: Path | None, tenant_data: Path | None, progress: Progress
) -> Iterator[Found]:
    """Within the block, the audience folder that was named, or one made of a tenant's journal.

    One of the two is named. Raises HeadraceError.
    """
    if tenant_data is not None:
        with _exported(tenant_data, progress) as found:
            yield found
    else:
        assert audience is not None
        yield Found(audience)


@contextmanager
def _exported(data_dir: Path, progress: Progress) -> Iterator[Found]:
    """Within the block, the journal of a data directory or a backup as an audience.

    What is written for it lies in the data directory, and is removed. Raises HeadraceError.
    """
    with os_errors(data_dir):
        made = tempfile.mkdtemp(prefix=PREFIX, dir=data_dir if data_dir.is_dir() else None)
    work = Path(made)
    try:
        source = data_dir
        if in_use(data_dir) is not None:
            source = work / "copy"
            copy(data_dir, source, people=False, progress=progress)
        with held(source) as manifest:
            _export(source, manifest, work / "audience", progress)
            with reading(source / "control") as store:
                standing = ControlLog(store).standing
            schema = TenantSchema.of(standing.schema)
            segments = Segments.model_validate(standing.segments) if standing.segments else None
        yield Found(work / "audience", manifest.tenant, manifest.salt, schema.entry_rate, segments)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _export(source: Path, manifest: Manifest, to: Path, progress: Progress) -> None:
    folders = [partition_path(source, number) for number in range(manifest.partitions)]
    with ExitStack() as stack:
        stores = [stack.enter_context(reading(folder)) for folder in folders if folder.is_dir()]
        export_journals(stores, TenantSettings.of(manifest), to, progress=progress)
