"""Start an engine on a data directory: make it if need be, and host its partitions.

Inline, all shards are threads of this process. Else they are actors of Ray, which is started on
this machine or joined by its address. Either way the folders alone are what is true.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from actors.live.basis import engine_version
from actors.live.control import ControlLog, TenantSettings
from actors.live.data_dir import DataDir, Manifest, is_data_dir
from actors.live.engine import Engine
from actors.live.errors import RefusedError
from actors.live.handles import InlineHandle, ShardHandle, close_all
from actors.live.opening import OpenerFactory, patiently
from actors.live.shard import Shard, ShardOptions
from actors.live.watermarks import machine_memory_bytes
from core.options import DEFAULT_SALT

SHARDS_MAX = 256


@dataclass(frozen=True, slots=True)
class Making:
    """What a new data directory is made with; what is stated must agree with one that is there.

    None stands for: not stated.
    """

    tenant: str | None = None
    partitions: int | None = None
    salt: str | None = None
    zone: str | None = None
    sandbox: bool | None = None

    def manifest(self, folder: Path) -> Manifest:
        """The manifest of a new one in `folder`: a partition for each core unless stated."""
        return Manifest(
            tenant=self.tenant or folder.absolute().name or "tenant",
            partitions=self.partitions or cores(),
            salt=DEFAULT_SALT if self.salt is None else self.salt,
            zone=self.zone or "UTC",
            engine=engine_version(),
            sandbox=bool(self.sandbox),
        )

    def check(self, found: Manifest, file: Path) -> None:
        """Raise RefusedError where what was stated differs from what a data directory has."""
        for name in ("tenant", "partitions", "salt", "zone", "sandbox"):
            wanted, has = getattr(self, name), getattr(found, name)
            if wanted is not None and wanted != has:
                raise RefusedError(
                    f"the data directory has {name} {has!r}, not {wanted!r}",
                    advice="It is fixed when a data directory is made: leave the option out",
                    file=str(file),
                )


@dataclass(frozen=True, slots=True)
class Hosting:
    """How partitions are hosted: in how many shards (0: one for each core), and where.

    `relays` says whether messages are sent; else they wait in the outbox. Links in them lead over
    `public_url`, where a tenant has no address of its own.
    """

    inline: bool = False
    shards: int = 0
    address: str | None = None
    relays: bool = True
    options: ShardOptions = field(default_factory=ShardOptions)
    public_url: str = ""


def start_engine(
    folder: str | os.PathLike[str],
    making: Making | None = None,
    hosting: Hosting | None = None,
    *,
    factory: Callable[[DataDir], OpenerFactory] | None = None,
) -> Engine:
    """The engine of the data directory in `folder`, which is made if it is absent or empty.

    `factory` opens partitions otherwise than with flows; for tests. Raises HeadraceError: what is
    stated differs from what is there, the folder is in use, of another version, without a right or
    without room, or Ray does not start.
    """
    making, hosting = making or Making(), hosting or Hosting()
    path = Path(folder)
    with ExitStack() as stack:
        if is_data_dir(path):
            data = DataDir.open(path)
            stack.callback(data.close)
            making.check(data.manifest, data.path)
        else:
            data = DataDir.create(path, making.manifest(path))
            stack.callback(data.close)
        control = patiently(lambda takeover: ControlLog.open(data.control, takeover=takeover))
        stack.callback(control.close)
        opening = factory(data) if factory else _households(data, hosting)
        groups = grouped(data.manifest.partitions, hosting.shards or cores())
        handles, closing = _hosted(data, groups, opening, hosting)
        stack.callback(closing)
        engine = Engine(data, control, handles, closing=closing, driven=hosting.options.driven)
        stack.pop_all()
    return engine


def grouped(partitions: int, shards: int) -> list[tuple[int, ...]]:
    """Partitions in so many groups of neighbours, as equal as can be; none is empty."""
    if not 1 <= shards <= SHARDS_MAX:
        raise RefusedError(f"{shards} shards: expected 1 to {SHARDS_MAX}")
    count = min(shards, partitions)
    bounds = [partitions * i // count for i in range(count + 1)]
    return [tuple(range(a, b)) for a, b in pairwise(bounds)]


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _households(data: DataDir, hosting: Hosting) -> OpenerFactory:
    from actors.live.household import HouseholdFactory

    settings = TenantSettings.of(data.manifest)
    return HouseholdFactory(data.path, settings, hosting.relays, hosting.public_url)


def _hosted(
    data: DataDir, groups: Sequence[tuple[int, ...]], opening: OpenerFactory, hosting: Hosting
) -> tuple[list[ShardHandle], Callable[[], None]]:
    if hosting.inline:
        shards: list[ShardHandle] = [
            InlineHandle(Shard(data.path, numbers, opening(), hosting.options))
            for numbers in groups
        ]
        return shards, lambda: close_all(shards)
    from actors.live.ray_shard import RayShards

    options = hosting.options
    if not options.marks.memory_bytes:
        # The shards share what one process would have.
        share = machine_memory_bytes() * 4 // 5 // len(groups)
        options = replace(options, marks=replace(options.marks, memory_bytes=share))
    instance = data.manifest.instance
    started = RayShards.start(
        data.path, instance, groups, opening, options, address=hosting.address
    )
    return [*started.handles], started.close
