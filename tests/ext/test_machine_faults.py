"""Shows that comparing the interpreters on random cases finds each of several planted faults."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import planted_faults
from planted_faults import CASES, CHECKOUT, FAULTS, Fault, build, planted


@pytest.mark.slow
def test_each_planted_fault_is_found(tmp_path: Path) -> None:
    build(tmp_path)
    folders = (tmp_path, CHECKOUT / "tests" / "support", CHECKOUT)
    ran = subprocess.run(
        [sys.executable, str(planted_faults.__file__)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    print(found)
    assert found.pop("") is None, "the true build differs"
    missed = [name for name, cases in found.items() if cases is None]
    assert missed == [], f"not found in {CASES} cases"
    assert len(found) == len(FAULTS)


def test_a_fault_needs_one_place() -> None:
    fault = Fault("a fault", "x.pxd", "\n    a = 1\n    b = 2\n", "c = 3")
    text = "def f():\n    a = 1\n    b = 2\n    return a\n"
    assert planted(text, fault, 7) == (
        "def f():\n    if headrace_fault == 7:\n        c = 3\n    else:\n        a = 1\n"
        "        b = 2\n    return a\n"
    )
    for other in ("", text + text, text.replace("b = 2", "b = 3")):
        with pytest.raises(ValueError, match="places for the fault: a fault"):
            planted(other, fault, 7)
