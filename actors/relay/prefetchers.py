"""Tell machines that open messages and follow links before people do, by rules that are data.

Mail gateways and previews fetch what stands in a message. A flow that took that for interest would
be wrong, so such an opening or click is marked, never dropped: a filter can leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SOON_MS = 1_000
"""Nobody has read a message so soon after it was sent."""
MANY_LINKS = 3
MANY_WITHIN_MS = 2_000
"""Nobody follows so many different links of a message within such a time."""
AGENT_CHARS_MAX = 1_024


class Rule(NamedTuple):
    """A machine is known by `text` in the header `header`; both are in lower case.

    `whole` means that the header holds nothing else.
    """

    header: str
    text: str
    who: str
    whole: bool = False


RULES: tuple[Rule, ...] = (
    Rule("user-agent", "", "a client that does not say what it is", whole=True),
    Rule("user-agent", "mozilla/5.0", "Apple Mail's privacy proxy", whole=True),
    *(
        Rule("user-agent", text, who)
        for text, who in (
            ("barracuda", "Barracuda's gateway"),
            ("proofpoint", "Proofpoint's gateway"),
            ("mimecast", "Mimecast's gateway"),
            ("fireeye", "FireEye's gateway"),
            ("symantec", "Symantec's gateway"),
            ("trendmicro", "Trend Micro's gateway"),
            ("cloudmark", "Cloudmark's gateway"),
            ("safelinks", "Microsoft's Safe Links"),
            ("bingpreview", "Microsoft's preview"),
            ("skypeuripreview", "the preview of Skype and Teams"),
            ("ms-office", "the preview of Microsoft Office"),
            ("office existence discovery", "the preview of Microsoft Office"),
            ("facebookexternalhit", "the preview of Facebook"),
            ("whatsapp/", "the preview of WhatsApp"),
            ("telegrambot", "the preview of Telegram"),
            ("slackbot", "the preview of Slack"),
            ("slack-imgproxy", "the preview of Slack"),
            ("discordbot", "the preview of Discord"),
            ("linkedinbot", "the preview of LinkedIn"),
            ("twitterbot", "the preview of X"),
            ("googlebot", "a crawler"),
            ("applebot", "a crawler"),
            ("bingbot", "a crawler"),
            ("yandexbot", "a crawler"),
            ("crawler", "a crawler"),
            ("spider", "a crawler"),
            ("headlesschrome", "a browser without a screen"),
            ("phantomjs", "a browser without a screen"),
            ("python-requests", "a program"),
            ("python-httpx", "a program"),
            ("python-urllib", "a program"),
            ("aiohttp", "a program"),
            ("go-http-client", "a program"),
            ("curl/", "a program"),
            ("wget/", "a program"),
            ("libwww-perl", "a program"),
            ("apache-httpclient", "a program"),
        )
    ),
    Rule("purpose", "prefetch", "a browser that fetches ahead"),
    Rule("sec-purpose", "prefetch", "a browser that fetches ahead"),
    Rule("x-purpose", "preview", "a preview"),
    Rule("x-moz", "prefetch", "a browser that fetches ahead"),
)


def machine(method: str, headers: Mapping[str, str], age_ms: int) -> str:
    """Who asked, if it was no person, by one request alone; "" for a person.

    `headers` are by names in lower case, `age_ms` is the time since the message was composed.
    """
    if method == "HEAD":
        return "who asks for no content"
    if age_ms < SOON_MS:
        return "who asks as soon as the message is sent"
    for rule in RULES:
        found = headers.get(rule.header)
        if found is None and rule.text:
            continue
        said = (found or "")[:AGENT_CHARS_MAX].strip().lower()
        if said == rule.text if rule.whole else rule.text in said:
            return rule.who
    return ""
