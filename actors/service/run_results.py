"""Take people out of the results of dry runs: their stories, and their ids in what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.store.side_file import write_synced
from core.hashing import hash_customer

IsGone = Callable[[int], bool]
"""Whether the customer with this hash of the id is to be taken out."""

STORIES = "stories"
ORDER = "order.json"
ERASED = "(erased)"  # stands where a run was asked to tell of somebody
PAGES = {"report.json": "report.html", "second.json": "second.html"}


def run_folders(runs: Path) -> list[Path]:
    """The folders of runs, in order."""
    return sorted(path for path in runs.glob("*") if path.is_dir())


def without_people(folder: Path, is_gone: IsGone) -> bool:
    """Take people out of the results of a run; returns whether anybody was there. Raises OSError.

    What nobody can read is removed: nobody can tell what is in it.
    """
    changed = False
    for name in ("stories.json", *PAGES, ORDER):
        path = folder / name
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_bytes())
        except ValueError:
            path.unlink()
            continue
        left = _left(found, is_gone)
        if left != found:
            write_synced(path, json.dumps(left).encode())
            changed = True
            if name in PAGES:
                (folder / PAGES[name]).unlink(missing_ok=True)  # which shows the same stories
    return changed


def without_ids(asked: dict[str, Any], is_gone: IsGone) -> dict[str, Any]:
    """What a run was asked for, without ids in `trace`, at any depth."""
    found: dict[str, Any] = {}
    for name, value in asked.items():
        if name == "trace" and isinstance(value, list):
            found[name] = [ERASED if _is_theirs(each, is_gone) else each for each in value]
        elif isinstance(value, dict):
            found[name] = without_ids(value, is_gone)
        else:
            found[name] = value
    return found


def _left(found: Any, is_gone: IsGone) -> Any:
    if isinstance(found, list):
        return [each for each in found if not _is_story_of(each, is_gone)]
    if isinstance(found, dict) and isinstance(found.get(STORIES), list):
        return {**found, STORIES: _left(found[STORIES], is_gone)}
    return without_ids(found, is_gone) if isinstance(found, dict) else found


def _is_story_of(story: Any, is_gone: IsGone) -> bool:
    return isinstance(story, dict) and _is_theirs(story.get("customer"), is_gone)


def _is_theirs(value: Any, is_gone: IsGone) -> bool:
    return isinstance(value, str) and value != ERASED and is_gone(hash_customer(value))
