"""Tests of providers set up from a file: nothing secret in it, clear words where it is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from actors.relay.channels.base import Message
from actors.relay.channels.file import FileChannel
from actors.relay.channels.http_provider import HttpProvider
from actors.relay.channels.smtp import SmtpChannel
from actors.relay.channels.webhook import WebhookChannel
from actors.relay.contents import FolderContents
from actors.relay.link_settings import load_links
from actors.relay.outcomes import Delivered
from actors.relay.settings import DEFAULT, load_providers
from core.errors import HeadraceError
from core.nodes import CHANNELS

TEXT = """\
providers:
  mail:
    kind: smtp
    channels: email
    host: mail.example.com
    sender: shop@example.com
    username: shop
    password: {env: MAIL_PASSWORD}
    resend_ambiguous: true
    concurrency: 4
    backoff: {base_ms: 500}
  hooks:
    kind: webhook
    channels: [webhook]
    secrets: [{env: HOOK_SECRET}]
    allow_networks: [10.1.0.0/16]
  gate:
    kind: http_provider
    channels: [sms, whatsapp]
    url: https://gate.example.com/send
    headers: {authorization: "Bearer {{ key_of_gate }}"}
    secrets: {key_of_gate: {env: GATE_KEY}}
    body: {to: "{{ to }}", text: "{{ body }}", id: "{{ key }}"}
    statuses: {409: sent}
    keyed: true
  rest:
    kind: file
    channels: [push, web_push, in_app]
"""
ENVIRON = {
    "MAIL_PASSWORD": "canary-mail",
    "HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "GATE_KEY": "canary-gate",
}


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "providers.yaml").write_text(text)
    return tmp_path


def test_each_kind_of_provider(tmp_path: Path) -> None:
    settings = load_providers(written(tmp_path, TEXT))
    providers = settings.build(tmp_path, "003", ENVIRON)
    assert {channel: provider.name for channel, provider in providers.items()} == {
        "email": "mail",
        "webhook": "hooks",
        "sms": "gate",
        "whatsapp": "gate",
        "push": "rest",
        "web_push": "rest",
        "in_app": "rest",
    }
    assert providers["sms"] is providers["whatsapp"]
    mail, hooks, gate, rest = (providers[name] for name in ("email", "webhook", "sms", "push"))
    assert isinstance(mail.channel, SmtpChannel)
    assert mail.channel._server.password == "canary-mail"
    assert (mail.resend_ambiguous, mail.concurrency, mail.backoff.base_ms) == (True, 4, 500)
    assert isinstance(hooks.channel, WebhookChannel)
    assert isinstance(gate.channel, HttpProvider)
    assert gate.channel.keyed
    assert gate.channel._gateway.secrets == {"key_of_gate": "canary-gate"}
    assert gate.channel._gateway.statuses == {409: "sent"}
    assert isinstance(rest.channel, FileChannel)
    assert (tmp_path / "outgoing" / "messages-003.jsonl").exists()
    shown = repr(settings) + repr(providers) + repr(mail.channel) + repr(gate.channel._gateway)
    assert "canary" not in shown + settings.model_dump_json()


def test_each_relay_gets_providers_of_its_own(tmp_path: Path) -> None:
    settings = load_providers(written(tmp_path, TEXT))
    one, two = (settings.build(tmp_path, label, ENVIRON) for label in ("000", "001"))
    assert all(one[channel] is not two[channel] for channel in one)
    assert all(one[channel].slots is not two[channel].slots for channel in one)


def test_without_a_file_everything_goes_to_the_outgoing_folder(tmp_path: Path) -> None:
    assert load_providers(tmp_path) is DEFAULT
    providers = DEFAULT.build(tmp_path, "000")
    assert providers.keys() == set(CHANNELS)
    message = Message("k", "ann@example.com", {"body": "hi"}, 5)
    assert asyncio.run(providers["sms"].channel.send(message)) == Delivered()
    (line,) = (tmp_path / "outgoing" / "messages-000.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "key": "k",
        "at_ms": 5,
        "customer": -1,
        "to": "ann@example.com",
        "body": "hi",
    }
    assert (tmp_path / "outgoing").stat().st_mode & 0o77 == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: smtp", "kind: smpt", "/providers/mail"),
        ("kind: smtp\n", "\n", "/providers/mail"),
        ("concurrency: 4", "concurrency: 0", "line 10, /providers/mail/concurrency"),
        ("concurrency: 4", "concurency: 4", "/providers/mail/concurency: no field 'concurency'"),
        (
            "{env: MAIL_PASSWORD}",
            "canary",
            "line 8, /providers/mail/password: a secret must not stand here",
        ),
        ("{env: GATE_KEY}", "canary", "/providers/gate/secrets/key_of_gate: a secret must not"),
        ("{env: HOOK_SECRET}", "canary", "/providers/hooks/secrets/0: a secret must not"),
        ("{env: GATE_KEY}", "{env: 'A B'}", "the name of an environment variable"),
        ("10.1.0.0/16", "10.1.0.1/16", "'10.1.0.1/16' is no network"),
        ("channels: [webhook]", "channels: [email]", "'mail' and 'hooks' both take email"),
        ("channels: [webhook]", "channels: [fax]", "/providers/hooks/channels/0"),
        ("  rest:", "  unrouted:", "'unrouted' is no name for a provider"),
        ("    kind: file\n", "    kind: file\n    file: ../x\n", "without a path"),
        ("{409: sent}", "{409: gone}", "/providers/gate/statuses/409"),
        ("providers:", "providers: {}\nother:", "no field 'other'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(HeadraceError) as raised:
        load_providers(written(tmp_path, TEXT.replace(old, new)))
    assert message in str(raised.value)
    assert "providers.yaml" in str(raised.value)
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("old", "new", "environ", "message"),
    [
        ("", "", {"MAIL_PASSWORD": ""}, "/providers/mail: environment variable MAIL_PASSWORD"),
        ("", "", {"HOOK_SECRET": "canary"}, "/providers/hooks: a webhook's secret starts"),
        ("{{ body }}", "{% x %}", {}, "/providers/gate: "),
        ("shop@example.com", "shop", {}, "/providers/mail: expected a sender's address"),
    ],
)
def test_what_shows_only_when_it_is_set_up(
    tmp_path: Path, old: str, new: str, environ: dict[str, str], message: str
) -> None:
    settings = load_providers(written(tmp_path, TEXT.replace(old, new) if old else TEXT))
    with pytest.raises(HeadraceError) as raised:
        settings.build(tmp_path, "000", {**ENVIRON, **environ})
    assert message in str(raised.value)
    assert "canary" not in str(raised.value)


def test_two_providers_may_not_write_one_file(tmp_path: Path) -> None:
    text = "providers:\n  a: {kind: file, channels: sms}\n  b: {kind: file, channels: push%s}\n"
    with pytest.raises(HeadraceError, match="'a' and 'b' write one file"):
        load_providers(written(tmp_path, text % ""))
    load_providers(written(tmp_path, text % ", file: other"))


def test_the_examples_of_the_documentation_are_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "messages.md").read_text()
    blocks = [part.partition("```")[0] for part in text.split("```text\n")[1:]]
    providers, content, links = blocks
    (tmp_path / "links.yaml").write_text(links)
    assert load_links(tmp_path).callbacks["mailer"].kinds["email.bounced"] == "bounce"
    settings = load_providers(written(tmp_path, providers))
    secret = ENVIRON["HOOK_SECRET"]
    built = settings.build(tmp_path, "000", {**ENVIRON, "OLD_HOOK_SECRET": secret})
    assert built.keys() == {"email", "webhook", "sms", "whatsapp"}
    (tmp_path / "hello.yaml").write_text(content)
    found = FolderContents(tmp_path).template("hello")
    assert found is not None
    assert set(found.channels) == {"email", "sms"}
