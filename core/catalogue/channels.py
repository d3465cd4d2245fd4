"""Name the channels: those that reach the customer, and those by which others are asked to act."""

from __future__ import annotations

from typing import Literal, get_args

Reach = Literal[
    "email",
    "sms",
    "push",
    "web_push",
    "whatsapp",
    "in_app",
    "webhook",
    "wechat",
    "overlay",
    "mobile_text",
]
"""Channels on which the customer gets messages, and can agree to get them."""
Duty = Literal[
    "banner",
    "note",
    "task",
    "alert",
    "automation_rule",
    "website_rule",
    "facebook",
    "google",
    "adform",
]
"""Channels on which users and other systems are told to do something about the customer."""
Channel = Literal[Reach, Duty]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
