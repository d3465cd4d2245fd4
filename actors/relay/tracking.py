"""Make a composed message tell what becomes of it, and send none to whom nothing may be sent.

Links lead over the tenant's public address, each under a mark of its own; HTML gets a pixel; mail
that is not transactional says how to unsubscribe with one click (RFC 8058, RFC 2369).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actors.relay.channels.base import Message
from actors.relay.channels.render import Encoding
from actors.relay.effects import Effect
from actors.relay.link_settings import FolderLinks, LinkSettings
from actors.relay.links import Links, with_pixel
from actors.relay.marks import KEY_FILE, Kind, Mark, MarkKey, load_key
from actors.relay.suppression import Suppressions

UNSUBSCRIBE = "unsubscribe"
UNSUBSCRIBE_URL = "unsubscribe_url"
PREFERENCES_URL = "preferences_url"
MESSAGE_DIGITS = 16
_REWRITTEN: tuple[Encoding, ...] = ("text", "html", "sms", "url")


class Tracker:
    """What a relay asks about each message. One thread uses it."""

    def __init__(self, data_dir: Path, public_url: str = "") -> None:
        """Track by what stands in the data directory. Raises HeadraceError, OSError."""
        self._dir = data_dir
        self._links = FolderLinks(data_dir, public_url)
        self._key: MarkKey | None = None
        self._suppressions: Suppressions | None = None
        if self._links.current().public_url is not None:
            load_key(data_dir)

    def message(self, effect: Effect, address: str, at_ms: int) -> Tracked:
        """Begin with a message to an address. Raises HeadraceError, OSError."""
        settings = self._links.current()
        public = settings.public_url is not None and effect.channel in settings.channels
        key = self._key
        if key is None and (public or (self._dir / KEY_FILE).exists()):
            key = self._key = load_key(self._dir)
        if key is not None and self._suppressions is None:
            self._suppressions = Suppressions(self._dir, key)
        list_ = self._suppressions
        subject = b"" if list_ is None else list_.subject(effect.channel, address)
        found = None if list_ is None else list_.find(subject)
        reason = "" if found is None else f"suppressed_{found.reason}"
        always = found is not None and found.stops_all
        sealed = key if public else None
        return Tracked(effect, at_ms, settings, sealed, subject, reason, always)


@dataclass(frozen=True, slots=True)
class Tracked:
    """One message that is being composed; without a key its links stay as they are.

    `reason` is why nothing should be sent, "" for no reason; `always` whether that holds for
    transactional messages too.
    """

    effect: Effect
    at_ms: int
    settings: LinkSettings
    key: MarkKey | None
    subject: bytes
    reason: str
    always: bool

    def refused(self, *, transactional: bool) -> str:
        """Why it must not be sent, "" if it may."""
        return self.reason if self.always or not transactional else ""

    def values(self) -> dict[str, str]:
        """What a template can show beside its own values: the addresses of our pages."""
        if self.key is None:
            return {}
        return {
            UNSUBSCRIBE_URL: self._address("u", "leave"),
            PREFERENCES_URL: self._address("u", "choose"),
        }

    def finished(
        self,
        message: Message,
        encodings: Mapping[str, Encoding],
        sources: Mapping[str, str],
        *,
        transactional: bool,
    ) -> Message:
        """The message with its links led over our address.

        `encodings` are those of the channel's parts, `sources` what the template says in them.
        """
        if self.key is None:
            return message
        links = Links(self._leading, f"{self.settings.public_url}/")
        parts = dict(message.parts)
        for name, encoding in encodings.items():
            if name not in parts or name == UNSUBSCRIBE or encoding not in _REWRITTEN:
                continue
            source = sources.get(name, "")
            if encoding == "html":
                parts[name] = links.in_html(parts[name], source)
                if self.settings.opens:
                    parts[name] = with_pixel(parts[name], self._address("o", "open") + ".gif")
            else:
                parts[name] = links.in_text(parts[name], source)
        one_click = (
            self.settings.unsubscribe
            and not transactional
            and UNSUBSCRIBE in encodings
            and UNSUBSCRIBE not in parts
        )
        if one_click:
            parts[UNSUBSCRIBE] = self._address("u", "leave")
        return Message(
            message.key,
            message.address,
            parts,
            message.at_ms,
            message.customer,
            mark=self._sealed("report"),
            one_click=one_click,
        )

    def _leading(self, link: str, target: str) -> str:
        return self._address("r", "click", link, target)

    def _address(self, way: str, kind: Kind, link: str = "", target: str = "") -> str:
        return f"{self.settings.public_url}/{way}/{self._sealed(kind, link, target)}"

    def _sealed(self, kind: Kind, link: str = "", target: str = "") -> str:
        assert self.key is not None
        effect = self.effect
        return self.key.seal(
            Mark(
                kind,
                customer=effect.customer,
                entry=effect.entry,
                visit=effect.visit,
                version=effect.version,
                at_ms=self.at_ms,
                flow=effect.flow,
                node=effect.node,
                channel=effect.channel,
                template=effect.template,
                message=effect.key[:MESSAGE_DIGITS],
                subject=b"" if kind in ("click", "open") else self.subject,
                link=link,
                target=target,
            )
        )
