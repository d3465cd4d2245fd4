"""Events with a standard name, E01 to E24: each begins entries, and ends waits."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from both_ways import ALWAYS, GO, modelled, told
from cases import Case, log_of, on
from core.nodes import NODE_TYPES

YES = ("05-04 11:00",)
NO = ("05-04 10:30",)


def check(word: str, right: tuple[Any, ...], *wrong: tuple[Any, ...], **fields: Any) -> None:
    """`right` (event, properties) triggers `on_<word>` and ends `wait_<word>`; the `wrong` do not.

    The wrong ones come before the right one.
    """
    events = [*[(*NO, *each) for each in wrong], (*YES, *right)]
    trigger = {"type": f"on_{word}", **fields, "next": "x"}
    assert told(Case({"t": trigger}, events, settings=ALWAYS)) == [
        "05-04 11:00 t next",
        "05-04 11:00 x end",
    ]
    wait = {"type": f"wait_{word}", **fields, "timeout": "3 hours"}
    nodes = {"go": on("go", "a"), "a": {**wait, "next": {"event": "x", "timeout": "x"}}}
    assert told(Case(nodes, [GO, *events]))[1:] == [
        "05-04 11:00 a event",
        "05-04 11:00 x end",
    ]
    assert told(Case(nodes, [GO, *events[:-1]]))[1:] == [
        "05-04 13:00 a timeout",
        "05-04 13:00 x end",
    ]


def test_E01_contact_added_is_not_added_again() -> None:
    check("contact_added", ("contact_added",), ("contact_readded",))


def test_E06_contact_added_again_is_not_added() -> None:
    check("contact_readded", ("contact_readded",), ("contact_added",))


def test_E02_a_banner_is_clicked() -> None:
    check("banner_clicked", ("banner_clicked", {"banner": "spring"}))
    other = ("banner_clicked", {"banner": "autumn"})
    check("banner_clicked", ("banner_clicked", {"banner": "spring"}), other, banner="spring")


def test_E03_a_link_in_an_email_is_clicked() -> None:
    right = ("email_clicked", {"template": "news", "link": "shop"})
    check("email_clicked", right, ("email_opened", {"template": "news"}))
    wrong = ("email_clicked", {"template": "news", "link": "home"})
    check("email_clicked", right, wrong, link="shop")


def test_E04_an_email_is_opened() -> None:
    right = ("email_opened", {"template": "news"})
    check("email_opened", right, ("email_opened", {"template": "hello"}), template="news")


def test_E08_a_url_is_visited() -> None:
    right = ("page_visited", {"url": "https://shop.test/cart?x=1"})
    other = ("page_visited", {"url": "https://shop.test/"})
    check("page_visited", right, other, containing="/cart")
    check("page_visited", other, right, url="https://shop.test/")


def test_E14_an_external_event_is_modified() -> None:
    right = ("external_event_modified", {"event": "cart"})
    other = ("external_event_modified", {"event": "visit"})
    check("external_event_modified", right, other, ("cart",), name="cart")


def test_E15_a_note_is_added() -> None:
    right = ("note_added", {"note": "wants a loan"})
    check("note_added", right, ("note_added", {"note": "called"}), containing="loan")


def test_E17_a_subscription_is_confirmed() -> None:
    right = ("subscription_confirmed", {"channel": "email"})
    other = ("subscription_confirmed", {"channel": "sms"})
    resigned = ("subscription_resigned", {"channel": "email"})
    check("subscription_confirmed", right, other, resigned, channel="email")


def test_E18_a_subscription_is_resigned() -> None:
    right = ("subscription_resigned", {"channel": "email"})
    other = ("subscription_resigned", {"channel": "sms"})
    check("subscription_resigned", right, other, channel="email")


@pytest.mark.parametrize("number", ["E19", "E21"])
def test_E19_E21_a_new_external_event_occurs(number: str) -> None:
    right = ("cart_filled", {"value": 40})
    low = ("cart_filled", {"value": 10})
    dear = {"property": "value", "above": 30}
    check("external_event", right, low, ("visit",), name="cart_filled", where=dear)


@pytest.mark.parametrize("number", ["E20", "E22"])
def test_E20_E22_unsubscribed_from_sms_and_not_from_email(number: str) -> None:
    right = ("subscription_resigned", {"channel": "sms"})
    check("sms_unsubscribed", right, ("subscription_resigned", {"channel": "email"}))


def test_A025_a_purchase_of_some_worth() -> None:
    check("purchase", ("purchase", {"amount": 50.0}), ("purchase", {"amount": 49.5}), at_least=50)


def change(before: float, after_: float, product: str = "p") -> tuple[str, dict[str, Any]]:
    told = {"product": product, "attribute": "price", "before": before, "after": after_}
    return ("product_changed", told)


def test_A028_a_price_falls_below_a_value_and_was_not_below_before() -> None:
    wrong = [change(90.0, 80.0), change(200.0, 100.0)]
    check("product_changed", change(100.0, 99.0), *wrong, attribute="price", falls_below=100)


def test_A028_only_the_chosen_product_counts() -> None:
    check(
        "product_changed",
        change(9.0, 11.0),
        change(9.0, 11.0, "other"),
        attribute="price",
        product="p",
        rises_above=10,
    )


def test_A106_a_fence_is_entered_and_exited() -> None:
    right = ("geo_entered", {"fence": "shop"})
    check("geo_entered", right, ("geo_entered", {"fence": "home"}), fence="shop")
    check("geo_exited", ("geo_exited", {"fence": "shop"}), right, fence="shop")


def test_A106_every_time_a_customer_comes_near() -> None:
    trigger = {"type": "on_geo_entered", "fence": "shop", "next": "x"}
    events = [(f"05-0{day} 09:00", "geo_entered", {"fence": "shop"}) for day in (4, 5, 6)]
    lines = told(Case({"t": trigger}, events, settings=ALWAYS))
    assert [line for line in lines if line.endswith("t next")] == [
        "05-04 09:00 t next",
        "05-05 09:00 t next",
        "05-06 09:00 t next",
    ]


def test_A124_the_flow_stops_for_that_user_until_he_does_the_event() -> None:
    nodes = {"go": on("go", "a"), "a": {"type": "wait_purchase", "next": {"event": "x"}}}
    assert told(Case(nodes, [GO])) == ["05-04 10:00 go next"]
    bought = ("05-09 09:00", "purchase", {"amount": 1.0})
    assert told(Case(nodes, [GO, bought]))[1:] == ["05-09 09:00 a event", "05-09 09:00 x end"]


def test_A135_events_stand_at_different_places_of_one_structure() -> None:
    nodes = {
        "t": {"type": "on_contact_added", "next": "w"},
        "w": {"type": "wait_email_opened", "next": {"event": "v"}},
        "v": {"type": "wait_banner_clicked", "banner": "b", "next": {"event": "x"}},
    }
    events = [
        ("05-04 10:00", "contact_added"),
        ("05-04 11:00", "banner_clicked", {"banner": "b"}),
        ("05-04 12:00", "email_opened"),
        ("05-04 13:00", "banner_clicked", {"banner": "b"}),
    ]
    assert told(Case(nodes, events)) == [
        "05-04 10:00 t next",
        "05-04 12:00 w event",
        "05-04 13:00 v event",
        "05-04 13:00 x end",
    ]


def test_A194_a_branch_on_a_chosen_link_of_a_chosen_message() -> None:
    nodes = {
        "go": {"type": "on_external_event", "name": "go", "next": "first"},
        "first": {"type": "send_email", "template": "news", "next": "second"},
        "second": {"type": "send_email", "template": "more", "next": "w"},
        "w": {
            "type": "wait_email_clicked",
            "message": "first",
            "link": "shop",
            "timeout": "1 day",
            "next": {"event": "x", "timeout": "x"},
        },
    }
    rules: list[dict[str, Any]] = [
        {
            "for": {"node": node},
            "outcomes": [
                {
                    "event": "email_clicked",
                    "probability": 1,
                    "delay": {"constant": delay},
                    "properties": {"link": name},
                }
            ],
        }
        for node, delay, name in (("first", "3 hours", "shop"), ("second", "1 hour", "shop"))
    ]
    assert log_of(modelled(Case(nodes, [GO], responses=rules)))[3:] == [
        "05-04 13:00 w event",
        "05-04 13:00 x end",
    ]
    rules[0]["outcomes"][0]["properties"] = {"link": "home"}
    assert log_of(modelled(Case(nodes, [GO], responses=rules)))[3:] == [
        "05-05 10:00 w timeout",
        "05-05 10:00 x end",
    ]


@pytest.mark.parametrize(
    ("click", "line"),
    [
        ({"template": "news", "link": "shop"}, "05-04 13:00 w event"),
        ({"template": "news", "link": "home"}, "05-05 10:00 w timeout"),
        ({"template": "more", "link": "shop"}, "05-05 10:00 w timeout"),
    ],
)
def test_A194_a_recorded_click_says_of_which_message_and_link_it_is(
    click: dict[str, Any], line: str
) -> None:
    nodes = {
        "go": on("go", "first"),
        "first": {"type": "send_email", "template": "news", "next": "second"},
        "second": {"type": "send_email", "template": "more", "next": "w"},
        "w": {
            "type": "wait_email_clicked",
            "template": "news",
            "link": "shop",
            "timeout": "1 day",
            "next": {"event": "x", "timeout": "x"},
        },
    }
    case = Case(nodes, [GO, ("05-04 13:00", "email_clicked", click)])
    assert told(case)[3] == line


def test_every_event_with_a_standard_name_is_a_trigger_and_a_wait() -> None:
    words = {name.removeprefix("on_") for name in NODE_TYPES if name.startswith("on_")}
    waits = {name.removeprefix("wait_") for name in NODE_TYPES if name.startswith("wait_")}
    assert len(words & waits) >= 16
