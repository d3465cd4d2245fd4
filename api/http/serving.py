"""Serve the application by HTTP in a thread of its own, from `start` to `close`."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import uvicorn
from starlette.types import ASGIApp

from api.http.connections import Connection, Places, places_for_connections
from core.errors import HeadraceError

HOST, PORT = "127.0.0.1", 8000
BACKLOG = 1024
IDLE_S = 75  # longer than clients and proxies keep connections, so that these close them
CLOSE_S = 10.0  # so long what is under way may take to end
START_S = 30.0


class ListenError(HeadraceError):
    """The address cannot be listened at."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; with a port of 0 the system chooses one."""

    host: str = HOST
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that `HOST:PORT` names, also `[::1]:PORT`, `:PORT` or `HOST`."""
        host, colon, port = text.rpartition(":")
        if not colon or (text.startswith("[") and text.endswith("]")):
            host, port = text, str(PORT)
        host = host.removeprefix("[").removesuffix("]") or HOST
        if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
            raise ListenError(
                f"{text!r} is no address, expected HOST:PORT", advice="For example 127.0.0.1:8000"
            )
        return cls(host, int(port))


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its key, for a server that speaks TLS by itself."""

    certificate: Path
    key: Path


class HttpServer:
    """A server of an application at an address."""

    def __init__(
        self, app: ASGIApp, address: Address, certificate: Certificate | None = None
    ) -> None:
        """Listen. Raises ListenError."""
        if certificate is not None:
            _check_certificate(certificate)
        self._socket = _listening(address)
        for name in ("uvicorn.error", "uvicorn.access"):
            # What it says would disturb the terminal, and its tracebacks could tell of people.
            logger = logging.getLogger(name)
            logger.addHandler(logging.NullHandler())
            logger.propagate = False
        places = Places(places_for_connections())
        config = uvicorn.Config(
            app,
            http=cast(Any, partial(Connection, places=places)),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="none",
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=int(CLOSE_S),
            ssl_certfile=None if certificate is None else str(certificate.certificate),
            ssl_keyfile=None if certificate is None else str(certificate.key),
        )
        scheme = "http" if certificate is None else "https"
        host, port = self._socket.getsockname()[:2]
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        """Where it is found."""
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Serve, once this returns. Raises ListenError if it does not come up."""
        self._thread.start()
        ticking = threading.Event()
        for _ in range(int(START_S / 0.01)):
            if self._server.started or not self._thread.is_alive():
                break
            ticking.wait(0.01)
        if not self._server.started:
            self.close()
            raise ListenError("the HTTP server did not start", advice="See the log")

    def close(self) -> None:
        """Take no more requests, let those under way be answered, and end."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S + 5)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _check_certificate(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate.certificate, certificate.key)
    except (OSError, ssl.SSLError) as error:
        raise ListenError(
            f"the certificate and its key cannot be used: {error.strerror or error}",
            advice="Name a PEM file for each",
            file=str(certificate.certificate),
        ) from None


def _listening(address: Address) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _cannot(address, error) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address.host, address.port))
        found.listen(BACKLOG)
        found.set_inheritable(False)
    except OSError as error:
        found.close()
        raise _cannot(address, error) from None
    return found


def _cannot(address: Address, error: OSError) -> ListenError:
    return ListenError(
        f"cannot listen at {address.host}:{address.port}: {error.strerror or error}",
        advice="Choose another address with --http HOST:PORT, or --no-http",
    )
