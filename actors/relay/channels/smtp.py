"""Send e-mail over SMTP, one transaction a message, on connections that are kept for a while.

SMTP knows no idempotency key. What was refused before the data were sent, or by an answer to them,
certainly did not leave; when the answer to the data is lost, nobody knows. Where a connection may
go is asked of the guard each time that one is made, and it is made to the address that was checked.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate

import aiosmtplib
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPResponseException,
)

from actors.relay.channels.base import Message
from actors.relay.channels.exchange import is_tls
from actors.relay.channels.guard import Guard, RefusedError
from actors.relay.channels.render import Encoding
from actors.relay.outcomes import Ambiguous, Dead, Delivered, Outcome, Retry

# An address as SMTP can carry it without extensions; quoted local parts are left out on purpose.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}\Z")
_POLICY = SMTP_POLICY.clone(max_line_length=998)
KEPT_MAX = 16


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed in, and as whom.

    `tls`: "start" insists on STARTTLS, "direct" speaks TLS from the first byte, "none" is for a
    server on the same machine.
    """

    host: str
    port: int
    sender: str
    sender_name: str = ""
    tls: str = "start"
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_ms: int = 30_000


class SmtpChannel:
    """E-mail by one server. Parts: subject, text, and maybe html and unsubscribe (a URL)."""

    keyed = False
    key_ttl_ms = 0
    parts: Mapping[str, Encoding] = {
        "subject": "header",
        "text": "text",
        "html": "html",
        "unsubscribe": "header",
    }
    optional = frozenset({"html", "unsubscribe"})

    def __init__(
        self, server: Server, guard: Guard | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """Raises ValueError for a sender that is no address or another kind of TLS.

        Without a guard, only public addresses are connected to.
        """
        if not _ADDRESS.match(server.sender) or server.tls not in ("start", "direct", "none"):
            raise ValueError("expected a sender's address, and tls start, direct or none")
        self._server = server
        self._guard = guard or Guard(ports=frozenset({server.port}))
        self._tls = tls
        self._kept: list[aiosmtplib.SMTP] = []

    async def send(self, message: Message) -> Outcome:
        """Hand it in once."""
        if not _ADDRESS.match(message.address):
            return Dead("address_invalid")
        try:
            data = self.mail(message).as_bytes()
        except (ValueError, UnicodeError):
            return Dead("mail_malformed")
        try:
            client = await self._connected()
        except RefusedError as error:
            return Dead(str(error))
        except SMTPAuthenticationError:
            return Retry("smtp_login_refused")
        except (SMTPException, OSError, ValueError) as error:
            return Retry("tls_failed" if is_tls(error) else "connect_failed")
        outcome = await self._transact(client, message.address, data)
        if client.is_connected and len(self._kept) < KEPT_MAX:
            self._kept.append(client)
        else:
            client.close()
        return outcome

    async def _transact(self, client: aiosmtplib.SMTP, address: str, data: bytes) -> Outcome:
        in_data = False
        try:
            await client.mail(self._server.sender)
            await client.rcpt(address)
            in_data = True
            await client.data(data)
            return Delivered()
        except SMTPResponseException as error:
            # A server that refuses the data says so; -1 stands for an answer that made no sense.
            known = not in_data or isinstance(error, SMTPDataError)
            if not known or error.code <= 0:
                client.close()
                return Ambiguous("reply_unreadable") if in_data else Retry("reply_unreadable")
            await self._reset(client)
            reason = f"smtp_{error.code}"
            return Dead(reason) if error.code >= 500 else Retry(reason)
        except (SMTPException, OSError):
            client.close()
            return Ambiguous("connection_lost") if in_data else Retry("connection_lost")

    async def _reset(self, client: aiosmtplib.SMTP) -> None:
        try:
            await client.rset()
        except (SMTPException, OSError):
            client.close()

    async def _connected(self) -> aiosmtplib.SMTP:
        """A connection that answers: a kept one, else a new one."""
        while self._kept:
            client = self._kept.pop()
            try:
                if client.is_connected:
                    await client.rset()
                    return client
            except (SMTPException, OSError):
                client.close()
        server = self._server
        client = aiosmtplib.SMTP(
            # For the certificate alone: the socket has its address already.
            hostname=server.host,
            sock=await self._socket(),
            username=server.username or None,
            password=server.password or None,
            timeout=server.timeout_ms / 1_000,
            use_tls=server.tls == "direct",
            start_tls=server.tls == "start",
            tls_context=self._tls if server.tls != "none" else None,
        )
        await client.connect()
        return client

    async def _socket(self) -> socket.socket:
        """A connection to the address that the guard checked. Raises RefusedError, OSError."""
        server = self._server
        async with asyncio.timeout(server.timeout_ms / 1_000):
            address = await self._guard.address(server.host, server.port)
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            found = socket.socket(family, socket.SOCK_STREAM)
            try:
                found.setblocking(False)
                to = (str(address), server.port)
                await asyncio.get_running_loop().sock_connect(found, to)
            except BaseException:
                found.close()
                raise
        return found

    def mail(self, message: Message) -> EmailMessage:
        """Return the mail; its Message-ID holds the key, the only trace a receiver can match.

        Raises ValueError for a header that cannot be written.
        """
        mail = EmailMessage(policy=_POLICY)
        domain = self._server.sender.rpartition("@")[2]
        name = self._server.sender_name.replace("\\", "").replace('"', "")
        mail["From"] = f'"{name}" <{self._server.sender}>' if name else self._server.sender
        mail["To"] = message.address
        mail["Subject"] = message.parts["subject"]
        mail["Message-ID"] = f"<{message.key}@{domain}>"
        mail["Date"] = formatdate(message.at_ms / 1_000)
        if unsubscribe := message.parts.get("unsubscribe"):
            mail["List-Unsubscribe"] = f"<{unsubscribe}>"
        if message.one_click:
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        if message.mark:
            mail["X-Headrace-Mark"] = message.mark
        mail.set_content(message.parts["text"])
        if html := message.parts.get("html"):
            mail.add_alternative(html, subtype="html")
        return mail

    async def close(self) -> None:
        """End the kept connections."""
        while self._kept:
            self._kept.pop().close()
