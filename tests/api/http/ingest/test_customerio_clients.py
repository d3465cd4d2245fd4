"""Customer.io's Track library as it is; it speaks TLS only, so the server has a certificate."""

from __future__ import annotations

import datetime as dt
import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from customerio.client_base import CustomerIOException
from customerio.track import CustomerIO

from actors.live.errors import DownError
from api.http.serving import Certificate
from http_service import Served, served

DAY = dt.timedelta(days=1)


def certificate(folder: Path) -> Certificate:
    """A certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return Certificate(folder / "cert.pem", folder / "key.pem")


@pytest.fixture(scope="module")
def _safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Certificate]]:
    folder = tmp_path_factory.mktemp("service")
    made = certificate(folder)
    with served(folder / "data", made) as found:
        yield found, made


@pytest.fixture
def service(_safe: tuple[Served, Certificate], monkeypatch: pytest.MonkeyPatch) -> Served:
    """The service, as if it had been sent nothing yet."""
    found, made = _safe
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.certificate))
    found.engine.forget()
    return found


@pytest.fixture
def client(service: Served) -> Iterator[Any]:
    port = int(service.url.rpartition(":")[2])
    with CustomerIO("site", service.events, host="127.0.0.1", port=port, retries=2) as found:
        yield found


def test_attributes_and_events_arrive(client: Any, service: Served) -> None:
    now = int(time.time()) - 60
    client.identify("ada/1", email="ada@example.com", plan="gold", created_at=now, seen=now)
    client.track("ada/1", "signup", {"plan": "gold"}, id="01HX", timestamp=now)
    client.pageview("ada/1", "https://example.com/a")
    client.track_anonymous("anon-1", "order", {"amount": 5})
    client.backfill("ada/1", "order", now - 3600, amount=7.5)
    assert service.engine.total == (5, 0, 0)
    state = service.engine.state_of("ada/1")
    assert state["attributes"]["plan"] == "gold"
    assert state["attributes"]["seen"] == now * 1000
    assert state["personal"] == {"email": "ada@example.com"}
    _, event, page, anonymous, old = service.engine.rows
    assert event == {
        "customer": "ada/1",
        "event": "signup",
        "properties": {"plan": "gold"},
        "occurred": now * 1000,
        "message_id": "customerio:01HX",
    }
    assert (page["event"], page["properties"]) == ("page_visited", {"url": "https://example.com/a"})
    assert anonymous["customer"] == "anon-1"
    assert old["occurred"] == (now - 3600) * 1000


def test_a_repeated_event_counts_once(client: Any, service: Served) -> None:
    for _ in range(2):
        client.track("bob", "signup", id="01HY")
    assert service.engine.total == (1, 1, 0)


def test_what_is_refused_for_now_is_sent_again(client: Any, service: Served) -> None:
    service.engine.failures.append(DownError("a partition is down"))
    client.track("bob", "signup", id="01HZ")
    assert service.engine.failures == []
    assert service.engine.total == (1, 0, 0)


def test_two_people_are_merged(client: Any, service: Served) -> None:
    client.identify("carl-2", plan="gold", anonymous_id="carl-anonymous")
    client.merge_customers("id", "carl-1", "id", "carl-2")
    state = service.engine.state_of("carl-1")
    assert state["attributes"] == {"plan": "gold"}
    for alias in ("carl-2", "carl-anonymous"):
        assert service.engine.state_of(alias) == state


def test_devices_are_told_as_refused(client: Any, service: Served) -> None:
    client.add_device("bob", "d1", "ios")
    client.delete_device("bob", "d1")
    codes = [code for _, reply in service.engine.sent for _, _, code, _ in reply.rejects]
    assert codes == ["devices-not-kept", "devices-not-kept"]


def test_nothing_is_promised_that_nobody_keeps(client: Any) -> None:
    with pytest.raises(CustomerIOException, match="cannot be suppressed"):
        client.suppress("bob")


def test_a_batch_tells_what_was_refused(client: Any, service: Served) -> None:
    bob = {"type": "person", "identifiers": {"id": "bob"}}
    answer = client.batch(
        [
            {**bob, "action": "identify", "attributes": {"plan": "free"}},
            {**bob, "action": "event", "name": "signup", "id": "01J0"},
            {**bob, "action": "event", "name": "unheard of"},
            {**bob, "action": "dance"},
        ]
    )
    errors = answer.json()["errors"]
    assert [(e["batch_index"], e["reason"]) for e in errors] == [
        (2, "unknown-event"),
        (3, "not-supported"),
    ]
    assert service.engine.total == (2, 0, 2)


def test_only_a_key_that_may_erase_erases(client: Any, service: Served) -> None:
    client.identify("gone", plan="free")
    with pytest.raises(CustomerIOException, match="403"):
        client.delete("gone")
    port = int(service.url.rpartition(":")[2])
    with CustomerIO("site", service.admin, host="127.0.0.1", port=port) as admin:
        admin.delete("gone")
    assert service.engine.state_of("gone")["attributes"] == {}
    with service.service.plane.tenant("main").read() as txn:
        (_, told) = next(iter(txn.scan("audit")))
    assert told["action"] == "customer.erase"
    assert "gone" not in told["object"]
