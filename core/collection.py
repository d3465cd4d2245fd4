"""Pause the collector of cyclic garbage while a document becomes very many objects.

Collections come with every so many new objects and look at all that live, which takes a quarter of
the time of judging a large flow. What is made there has no cycles, so nothing would be found.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Collect no cyclic garbage within the block; where it was off before, it stays off."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
