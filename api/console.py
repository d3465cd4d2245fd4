"""Make the consoles that all commands print on."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave a reader who went away to `api.main`, as for everything that is printed."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or error that marks nothing up by itself."""
    return _Console(stderr=stderr, highlight=False)
