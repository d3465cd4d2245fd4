"""Checks `headrace convert`: files and folders, what is printed, exit codes."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command import call

KNOCK: dict[str, Any] = {
    "key": "news",
    "steps": [
        {"type": "channel", "ref": "mail", "channel_type": "email", "channel_key": "sendgrid"},
        {"type": "batch", "ref": "b", "settings": {"batch_window": {"unit": "hours", "value": 1}}},
    ],
}
DITTOFEED: dict[str, Any] = {
    "entryNode": {"type": "SegmentEntryNode", "segment": "paid", "child": "ExitNode"},
    "exitNode": {"type": "ExitNode"},
    "nodes": [],
}
TRAIT = {"type": "Trait", "id": "1", "path": "plan", "operator": {"type": "Equals", "value": "x"}}
SEGMENT = {"name": "paid", "definition": {"entryNode": TRAIT, "nodes": []}}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_N20_a_journey_is_printed_and_its_notes_beside(tmp_path: Path) -> None:
    source = write(tmp_path / "j.json", KNOCK)
    done = call("convert", source)
    assert done.code == 0
    assert done.out.startswith("# Converted from the Knock workflow news.\n# /steps/1: batch b")
    assert "\nheadrace: 1\nflow: news\n" in done.out
    lines = done.err.splitlines()
    assert lines[0] == "left out batch b /steps/1"
    assert lines[1].endswith("→ each trigger waits for itself and is told apart")
    assert lines[2] == "elsewhere provider 'sendgrid' /steps/0/channel_key"
    assert lines[-1] == f"{source}: Knock, 2 nodes, 1 as they were; 1 left out, 1 elsewhere"


def test_N20_what_is_written_passes_the_check(tmp_path: Path) -> None:
    source, target = write(tmp_path / "j.json", KNOCK), tmp_path / "flow.yaml"
    done = call("convert", source, "--from", "knock", "--output", target)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith(f"{source} -> {target}: Knock, 2 nodes")
    assert call("check", target).code == 0
    assert call("convert", source, "--output", tmp_path).code == 0
    assert (tmp_path / "news.yaml").read_text() == target.read_text()


@pytest.mark.parametrize(
    "document",
    [
        KNOCK | {"key": "signup"},
        DITTOFEED | {"entryNode": {"type": "EventEntryNode", "event": "signup", "child": ""}},
    ],
)
def test_N20_what_is_written_runs_in_a_dry_run(tmp_path: Path, tiny: Path, document: Any) -> None:
    flow = tmp_path / "flow.yaml"
    assert call("convert", write(tmp_path / "j.json", document), "--output", flow).code == 0
    report = tmp_path / "report.json"
    assert call("simulate", flow, "--audience", tiny, "--json", report).code == 0
    assert json.loads(report.read_text())["totals"]["entries"]["value"] > 0


def test_N20_a_folder_is_converted_with_all_that_is_told(tmp_path: Path) -> None:
    root, out = tmp_path / "exported", tmp_path / "flows"
    write(root / "news" / "workflow.json", KNOCK | {"key": None})
    write(root / "again" / "news.json", KNOCK)
    write(root / "paid.json", DITTOFEED)
    write(root / "segment.json", SEGMENT)
    bad = write(root / "bad.json", "{")
    done = call("convert", root, "--output", out)
    assert done.code == 1
    assert sorted(p.name for p in out.iterdir()) == ["news-2.yaml", "news.yaml", "paid.yaml"]
    lines = done.out.splitlines()
    assert lines[-1] == f"{root}: 3 converted, 1 failed, 1 left alone"
    assert f"{root / 'segment.json'}: left alone, it holds no journey" in lines
    assert any(line.startswith(f"failed: {bad}") for line in lines)
    bad.unlink()
    assert call("convert", root, "--output", out).code == 0
    only = call("convert", root, "--output", tmp_path / "k", "--from", "knock")
    assert only.out.splitlines()[-1] == f"{root}: 2 converted, 0 failed, 2 left alone"


def test_N20_segments_are_found_by_name(tmp_path: Path) -> None:
    source = write(tmp_path / "j.json", DITTOFEED)
    assert "if: {group: paid}" in call("convert", source).out
    folder = write(tmp_path / "segments" / "s.json", SEGMENT).parent
    for segments in (folder, folder / "s.json", write(tmp_path / "all.json", [SEGMENT])):
        done = call("convert", source, "--segments", segments)
        assert "if: {attribute: plan, is: x}" in done.out
    plain = write(tmp_path / "plain" / "paid.json", SEGMENT["definition"])
    assert "plan" in call("convert", source, "--segments", plain).out
    done = call("convert", source, "--segments", source)
    assert (done.code, "there is no segment" in done.err) == (2, True)


def test_json_is_for_programs(tmp_path: Path) -> None:
    source = write(tmp_path / "j.json", KNOCK)
    told = json.loads(call("convert", source, "--json").out)
    assert (told["product"], told["nodes"], told["noted"]) == ("Knock", 2, 1)
    assert told["notes"][0]["pointer"] == "/steps/1"
    assert told["text"].startswith("# Converted")
    target = tmp_path / "f.yaml"
    told = json.loads(call("convert", source, "--json", "--output", target).out)
    assert (told["output"], "text" in told) == (str(target), False)
    folder = write(tmp_path / "in" / "j.json", KNOCK).parent
    told = json.loads(call("convert", folder, "--json", "--output", tmp_path / "out").out)
    assert [one["flow"] for one in told["converted"]] == ["news"]


@pytest.mark.parametrize(
    ("document", "args", "code", "said"),
    [
        ("{", (), 1, "it is no sound JSON"),
        (KNOCK, ("--from", "dittofeed"), 1, "no journey of dittofeed: it looks like one of knock"),
        (KNOCK, ("--from", "mailchimp"), 2, "state one of dittofeed, knock, posthog"),
        ({"steps": [{"type": "telegram"}]}, (), 1, "/steps/0/type: unknown step type 'telegram'"),
        (DITTOFEED | {"exitNode": None}, (), 1, "the journey has no exitNode"),
        ([], (), 1, "expected an object, found a list"),
    ],
)
def test_N20_what_can_not_be_converted_is_told(
    tmp_path: Path, document: Any, args: tuple[str, ...], code: int, said: str
) -> None:
    source = write(tmp_path / "j.json", document)
    done = call("convert", source, *args)
    assert (done.code, done.out) == (code, "")
    assert said in done.words
    assert code == 2 or str(source) in done.err


def test_places_that_can_not_be_read_or_written(tmp_path: Path) -> None:
    source = write(tmp_path / "j.json", KNOCK)
    assert call("convert", tmp_path / "absent.json").code == 2
    done = call("convert", tmp_path)
    assert (done.code, "State --output DIR" in done.err) == (2, True)
    done = call("convert", source, "--output", source)
    assert (done.code, "this run reads it" in done.err) == (2, True)
    done = call("convert", source, "--output", tmp_path / "no" / "flow.yaml")
    assert (done.code, "no such folder" in done.err) == (2, True)
    (tmp_path / "empty").mkdir()
    done = call("convert", tmp_path / "empty", "--output", tmp_path / "o")
    assert (done.code, "no journey in the folder" in done.err) == (2, True)
    done = call("convert", tmp_path, "--output", source)
    assert done.code == 2


def test_names_can_not_move_the_cursor(tmp_path: Path) -> None:
    odd = KNOCK["steps"][0] | {"channel_key": "a\x1b[2Jb\n[red]c"}
    done = call("convert", write(tmp_path / "j.json", KNOCK | {"steps": [odd]}))
    assert "\x1b" not in done.out + done.err
    assert "[red]c" in done.err
