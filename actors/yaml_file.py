"""Read a file of settings, YAML or JSON, into a model, and say where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import HeadraceError
from core.json_text import mark_json, read_json
from core.marks import line_of
from core.violations import pointer as pointer_of
from core.yaml_text import read_yaml

Model = TypeVar("Model", bound=BaseModel)
BYTES_MAX = 4 << 20


def load_yaml(path: Path, model: type[Model], what: str, advice: str = "") -> Model:
    """The model in a file that is `what` for people, such as "the providers".

    No message repeats a value. Raises HeadraceError with the file, line and pointer of what is
    wrong; `advice` says what to do where nothing better is known.
    """
    text = _text(path, what)
    json = path.suffix.lower() == ".json"
    document = read_json(text) if json else read_yaml(text)
    for found in sorted(document.violations):
        place = placed(found.pointer, found.line)
        raise HeadraceError(found.message, advice=found.advice, file=str(path), pointer=place)
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        # A name that does not belong there explains one that is missing, not the other way round.
        problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        pointer = _pointer(document.value, first["loc"])
        line = line_of(mark_json(text) if json else document.marks, pointer)
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"no field {str(first['loc'][-1])!r} belongs here"
        raise HeadraceError(
            message + more, advice=advice, file=str(path), pointer=placed(pointer, line)
        ) from None


def _text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise HeadraceError(f"{what} are not that large; expected 4 MiB", file=str(path))
        text = path.read_text("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise HeadraceError(f"cannot read {what} ({reason})", file=str(path)) from error
    except UnicodeDecodeError:
        raise HeadraceError("it is not UTF-8 text", file=str(path)) from None
    if not text.strip():
        raise HeadraceError("the file is empty", file=str(path))
    return text


def placed(pointer: str, line: int | None) -> str | None:
    """A place in a file for people: its line and its pointer, as far as they are known."""
    places = [*([f"line {line}"] if line else []), *([pointer] if pointer else [])]
    return ", ".join(places) or None


def _pointer(value: Any, location: tuple[int | str, ...]) -> str:
    """The JSON pointer of a validation error, without the names of alternatives pydantic adds."""
    steps: list[int | str] = []
    for at, step in enumerate(location):
        last = at == len(location) - 1
        if isinstance(value, dict) and (step in value or last):
            value = value.get(step)
            steps.append(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
            steps.append(step)
    return pointer_of(steps)
