"""Checks that the README's tour runs as it stands, and that what it tells is what comes out."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.document import read_responses
from house import CHECKOUT
from serving import serving

README = (CHECKOUT / "README.md").read_text()
TOUR = README.split("\n## Five minutes with your own CSV\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each `headrace` command of the tour printed, in a folder with the tour's files."""
    folder = tmp_path_factory.mktemp("tour")
    shutil.copytree(CHECKOUT / "examples/tour", folder / "examples/tour")
    printed = {}
    for block in re.findall(r"^```sh\n(.*?)^```$", TOUR, re.DOTALL | re.MULTILINE):
        command = block.replace("\\\n", " ").split()
        assert command[0] == "headrace"
        done = subprocess.run(
            [sys.executable, "-m", "api.main", *command[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed[" ".join(command)] = done.stdout
    assert (folder / "report.html").stat().st_size > 10_000
    return printed


def test_the_tour_runs(outputs: dict[str, str]) -> None:
    assert [command.split()[1] for command in outputs] == [
        "import", "check", "simulate", "simulate", "simulate",
    ]  # fmt: skip


def test_the_tour_tells_what_comes_out(outputs: dict[str, str]) -> None:
    plain = next(text for command, text in outputs.items() if "--html" in command)
    people, test, messages = re.search(  # type: ignore[union-attr]
        r"(\d+) of the 200 customers would have entered, (\d+) of them .*?(\d+) messages",
        TOUR,
        re.DOTALL,
    ).groups()
    assert re.search(rf"^ +{people} +people entered, of 200 customers", plain, re.MULTILINE)
    assert re.search(rf"^ +{messages} +messages", plain, re.MULTILINE)
    assert re.search(rf"^ *subject +.*\n.* {test} people", plain, re.MULTILINE)


def test_the_tour_shows_its_mapping() -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", TOUR, re.DOTALL | re.MULTILINE)
    mapping = (CHECKOUT / "examples/tour/mapping.yaml").read_text()
    assert mapping.endswith(shown)


def test_the_first_steps_live_print_what_is_told(tmp_path: Path) -> None:
    live = README.split("\n## Live: the same flow for real customers\n")[1].split("\n## ")[0]
    (told,) = re.findall(r"^```text\n(.*?)^```$", live, re.DOTALL | re.MULTILINE)
    with serving(tmp_path / "my-data", "--inline"):
        done = subprocess.run(
            [sys.executable, "examples/live/first_steps.py", str(tmp_path / "my-data")],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert done.stdout == told


def test_one_customers_story_is_told(outputs: dict[str, str]) -> None:
    traced = next(text for command, text in outputs.items() if "--trace" in command)
    assert "1085" in traced
    assert "1001" in traced


def test_the_documented_responses_are_valid() -> None:
    text = (CHECKOUT / "docs/responses.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    responses, violations = read_responses(block, name="responses.yaml")
    assert violations == []
    assert responses is not None
    assert len(responses.outcomes) == 5


def test_the_tours_files_are_the_readmes() -> None:
    files = {path.name for path in Path(CHECKOUT / "examples/tour").iterdir()}
    assert files == {"customers.csv", "events.csv", "mapping.yaml", "flow.yaml", "responses.yaml"}
