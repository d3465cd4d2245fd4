"""Checks that the performance page tells every figure, and that the profile under it is right."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from house import CHECKOUT

GROUPS = ("journey", "growth", "scenario", "extremes", "drafts", "loading", "start")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def _document() -> dict[str, Any]:
    """Results with a figure of each group, one that misses its bar, a gate and a sweep's point."""
    figures = import_module("bench.figures")
    bar, figure = figures.Bar, figures.Figure
    numba = import_module("bench.contest").NUMBA
    made = [
        figure("journey", "counters", "M entries/s", 20.0, 0.11, "SimPy", 0.05,
               bar("ratio", "at least", 300), 0.12, step_ns=6.5),
        figure("journey", "counters", "M entries/s", 20.0, 0.11, numba, 80.0,
               bar("ratio", "at least", 0.3), 0.13, step_ns=6.5),
        figure("journey", numba, "M entries/s", 80.0, 0.13, "SimPy", 0.05,
               bar("ratio", "at least", 300), 0.12, gate=True),
        figure("growth", "50 nodes", "M entries/s", 3.25, 0.14,
               place=figures.Place("nodes", 50, "a chain"), step_ns=7.75),
        *(
            figure(group, f"a|figure of {group}", "s", 1.5 + i, 0.15, bar=bar("ours", "at most", 3))
            for i, group in enumerate(GROUPS[2:])
        ),
    ]  # fmt: skip
    results = import_module("bench.results")
    return {
        "headrace_bench": results.FORMAT,
        "taken_at": "2026-01-02T03:04:05+00:00",
        "runs": 7,
        "quick": False,
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "machine": results.machine() | {"processor": "Abacus 3000"},
        "figures": [results.as_json(each) for each in made],
    }


def _measured() -> Any:
    stacks = {
        ("machine.Machine.apply",): 500.0,
        ("machine.Machine.apply", "kernels.arrive"): 2_500.0,
        ("machine.Machine.load", "memset"): 1_000.0,
    }
    limits = import_module("bench.limits")
    return import_module("bench.page").Measured(
        import_module("bench.profile").Profile(stacks, 10, 80, "cc 12"),
        limits.Memory(bytes_a_customer=40.0, read_gb_s=8.0, copy_gb_s=9.5),
        limits.Native(50.0, 40.0, 0.07, 0.09),
    )


def _page(document: dict[str, Any]) -> str:
    page = import_module("bench.page")
    filled: str = page.fill(page.TEMPLATE.read_text(), document, _measured())
    return filled


def test_the_page_tells_every_figure() -> None:
    document = _document()
    text = _page(document)
    assert "{{" not in text
    shown = import_module("bench.figures").shown
    for figure in document["figures"]:
        name = figure["name"].replace("|", "/")
        (line,) = [
            line
            for line in text.splitlines()
            if line.startswith(f"| {name} |") and (figure["rival"] or "") in line
        ]
        for number in (figure["ours"], figure["theirs"], figure["ratio"], figure["step_ns"]):
            assert f"| {shown(number)} |" in line or number is None
        assert f"{figure['spread']:.0%}" in line
    assert (
        "| counters | 20 | M entries/s | 6.5 | hard-coded Numba | 80 | 0.25 | 11%, 13% | " in text
    )
    assert "| ≥ 0.3 × | **missed** |" in text
    assert "| a/figure of start | 5.5 | s | 15% | ≤ 3 | **missed** |" in text
    assert "| a/figure of scenario | 1.5 | s | 15% | ≤ 3 | met |" in text


def test_the_page_tells_what_limits() -> None:
    text = _page(_document())
    for line in (
        "| instructions a customer | 400 |",
        "| instructions a token-step | 50.0 |",
        "| time a customer | 50.0 ns |",
        "| instructions in a nanosecond | 8.00 |",
        "| physical limit: columns ÷ read | 200 M entries/s |",
        "| reached by Headrace | 20.0 M entries/s, 10.0% |",
        "| reached by hard-coded Numba | 80.0 M entries/s, 40.0% |",
        "| `kernels.arrive` | 250.0 | 31.25 | 62.5% |",
        "| for the local processor | 40.0 | 9% | 1.25 |",
        "![Throughput by nodes](images/performance-by-nodes.png)",
    ):
        assert line in text.splitlines(), line


def test_a_try_is_called_one() -> None:
    document = _document()
    assert "quick form" not in _page(document)
    assert "quick form" in _page(document | {"quick": True})


def test_results_that_lack_a_group_make_no_page() -> None:
    page, document = import_module("bench.page"), _document()
    figures = document["figures"]
    without = [figure for figure in figures if figure["group"] != "drafts"]
    with pytest.raises(page.PageError, match="lack drafts: run"):
        _page(document | {"figures": without})
    with pytest.raises(page.PageError, match="no table for dreams"):
        _page(document | {"figures": [*figures, figures[-1] | {"group": "dreams"}]})


def test_the_command_tells_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = import_module("bench.page").main
    docs = tmp_path / "docs"
    asked = ["--results", str(tmp_path), "--docs", str(docs)]
    assert command(asked) == 1
    assert "run python -m bench first" in capsys.readouterr().err
    (tmp_path / "latest.json").write_text(json.dumps(_document()))
    assert command(asked) == 1
    assert "is of another machine" in capsys.readouterr().err
    assert not docs.exists()


def test_the_page_in_the_checkout_is_whole() -> None:
    text = (CHECKOUT / "docs" / "performance.md").read_text()
    assert "{{" not in text
    assert str(CHECKOUT) not in text
    assert str(Path.home()) not in text
    images = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert "images/performance-flame.svg" in images
    assert len(images) > 1
    there = {path.name for path in (CHECKOUT / "docs" / "images").glob("performance-*")}
    assert there == {Path(image).name for image in images}
    assert all((CHECKOUT / "docs" / image).stat().st_size < 40_000 for image in images)


def test_a_flame_has_a_box_for_each_function() -> None:
    flame = import_module("bench.flame")
    stacks = {("a.f",): 10.0, ("a.f", "b.g<1>"): 30.0, ("a.f", "c.never_seen"): 0.01, ("z",): 60.0}
    drawn = ElementTree.fromstring(flame.draw_flame(stacks, unit="units", per=2))
    boxes = {
        str(box.findtext(f"{SVG}title")): (rect.get("x"), rect.get("y"), rect.get("width"))
        for box in drawn.iter(f"{SVG}g")
        if (rect := box.find(f"{SVG}rect")) is not None
    }
    top, below = str(int(flame.HEAD)), str(int(flame.HEAD + flame.ROW))
    assert boxes == {
        "z: 30.0 units, 60.0%": ("12.0", top, "718.9"),
        "a.f: 20.0 units, 40.0%": ("731.9", top, "479.1"),
        "b.g<1>: 15.0 units, 30.0%": ("731.9", below, "359.0"),
    }
    words = [text.text for text in drawn.iter(f"{SVG}text")]
    assert words == ["50 units; a box is as wide as its share", "a", "b", "c", "C library",
                     "z", "a.f", "b.g<1>"]  # fmt: skip
    with pytest.raises(ValueError, match="no costs"):
        flame.draw_flame({}, unit="units", per=1)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__pyx_f_3ext_7kernels_arrive", "kernels.arrive"),
        ("__pyx_f_3ext_6tokens_leave_all.part.0", "tokens.leave_all"),
        ("__pyx_f_3ext_10predicates_matches.constprop.0.isra.0", "predicates.matches"),
        ("__pyx_f_3ext_7machine_7Machine_begin", "machine.Machine.begin"),
        ("__pyx_pw_3ext_7machine_7Machine_19load", "machine.Machine.load"),
        ("__memset_avx2_unaligned_erms", "memset"),
        ("PyObject_Size", "PyObject_Size"),
    ],
)
def test_symbols_become_readable(symbol: str, name: str) -> None:
    assert import_module("bench.profile").readable(symbol) == name


RECORDED = """\
positions: instr line
events: Ir
ob=(1) /copy/machine.so
fn=(1) __pyx_pw_3ext_7machine_7Machine_21apply'PyObject_Vectorcall
0x100 10 5
+4 +1 7
cfn=(2) __pyx_f_3ext_5waves_run'__pyx_pw_3ext_7machine_7Machine_21apply'PyObject_Vectorcall
calls=3 0x200 20
* * 90
+4 * 1

fn=(2)
0x200 20 40
+10 +5 10
-2 * 40
fn=(3) __pyx_pw_3ext_7machine_7Machine_27take_counters'PyObject_Vectorcall
0x300 1 1000
"""


def test_callgrinds_file_folds_to_stacks() -> None:
    profile = import_module("bench.profile")
    contexts = profile.read_contexts(RECORDED.splitlines(keepends=True))
    assert contexts[1].costs == {0x100: 5, 0x104: 7, 0x108: 1}
    assert contexts[1].calls == {2: {0x104: 90}}
    assert contexts[2].costs == {0x200: 40, 0x20A: 10, 0x208: 40}
    inlined = {
        ("/copy/machine.so", 0x104): ("machine.Machine.apply", "waves.begin"),
        ("/copy/machine.so", 0x20A): ("waves.run", "kernels.arrive", "tokens.at"),
    }
    apply = "machine.Machine.apply"
    assert profile.fold(contexts, inlined) == {
        (apply,): 6.0,
        (apply, "waves.begin"): 7.0,
        (apply, "waves.begin", "waves.run"): 80.0,
        (apply, "waves.begin", "waves.run", "kernels.arrive", "tokens.at"): 10.0,
    }


def test_instructions_without_a_caller_are_refused() -> None:
    profile = import_module("bench.profile")
    lost = RECORDED.replace("calls=3", "#").replace("cfn=(2)", "fn=(2)").splitlines()
    with pytest.raises(RuntimeError, match="have no caller"):
        profile.fold(profile.read_contexts(lost), {})
