"""Sets up Hypothesis for all tests, and finds the public data sets.

Modules in `tests/support/` can be imported by any test by their bare name.
"""

import os
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
