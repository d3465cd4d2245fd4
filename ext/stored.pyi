"""Typed face of ext/stored.pyx."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from numpy.typing import NDArray
from typing_extensions import disjoint_base

from core.binding import Bound
from ext.machine import Machine

__all__ = ["SNAPSHOT_BLOCK", "StoredMachine"]

SNAPSHOT_BLOCK: int
COUNTED: tuple[str, ...]

@disjoint_base
class StoredMachine(Machine):
    def __new__(cls, bound: Bound, block_max: int, lanes: int = ..., log: bool = ...) -> Self: ...
    @property
    def customers(self) -> int: ...
    def reserve(self, customers: int) -> None: ...
    def join(
        self,
        id_hash: NDArray[Any],
        created_ms: NDArray[Any],
        zones: NDArray[Any],
        columns: Sequence[NDArray[Any]],
    ) -> None: ...
    def begin_snapshot(self) -> list[int]: ...
    def take_block(self, b: int) -> NDArray[Any]: ...
    def give_up_snapshot(self) -> None: ...
    def mark_all(self) -> None: ...
    def rest(self) -> tuple[dict[str, NDArray[Any]], dict[str, int]]: ...
    def load_state(
        self, blocks: Iterable[Any], arrays: Mapping[str, Any], numbers: Mapping[str, int]
    ) -> None: ...
