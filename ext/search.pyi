"""Typed face of ext/search.pyx."""

from typing import Any

from numpy.typing import NDArray

from core.couplings import Claims, Grants
from ext.machine import Machine

__all__ = ["SearchMachine"]

class SearchMachine(Machine):
    def answer(self, grants: Grants) -> None: ...
    def search(self, rows: NDArray[Any]) -> bool: ...
    def take_claims(self) -> Claims: ...
