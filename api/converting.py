"""Convert journeys of other products to flow documents, and list what did not come along."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape

from api.console import console
from api.documents import read_bytes
from api.outputs import check_outputs, write_text
from core.convert.notes import Converted, ConvertError, Kind, Note, one_line
from core.convert.products import convert, is_segment, product_of, read_source
from core.errors import HeadraceError

OK, FAILED = 0, 1
KNOCK_FILE = "workflow.json"  # one of each folder, which has the workflow's name
SUFFIX = ".yaml"
COLOURS: dict[Kind, str] = {"left out": "bold red", "approximated": "yellow", "elsewhere": "dim"}


@dataclass
class _Batch:
    """What became of the files of a folder."""

    done: list[tuple[Path, Path, Converted]] = field(default_factory=list)
    failed: list[tuple[Path, HeadraceError]] = field(default_factory=list)
    alone: list[Path] = field(default_factory=list)


def run(
    source: Path, product: str | None, output: Path | None, segments: Path | None, *, as_json: bool
) -> int:
    """Convert a file, or every journey in a folder and below.

    Without `output` the document goes to standard output and the notes to standard error. Returns
    1 where something could not be converted, else 0; raises HeadraceError.
    """
    known = {} if segments is None else read_segments(segments)
    if source.is_dir():
        if output is None:
            raise HeadraceError(
                "a folder holds several journeys", file=str(source), advice="State --output DIR"
            )
        return _folder(source, product, output, known, as_json=as_json)
    made = _converted(source, product, known)
    if output is None:
        print(json.dumps(_about(source, None, made), indent=2) if as_json else made.text, end="")
        if as_json:
            print()
        else:
            _tell(source, None, made, stderr=True)
        return OK
    path = output / f"{made.flow_id}{SUFFIX}" if output.is_dir() else output
    check_outputs({"--output": path}, [source, segments])
    write_text(path, made.text)
    if as_json:
        print(json.dumps(_about(source, path, made), indent=2))
    else:
        _tell(source, path, made)
    return OK


def read_segments(path: Path) -> dict[str, Any]:
    """The definitions of the segments in a file or in a folder, by id, by name and by file name."""
    found: dict[str, Any] = {}
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        document = _read(file)
        for held in document if isinstance(document, list) else [document]:
            if not is_segment(held):
                continue
            definition = held.get("definition", held)
            names = [held.get("name"), held.get("id")] if definition is not held else []
            for name in (*names, None if isinstance(document, list) else file.stem):
                if isinstance(name, str):
                    found[name] = definition
    if not found:
        raise HeadraceError(
            "there is no segment", file=str(path), advice="A segment is JSON with an entryNode"
        )
    return found


def _read(path: Path) -> Any:
    try:
        return read_source(read_bytes(path))
    except ConvertError as error:
        raise _placed(error, path) from None


def _placed(error: ConvertError, path: Path) -> ConvertError:
    return ConvertError(error.message, advice=error.advice, file=str(path), pointer=error.pointer)


def _converted(path: Path, product: str | None, known: dict[str, Any]) -> Converted:
    document = _read(path)
    name = path.resolve().parent.name if path.name == KNOCK_FILE else path.stem
    try:
        return convert(document, name=name, product=product, segments=known)
    except ConvertError as error:
        raise _placed(error, path) from None


def _folder(
    source: Path, product: str | None, output: Path, known: dict[str, Any], *, as_json: bool
) -> int:
    batch = _Batch()
    output.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for path in sorted(source.rglob("*.json")):
        try:
            if product_of(_read(path)) not in (
                (product,) if product else ("dittofeed", "knock", "posthog")
            ):
                batch.alone.append(path)
                continue
            made = _converted(path, product, known)
        except HeadraceError as error:
            batch.failed.append((path, error))
            continue
        name, count = made.flow_id, 1
        while name.lower() in taken:
            count += 1
            name = f"{made.flow_id}-{count}"
        taken.add(name.lower())
        target = output / f"{name}{SUFFIX}"
        check_outputs({"--output": target}, [path])
        write_text(target, made.text)
        batch.done.append((path, target, made))
    _tell_folder(source, batch, as_json=as_json)
    if not batch.done and not batch.failed:
        raise HeadraceError("there is no journey in the folder", file=str(source),
                            advice="Journeys are .json files")  # fmt: skip
    return FAILED if batch.failed else OK


def _about(source: Path, target: Path | None, made: Converted) -> dict[str, Any]:
    return {
        "source": str(source),
        "product": made.product,
        "flow": made.flow_id,
        "output": None if target is None else str(target),
        "nodes": len(made.sources),
        "noted": len(made.noted),
        "notes": [note.to_json() for note in made.notes],
    } | ({"text": made.text} if target is None else {})


def _summary(made: Converted) -> str:
    """How many nodes came along, in words."""
    noted, nodes = len(made.noted), len(made.sources)
    kinds = [f"{n} {kind}" for kind in COLOURS if (n := made.count(kind))]
    told = f"; {', '.join(kinds)}" if kinds else ""
    return f"{nodes} nodes, {nodes - noted} as they were{told}"


def _tell(source: Path, target: Path | None, made: Converted, *, stderr: bool = False) -> None:
    out = console(stderr=stderr)
    for note in _shown(made.notes):
        out.print(note, soft_wrap=True)
    to = "" if target is None else f" -> {target}"
    out.print(f"{source}{to}: {made.product}, {_summary(made)}", markup=False, soft_wrap=True)


def _shown(notes: Sequence[Note]) -> Iterator[str]:
    """Each note in two lines: what and where, then why and what stands in."""
    for note in notes:
        place = escape(one_line(note.pointer or "/"))
        what, reason = escape(one_line(note.what)), escape(one_line(note.reason))
        yield f"[{COLOURS[note.kind]}]{note.kind}[/] [bold]{what}[/] [dim]{place}[/]"
        yield f"    {reason[:1].upper()}{reason[1:]}. [green]→[/] {escape(one_line(note.stand_in))}"


def _tell_folder(source: Path, batch: _Batch, *, as_json: bool) -> None:
    if as_json:
        about = {
            "converted": [_about(path, target, made) for path, target, made in batch.done],
            "failed": [{"source": str(p), "error": str(error)} for p, error in batch.failed],
            "left_alone": [str(path) for path in batch.alone],
        }
        print(json.dumps(about, indent=2))
        return
    out = console()
    for path, target, made in batch.done:
        _tell(path, target, made)
    for path in batch.alone:
        out.print(f"{path}: left alone, it holds no journey", markup=False, soft_wrap=True)
    for _, error in batch.failed:
        out.print(f"failed: {one_line(str(error))}", markup=False, soft_wrap=True)
    out.print(
        f"{source}: {len(batch.done)} converted, {len(batch.failed)} failed, "
        f"{len(batch.alone)} left alone",
        markup=False,
        soft_wrap=True,
    )
