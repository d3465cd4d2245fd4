"""Holds flows that reports are shown of: an everyday, a large, and one with hostile names."""

from __future__ import annotations

from typing import Any

from core.flow import Flow
from core.responses import Responses

EVIL = '<script>alert("x")</script>&amp;\' `"'
"""A name that breaks out of any text that isn't escaped."""


def welcome() -> Flow:
    """A welcome journey with a branch, an A/B test, waits, a fork, a funnel and a goal."""
    purchase = {"event": "purchase", "within": "7 days"}
    nodes: dict[str, Any] = {
        "signup": {
            "type": "on_event",
            "event": "signup",
            "where": {"property": "source", "one_of": ["web", "app"]},
            "next": "country",
        },
        "country": {
            "type": "branch_attribute",
            "attribute": "country",
            "branches": {"dach": ["DE", "AT", "CH"], "uk": "GB"},
            "next": {"dach": "welcome-de", "uk": "welcome-en", "other": "welcome-en"},
        },
        "welcome-de": {
            "type": "send",
            "channel": "email",
            "template": "welcome-de",
            "next": "clicked",
        },
        "welcome-en": {
            "type": "send",
            "channel": "email",
            "template": "welcome-en",
            "next": "clicked",
        },
        "clicked": {
            "type": "wait_event",
            "event": "clicked",
            "timeout": "1 day",
            "next": {"event": "engaged", "timeout": "cool-down"},
        },
        "engaged": {"type": "add_tag", "tag": "engaged", "next": "offer"},
        "offer": {
            "type": "ab_test",
            "branches": {"discount": "40%", "free shipping": "40%", "control": "20%"},
            "target": purchase,
            "next": {"discount": "mail-a", "free shipping": "mail-b", "control": "points"},
        },
        "mail-a": {"type": "send", "channel": "email", "template": "ten-percent", "next": "points"},
        "mail-b": {"type": "send", "channel": "push", "template": "ships-free", "next": "points"},
        "points": {"type": "add_to_attribute", "attribute": "points", "by": 50, "next": "bye"},
        "cool-down": {"type": "wait", "for": "3 days", "next": "consent"},
        "consent": {
            "type": "condition",
            "title": "May we send an SMS?",
            "if": {"all": [{"attribute": "sms_consent", "is": True}, {"never_did": "purchase"}]},
            "next": {"yes": "slot", "no": ["bye", "survey"]},
        },
        "slot": {
            "type": "wait_slot",
            "slots": [{"from": "09:00", "until": "18:00", "days": ["mon", "tue", "wed", "thu"]}],
            "next": "sms",
        },
        "sms": {"type": "send", "channel": "sms", "template": "nudge", "next": "bye"},
        "survey": {"type": "add_to_group", "group": "survey"},
        "bye": {"type": "end"},
    }
    settings = {
        "zone": "Europe/Berlin",
        "goal": {"event": "purchase", "within": "14 days"},
        "funnel": [
            {"name": "Welcomed", "nodes": ["welcome-de", "welcome-en"]},
            {"name": "Engaged", "nodes": ["engaged"]},
            {"name": "Offered", "nodes": ["mail-a", "mail-b"]},
        ],
    }
    return Flow.model_validate(
        {
            "headrace": 1,
            "flow": "welcome",
            "name": "Welcome, new customers",
            "settings": settings,
            "nodes": nodes,
        }
    )


def welcome_responses() -> Responses:
    """Deliveries, opens and clicks on e-mail, with a purchase after the click."""
    outcomes = [
        {"event": "opened", "probability": "34%", "delay": {"exponential": {"mean": "5 h"}}},
        {
            "event": "clicked",
            "after": "opened",
            "probability": "40%",
            "delay": {"exponential": {"mean": "1 h"}},
        },
        {
            "event": "purchase",
            "after": "clicked",
            "probability": "12%",
            "delay": {"exponential": {"mean": "20 h"}},
        },
    ]
    return Responses.model_validate(
        {
            "headrace_responses": 1,
            "rules": [{"for": {"channel": "email"}, "outcomes": outcomes}],
        }
    )


def large(chapters: int = 6) -> Flow:
    """A flow of 10 nodes a chapter and 2 more, with branches, forks, loops back and long edges."""
    nodes: dict[str, Any] = {"start": {"type": "on_event", "event": "signup", "next": "c0-ask"}}
    for k in range(chapters):
        c, onward = f"c{k}", f"c{k + 1}-ask" if k + 1 < chapters else "end"
        nodes[f"{c}-ask"] = {
            "type": "branch_attribute",
            "attribute": "segment",
            "branches": {"new": "n", "loyal": "l", "lapsed": "x"},
            "next": {
                "new": f"{c}-mail",
                "loyal": f"{c}-push",
                "lapsed": f"{c}-sms",
                "other": f"{c}-wait",
            },
        }
        for kind, channel in (("mail", "email"), ("push", "push"), ("sms", "sms")):
            nodes[f"{c}-{kind}"] = {
                "type": "send",
                "channel": channel,
                "template": f"chapter-{k}-{kind}",
                "next": f"{c}-wait",
            }
        nodes[f"{c}-wait"] = {
            "type": "wait_event",
            "event": "clicked",
            "timeout": "2 days",
            "next": {"event": f"{c}-tag", "timeout": f"{c}-pause"},
        }
        nodes[f"{c}-tag"] = {"type": "add_tag", "tag": f"read-{k}", "next": f"{c}-split"}
        nodes[f"{c}-split"] = {
            "type": "split",
            "branches": {"a": "50%", "b": "30%", "c": "20%"},
            "next": {"a": f"{c}-gift", "b": [f"{c}-gift", f"{c}-pause"], "c": onward},
        }
        nodes[f"{c}-gift"] = {
            "type": "set_attribute",
            "attribute": "gift",
            "value": True,
            "next": onward,
        }
        nodes[f"{c}-pause"] = {"type": "wait", "for": "3 days", "next": f"{c}-again"}
        nodes[f"{c}-again"] = {
            "type": "condition",
            "if": {"never_did": "purchase"},
            "next": {"yes": f"{c}-wait" if k == 1 else onward, "no": "end"},
        }
    nodes["end"] = {"type": "end", "whole_flow": True}
    return Flow.model_validate({"headrace": 1, "flow": "chapters", "nodes": nodes})


def hostile() -> Flow:
    """A flow whose every name tries to be markup."""
    nodes: dict[str, Any] = {
        "in": {"type": "on_event", "event": EVIL, "title": EVIL, "note": EVIL, "next": "ask"},
        "ask": {
            "type": "condition",
            "if": {"attribute": EVIL, "is": EVIL},
            "next": {"yes": "mail", "no": "test"},
        },
        "mail": {"type": "send", "channel": "email", "template": EVIL, "next": "test"},
        "test": {
            "type": "ab_test",
            "branches": {"a": "50%", "b": "50%"},
            "target": {"event": EVIL, "within": "1 day"},
            "next": {"a": "out", "b": "out"},
        },
        "out": {"type": "end"},
    }
    settings = {
        "goal": {"event": EVIL, "within": "1 day"},
        "funnel": [{"name": EVIL, "nodes": ["mail"]}],
    }
    return Flow.model_validate(
        {
            "headrace": 1,
            "flow": "hostile",
            "name": EVIL,
            "description": EVIL,
            "settings": settings,
            "nodes": nodes,
        }
    )
