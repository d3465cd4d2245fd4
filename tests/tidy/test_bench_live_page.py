"""Checks that the page on the live engine's speed tells every figure, and lacks nothing."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from house import CHECKOUT

PERCENTILES = {"50": 3.25, "90": 4.5, "99": 61.5, "99.9": 72.5, "100": 83.5}


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def _page() -> Any:
    return import_module("bench.live.page")


def _contender(name: str, rate: float | None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "skipped": None if rate else "it is not installed",
        "entries": 500_000,
        "batch_max": 5_000,
        "entries_per_second": rate,
        "spread": 0.07 if rate else None,
        "seconds": [],
        "stages_us": {"load": 0.25, "apply": 2.75} if rate else {},
        **more,
    }


def _document() -> dict[str, Any]:
    """Results with all groups: one bar of two is missed in each, and one rival is not there."""
    contest, results = import_module("bench.live.contest"), import_module("bench.results")
    figures = import_module("bench.figures")
    figure, bar = figures.Figure, figures.Bar
    made = [
        figure("contest", contest.OURS, "entries/s", 432_100.0, 0.07, None, None,
               bar("ours", "at least", 280_000)),
        figure("contest", contest.OURS, "entries/s", 432_100.0, 0.07, contest.NAMED, 120_500.0,
               bar("ratio", "at least", 2), 0.05),
        figure("contest", contest.OURS, "entries/s", 432_100.0, 0.07, contest.BYTEWAX, 40_400.0),
        figure("surge", "all fired after", "s", 1.25),
        figure("recovery", "warm", "s", 6.5, 0.09, bar=bar("ours", "at most", 5)),
        figure("recovery", "cold", "s", 7.75),
        figure("memory", "peak", "GiB", 11.25, bar=bar("ours", "at most", 12)),
        figure("failpoints", "a look", "ns", 4.25),
    ]  # fmt: skip
    latency = {
        "what": "one event",
        "load": "10 %",
        "requests": 1_234,
        "offered_entries_per_second": 43_210.0,
        "percentiles_ms": PERCENTILES,
        "bar_p99_ms": 50.0,
        "met": False,
    }
    batch = {"what": "a batch of 5,000 events", "bar_p99_ms": None, "met": None}
    return {
        "headrace_live_bench": import_module("bench.live.__main__").FORMAT,
        "taken_at": "2026-01-02T03:04:05+00:00",
        "form": "long",
        "runs": 5,
        "versions": {"python": "3.11.7", "ray": "2.60.0"},
        "machine": results.machine() | {"processor": "Abacus 3000"},
        "contenders": [
            _contender(contest.OURS, 432_100.0, stages_us={"load": 0.25, "wait": 1.75}),
            _contender(contest.NAMED, 120_500.0),
            _contender(contest.BYTEWAX, None),
        ],
        "latencies": [latency | batch, latency],
        "figures": [results.as_json(each) for each in made],
    }


def _filled(document: dict[str, Any]) -> str:
    page = _page()
    text: str = page.fill(page.TEMPLATE.read_text(), document)
    return text


def test_the_page_tells_every_figure() -> None:
    text = _filled(_document())
    assert "{{" not in text
    lines = text.splitlines()
    for line in (
        "| Headrace on Ray | 432,100 | entries/s |  |  |  | 7% | ≥ 280,000 | met |",
        "| Headrace on Ray | 432,100 | entries/s | Python over LMDB | 120,500 | 3.59 | 7%, 5% "
        "| ≥ 2 × | met |",
        "| Headrace on Ray | 432,100 | 3.59 × | 7% | 500,000 | 5,000 |",
        "| Python over LMDB | 120,500 | 1 × | 7% | 500,000 | 5,000 |",
        "Not here to take part: Bytewax (it is not installed).",
        "| contender | load | wait | apply | an entry |",
        "| Headrace on Ray | 0.25 | 1.75 |  | 2.31 |",
        "| one event | 10 % | 1,234 | 3.25 | 4.5 | 61.5 | 72.5 | 83.5 | ≤ 50 | **missed** |",
        "| a batch of 5,000 events | 10 % | 1,234 | 3.25 | 4.5 | 61.5 | 72.5 | 83.5 |  |  |",
        "| all fired after | 1.25 | s |",
        "| warm | 6.5 | s | 9% | ≤ 5 | **missed** |",
        "| cold | 7.75 | s |  |  |  |",
        "| peak | 11.2 | GiB | ≤ 12 | met |",
        "| a look | 4.25 | ns |",
    ):
        assert line in lines
    assert "Abacus 3000" in text
    assert "python 3.11.7, ray 2.60.0" in text


def test_the_page_does_not_depend_on_the_day() -> None:
    document = _document()
    assert _filled(document) == _filled(document | {"taken_at": "2027-12-31T00:00:00+00:00"})


def test_a_page_of_small_sizes_says_so() -> None:
    assert "small sizes" not in _filled(_document())
    assert "were taken in the quick form, in small sizes" in _filled(
        _document() | {"form": "quick"}
    )


def test_the_command_writes_the_page_and_its_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "live.json").write_text(json.dumps(_document()))
    asked = ["--results", str(tmp_path), "--docs", str(tmp_path / "docs")]
    assert _page().main(asked) == 0
    text = (tmp_path / "docs" / "performance-live.md").read_text()
    images = set(re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", text))
    assert images == {"images/live-entries.png", "images/live-latency.png"}
    for image in images:
        data = (tmp_path / "docs" / image).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) < 60_000
    capsys.readouterr()


def _without(document: dict[str, Any], group: str) -> dict[str, Any]:
    if group == "latency":
        return document | {"latencies": []}
    kept = [figure for figure in document["figures"] if figure["group"] != group]
    return document | {"figures": kept}


@pytest.mark.parametrize("group", ["contest", "latency", "recovery", "memory", "failpoints"])
def test_a_page_without_a_group_is_refused(
    group: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "live.json").write_text(json.dumps(_without(_document(), group)))
    assert _page().main(["--results", str(tmp_path), "--docs", str(tmp_path / "docs")]) == 1
    assert f"lacks {group}: run python -m bench.live for all" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()


def test_results_that_cannot_be_told_are_refused(tmp_path: Path) -> None:
    page, error = _page(), import_module("bench.page").PageError
    with pytest.raises(error, match=r"there is no .*live\.json"):
        page.read_results(tmp_path)
    (tmp_path / "live.json").write_text('{"headrace_live_bench": 1}')
    with pytest.raises(error, match="of another format"):
        page.read_results(tmp_path)
    document = _document()
    document["contenders"] = document["contenders"][:1]
    (tmp_path / "live.json").write_text(json.dumps(document))
    with pytest.raises(error, match="lacks Python over LMDB"):
        page.read_results(tmp_path)


def test_the_page_in_docs_is_of_this_template() -> None:
    page = _page()
    written = CHECKOUT / "docs" / page.PAGE
    text, place = written.read_text(), re.compile(r"\{\{ [a-z_ ]+ \}\}")
    for part in place.split(page.TEMPLATE.read_text()):
        assert part.strip() in text
    there = {path.name for path in (CHECKOUT / "docs" / "images").glob("live-*")}
    assert there == {"live-entries.png", "live-latency.png"}
