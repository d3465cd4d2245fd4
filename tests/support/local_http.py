"""A scripted HTTP server on loopback that does what providers do wrong, and notes what came."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.relay.channels.guard import Guard

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@dataclass(slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Server:
    """The server's port, its next answers (the last one is repeated), and what came."""

    port: int = 0
    answers: list[str | bytes] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def url(self, host: str = "hook.example.com", scheme: str = "http") -> str:
        """A URL of it under a name that `guard` resolves to loopback."""
        return f"{scheme}://{host}:{self.port}/in?a=1"

    def guard(self) -> Guard:
        """A guard that finds every name on loopback and lets it pass there, to this port."""

        async def resolve(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        return Guard(frozenset({"http", "https"}), frozenset({self.port}), LOOPBACK, resolve)


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def serving(
    *answers: str | bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve answers: bytes as they are, or "reset", "close", "silence", "drip" or "drip body"."""
    server = Server(answers=list(answers))
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        writers.add(writer)
        try:
            await _serve(server, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writers.discard(writer)
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for writer in writers:
            writer.transport.abort()


async def _serve(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    said = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
    if said == "close":
        return
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    server.requests.append(Request(method, path, headers, body))
    if isinstance(said, bytes):
        writer.write(said)
        await writer.drain()
    elif said == "reset":
        writer.transport.abort()
    elif said == "silence":
        await reader.read()
    else:
        whole = answer(200, b"x" * 1_000)
        start = whole.index(b"x") if said == "drip body" else 0
        writer.write(whole[:start])
        for byte in whole[start:]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)


def certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a new certificate for `host`, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(pem)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=made.public_bytes(pem).decode())
    return server, client
