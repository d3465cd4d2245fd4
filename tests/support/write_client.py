"""Writes the methods of the HTTP client anew: `python tests/support/write_client.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import api.http_client  # noqa: E402
import client_text  # noqa: E402
from api.http.app import create_app  # noqa: E402
from http_service import served  # noqa: E402

PACKAGE = Path(api.http_client.__file__).parent


def written(document: Mapping[str, Any]) -> dict[str, str]:
    """The text of each file of the client that is written, by its path in the package."""
    texts = client_text.modules(document)
    found = {f"calls/{name}.py": text for name, text in texts.items()}
    found["client.py"] = client_text.client(texts)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in found.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        settings = ["--config", str(HERE.parents[1] / "pyproject.toml")]
        run = [sys.executable, "-m", "ruff"]
        fixing = [*run, "check", "-q", "--fix", "--exit-zero", *settings, folder]
        subprocess.run(fixing, check=True, capture_output=True)
        subprocess.run([*run, "format", "-q", *settings, folder], check=True)
        return {name: (Path(folder) / name).read_text() for name in found}


def main() -> None:
    """Write them."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as service:
        document = create_app(service.service).openapi()
    calls = PACKAGE / "calls"
    for path in calls.glob("*.py"):
        path.unlink()
    (calls / "__init__.py").write_text(
        '"""Hold what is written of the API\'s document: a module for each heading."""\n'
    )
    for name, text in written(document).items():
        (PACKAGE / name).write_text(text)
        print(f"{name}: {text.count(chr(10)):,} lines")


if __name__ == "__main__":
    main()
