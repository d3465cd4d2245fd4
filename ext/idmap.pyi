"""Typed face of ext/idmap.pyx."""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

__all__ = ["NUMBERS_MAX", "RUN_MS", "FingerprintSet", "IdMap", "take_strings"]

NUMBERS_MAX: Final[int]
RUN_MS: Final[int]

def take_strings(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]: ...

@disjoint_base
class IdMap:
    def __len__(self) -> int: ...
    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]: ...
    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]: ...
    def keys(self) -> NDArray[np.uint64]: ...
    @staticmethod
    def of_keys(keys: NDArray[np.uint64]) -> IdMap: ...

@disjoint_base
class FingerprintSet:
    horizon_ms: int
    maximum: int
    def __new__(cls, horizon_ms: int, maximum: int) -> Self: ...
    def __len__(self) -> int: ...
    def unseen(self, prints: NDArray[np.uint64], ms: int) -> NDArray[np.bool_]: ...
    def add(self, prints: NDArray[np.uint64], ms: int) -> None: ...
    def admit(self, prints: NDArray[np.uint64], ms: int) -> NDArray[np.bool_]: ...
    def arrays(
        self,
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]: ...
    @staticmethod
    def of_arrays(
        prints: NDArray[np.uint64],
        run_ms: NDArray[np.int64],
        run_rows: NDArray[np.int64],
        horizon_ms: int,
        maximum: int,
    ) -> FingerprintSet: ...
