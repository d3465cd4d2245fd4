"""What a composed message has so that it can come back, and who is sent none."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from actors.relay.channels.base import Message
from actors.relay.channels.render import Encoding, Source
from actors.relay.channels.smtp import Server, SmtpChannel
from actors.relay.compose import Content, compose
from actors.relay.marks import KEY_FILE, Mark, load_key
from actors.relay.outcomes import Dead, Retry, Skipped
from actors.relay.suppression import FILE, Suppressions
from actors.relay.tracking import Tracker
from relaying import EFFECT, EPOCH_MS, Persons, Scripted, Templates

PUBLIC = "https://links.test"
PARTS = {
    "subject": Source("Hello https://a.test"),
    "text": Source("https://a.test/t?{{ name }} {{ unsubscribe_url }}"),
    "html": Source('<a href="https://a.test/h">x</a>'),
}
MAIL = SmtpChannel(Server("mail.test", 25, "shop@x.test"))


class Sms(Scripted):
    parts: Mapping[str, Encoding] = {"body": "sms"}


class Push(Scripted):
    parts: Mapping[str, Encoding] = {"title": "text", "url": "url"}


def composed(
    folder: Path, public_url: str = PUBLIC, channel: object = MAIL, *, name: str = "email",
    parts: Mapping[str, Source] = PARTS, transactional: bool = False,
) -> Message | Dead | Retry | Skipped:  # fmt: skip
    tracker = Tracker(folder, public_url)
    content = Content(parts, "email", transactional=transactional)
    effect = replace(EFFECT, channel=name)
    return asyncio.run(
        compose(effect, channel, Persons(), Templates(content), EPOCH_MS, tracker)  # type: ignore[arg-type]
    )


def message(folder: Path, **more: object) -> Message:
    found = composed(folder, **more)  # type: ignore[arg-type]
    assert isinstance(found, Message), found
    return found


def marks(folder: Path, text: str) -> list[Mark]:
    key = load_key(folder)
    assert key is not None
    found = [key.open(mark) for mark in re.findall(rf"{PUBLIC}/[rou]/([\w-]+)", text)]
    assert None not in found
    return [mark for mark in found if mark is not None]


def test_every_mark_names_the_message_it_is_in(tmp_path: Path) -> None:
    made = message(tmp_path)
    assert made.parts["subject"] == "Hello https://a.test"
    click, leave = marks(tmp_path, made.parts["text"])
    assert click == Mark(
        "click",
        customer=EFFECT.customer,
        entry=EFFECT.entry,
        visit=EFFECT.visit,
        version=EFFECT.version,
        at_ms=EPOCH_MS,
        flow="welcome",
        node="greeting",
        channel="email",
        template="hello",
        message=EFFECT.key[:16],
        link="https://a.test/t",
        target="https://a.test/t?Secret7",
    )
    assert leave == replace(click, kind="leave", link="", target="", subject=leave.subject)
    assert len(leave.subject) == 16
    link, pixel = marks(tmp_path, made.parts["html"])
    assert (link.target, pixel.kind) == ("https://a.test/h", "open")
    key = load_key(tmp_path)
    assert key is not None
    assert key.open(made.mark) == replace(leave, kind="report")
    assert "Secret" not in repr(made)


def test_mail_has_the_headers_of_one_click_and_the_mark(tmp_path: Path) -> None:
    mail = MAIL.mail(message(tmp_path))
    (leave,) = marks(tmp_path, str(mail["List-Unsubscribe"]))
    assert leave.kind == "leave"
    assert mail["List-Unsubscribe"] == f"<{message(tmp_path).parts['unsubscribe']}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(mail["X-Headrace-Mark"]) == message(tmp_path).mark
    assert b"\r\nX-Headrace-Mark:" in mail.as_bytes()


@pytest.mark.parametrize("way", ["transactional", "own part", "switched off"])
def test_other_mail_says_nothing_of_one_click(tmp_path: Path, way: str) -> None:
    parts = dict(PARTS)
    if way == "own part":
        parts["unsubscribe"] = Source("https://shop.test/leave")
    if way == "switched off":
        (tmp_path / "links.yaml").write_text("unsubscribe: false\nopens: false\n")
    made = message(tmp_path, parts=parts, transactional=way == "transactional")
    mail = MAIL.mail(made)
    assert mail["List-Unsubscribe-Post"] is None
    assert mail["List-Unsubscribe"] == ("<https://shop.test/leave>" if "own" in way else None)
    assert ("<img" in made.parts["html"]) is (way != "switched off")


def test_without_an_address_or_on_other_channels_links_stay(tmp_path: Path) -> None:
    plain = {"body": Source("https://a.test")}
    for more in ({"public_url": ""}, {}):
        made = message(tmp_path, channel=Sms(), name="sms", parts=plain, **more)
        assert made.parts == {"body": "https://a.test"}
        assert (made.mark, made.one_click) == ("", False)
    # With no address there is no page to show either, and nobody is sent a link to nothing.
    assert composed(tmp_path, "") == Dead("missing_variable")


def test_text_messages_and_web_push_are_led_over_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "links.yaml").write_text("channels: [sms, web_push]\n")
    made = message(tmp_path, channel=Sms(), name="sms", parts={"body": Source("https://a.test/s")})
    assert [mark.channel for mark in marks(tmp_path, made.parts["body"])] == ["sms"]
    parts = {"title": Source("Sale"), "url": Source("https://a.test/p")}
    made = message(tmp_path, channel=Push(), name="web_push", parts=parts)
    assert [mark.target for mark in marks(tmp_path, made.parts["url"])] == ["https://a.test/p"]
    assert made.parts["title"] == "Sale"


def test_nothing_is_sent_to_whom_it_must_not(tmp_path: Path) -> None:
    message(tmp_path)
    key = load_key(tmp_path)
    assert key is not None
    listed = Suppressions(tmp_path, key)
    address = listed.subject("email", "c7@example.com")
    listed.put(address, "unsubscribed", 1)
    assert composed(tmp_path) == Skipped("suppressed_unsubscribed")
    assert message(tmp_path, transactional=True).address == "c7@example.com"
    listed.put(address, "bounce", 2)
    assert composed(tmp_path, transactional=True) == Skipped("suppressed_bounce")
    # The list counts without any links, too.
    assert composed(tmp_path, "") == Skipped("suppressed_bounce")
    listed.lift(address, 3)
    assert isinstance(composed(tmp_path), Message)


def test_while_the_list_cannot_be_read_nothing_is_sent(tmp_path: Path) -> None:
    message(tmp_path)
    (tmp_path / FILE).write_bytes(b"x" * 32)
    assert composed(tmp_path) == Retry("not_available", fault=False)


def test_no_key_is_made_where_no_link_is_led_over(tmp_path: Path) -> None:
    message(tmp_path, public_url="", channel=Sms(), name="sms", parts={"body": Source("x")})
    assert not (tmp_path / KEY_FILE).exists()
