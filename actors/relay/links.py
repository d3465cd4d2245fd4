"""Rewrite the links of a composed message, and say of each which one it is.

In HTML only `href` of links leads anywhere that counts: comments, scripts and styles are passed
over, and so are `mailto:`, `tel:`, `#` and links with `data-no-track`. In plain text every http
address is a link. Patterns are RE2's, so no text takes longer than in proportion to its length.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import re2

LINKS_MAX = 200
TARGET_CHARS_MAX = 2_000
NAME_CHARS_MAX = 128
# A comment, script or style is taken whole, so that no tag within it is seen.
_TAGS = re2.compile(
    rb"(?is)<!--.*?-->|<script\b.*?</script\s*>|<style\b.*?</style\s*>"
    rb"|(<a(?:rea)?(?:\s(?:[^>\"']|\"[^\"]*\"|'[^']*')*)?>)"
)
_ATTRIBUTES = re.compile(rb"""([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")
_BODY_END = re2.compile(rb"(?i)</body\s*>")
_IN_TEXT = re.compile(r"""https?://[^\s<>"'`]+""", re.IGNORECASE)
_TRAILING = ".,;:!?)]}"
_PAIRS = {")": "(", "]": "[", "}": "{"}

# From the id of a link and its target to the address that stands in its place.
Leading = Callable[[str, str], str]


class Links:
    """The links of one message, numbered over its parts.

    `leading` makes the address that leads to a target; `own` is what addresses begin with that
    are such already. `source` is what the template says before values are filled in: only what it
    has literally may be told of a link, for the rest may be personal.
    """

    def __init__(self, leading: Leading, own: str) -> None:
        self._leading = leading
        self._own = own
        self._count = 0

    def in_html(self, text: str, source: str) -> str:
        """HTML with its links led over our address."""
        data = text.encode("utf-8", "surrogatepass")
        known = html.unescape(source)
        made: list[bytes] = []
        done = 0
        for match in _TAGS.finditer(data):
            if match.group(1) is not None:
                start, end = match.span(1)
                made += [data[done:start], self._tag(data[start:end], known)]
                done = end
        return b"".join([*made, data[done:]]).decode("utf-8", "surrogatepass")

    def in_text(self, text: str, source: str) -> str:
        """Plain text with its addresses led over ours."""

        def led(match: re.Match[str]) -> str:
            found = match[0]
            end = len(found)
            while end and found[end - 1] in _TRAILING and not _closes(found[:end]):
                end -= 1
            target, rest = found[:end], found[end:]
            return (self._led(target, "", source) or target) + rest

        return _IN_TEXT.sub(led, text)

    def _tag(self, tag: bytes, known: str) -> bytes:
        """A start tag of a link with another `href`, or as it was."""
        told: dict[bytes, tuple[str, int, int]] = {}
        for match in _ATTRIBUTES.finditer(tag, 2):
            name = match[1].lower()
            if name not in told:  # the first one counts, as in browsers
                value = (match[2] or b"").strip(b"\"'").decode("utf-8", "surrogatepass")
                told[name] = (html.unescape(value).strip(), match.start(2), match.end(2))
        if b"href" not in told or b"data-no-track" in told:
            return tag
        target, start, end = told[b"href"]
        name = told.get(b"data-link", ("", 0, 0))[0]
        led = self._led(target, name, known)
        return tag if led is None else b'%s"%s"%s' % (tag[:start], led.encode(), tag[end:])

    def _led(self, target: str, name: str, known: str) -> str | None:
        """The address for a target; None for one that stays as it is."""
        if not is_target(target) or target.startswith(self._own) or self._count >= LINKS_MAX:
            return None
        self._count += 1
        return self._leading(self._name(target, name, known), target)

    def _name(self, target: str, name: str, known: str) -> str:
        """Which link it is: its name, or where it leads without the query, or its number."""
        if 0 < len(name) <= NAME_CHARS_MAX and name in known:
            return name
        parts = urlsplit(target)
        place = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        if "@" not in parts.netloc and len(place) <= NAME_CHARS_MAX and place in known:
            return place
        return f"link-{self._count}"


def with_pixel(text: str, address: str) -> str:
    """HTML with an image of one pixel at its end."""
    data = text.encode("utf-8", "surrogatepass")
    ends = [match.start() for match in _BODY_END.finditer(data)]
    at = ends[-1] if ends else len(data)
    image = f'<img src="{address}" width="1" height="1" alt="">'.encode()
    return (data[:at] + image + data[at:]).decode("utf-8", "surrogatepass")


def is_target(text: str) -> bool:
    """Whether a link may lead there over our address: http or https, with a host, not too long."""
    if len(text) > TARGET_CHARS_MAX or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _closes(text: str) -> bool:
    """Whether the last character is a bracket that closes one within the text."""
    opening = _PAIRS.get(text[-1])
    return opening is not None and text.count(opening) >= text.count(text[-1])
