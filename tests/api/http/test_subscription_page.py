"""The pages that people see: no script, nothing from elsewhere, every value escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from api.http import subscription_page as pages
from core.nodes import CHANNELS

PAGES = {
    "asking": pages.asking_page("email"),
    "choice": pages.choice_page(CHANNELS),
    "done": pages.done_page(["email", "sms"], pages.LEAVE),
    "joined": pages.done_page(["email"], pages.JOIN),
    "lost": pages.lost_page(),
    "later": pages.later_page(),
}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(text)
    assert parser.open == []
    return parser.seen


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_and_loads_nothing(name: str) -> None:
    seen = tags(PAGES[name])
    assert {tag for tag, _ in seen} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "form", "input"),
        "button",
    }
    assert not [told for _, told in seen if told.keys() & {"src", "href", "action", "style"}]


def test_the_policy_lets_the_style_pass_and_no_script() -> None:
    style = re.findall(r"<style>(.*?)</style>", pages.lost_page())
    hashed = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert f"style-src 'sha256-{hashed}'" in pages.POLICY
    assert "default-src 'none'" in pages.POLICY
    assert "script-src" not in pages.POLICY


def test_every_channel_has_a_button_to_leave_and_one_to_come_back() -> None:
    values = [told["value"] for tag, told in tags(PAGES["choice"]) if tag == "input"]
    assert values == [channel for channel in CHANNELS for _ in range(2)]
    acts = [told["value"] for tag, told in tags(PAGES["choice"]) if tag == "button"]
    assert acts == [pages.LEAVE, pages.JOIN] * len(CHANNELS)
    assert "Subscribe again" in PAGES["done"]
    assert "Unsubscribe" in PAGES["joined"]


def test_a_channel_of_another_name_is_escaped() -> None:
    text = pages.asking_page('"><script>')
    assert "<script>" not in text.replace("&lt;script&gt;", "")
    tags(pages.choice_page(['"><i>']))
