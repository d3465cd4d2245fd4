"""Write the pages on which people end a subscription: plain HTML, without scripts or cookies."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem;margin:.25rem .5rem .25rem 0}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
LEAVE, JOIN = "leave", "join"
_CALLED = {
    "email": "e-mail",
    "sms": "text messages",
    "push": "notifications of the app",
    "web_push": "notifications of the browser",
    "whatsapp": "WhatsApp",
    "in_app": "messages in the app",
    "wechat": "WeChat",
    "webhook": "webhooks",
}


def asking_page(channel: str) -> str:
    """The page with one button, which ends the subscription of a channel."""
    text = f"<p>Do you want no more {escape(_called(channel))} from us?</p>"
    return _page("Unsubscribe", text + _button(channel, LEAVE, "Unsubscribe"))


def choice_page(channels: Sequence[str]) -> str:
    """The page of preferences: two buttons for each channel."""
    rows = "".join(
        f"<h2>{escape(_called(channel).capitalize())}</h2>"
        + _button(channel, LEAVE, "Unsubscribe")
        + _button(channel, JOIN, "Subscribe")
        for channel in channels
    )
    return _page("What may we send you?", rows)


def done_page(channels: Sequence[str], action: str) -> str:
    """The page after a choice, with a way back."""
    what = " and ".join(_called(channel) for channel in channels)
    if action == JOIN:
        said, back, other = f"You will get {what} from us.", LEAVE, "Unsubscribe"
    else:
        said, back, other = f"You will get no more {what} from us.", JOIN, "Subscribe again"
    buttons = "".join(_button(channel, back, other) for channel in channels)
    return _page("Done", f"<p>{escape(said)}</p>{buttons}")


def lost_page() -> str:
    """The page for a link that leads nowhere."""
    return _page(
        "This link does not work",
        "<p>It was cut short or is not from us. Open it again from the message itself.</p>",
    )


def later_page() -> str:
    """The page where a choice could not be stored now."""
    return _page("Please try again", "<p>Your choice could not be stored just now.</p>")


def _called(channel: str) -> str:
    return _CALLED.get(channel, channel)


def _button(channel: str, action: str, label: str) -> str:
    return (
        f'<form method="post"><input type="hidden" name="channel" value="{escape(channel)}">'
        f'<button name="action" value="{action}">{label}</button></form>'
    )


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    )
