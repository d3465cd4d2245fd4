"""Opens a control plane in memory, where the system has a folder there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.service.plane import Plane
from store_work import in_memory


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for what a test stores."""
    with in_memory(tmp_path) as place:
        yield place


@pytest.fixture
def plane(folder: Path) -> Iterator[Plane]:
    """An open plane; a test may close it."""
    with Plane.open(folder / "plane", map_bytes=1 << 20) as opened:
        yield opened
