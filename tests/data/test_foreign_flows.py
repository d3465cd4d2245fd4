"""Converts every journey of the public data, checks it, and runs it on both interpreters."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from api.converting import KNOCK_FILE, read_segments
from command import call
from core.convert.notes import Converted, ConvertError
from core.convert.products import convert, is_segment, product_of, read_source
from foreign import flow_of, rehearsed

EXPECTED = {"Dittofeed": 29, "Knock": 20, "PostHog": 3}
# A piece of a test of Dittofeed's: an entry node without the journey behind it.
NO_JOURNEY = "backend_lib_src_userWorkflow_test_L10.json"


@pytest.fixture(scope="module")
def folder(data_dir: Callable[[str], Path]) -> Path:
    return data_dir("flows")


def journeys(folder: Path) -> list[tuple[str, object]]:
    """Name and document of each journey."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        document = read_source(path.read_bytes())
        if product_of(document) is not None and path.name != NO_JOURNEY:
            name = path.parent.name if path.name == KNOCK_FILE else path.stem
            found.append((name, document))
    return found


@pytest.fixture(scope="module")
def converted(folder: Path) -> list[Converted]:
    return [convert(document, name=name) for name, document in journeys(folder)]


def test_N20_every_journey_converts_and_none_is_missed(converted: list[Converted]) -> None:
    assert Counter(made.product for made in converted) == EXPECTED
    assert len({made.flow_id for made in converted}) == len(converted)


def test_N20_every_flow_passes_the_check(converted: list[Converted]) -> None:
    for made in converted:
        assert flow_of(made).flow == made.flow_id


def test_N20_every_flow_runs_the_same_on_both_interpreters(converted: list[Converted]) -> None:
    """The figures are printed with `-s`: how much came along as it was."""
    print()
    totals: Counter[str] = Counter()
    for made in converted:
        flow = flow_of(made)
        ran = rehearsed(flow)
        entered = sum(r.port == "next" and flow.nodes[r.node].trigger for r in ran.records)
        figures = {
            "nodes": len(made.sources),
            "noted": len(made.noted),
            "left out": made.count("left out"),
            "approximated": made.count("approximated"),
            "elsewhere": made.count("elsewhere"),
            "entries": entered,
            "decisions": len(ran.records),
        }
        totals.update(figures)
        print(made.product, made.flow_id, figures)
        assert entered > 0, made.flow_id
    print("all", dict(totals))
    assert totals["nodes"] == 163


def test_the_segments_convert_as_entries_of_a_journey(folder: Path) -> None:
    known = read_segments(folder / "dittofeed" / "segments")
    assert len(known) == 77
    for name in known:
        split = {
            "type": "Boolean",
            "segment": name,
            "trueChild": "wait",
            "falseChild": "ExitNode",
        }
        wait = {"id": "wait", "type": "WaitForNode", "timeoutSeconds": 86400}
        wait |= {"timeoutChild": "ExitNode"}
        wait |= {"segmentChildren": [{"id": "ExitNode", "segmentId": name}]}
        document = {
            "entryNode": {"type": "SegmentEntryNode", "segment": name, "child": "split"},
            "nodes": [{"id": "split", "type": "SegmentSplitNode", "variant": split}, wait],
            "exitNode": {"type": "ExitNode"},
        }
        rehearsed(flow_of(convert(document, name="of-a-segment", segments=known)))


def test_a_piece_of_a_journey_is_refused(folder: Path) -> None:
    document = read_source((folder / "dittofeed" / "segments" / NO_JOURNEY).read_bytes())
    assert not is_segment(document)
    with pytest.raises(ConvertError, match="no exitNode"):
        convert(document, name="x")


def test_N20_the_command_converts_the_folder(folder: Path, tmp_path: Path) -> None:
    done = call("convert", folder, "--output", tmp_path / "flows")
    assert done.code == 1  # for the piece
    assert done.out.splitlines()[-1] == f"{folder}: 52 converted, 1 failed, 106 left alone"
    assert len(list((tmp_path / "flows").glob("*.yaml"))) == 52
