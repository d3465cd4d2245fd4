"""Tests of templates in files: what they say, and what is wrong with them, in so many words."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from actors.relay.channels.render import Source
from actors.relay.compose import Content
from actors.relay.contents import ContentFile, FolderContents, MappedContents
from core.errors import HeadraceError
from relaying import EFFECT

TEXT = """\
channels:
  email:
    address: email
    parts:
      subject: Hello {{ name }}
      text: {text: "Dear {{ name }} of {{ shop }}", missing: default}
  sms: {address: phone, parts: {body: "{{ shop }}"}}
constants: {shop: Acme, sizes: [1, 2]}
defaults: {name: friend}
missing: skip
"""
EMAIL = Content(
    {
        "subject": Source("Hello {{ name }}", "skip"),
        "text": Source("Dear {{ name }} of {{ shop }}", "default"),
    },
    "email",
    {"shop": "Acme", "sizes": [1, 2]},
    {"name": "friend"},
)


def test_a_template_by_channel(tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(TEXT)
    contents = FolderContents(tmp_path)
    assert asyncio.run(contents.content(EFFECT)) == EMAIL
    sms = asyncio.run(contents.content(replace(EFFECT, channel="sms")))
    assert sms is not None
    assert (sms.address, sms.parts) == ("phone", {"body": Source("{{ shop }}", "skip")})
    assert asyncio.run(contents.content(replace(EFFECT, channel="push"))) is None
    assert asyncio.run(contents.content(replace(EFFECT, template="other"))) is None
    assert list(contents.problems()) == []
    found = contents.template("hello")
    assert found is not None
    mapped = MappedContents({"hello": found})
    assert asyncio.run(mapped.content(EFFECT)) == EMAIL
    assert asyncio.run(mapped.content(replace(EFFECT, template="other"))) is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hello.yaml"
    contents = FolderContents(tmp_path)
    assert contents.template("hello") is None
    path.write_text(TEXT)
    first = contents.template("hello")
    assert first is contents.template("hello")
    path.write_text(TEXT.replace("Hello", "Hallo"))
    os.utime(path, ns=(5, 5))
    second = contents.template("hello")
    assert second is not None
    assert second.channels["email"].parts["subject"].text == "Hallo {{ name }}"
    path.write_text("channels: {}")
    with pytest.raises(HeadraceError, match="channels"):
        asyncio.run(contents.content(EFFECT))


@pytest.mark.parametrize(
    "name", ["../secret", "a/b", "", ".hidden", "a\n", "/etc/passwd", "x" * 200]
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.yaml").write_text(TEXT)
    assert FolderContents(tmp_path / "in").template(name) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("channels:", "chanels:", "no field 'chanels' belongs here"),
        ("  sms:", "  fax:", "/channels/fax"),
        ("address: phone, ", "", "line 7, /channels/sms/address: Field required"),
        (
            "Hello {{ name }}",
            "'{% include x %}'",
            "line 5, /channels/email/parts/subject: it is",
        ),
        ("missing: skip", "missing: maybe", "line 10, /missing: Input should be 'fail'"),
        ("shop: Acme", "shop: {a: 1}", "/constants/shop"),
        ("channels:", "channels: [", "line "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "hello.yaml"
    path.write_text(TEXT.replace(old, new))
    (problem,) = FolderContents(tmp_path).problems()
    assert str(path) in str(problem)
    assert message in str(problem)
    with pytest.raises(HeadraceError):
        FolderContents(tmp_path).template("hello")


def test_files_that_are_no_templates_are_told(tmp_path: Path) -> None:
    for name in ("a.yaml", "a.json", "b.txt", "_c.yaml"):
        (tmp_path / name).write_text(TEXT)
    template = {"channels": {"sms": {"address": "phone", "parts": {"body": "hi"}}}}
    (tmp_path / "a.json").write_text(json.dumps(template))
    said = [str(problem) for problem in FolderContents(tmp_path).problems()]
    assert len(said) == 3
    assert "_c.yaml: no template has such a name" in said[0]
    assert "a.yaml: a.json is the same template" in said[1]
    assert "b.txt: no template has such a name" in said[2]


def test_a_content_in_memory_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match="it is no template"):
        ContentFile.model_validate(
            {"channels": {"sms": {"address": "phone", "parts": {"body": "{% if %}"}}}}
        )
