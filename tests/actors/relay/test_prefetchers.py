"""Who is a machine, by one request."""

from __future__ import annotations

import pytest

from actors.relay.prefetchers import AGENT_CHARS_MAX, RULES, SOON_MS, Rule, machine

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
PEOPLE = [
    FIREFOX,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Opera/9.80 (Android; Opera Mini/36.2) Presto/2.12.423 Version/12.16",
    "okhttp/4.9.3",
]


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_are_no_machines(agent: str) -> None:
    assert machine("GET", {"user-agent": agent}, SOON_MS) == ""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.header} {rule.text}")
def test_every_rule_tells_a_machine(rule: Rule) -> None:
    header, text, who, whole = rule
    said = text.title() if whole else f"Mozilla/5.0 (compatible; {text.upper()} 1.0)"
    headers = {"user-agent": FIREFOX, header: said}
    assert machine("GET", headers, SOON_MS) == who
    assert text == text.lower()
    assert header == header.lower()


def test_rules_for_a_whole_header_mean_nothing_else() -> None:
    assert machine("GET", {"user-agent": "Mozilla/5.0"}, SOON_MS) == "Apple Mail's privacy proxy"
    assert machine("GET", {"user-agent": " "}, SOON_MS).startswith("a client that does not say")
    assert machine("GET", {}, SOON_MS).startswith("a client that does not say")
    assert machine("GET", {"user-agent": FIREFOX, "purpose": "x"}, SOON_MS) == ""


def test_head_and_haste_are_machines_whatever_they_say() -> None:
    assert machine("HEAD", {"user-agent": FIREFOX}, SOON_MS) != ""
    assert machine("GET", {"user-agent": FIREFOX}, SOON_MS - 1) != ""
    assert machine("GET", {"user-agent": FIREFOX}, SOON_MS) == ""


def test_of_a_long_header_only_the_beginning_is_read() -> None:
    assert machine("GET", {"user-agent": FIREFOX + " " * AGENT_CHARS_MAX + "curl/"}, SOON_MS) == ""


def test_rules_name_each_text_once() -> None:
    keys = [(rule.header, rule.text) for rule in RULES]
    assert len(keys) == len(set(keys))
