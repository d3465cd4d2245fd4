"""Conditions about the customer's record, C01 to C22, on both interpreters."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from both_ways import answer


def of(**attributes: Any) -> dict[str, Any]:
    """A customer with these attributes; '__' stands for ':'."""
    named = {name.replace("__", ":"): value for name, value in attributes.items()}
    return {"customers": [{"id": "c", "attributes": named}]}


NOBODY: dict[str, Any] = {}
STAGE = {"at_stage": "won", "campaign": "autumn"}


def test_C01_at_a_stage_of_one_campaign_and_not_of_another() -> None:
    assert answer(STAGE, **of(stage__autumn="won")) == "yes"
    assert answer(STAGE, **of(stage__autumn="lost")) == "no"
    assert answer(STAGE, **of(stage__spring="won")) == "no"


def test_C02_opened_an_email_of_a_template_in_time() -> None:
    opened = ("05-02 10:00", "email_opened", {"template": "news"})
    assert answer({"opened_email": {}}, events=[opened]) == "yes"
    assert answer({"opened_email": {}}) == "no"
    assert answer({"opened_email": {"template": "news"}}, events=[opened]) == "yes"
    assert answer({"opened_email": {"template": "other"}}, events=[opened]) == "no"
    assert answer({"opened_email": {"within": "49 hours"}}, events=[opened]) == "yes"
    assert answer({"opened_email": {"within": "48 hours"}}, events=[opened]) == "no"


def test_C03_clicked_one_link_and_not_another() -> None:
    click = ("05-02 10:00", "email_clicked", {"template": "news", "link": "shop"})
    assert answer({"clicked_email": {"link": "shop"}}, events=[click]) == "yes"
    assert answer({"clicked_email": {"link": "home"}}, events=[click]) == "no"
    both = {"clicked_email": {"link": "shop", "template": "other"}}
    assert answer(both, events=[click]) == "no"


def test_C04_has_a_tag() -> None:
    assert answer({"tag": "vip"}, customers=[{"id": "c", "tags": ["vip"]}]) == "yes"
    assert answer({"tag": "vip"}, customers=[{"id": "c", "tags": ["old"]}]) == "no"


def test_C05_has_a_detail_whatever_it_says() -> None:
    asked = {"attribute": "shoe_size", "is_set": True}
    assert answer(asked, **of(shoe_size=44)) == "yes"
    assert answer(asked) == "no"


def test_C06_an_external_event_occurred() -> None:
    cart = ("05-01 09:00", "cart_filled", {"value": 40})
    asked = {"did": "cart_filled", "where": {"property": "value", "above": 30}}
    assert answer(asked, events=[cart]) == "yes"
    assert answer({**asked, "within": "2 days"}, events=[cart]) == "no"


def test_C07_the_main_owner_is_one_of_some_users() -> None:
    asked = {"owner_in": ["ann", "bob"]}
    assert answer(asked, **of(owner="bob")) == "yes"
    assert answer(asked, **of(owner="cy")) == "no"
    assert answer(asked, customers=[{"id": "c", "groups": ["co_owner:bob"]}]) == "no"


def test_C08_an_owner_or_a_co_owner() -> None:
    asked = {"has_owner": "bob"}
    assert answer(asked, **of(owner="bob")) == "yes"
    assert answer(asked, customers=[{"id": "c", "groups": ["co_owner:bob"]}]) == "yes"
    assert answer(asked, customers=[{"id": "c", "groups": ["co_owner:ann"]}]) == "no"


def test_C09_in_an_RFM_segment() -> None:
    assert answer({"rfm_in": ["champions", "loyal"]}, **of(rfm="loyal")) == "yes"
    assert answer({"rfm_in": ["champions", "loyal"]}, **of(rfm="lost")) == "no"


def test_C10_resigned_is_not_the_same_as_never_asked() -> None:
    assert answer({"resigned": "sms"}, **of(consent__sms=False)) == "yes"
    assert answer({"resigned": "sms"}, **of(consent__sms=True)) == "no"
    assert answer({"resigned": "sms"}) == "no"


@pytest.mark.parametrize(("score", "reached"), [(99, "no"), (100, "yes"), (101, "yes")])
def test_C11_a_score_is_reached_at_the_value(score: int, reached: str) -> None:
    assert answer({"score_reached": 100}, **of(score=score)) == reached


@pytest.mark.parametrize(("score", "exceeded"), [(99, "no"), (100, "no"), (101, "yes")])
def test_C12_a_score_is_exceeded_above_the_value_only(score: int, exceeded: str) -> None:
    assert answer({"score_exceeded": 100}, **of(score=score)) == exceeded


def test_C13_has_a_note() -> None:
    note = ("05-02 10:00", "note_added", {"note": "called about the loan"})
    assert answer({"has_note": {}}, events=[note]) == "yes"
    assert answer({"has_note": {"contains": "loan"}}, events=[note]) == "yes"
    assert answer({"has_note": {"contains": "car"}}, events=[note]) == "no"
    assert answer({"has_note": {}}) == "no"


@pytest.mark.parametrize(("score", "enough"), [(4, "no"), (5, "yes"), (6, "yes")])
def test_C15_the_score_of_a_tag_is_at_least(score: int, enough: str) -> None:
    asked = {"tag_score": "vip", "reaches": 5}
    assert answer(asked, **of(score__vip=score)) == enough
    assert answer(asked, **of(score=score, score__other=score)) == "no"


@pytest.mark.parametrize(("chance", "likely"), [(0.69, "no"), (0.7, "yes"), (1.0, "yes")])
def test_C16_churn_is_predicted(chance: float, likely: str) -> None:
    assert answer({"churn_at_least": 0.7}, **of(churn=chance)) == likely


@pytest.mark.parametrize(("count", "given"), [(1, "no"), (2, "yes"), (3, "no")])
def test_C17_received_a_given_number_of_emails(count: int, given: str) -> None:
    told = {"channel": "email", "template": "n"}
    mails = [(f"05-0{day + 1} 09:00", "message_sent", told) for day in range(count)]
    text = ("05-03 09:00", "message_sent", {"channel": "sms", "template": "n"})
    asked = {"received_messages": {"exactly": 2}}
    assert answer(asked, events=[*mails, text]) == given


@pytest.mark.parametrize(("chance", "likely"), [(0.19, "no"), (0.2, "yes")])
def test_C18_a_purchase_is_predicted(chance: float, likely: str) -> None:
    assert answer({"purchase_at_least": 0.2}, **of(purchase_score=chance)) == likely


def test_C19_subscribed_to_the_newsletter() -> None:
    assert answer({"subscribed": "email"}, **of(consent__email=True)) == "yes"
    assert answer({"subscribed": "email"}, **of(consent__email=False)) == "no"
    assert answer({"subscribed": "email"}, **of(consent__sms=True)) == "no"
    assert answer({"subscribed": "email"}) == "no"


def test_C20_in_a_tier_of_one_programme() -> None:
    asked = {"in_tier": "gold", "programme": "club"}
    assert answer(asked, **of(tier__club="gold")) == "yes"
    assert answer(asked, **of(tier__club="silver")) == "no"
    assert answer(asked, **of(tier__air="gold")) == "no"


@pytest.mark.parametrize(("points", "enough"), [(499, "no"), (500, "yes")])
def test_C21_has_points_of_a_programme(points: int, enough: str) -> None:
    asked = {"has_points": 500, "programme": "club"}
    assert answer(asked, **of(points__club=points)) == enough
    assert answer(asked, **of(points__air=points)) == "no"


def test_C22_an_email_was_sent() -> None:
    mail = ("05-02 10:00", "message_sent", {"channel": "email", "template": "hello"})
    text = ("05-02 10:00", "message_sent", {"channel": "sms", "template": "hello"})
    assert answer({"was_sent_email": {"template": "hello"}}, events=[mail]) == "yes"
    assert answer({"was_sent_email": {"template": "other"}}, events=[mail]) == "no"
    assert answer({"was_sent_email": {}}, events=[text]) == "no"


def test_A118_membership_is_asked_at_that_moment() -> None:
    asked = {"group": "readers"}
    leave = {"type": "remove_from_group", "group": "readers"}
    member = [{"id": "c", "groups": ["readers"]}]
    assert answer(asked, customers=member) == "yes"
    assert answer(asked, leave, customers=member) == "no"


def test_A119_has_done_the_conversion() -> None:
    assert answer({"did": "purchase"}, events=[("05-04 09:59:59.999", "purchase")]) == "yes"
    assert answer({"did": "purchase"}, events=[("05-04 10:00:00.001", "purchase")]) == "no"


def test_A121_reachability_is_known_per_channel_and_at_once() -> None:
    case = of(reachable__email=False, reachable__sms=True)
    assert answer({"reachable": "email"}, **case) == "no"
    assert answer({"reachable": "sms"}, **case) == "yes"
    assert answer({"reachable": "push"}, **case) == "no"


def test_A136_conditions_read_the_whole_record_and_not_the_event() -> None:
    go = {"events": [("05-04 10:00", "go2", {"city": "Bonn"})]}
    assert answer({"attribute": "city", "is": "Bonn"}, **of(city="Bonn")) == "yes"
    assert answer({"attribute": "city", "is": "Bonn"}, **of(city="Köln"), **go) == "no"


def test_A137_conditions_can_be_negated() -> None:
    assert answer({"not": {"subscribed": "email"}}) == "yes"
    assert answer({"not": {"subscribed": "email"}}, **of(consent__email=True)) == "no"


def test_A164_joined_conditions_must_all_hold_at_the_same_time() -> None:
    asked = {"all": [{"score_reached": 5}, {"subscribed": "sms"}]}
    assert answer(asked, **of(score=5, consent__sms=True)) == "yes"
    assert answer(asked, **of(score=5, consent__sms=False)) == "no"
    assert answer(asked, **of(score=4, consent__sms=True)) == "no"
