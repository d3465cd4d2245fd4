"""Every declared node type says all that others read of it, and adding one is adding a class."""

import importlib
import pkgutil

import pytest

import core.catalogue
from core.catalogue.base import CATEGORIES
from core.catalogue.registry import FAMILIES, NODE_TYPES, OPERATIONS
from core.describe import describe
from core.lowering import author_of, lowered_nodes

SHARED = {"actions", "base", "channels", "page", "registry", "timeouts", "words"}


def test_every_module_of_the_package_is_a_family_or_shared_by_them() -> None:
    found = {module.name for module in pkgutil.iter_modules(core.catalogue.__path__)}
    assert found == {*FAMILIES, *SHARED}


def test_every_family_declares_a_type() -> None:
    owners = {model.__module__.rpartition(".")[2] for model in NODE_TYPES.values()}
    assert owners == set(FAMILIES)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_a_type_has_texts_for_the_palette(name: str) -> None:
    model = NODE_TYPES[name]
    assert model.category in CATEGORIES
    assert 3 <= len(model.label) <= 40
    assert model.label[0].isupper()
    assert model.__doc__
    assert not model.label.endswith(".")
    assert model.help.endswith(".")
    assert model.help != model.label


def test_no_two_types_have_one_label() -> None:
    labels = [model.label for model in NODE_TYPES.values()]
    assert sorted(set(labels)) == sorted(labels)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_a_type_is_an_operation_or_stands_for_operations(name: str) -> None:
    model = NODE_TYPES[name]
    node = model.model_validate({"type": name, **model.example})
    lowered = lowered_nodes({"n": node})
    assert all(each.type in OPERATIONS for each in lowered.values())
    assert (lowered["n"] is node) == (name in OPERATIONS)
    assert lowered["n"].ports == node.ports
    assert all(author_of(node_id) == "n" for node_id in lowered)
    assert list(lowered)[-1] == "n"


def test_a_family_is_imported_by_its_name() -> None:
    for family in FAMILIES:
        module = importlib.import_module(f"core.catalogue.{family}")
        assert module.__doc__


_PRICE = 'where `attribute` is "price" and `before` is at least 100 and `after` is below 100'
PHRASES = {
    "on_product_changed": f"Enter on `product_changed` {_PRICE}",
    "wait_product_changed": f"Wait for `product_changed` {_PRICE}",
    "on_group": "Enter when in the group `readers`",
    "on_enter_segment": "Enter on coming to match: tagged `vip`",
    "on_exit_segment": "Enter on no longer matching: tagged `vip`",
    "on_contact_added": "Enter on `contact_added`",
    "wait_contact_added": "Wait for `contact_added`",
    "on_contact_readded": "Enter on `contact_readded`",
    "wait_contact_readded": "Wait for `contact_readded`",
    "on_banner_clicked": "Enter on `banner_clicked`",
    "wait_banner_clicked": "Wait for `banner_clicked`",
    "on_email_opened": "Enter on `email_opened`",
    "wait_email_opened": "Wait for `email_opened`",
    "on_email_clicked": "Enter on `email_clicked`",
    "wait_email_clicked": "Wait for `email_clicked`",
    "on_page_visited": "Enter on `page_visited`",
    "wait_page_visited": "Wait for `page_visited`",
    "on_note_added": "Enter on `note_added`",
    "wait_note_added": "Wait for `note_added`",
    "on_subscription_confirmed": "Enter on `subscription_confirmed`",
    "wait_subscription_confirmed": "Wait for `subscription_confirmed`",
    "on_subscription_resigned": "Enter on `subscription_resigned`",
    "wait_subscription_resigned": "Wait for `subscription_resigned`",
    "on_sms_unsubscribed": 'Enter on `subscription_resigned` where `channel` is "sms"',
    "wait_sms_unsubscribed": 'Wait for `subscription_resigned` where `channel` is "sms"',
    "on_external_event": "Enter on `cart_filled`",
    "wait_external_event": "Wait for `cart_filled`",
    "on_external_event_modified": "Enter on `external_event_modified`",
    "wait_external_event_modified": "Wait for `external_event_modified`",
    "on_purchase": "Enter on `purchase`",
    "wait_purchase": "Wait for `purchase`",
    "on_geo_entered": "Enter on `geo_entered`",
    "wait_geo_entered": "Wait for `geo_entered`",
    "on_geo_exited": "Enter on `geo_exited`",
    "wait_geo_exited": "Wait for `geo_exited`",
    "wait_for_date": "Wait until 7 days before 2026-11-27 00:00 (customer's time)",
    "control_group": "Set 10 % apart as a comparison group",
    "send_email": "Send e-mail `hello`",
    "send_sms": "Send SMS `hello`",
    "send_mobile_text": "Send mobile text `hello`",
    "send_push": "Send push `hello`",
    "send_web_push": "Send web push `hello`",
    "send_whatsapp": "Send WhatsApp `hello`",
    "send_in_app": "Send in-app message `hello`",
    "show_overlay": "Send web overlay `hello`",
    "send_survey": "Ask for NPS by e-mail `how-likely`",
    "wechat_reply": "Reply on WeChat with the text `hello`",
    "add_task": "Give `ann` the task `call`",
    "send_alert": "Alert `ann` of `big-order`",
    "show_banner": "Show the banner `spring`",
    "run_automation_rule": "Run the automation rule `clean-up`",
    "run_website_rule": "Run the web site rule `greet`",
    "facebook_audience": "Put into the Facebook audience `buyers`",
    "google_audience": "Put into the Google Ads audience `buyers`",
    "adform_audience": "Put into the Adform audience `buyers`",
    "add_note": 'Add the note "Wants a loan"',
    "set_owner": "Make `ann` the owner",
    "remove_co_owner": "Make `ann` no co-owner any more",
    "draw_owner": "Draw the owner from 2 users",
    "add_to_stage": "Put at the stage `won` of `autumn`",
    "remove_from_campaign": "Take out of the campaign `autumn`",
    "opt_in": "Opt in to e-mail",
    "opt_out": "Opt out of e-mail",
    "set_score": "Set the score to 10",
    "add_score": "Add 5 to the score",
    "add_tag_score": "Add 5 to the score of the tag `vip`",
    "add_points": "Add 30 points in `club`",
    "set_tier": "Put into the tier `gold` of `club`",
    "on_change": "Enter on `city` being changed",
    "wait_change": "Wait for `city` being changed",
    "on_tag_added": "Enter on the tag `vip` being added",
    "wait_tag_added": "Wait for the tag `vip` being added",
    "on_detail_added": "Enter on `city` getting its first value",
    "wait_detail_added": "Wait for `city` getting its first value",
    "on_detail_changed": "Enter on `city` getting another value",
    "wait_detail_changed": "Wait for `city` getting another value",
    "on_rfm_changed": "Enter on the RFM status changing",
    "wait_rfm_changed": "Wait for the RFM status changing",
    "on_owner_changed": "Enter on a new owner",
    "wait_owner_changed": "Wait for a new owner",
    "on_tier_changed": "Enter on a new tier in `club`",
    "wait_tier_changed": "Wait for a new tier in `club`",
    "on_points_earned": "Enter on points earned in `club`",
    "wait_points_earned": "Wait for points earned in `club`",
    "on_anniversary": "Enter when `birth_date` comes round at 09:00 (customer's time)",
    "on_stage": "Enter on coming to the stage `won` of `autumn`",
    "wait_stage": "Wait until at the stage `won` of `autumn`",
    "on_score": "Enter on coming to match: `score` is at least 100",
    "wait_score": "Wait until `score` is at least 100",
}


@pytest.mark.parametrize("name", PHRASES)
def test_the_example_of_a_type_is_described(name: str) -> None:
    model = NODE_TYPES[name]
    assert describe(model.model_validate({"type": name, **model.example})) == PHRASES[name]


def test_no_type_is_forgotten() -> None:
    assert PHRASES.keys() == NODE_TYPES.keys() - OPERATIONS.keys()
