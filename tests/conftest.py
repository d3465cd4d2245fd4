"""Sets up Hypothesis and temporary folders for all tests, and finds the public data sets.

Modules in `tests/support/` can be imported by any test by their bare name.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import ext

# Derandomized, so that the same commit gives the same verdict everywhere; the soak explores.
settings.register_profile("default", derandomize=True, deadline=None, database=None)
settings.register_profile(
    "soak", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")

CHECKOUT = Path(__file__).resolve().parents[1]
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 6 << 30


def memory_free() -> int:
    """Bytes that files in memory may take, 0 where the system has no such files."""
    try:
        known = Path("/proc/meminfo").read_text().split()
        found = os.statvfs(MEMORY)
    except OSError:
        return 0
    free = found.f_bavail * found.f_frsize
    # An engine whose disk is nearly full takes no rows.
    roomy = found.f_bavail > found.f_blocks // 2
    return min(free, int(known[known.index("MemAvailable:") + 1]) << 10) if roomy else 0


# Most of what live tests wait for is a disk that is forced to store their files.
if "TMPDIR" not in os.environ and memory_free() >= MEMORY_BYTES_MIN:
    tempfile.tempdir = str(MEMORY)


def pytest_report_header() -> str:
    """Says which build is tested: the checkout's, one with assertions, or an installed wheel."""
    return f"ext: {Path(ext.__file__).parent}"


def find_data(name: str, checkout: Path = CHECKOUT) -> Path:
    """Returns the folder of the public data set `name`, or skips the test when there are no data.

    They are in the folder HEADRACE_DATA, or else in ../shared/data beside the checkout. Data that
    are there but incomplete or unreadable fail the test: a skip would hide a mistake.
    """
    chosen = os.environ.get("HEADRACE_DATA")
    root = Path(chosen) if chosen else checkout.parent / "shared" / "data"
    if not root.exists() and not chosen:
        pytest.skip(f"no public data sets: set HEADRACE_DATA to their folder ({root} is absent)")
    if not root.is_dir():
        pytest.fail(f"HEADRACE_DATA is {root}, which is not a folder")
    folder = root / name
    if not folder.is_dir() or not any(folder.iterdir()):
        pytest.fail(f"{root} has no data set {name!r}: {folder} is absent or empty")
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Callable[..., Path]:
    """`data_dir("cdnow")` is the folder of that public data set; see `find_data`."""
    return find_data
