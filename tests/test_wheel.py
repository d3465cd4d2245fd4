"""Checks what an installed wheel holds; `make dist` runs this, in the wheel's environment."""

from importlib.metadata import distribution
from pathlib import PurePosixPath

import pytest

pytestmark = pytest.mark.wheel
PACKAGES = {"core", "ext", "actors", "api"}


@pytest.fixture(scope="module")
def files() -> list[PurePosixPath]:
    """Every file that the wheel installed, but for byte code."""
    installed = distribution("headrace").files
    assert installed
    return [PurePosixPath(file) for file in installed if file.suffix != ".pyc"]


def test_it_installs_the_four_packages_their_metadata_and_one_command(
    files: list[PurePosixPath],
) -> None:
    inside = [file for file in files if ".." not in file.parts]
    assert {file.parts[0] for file in inside} == PACKAGES | {"headrace-0.1.0.dist-info"}
    assert [file.name for file in files if ".." in file.parts] == ["headrace"]


def test_generated_c_and_cython_sources_stay_out(files: list[PurePosixPath]) -> None:
    assert {file.suffix for file in files} <= {
        *{".py", ".pyi", ".pxd", ".so", ".typed"},
        *{".json", ".html", ".css", ".js", ".yaml"},
        *{".txt", ""},
    }


def test_the_library_of_templates_is_installed(files: list[PurePosixPath]) -> None:
    templates = {file.stem for file in files if file.suffix == ".yaml"}
    assert {"blank", "welcome", "abandoned-cart"} <= templates
    assert len(templates) >= 16
    assert {file.parent for file in files if file.suffix == ".yaml"} == {
        PurePosixPath("api/templates")
    }


def test_every_package_is_typed(files: list[PurePosixPath]) -> None:
    assert {file.parts[0] for file in files if file.name == "py.typed"} == PACKAGES


def test_every_extension_comes_with_its_stub_and_its_declarations(
    files: list[PurePosixPath],
) -> None:
    def modules(suffix: str) -> set[str]:
        names = {file.name.split(".")[0] for file in files if file.suffix == suffix}
        return names - {"__init__"}

    assert modules(".so")
    assert modules(".so") == modules(".pyi")
    assert modules(".so") <= modules(".pxd")


def test_license_and_notice_are_installed(files: list[PurePosixPath]) -> None:
    licenses = {file.name for file in files if "licenses" in file.parts}
    assert licenses == {"LICENSE", "NOTICE"}
