"""Links in HTML and in plain text: which lead over our address, and what each is called."""

from __future__ import annotations

import time

import pytest

from actors.relay.links import LINKS_MAX, Links, is_target, with_pixel


class Made:
    """Addresses that say what they lead to."""

    def __init__(self) -> None:
        self.links: list[tuple[str, str]] = []

    def __call__(self, link: str, target: str) -> str:
        self.links.append((link, target))
        return f"https://l.test/r/{len(self.links)}"


def html(text: str, source: str | None = None) -> tuple[str, list[tuple[str, str]]]:
    made = Made()
    return Links(made, "https://l.test/").in_html(text, source or text), made.links


def plain(text: str, source: str | None = None) -> tuple[str, list[tuple[str, str]]]:
    made = Made()
    return Links(made, "https://l.test/").in_text(text, source or text), made.links


@pytest.mark.parametrize(
    ("before", "after", "target"),
    [
        ('<a href="https://a.test/">x</a>', '<a href="@">x</a>', "https://a.test/"),
        ("<a href='https://a.test/'>x</a>", '<a href="@">x</a>', "https://a.test/"),
        ("<a href=https://a.test/>x</a>", '<a href="@">x</a>', "https://a.test/"),
        ('<A\nclass="a>b" HREF = "HTTP://A.test">', '<A\nclass="a>b" HREF = "@">', "HTTP://A.test"),
        ('<area href="https://a.test">', '<area href="@">', "https://a.test"),
        ('<a href="https://a.test/?a=1&amp;b=2">', '<a href="@">', "https://a.test/?a=1&b=2"),
        ('<a href=" https://a.test/ ">', '<a href="@">', "https://a.test/"),
        ('<a title="href=x" href="https://a.test">', '<a title="href=x" href="@">', "https://a.test"),
        ('<a href="https://ü.test/ß">ü</a>', '<a href="@">ü</a>', "https://ü.test/ß"),
        ('<a href="https://a.test" href="https://b.test">', '<a href="@" href="https://b.test">',
         "https://a.test"),
    ],
)  # fmt: skip
def test_a_link_leads_over_our_address(before: str, after: str, target: str) -> None:
    text, links = html(before)
    assert text == after.replace("@", "https://l.test/r/1")
    assert [found for _, found in links] == [target]


@pytest.mark.parametrize(
    "text",
    [
        '<a href="mailto:a@x.test">',
        '<a href="tel:+49">',
        '<a href="#top">',
        '<a href="/relative">',
        '<a href="javascript:alert(1)">',
        '<a href="ftp://a.test">',
        '<a href="https://">',
        '<a href="https://a.test" data-no-track>',
        '<a data-no-track="" href="https://a.test">',
        '<a href="https://l.test/u/mark">',
        '<abbr href="https://a.test">',
        '<link href="https://a.test">',
        '<a name="https://a.test">',
        '<a href="https://a.test',
        '<!-- <a href="https://a.test"> -->',
        "<script>'<a href=\"https://a.test\">'</script>",
        '<style>a::after{content:"<a href=https://a.test>"}</style>',
        '<a href="https://a.test/two words">',
        '<a href="https://a.test/' + "x" * 2_000 + '">',
        "no link < at all > &amp; ü",
    ],
)
def test_what_leads_nowhere_that_counts_stays_as_it_is(text: str) -> None:
    assert html(text) == (text, [])


def test_a_link_is_called_what_the_template_says_and_never_anything_personal() -> None:
    source = (
        '<a href="https://a.test/p?q={{ q }}" data-link="sale">'
        '<a href="https://a.test/p?q={{ q }}">'
        '<a href="https://a.test/{{ name }}/x"><a href="{{ url }}" data-link="{{ name }}">'
    )
    text = source.replace("{{ q }}", "ada").replace("{{ name }}", "ada")
    _, links = html(text.replace("{{ url }}", "https://b.test"), source)
    assert [name for name, _ in links] == ["sale", "https://a.test/p", "link-3", "link-4"]


def test_a_template_may_write_a_link_with_entities() -> None:
    source = '<a href="https://a.test/x&amp;y">'
    assert html(source)[1] == [("https://a.test/x&y", "https://a.test/x&y")]


def test_numbers_go_on_over_the_parts_of_a_message() -> None:
    made = Made()
    links = Links(made, "https://l.test/")
    links.in_html('<a href="https://a.test">', "")
    links.in_text("https://b.test", "")
    assert [name for name, _ in made.links] == ["link-1", "link-2"]


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("see https://a.test/x, or https://b.test.", ["https://a.test/x", "https://b.test"]),
        ("(https://a.test/b_(c))", ["https://a.test/b_(c)"]),
        ("<https://a.test> 'http://b.test'", ["https://a.test", "http://b.test"]),
        ("HTTPS://A.test/?a=1&b=2#c!", ["HTTPS://A.test/?a=1&b=2#c"]),
        ("mailto:a@x.test ftp://a.test https:// a.test", []),
        ("already https://l.test/u/x", []),
    ],
)
def test_addresses_in_plain_text(text: str, targets: list[str]) -> None:
    found, links = plain(text)
    assert [target for _, target in links] == targets
    for number, target in enumerate(targets, 1):
        text = text.replace(target, f"https://l.test/r/{number}", 1)
    assert found == text


def test_so_many_links_and_no_more() -> None:
    text, links = plain("https://a.test " * (LINKS_MAX + 5))
    assert len(links) == LINKS_MAX
    assert text.count("https://a.test") == 5


@pytest.mark.parametrize(
    "text",
    ["<a " * 40_000, '<a href="' * 20_000, "<!--" * 30_000, "<script" * 20_000, "<a a=" * 25_000,
     "<a" + " " * 120_000, "https://" + "(" * 100_000 + ")" * 1_000],
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    began = time.thread_time()
    html(text)
    plain(text)
    assert time.thread_time() - began < 1


def test_the_pixel_stands_before_the_end_of_the_body() -> None:
    image = '<img src="P" width="1" height="1" alt="">'
    assert with_pixel("<body>ü</BODY >\n</html>", "P") == f"<body>ü{image}</BODY >\n</html>"
    assert with_pixel("<p>", "P") == f"<p>{image}"
    assert with_pixel("</body></body>", "P") == f"</body>{image}</body>"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("https://a.test", True),
        ("http://[::1]/x", True),
        ("//a.test", False),
        ("https://a.test\r\nX: y", False),
        ("https://[::1", False),
        ("https:///x", False),
        ("", False),
    ],
)
def test_only_addresses_of_the_web_are_led_to(text: str, right: bool) -> None:
    assert is_target(text) is right
