"""Scenario 38 by HTTP, roles by endpoints: every denied cell of the matrix is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.service.access import EVENTS, OPERATOR, ROLES, SCOPES
from actors.service.tenants import FIRST
from http_service import Served, served
from operations import operations

OPEN = {
    # What nobody needs a key for, or tells who he is otherwise: by a key in the path, the query or
    # the body, by a signature, or by this machine's address.
    "read_health", "read_readiness", "read_metrics", "segment_settings", "posthog_flags",
    "posthog_config", "segment_pixel", "rudderstack_pixel",
    "follow_link", "look_at_link", "show_pixel", "look_at_pixel", "show_subscription",
    "change_subscription", "take_callback",
}  # fmt: skip
UNKNOWN = "zz-nothing-of-this-name"
CALLERS = {
    **ROLES,
    "events": EVENTS,
    "operator": ROLES["admin"] | {OPERATOR},
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A service of this module alone, and a key of each role."""
    with served(tmp_path_factory.mktemp("roles") / "data") as service:
        keys = {"events": service.events, "operator": service.admin}
        with service.service.plane.tenant(FIRST).write() as txn:
            for role in ROLES:
                now_ms = service.service.now_ms()
                minted = service.service.keys.mint(txn, None, name=role, now_ms=now_ms, role=role)
                keys[role] = minted.secret
        yield service, keys


def test_every_operation_names_a_scope_that_there_is(
    own: tuple[Served, dict[str, str]],
) -> None:
    found = operations(own[0])
    assert {each.name for each in found if not each.scope} == OPEN
    assert {each.scope for each in found if each.scope} == set(SCOPES)


@pytest.mark.parametrize("caller", CALLERS)
def test_a_role_gets_what_its_scopes_say_and_no_more(
    own: tuple[Served, dict[str, str]], caller: str
) -> None:
    service, keys = own
    denied = allowed = 0
    for operation in operations(service):
        if not operation.scope:
            continue
        url = operation.url({}, UNKNOWN)
        if operation.scope in CALLERS[caller]:
            # With a body that is none, so that nothing is changed.
            answer = operation.ask(service, url, keys[caller], body=False)
            assert answer.status_code not in (401, 403, 429), (operation.place, answer.text)
            assert answer.status_code < 500, (operation.place, answer.text)
            allowed += 1
        else:
            answer = operation.ask(service, url, keys[caller])
            assert answer.status_code == 403, (operation.place, answer.text)
            assert operation.scope in answer.text, operation.place
            denied += 1
    print(f"{caller}: {denied} operations denied, {allowed} allowed")
    assert denied + allowed >= 100
