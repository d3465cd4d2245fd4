"""The settings of links: what is read, what is refused, when they are read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.relay.link_settings import LINKS, FolderLinks, load_links, public_address
from core.errors import HeadraceError


def write(folder: Path, text: str) -> None:
    (folder / LINKS).write_text(text)


def test_without_a_file_links_stay_unless_the_start_names_an_address(tmp_path: Path) -> None:
    assert load_links(tmp_path).public_url is None
    assert load_links(tmp_path, "https://a.test/").public_url == "https://a.test"
    write(tmp_path, "public_url: https://own.test/links\n")
    assert load_links(tmp_path, "https://a.test").public_url == "https://own.test/links"
    write(tmp_path, "channels: [sms]\n")
    found = load_links(tmp_path, "https://a.test")
    assert (found.public_url, found.channels) == ("https://a.test", ["sms"])


@pytest.mark.parametrize(
    "text",
    ["a.test", "ftp://a.test", "https://", "https://u:p@a.test", "https://a.test/?x=1", "https://ü",
     "https://a.test/#x", 'https://a.test/"', "https://a.test/\n", "https://[", "x" * 300,
     "https://a.test/" + "x" * 300],
)  # fmt: skip
def test_what_is_no_public_address_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        public_address(text)
    with pytest.raises(HeadraceError, match="expected an address"):
        load_links(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "pointer", "what"),
    [
        ("public_url: 5\n", "/public_url", ""),
        ("channels: [fax]\n", "/channels/0", ""),
        ("links: yes\n", "/links", "no field 'links'"),
        ("callbacks: {a.b: {secrets: [{env: X}], kinds: {b: bounce}, mark: m}}\n", "", "no name"),
        ("callbacks: {a: {secrets: [{env: X}], kinds: {b: bounce}}}\n", "/callbacks/a", "a path"),
        ("callbacks: {a: {secrets: [], kinds: {b: bounce}, mark: m}}\n",
         "/callbacks/a/secrets", ""),
        ("callbacks: {a: {secrets: [plain], kinds: {b: bounce}, mark: m}}\n",
         "/callbacks/a/secrets/0", "must not stand here"),
        ("callbacks: {a: {secrets: [{env: X}], kinds: {b: shrug}, mark: m}}\n",
         "/callbacks/a/kinds/b", ""),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_place(
    tmp_path: Path, text: str, pointer: str, what: str
) -> None:
    write(tmp_path, text)
    with pytest.raises(HeadraceError, match=what or None) as caught:
        load_links(tmp_path)
    assert pointer in str(caught.value.pointer)
    assert caught.value.file == str(tmp_path / LINKS)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    links = FolderLinks(tmp_path)
    first = links.current()
    assert links.current() is first
    write(tmp_path, "public_url: https://own.test\n")
    assert links.current().public_url == "https://own.test"
    write(tmp_path, "public_url: 5 5 5\n")
    with pytest.raises(HeadraceError):
        links.current()
    (tmp_path / LINKS).unlink()
    assert links.current().public_url is None
