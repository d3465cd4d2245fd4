"""Keep the audiences that tenants import: their files, what became of them, who they hold.

An audience is a folder below `audiences/` of the tenant's, made whole by an import job; the folder
is the only record of it. Files to import lie in `audiences/.files/<audience>` until one succeeded.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from actors.audience import read_schema
from actors.importer import mapping as mappings
from actors.service import jobs
from actors.service.errors import ConflictError, InvalidError, NotFoundError
from actors.service.jobs import LIVE
from actors.service.transactions import ReadTxn
from actors.store.errors import NoSpaceError, TooLargeError
from core.audience import AudienceSchema
from core.violations import pointer

NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,63}$"
FILE_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
FOLDER, FILES, REJECTS = "audiences", ".files", "rejects.csv"
FILE_BYTES_MAX = 4 << 30
TENANT_BYTES_MAX = 16 << 30  # files that wait to be imported
SPARE_BYTES = 1 << 30  # of the disk, that no upload may take

_NAME, _FILE = (re.compile(p.removesuffix("$") + r"\Z") for p in (NAME_PATTERN, FILE_PATTERN))


class Audiences:
    """The audiences of all tenants. Any thread may use it."""

    def __init__(self, folder_of: Callable[[str], Path]) -> None:
        """Look after what is below the folder of each tenant, which `folder_of` tells."""
        self._folder_of = folder_of

    def names(self, tenant: str) -> list[str]:
        """The audiences of a tenant, in order."""
        home = self._home(tenant)
        if not home.is_dir():
            return []
        return sorted(p.name for p in home.iterdir() if _NAME.match(p.name) and p.is_dir())

    def find(self, tenant: str, name: str) -> Path:
        """The folder of an audience. Raises NotFoundError."""
        if name != LIVE and _NAME.match(name):
            folder = self._home(tenant) / name
            if (folder / "schema.json").is_file():
                return folder
        raise NotFoundError(
            "there is no such audience", advice="List the audiences that there are, or use 'live'"
        )

    def schema(self, tenant: str, name: str) -> AudienceSchema:
        """What an audience holds. Raises NotFoundError, HeadraceError for a damaged folder."""
        return read_schema(self.find(tenant, name))

    def target(self, tenant: str, name: str) -> Path:
        """Where an import is to make an audience. Raises InvalidError, ConflictError."""
        if name == LIVE:
            raise ConflictError(
                f"the audience '{LIVE}' is the tenant's own journal, which nobody imports",
                advice="Choose another name, or send events",
            )
        if not _NAME.match(name):
            raise InvalidError(
                f"{name[:80]!r} is no name for an audience",
                advice="Use a-z, 0-9, _ and -, at most 64 of them",
                pointer="audience",
            )
        return self._home(tenant) / name

    def rejects(
        self, tenant: str, name: str, after: int = 0, limit: int = 100
    ) -> list[dict[str, str]]:
        """Rows that the import refused, from the one after number `after`. Raises NotFoundError.

        Each has `file`, `row`, `line`, `column`, `value` and `reason`.
        """
        file = self.find(tenant, name) / REJECTS
        if not file.is_file():
            return []
        with file.open(encoding="utf-8", newline="") as opened:
            return list(islice(csv.DictReader(opened), after, after + limit))

    # Files to import

    def files(self, tenant: str, name: str) -> dict[str, int]:
        """The files that wait to be imported into an audience, and their bytes."""
        folder = self.files_folder(tenant, name)
        if not folder.is_dir():
            return {}
        found = sorted(p for p in folder.iterdir() if _FILE.match(p.name))
        return {p.name: p.stat().st_size for p in found}

    def files_folder(self, tenant: str, name: str) -> Path:
        """Where these files are. Raises InvalidError for a wrong name."""
        return self._home(tenant) / FILES / self.target(tenant, name).name

    @contextmanager
    def receiving(self, tenant: str, name: str, file: str) -> Iterator[Received]:
        """Within the block, take the bytes of a file; it is there when the block ended well.

        Raises InvalidError for a wrong name.
        """
        if not _FILE.match(file):
            raise InvalidError(
                f"{file[:80]!r} is no name for a file",
                advice="Use letters, digits, '.', '_' and '-', and no dot at the beginning",
                pointer="file",
            )
        folder = self.files_folder(tenant, name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = folder / f".{file}.{os.urandom(6).hex()}"
        try:
            with part.open("xb") as opened:
                yield Received(opened, TENANT_BYTES_MAX - self._waiting_bytes(tenant))
            part.replace(folder / file)
        finally:
            part.unlink(missing_ok=True)

    def drop_files(self, tenant: str, name: str) -> None:
        """Remove the files that wait."""
        shutil.rmtree(self.files_folder(tenant, name), ignore_errors=True)

    def check_mapping(self, tenant: str, name: str, mapping: Mapping[str, Any]) -> None:
        """Raise InvalidError unless a mapping can be read and names files that wait, alone."""
        try:
            found = mappings.Mapping.model_validate(mapping)
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidError(
                f"the mapping is wrong: {first['msg']}",
                advice="docs/importing.md tells what a mapping is made of",
                pointer=pointer(("mapping", *first["loc"])),
            ) from None
        files = self.files(tenant, name)
        sources: dict[str, Sequence[mappings.Source]] = {
            "customers": found.customers,
            "events": found.events,
            "changes": found.changes,
        }
        for role, listed in sources.items():
            for number, source in enumerate(listed):
                # A name with a slash is none of them: what is read lies in their folder alone.
                if source.file not in files:
                    raise InvalidError(
                        f"the mapping names the file {source.file[:200]!r}, which was not sent",
                        advice=f"Send it first; sent were {', '.join(files) or 'none'}",
                        pointer=pointer(("mapping", role, number, "file")),
                    )

    # Ends

    def delete(self, txn: ReadTxn, tenant: str, name: str) -> None:
        """Remove an audience and its files, within a write of the tenant's rows.

        Raises NotFoundError; ConflictError while a job uses it.
        """
        folder = self.find(tenant, name)
        using = [job for job in jobs.every(txn) if job.open and job.audience == name]
        if using:
            raise ConflictError(
                f"{len(using):,} runs use the audience, the first is {using[-1].id}",
                advice="Wait until they have ended, or cancel them",
            )
        gone = folder.with_name(f".{name}.gone.{os.urandom(6).hex()}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        self.drop_files(tenant, name)

    def tidy(self, tenant: str, name: str) -> None:
        """Remove what an import left that was killed; nobody imports into the audience now."""
        target = self.target(tenant, name)
        for left in target.parent.glob(f".{name}.*"):
            if (left / "was").is_dir() and not target.exists():
                (left / "was").rename(target)  # killed between taking it away and bringing the new
            shutil.rmtree(left, ignore_errors=True)

    def _home(self, tenant: str) -> Path:
        return self._folder_of(tenant) / FOLDER

    def _waiting_bytes(self, tenant: str) -> int:
        files = self._home(tenant) / FILES
        return sum(path.stat().st_size for path in files.glob("*/*") if path.is_file())


class Received:
    """A file that is arriving."""

    def __init__(self, opened: IO[bytes], room_bytes: int) -> None:
        """Write to an open file, and no more than there is room for."""
        self._opened = opened
        self._room_bytes = room_bytes
        self.size_bytes = 0

    def write(self, part: bytes) -> None:
        """Take the next bytes. Raises TooLargeError, NoSpaceError."""
        self.size_bytes += len(part)
        if self.size_bytes > FILE_BYTES_MAX:
            raise TooLargeError(
                f"the file has more than {FILE_BYTES_MAX:,} bytes",
                advice="Send it in several files, and name each in the mapping",
            )
        if self.size_bytes > self._room_bytes:
            raise TooLargeError(
                f"the files that wait to be imported have more than {TENANT_BYTES_MAX:,} bytes",
                advice="Import or delete what waits first",
            )
        if shutil.disk_usage(Path(self._opened.name).parent).free < SPARE_BYTES:
            raise NoSpaceError(
                "the disk is nearly full", advice="Make room for it, then send the file again"
            )
        self._opened.write(part)
