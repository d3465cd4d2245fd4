"""Checks how templates are found, hidden and saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.documents import ViolationsError
from api.template import TemplateError, make_flow
from api.template_folder import entries, find_template, library, own_folder, save_template
from command import EXAMPLES, names
from core.document import read_flow

FLOW = """\
---
# What our shop does.
headrace: 1
flow: ours     # the id
description: It
  greets.
nodes:
  in: {type: on_event, event: signup, next: wait}
  wait: {type: wait, for: 3 days, next: mail}   # some days
  mail: {type: send, channel: email, template: $hello, next: x}
  x: {type: end}
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "ours.yaml"
    path.write_text(FLOW)
    return path


def test_every_template_of_the_library_is_found_by_its_name() -> None:
    assert [entry.name for entry in library()] == sorted(entry.name for entry in library())
    for entry in library():
        assert find_template(entry.name, Path("nowhere")).name == entry.name


def test_ones_own_come_last_and_hide_the_librarys(tmp_path: Path) -> None:
    (tmp_path / "welcome.yaml").write_text((library()[0].path).read_text())
    (tmp_path / "zoo.yaml").write_text("broken")
    (tmp_path / "Not a template.yaml").write_text("broken")
    (tmp_path / "notes.txt").write_text("broken")
    found = entries(tmp_path)
    assert [e.name for e in found if e.own] == ["welcome", "zoo"]
    assert [e.name for e in found].count("welcome") == 1
    assert found[-1].name == "zoo"
    assert find_template("welcome", tmp_path).head.title == "Abandoned cart"


def test_one_that_is_not_there_is_told_with_one_that_is() -> None:
    with pytest.raises(TemplateError) as raised:
        find_template("abandonned-cart", Path("nowhere"))
    assert str(raised.value) == (
        "there is no template 'abandonned-cart'. Did you mean 'abandoned-cart'? "
        "`headrace new --list` shows all"
    )


def test_the_folder_is_in_the_users_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/there")
    assert own_folder() == Path("/there/headrace/templates")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/ann")
    assert own_folder() == Path("/home/ann/.config/headrace/templates")


def test_a_saved_flow_keeps_its_text(flow: Path, tmp_path: Path) -> None:
    path = save_template(flow, "mine", {"pause": "/nodes/wait/for"}, tmp_path / "a" / "b")
    assert (
        path.read_text()
        == """\
headrace_template: 1
title: ours
summary: It greets.
parameters:
  pause: {type: duration, default: 3 days, help: What stands at /nodes/wait/for.}
---
# What our shop does.
headrace: 1
flow: $flow     # the id
description: It
  greets.
nodes:
  in: {type: on_event, event: signup, next: wait}
  wait: {type: wait, for: $pause, next: mail}   # some days
  mail: {type: send, channel: email, template: "$$hello", next: x}
  x: {type: end}
"""
    )
    assert names(path.parent) == ["mine.yaml"]
    made = make_flow(find_template("mine", path.parent), {"flow": "ours"})
    original, _ = read_flow(FLOW, name="ours.yaml")
    assert original is not None
    assert made.flow.model_dump() == original.model_dump()


@pytest.mark.parametrize("name", ["welcome", "win-back", "abandoned-cart"])
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_flow_comes_back_as_it_was(name: str, suffix: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"{name}.yaml").read_text()
    original, _ = read_flow(text, name="x.yaml")
    assert original is not None
    if suffix == "json":
        text = json.dumps(original.model_dump(mode="json", by_alias=True, exclude_none=True))
    path = tmp_path / f"flow.{suffix}"
    path.write_text(text)
    save_template(path, "mine", {}, tmp_path)
    made = make_flow(find_template("mine", tmp_path), {"flow": original.flow})
    assert made.flow.model_dump() == original.model_dump()


def test_what_new_wrote_is_saved_without_its_heading(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(make_flow(find_template("welcome", tmp_path), {}).text)
    save_template(path, "mine", {}, tmp_path)
    again = make_flow(find_template("mine", tmp_path), {}).text
    assert again.count("Made of the template") == 1
    assert "Made of the template mine" in again


@pytest.mark.parametrize(
    ("name", "parameters", "told"),
    [
        ("Mine!", {}, "'Mine!' is no name of a template"),
        ("../mine", {}, "'../mine' is no name of a template"),
        ("welcome", {}, "'welcome' is a template of the library"),
        ("taken", {}, "there is such a template already"),
        ("mine", {"x": "/nodes/wait"}, "parameter 'x': no single value stands at '/nodes/wait'"),
        ("mine", {"x": "nodes"}, "parameter 'x': no single value stands at 'nodes'"),
        ("mine", {"X": "/nodes/wait/for"}, "'X' is no name of a parameter"),
        ("mine", {"x": "/flow"}, "two parameters stand at the same place in the flow"),
        ("mine", {"x": "/nodes/in/type"}, None),
    ],
)
def test_what_cant_be_saved_is_told_and_leaves_nothing(
    flow: Path, tmp_path: Path, name: str, parameters: dict[str, str], told: str | None
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "taken.yaml").write_text("taken")
    if told is None:
        save_template(flow, name, parameters, folder)
        with pytest.raises(TemplateError, match="parameters x=carrots: /nodes/in/type"):
            make_flow(find_template(name, folder), {"x": "carrots"})
        return
    with pytest.raises(TemplateError) as raised:
        save_template(flow, name, parameters, folder)
    assert told in str(raised.value)
    assert names(folder) == ["taken.yaml"]
    assert (folder / "taken.yaml").read_text() == "taken"


def test_a_template_is_replaced_where_that_is_asked_for(flow: Path, tmp_path: Path) -> None:
    path = save_template(flow, "mine", {}, tmp_path)
    flow.write_text(FLOW.replace("3 days", "5 days"))
    save_template(flow, "mine", {}, tmp_path, replace=True)
    assert "5 days" in path.read_text()


def test_a_flow_with_errors_is_no_template(flow: Path, tmp_path: Path) -> None:
    flow.write_text(FLOW.replace("next: mail", "next: nowhere"))
    with pytest.raises(ViolationsError):
        save_template(flow, "mine", {}, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"headrace_template: 2\n---\n", b"---\n"])
def test_a_broken_file_is_told_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(TemplateError) as raised:
        find_template("mine", tmp_path)
    assert raised.value.file == str(tmp_path / "mine.yaml")
