"""Tests of e-mail against a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from actors.relay.channels.base import Message
from actors.relay.channels.guard import Guard
from actors.relay.channels.smtp import Server, SmtpChannel
from actors.relay.outcomes import Ambiguous, Dead, Delivered, Outcome, Retry
from local_http import LOOPBACK, certificate

PARTS = {"subject": "Grüße", "text": "Hallo Zoë\n.\nend", "html": "<p>Hallo &amp; Zoë</p>"}


class Inbox:
    """Keeps mail, and answers recipients and data as told."""

    def __init__(self, rcpt: str = "250 OK", data: str = "250 OK") -> None:
        self.rcpt, self.data = rcpt, data
        self.mails: list[Any] = []
        self.connections = 0

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.rcpt == "drop":
            server.transport.abort()
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        if self.data == "drop":
            server.transport.abort()
        if self.data == "silence":
            await asyncio.Event().wait()
        return self.data


@asynccontextmanager
async def serving(inbox: Inbox, **options: Any) -> AsyncIterator[int]:
    """An SMTP server; yields its port."""
    sessions: list[SMTP] = []

    def session() -> SMTP:
        inbox.connections += 1
        sessions.append(SMTP(inbox, loop=asyncio.get_running_loop(), hostname="mx", **options))
        return sessions[-1]

    listener = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for each in sessions:
            if each.transport is not None:
                each.transport.abort()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def channel(port: int, **options: Any) -> SmtpChannel:
    chosen = {"tls": "none", "sender_name": 'The "Shop"', **options}
    return SmtpChannel(Server("127.0.0.1", port, "shop@example.com", **chosen), near(port))


def near(port: int) -> Guard:
    """A guard that lets connections to this machine pass."""
    return Guard(ports=frozenset({port}), allowed=LOOPBACK)


def message(address: str = "zoe@example.org", **parts: str) -> Message:
    return Message("ab12", address, {**PARTS, **parts}, 1_700_000_000_000)


def outcome_of(inbox: Inbox, sent: Message | None = None, **options: Any) -> Outcome:
    async def main() -> Outcome:
        async with serving(inbox) as port:
            mailer = channel(port, **options)
            try:
                return await mailer.send(sent or message())
            finally:
                await mailer.close()

    return asyncio.run(main())


def test_a_mail_arrives_as_it_was_written() -> None:
    inbox = Inbox()
    assert outcome_of(inbox, message(unsubscribe="https://example.com/u?k=1")) == Delivered()
    ((sender, recipients, content),) = inbox.mails
    assert (sender, recipients) == ("shop@example.com", ["zoe@example.org"])
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert mail["Subject"] == "Grüße"
    assert mail["From"] == "The Shop <shop@example.com>"
    assert mail["Message-ID"] == "<ab12@example.com>"
    assert mail["Date"] == "Tue, 14 Nov 2023 22:13:20 -0000"
    assert mail["List-Unsubscribe"] == "<https://example.com/u?k=1>"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().split() == ["Hallo", "Zoë", ".", "end"]
    assert html.get_content().strip() == PARTS["html"]


def test_a_connection_is_used_again() -> None:
    inbox = Inbox()

    async def main() -> None:
        async with serving(inbox) as port:
            mailer = channel(port)
            for _ in range(3):
                assert await mailer.send(message()) == Delivered()
            await mailer.close()

    asyncio.run(main())
    assert (len(inbox.mails), inbox.connections) == (3, 1)


@pytest.mark.parametrize(
    ("rcpt", "data", "outcome", "stored"),
    [
        ("550 no such user", "", Dead("smtp_550"), 0),
        ("451 later", "", Retry("smtp_451"), 0),
        ("drop", "", Retry("connection_lost"), 0),
        ("250 OK", "554 spam", Dead("smtp_554"), 1),
        ("250 OK", "452 full", Retry("smtp_452"), 1),
        ("250 OK", "drop", Ambiguous("connection_lost"), 1),
        ("250 OK", "silence", Ambiguous("connection_lost"), 1),
    ],
)
def test_what_an_answer_means(rcpt: str, data: str, outcome: Outcome, stored: int) -> None:
    inbox = Inbox(rcpt, data)
    assert outcome_of(inbox, timeout_ms=500) == outcome
    assert len(inbox.mails) == stored


@pytest.mark.parametrize(
    "address",
    [
        "a b@c.de",
        "a@b.de\r\nRCPT TO:<x@y.de>",
        "<a@b.de>",
        "a@b.de, c@d.de",
        "@b.de",
        "a",
        "ü@b.de",
    ],
)
def test_an_address_that_could_say_more_is_refused(address: str) -> None:
    inbox = Inbox()
    assert outcome_of(inbox, message(address)) == Dead("address_invalid")
    assert inbox.connections == 0


def test_a_line_break_in_a_header_never_leaves() -> None:
    inbox = Inbox()
    sent = message(subject="hi\r\nBcc: all@example.com")
    assert outcome_of(inbox, sent) == Dead("mail_malformed")
    assert inbox.connections == 0


def test_nobody_there_and_tls_that_is_not_offered(tmp_path: Path) -> None:
    inbox = Inbox()
    assert outcome_of(inbox, tls="start") == Retry("connect_failed")
    assert inbox.mails == []
    assert asyncio.run(channel(1).send(message())) == Retry("connect_failed")


def test_starttls_is_checked(tmp_path: Path) -> None:
    inbox = Inbox()

    async def main() -> None:
        theirs, ours = certificate(tmp_path, "localhost")
        async with serving(inbox, tls_context=theirs, require_starttls=True) as port:
            server = Server("localhost", port, "shop@example.com")
            guard = near(port)
            trusting, strange = SmtpChannel(server, guard, ours), SmtpChannel(server, guard)
            assert await trusting.send(message()) == Delivered()
            assert await strange.send(message()) == Retry("tls_failed")
            await trusting.close()

    asyncio.run(main())
    assert len(inbox.mails) == 1


def test_without_a_guard_only_public_addresses_are_connected_to() -> None:
    inbox = Inbox()

    async def main() -> None:
        async with serving(inbox) as port:
            for host in ("127.0.0.1", "localhost", "::1"):
                mailer = SmtpChannel(Server(host, port, "shop@example.com", tls="none"))
                refused = "host_refused" if host == "localhost" else "address_refused"
                assert await mailer.send(message()) == Dead(refused)

    asyncio.run(main())
    assert inbox.connections == 0


def test_a_server_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="sender"):
        SmtpChannel(Server("h", 25, "nobody"))
    assert "hunter2" not in repr(Server("h", 25, "a@b.de", password="hunter2"))
