"""Sets up imports of small files in a folder of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from importing import Imported, Run, import_files


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(mapping, {name: content})` imports the files and returns what came of it."""

    def do(mapping: dict[str, Any], files: dict[str, str | bytes], **options: Any) -> Imported:
        return import_files(tmp_path, mapping, files, **options)

    return do
