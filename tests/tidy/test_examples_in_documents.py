"""Checks that the examples in the documents are true: what they show is what comes out."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from actors.audience import load_audience
from actors.importer import import_audience
from actors.importer.mapping import Mapping, Part
from compiled import run_compiled
from core.compiler import compile_flow, needs_of
from core.document import read_flow, read_responses
from core.instants import instant_ms
from core.options import RunOptions
from core.reference import Record, run
from house import CHECKOUT

AUDIENCE_FORMAT = (CHECKOUT / "docs/audience-format.md").read_text()
INPUTS = ("mapping.yaml", "customers.csv", "shop.ndjson", "history.csv")


def blocks(text: str) -> dict[str, str]:
    """The fenced blocks of a document that have a name behind the language."""
    return dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def table(text: str, heading: str) -> dict[str, str]:
    """First and second column of the table below a heading, without the marks of code."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^|]*)` \| ([^|]*) \|", section, re.MULTILINE)
    return {name: kind.strip("`") for name, kind in rows}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The example's audience folder, and the summary of its import."""
    folder = tmp_path_factory.mktemp("example")
    for name in INPUTS:
        (folder / name).write_text(blocks(AUDIENCE_FORMAT)[name])
    summary = import_audience(folder / "mapping.yaml", folder / "shop")
    return folder / "shop", summary.text().replace(str(folder / "shop"), "shop")


def test_the_example_gives_the_folder_that_is_shown(shop: tuple[Path, str]) -> None:
    folder, summary = shop
    shown = blocks(AUDIENCE_FORMAT)
    assert summary + "\n" == shown["summary"]
    assert json.loads((folder / "schema.json").read_text()) == json.loads(shown["schema.json"])
    assert (folder / "rejects.csv").read_text() == shown["rejects.csv"]


@pytest.mark.parametrize("name", ["customers", "events", "changes"])
def test_columns_are_those_that_are_listed(shop: tuple[Path, str], name: str) -> None:
    folder, _ = shop
    listed = table(AUDIENCE_FORMAT, f"{name}.parquet")
    prefix = {"customers": "a.", "events": "p."}.get(name)
    found = {
        field.name: str(field.type)
        for field in pq.read_schema(folder / f"{name}.parquet")
        if prefix is None or not field.name.startswith(prefix)
    }
    if prefix is not None:
        assert [column for column in listed if column.startswith(prefix)] != []
    assert found == {c: k for c, k in listed.items() if prefix is None or not c.startswith(prefix)}


def _models(kind: type[BaseModel] = Part) -> Iterator[type[BaseModel]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _models(inner)


@pytest.mark.parametrize("model", sorted(_models(), key=lambda m: m.__name__))
def test_every_field_of_a_mapping_is_explained(model: type[BaseModel]) -> None:
    text = (CHECKOUT / "docs/importing.md").read_text()
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_fields_of_mappings_are_looked_at() -> None:
    assert Mapping in _models()


def _line(record: Record, widths: tuple[int, int]) -> str:
    time = datetime.fromtimestamp(record.time_ms / 1000, UTC)
    at = time.isoformat(" ", "milliseconds").removesuffix("+00:00")
    customer, node = record.customer.ljust(widths[0]), record.node.ljust(widths[1])
    return f"{customer}  {record.step}  {at}  {node}  {record.port}"


def test_the_life_of_a_token_is_that_of_both_interpreters(shop: tuple[Path, str]) -> None:
    text = (CHECKOUT / "docs/life_of_a_token.md").read_text()
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    flow, responses = (_example(read, name) for read, name in READERS)
    options = RunOptions(
        from_ms=instant_ms("2026-03-01T00:00+01:00"),
        until_ms=instant_ms("2026-04-01T00:00+02:00"),
        horizon_ms=instant_ms("2026-05-01T00:00+02:00"),
        seed=24,
    )
    audience = load_audience(shop[0], needs_of(compile_flow(flow, responses)))
    for records in (
        run(flow, audience, options, responses).records,
        run_compiled(flow, audience, options, responses)[0],
    ):
        told = [record for record in records if record.customer in ("ada", "ben")]
        widths = (3, max(len(record.node) for record in told))
        assert shown == "".join(_line(record, widths) + "\n" for record in told)


READERS = ((read_flow, "welcome.yaml"), (read_responses, "responses.yaml"))


def _example(read: Any, name: str) -> Any:
    document, violations = read((CHECKOUT / "examples" / name).read_bytes(), name=name)
    assert violations == []
    return document
