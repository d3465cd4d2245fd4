"""Carry what went wrong to whoever asked: one exception class for every error a user can cause.

Deep code raises it with what it knows; the command line prints it and exits with its code, so no
traceback reaches a user. Violations of a flow are returned as values instead, because there are
many.
"""

from __future__ import annotations


class HeadraceError(Exception):
    """An error with a message for a person, and where known the file, the place in it and the cure.

    `message` says what was found and what was expected; `advice` says what to do. `file` is a path,
    `pointer` a JSON pointer or a phrase such as "row 7, column age". `exit_code` is that of the
    command line. It survives pickling, because work runs in other processes.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, advice: str = "", file: str | None = None, pointer: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.file = None if file is None else str(file)
        self.pointer = pointer

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.file, self.pointer) if part)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}. {self.advice}" if self.advice else text

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.message, self.advice, self.file, self.pointer)
        return _rebuild, (type(self), *state)


def _rebuild(
    kind: type[HeadraceError], message: str, advice: str, file: str | None, pointer: str | None
) -> HeadraceError:
    return kind(message, advice=advice, file=file, pointer=pointer)
