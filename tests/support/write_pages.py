"""Writes the pages that are generated, or tells which are out of date; `make docs` runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from core.catalogue.page import catalogue_tables
from features_page import features_page

DOCS = Path(__file__).parents[2] / "docs"
MARK = "## All of them\n\n"


def catalogue_page() -> str:
    """docs/catalogue.md: what somebody wrote, then the tables."""
    head, mark, _ = (DOCS / "catalogue.md").read_text(encoding="utf-8").partition(MARK)
    return head + mark + catalogue_tables()


PAGES: dict[str, Callable[[], str]] = {
    "catalogue.md": catalogue_page,
    "features.md": features_page,
}


def outdated() -> list[str]:
    """The pages that differ from what they would be."""
    return [name for name, made in PAGES.items() if _held(name) != made()]


def _held(name: str) -> str:
    path = DOCS / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    for name in outdated():
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        sys.stdout.write(f"docs/{name} is written anew\n")
