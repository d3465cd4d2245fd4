"""What can come of one attempt to send, as a channel tells it.

Reasons are short codes made by us (`http_503`, `timeout`), never a provider's words: those may
repeat the address or the message.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider accepted the message; `message_id` is its name for it, or empty."""

    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """The provider certainly did not accept it, and may later.

    `after_ms` is what it asked for; `throttled` that it asked everybody to wait; `fault` whether it
    counts against the provider's health.
    """

    reason: str
    after_ms: int = 0
    throttled: bool = False
    fault: bool = True


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The provider may or may not have accepted it: the answer was lost."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """It can never be accepted as it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disabled:
    """The endpoint asked to be left alone for good (410 in Standard Webhooks)."""

    reason: str


Outcome = Delivered | Retry | Ambiguous | Dead | Disabled


@dataclass(frozen=True, slots=True)
class Skipped:
    """The template says not to send without a value, and there is none. No channel says this."""

    reason: str


Verdict = Outcome | Skipped
