"""Flows: drafts and who saves them, publishing, statuses over time, quotas, what the engine did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.live.errors import FlowError, RefusedError
from actors.service import flow_rows, schedules, scheduling
from actors.service.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from actors.service.flow_errors import AudienceError, EditedError, QuotaError
from actors.service.scheduling import Times
from flow_shop import DAY_MS, NOW_MS, Shop, document, shop

HOUR_MS = 3_600_000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path / "d") as opened:
        yield opened


def schedule(here: Shop, start_ms: int, stop_ms: int, flow: str = "welcome") -> None:
    desk, times = here.desk(), Times(start_ms, stop_ms)
    with desk.turn:
        scheduling.look(desk, flow, times, None, None)
        with desk.rows.write() as txn:
            scheduling.put(txn, desk, flow, times, None)
    here.flows.wake("main")


def test_a_draft_is_saved_by_whoever_began_with_its_last_edition(here: Shop) -> None:
    here.create()
    assert here.save("welcome", document(name="Hello"), "1") == 2
    assert here.shown().row.name == "Hello"
    with pytest.raises(EditedError) as raised:
        here.save("welcome", document(name="Other"), "1")
    assert (raised.value.edition, raised.value.current) == ("1", 2)
    with here.plane.tenant("main").read() as txn:
        assert json.loads(flow_rows.draft_of(txn, "welcome").document)["name"] == "Hello"


def test_a_draft_may_be_wrong_but_must_be_a_document_of_its_flow(here: Shop) -> None:
    here.create()
    assert here.save("welcome", '{"flow": "welcome"}', "1") == 2
    with pytest.raises(InvalidError, match="of flow 'other'"):
        here.save("welcome", document("other"), "2")
    for text, code in [("{", "invalid-json"), ("[]", "missing-field"), ("", "empty-document")]:
        with pytest.raises(FlowError) as raised:
            here.save("welcome", text, "2")
        assert raised.value.violations[0].code == code
    with pytest.raises(FlowError) as raised:
        here.publish()
    assert "missing-field" in {v.code for v in raised.value.violations}
    assert here.status() == "draft"


def test_re_entry_is_fixed_by_the_first_save_in_both_directions(here: Shop) -> None:
    once, always = document(), document(settings={"reentry": {"policy": "always"}})
    here.create(once)
    with pytest.raises(InvalidError, match="fixed since the first save") as raised:
        here.save("welcome", always, "1")
    assert raised.value.pointer == "/settings/reentry"
    here.create(always.replace("welcome", "other"))
    with pytest.raises(InvalidError, match="fixed since"):
        here.save("other", once.replace("welcome", "other"), "1")
    here.create(once.replace("welcome", "third"), first_save=False)
    assert here.save("third", always.replace("welcome", "third"), "1") == 2
    with pytest.raises(InvalidError, match="fixed since"):
        here.save("third", once.replace("welcome", "third"), "2")


def test_a_flow_runs_stands_still_and_stops(here: Shop) -> None:
    here.create()
    assert here.status() == "draft"
    done = here.publish()
    assert (done.version, here.status(), here.shown().row.running) == (1, "running", "active")
    here.change("pause")
    assert (here.status(), here.shown().row.running) == ("running", "paused")
    with pytest.raises(RefusedError):
        here.change("pause")
    here.change("resume")
    here.change("stop", in_flight="drop")
    shown = here.shown()
    assert (shown.status, shown.stopped_ms) == ("stopped", here.now_ms)
    assert here.told() == [
        (f"flow.{what}", "user:ada") for what in ("publish", "pause", "resume", "stop")
    ]


def test_a_repeated_request_publishes_once(here: Shop) -> None:
    here.create()
    first = here.publish(request="one")
    assert here.publish(request="one") == first
    assert here.engine.control.standing.flows["welcome"].version == 1
    with pytest.raises(RefusedError, match="version 1 of flow welcome already"):
        here.publish(request="two")
    assert here.told() == [("flow.publish", "user:ada")]


def test_versions_are_as_they_were_written_whatever_the_draft_becomes(here: Shop) -> None:
    from actors.service import versions

    here.create()
    here.publish()
    here.save("welcome", document(name="Second"), "1")
    assert here.shown().row.published_edition == 1
    here.publish(edition="2", in_flight="reset")
    with here.plane.tenant("main").read() as txn:
        found = versions.page(txn, "welcome", None, 10)
        assert [(v.version, v.edition, v.in_flight, v.by) for v in found] == [
            (2, 2, "reset", "user:ada"),
            (1, 1, "pin", "user:ada"),
        ]
        assert found[1].document == document()
        with pytest.raises(NotFoundError):
            versions.find(txn, "welcome", 3)


def test_what_was_published_past_the_service_shows_up(here: Shop) -> None:
    here.engine.publish(document("side", name="Aside"))
    row = here.shown("side").row
    assert (row.name, row.version, row.edition, row.owner) == ("Aside", 1, 1, None)
    here.engine.stop("side")
    assert here.status("side") == "stopped"
    assert here.told() == [("flow.publish", "engine"), ("flow.stop", "engine")]


def test_a_schedule_starts_and_stops_the_flow(here: Shop) -> None:
    here.create()
    start_ms, stop_ms = here.now_ms + HOUR_MS, here.now_ms + 2 * HOUR_MS
    for wrong in [(here.now_ms, stop_ms), (start_ms, start_ms)]:
        with pytest.raises(InvalidError):
            schedule(here, *wrong)
    schedule(here, start_ms, stop_ms)
    assert here.status() == "ready_to_start"
    with pytest.raises(ConflictError, match="about to start"):
        here.save("welcome", document(), "1")
    with pytest.raises(ConflictError, match="has a schedule"):
        here.publish()
    desk = here.desk()
    with pytest.raises(ConflictError, match="ready to start"), desk.rows.write() as txn:
        desk.delete(txn, "welcome")
    here.pass_time(HOUR_MS - 1)
    assert here.status() == "ready_to_start"
    here.pass_time(1)
    assert here.status() == "running"
    here.pass_time(HOUR_MS - 1)
    assert here.status() == "running"
    here.pass_time(1)
    assert (here.status(), here.shown().schedule) == ("stopped", None)
    assert here.told() == [("flow.publish", "service"), ("flow.stop", "service")]


def test_a_start_that_can_not_be_is_told(here: Shop) -> None:
    here.create()
    schedule(here, here.now_ms + HOUR_MS, here.now_ms + 2 * HOUR_MS)
    here.engine.publish(document(name="Elsewhere"))
    here.engine.publish(document())
    here.pass_time(HOUR_MS)
    assert here.shown().row.problem == (
        "the scheduled start came to nothing: this very document is version 2 of flow welcome "
        "already"
    )
    assert here.told()[-1] == ("flow.start_failed", "service")


def test_a_schedule_that_was_slept_through_starts_nothing(here: Shop) -> None:
    here.create()
    schedule(here, here.now_ms + HOUR_MS, here.now_ms + 2 * HOUR_MS)
    here.pass_time(3 * HOUR_MS)
    assert here.status() == "draft"
    assert "its stop passed" in here.shown().row.problem
    assert here.engine.flows() == []


def test_a_schedule_wants_a_sound_draft_and_a_flow_at_rest(here: Shop) -> None:
    here.create('{"flow": "welcome"}')
    with pytest.raises(FlowError):
        schedule(here, here.now_ms + 1, here.now_ms + 2)
    here.save("welcome", document(), "1")
    here.publish()
    with pytest.raises(ConflictError, match="runs already"):
        schedule(here, here.now_ms + 1, here.now_ms + 2)


def test_the_window_of_a_document_makes_it_ready_and_stops_it(here: Shop) -> None:
    settings = {"start": "2026-09-22T00:00", "stop": "2026-09-23T00:00", "zone": "Europe/Riga"}
    begin_ms = 1_790_024_400_000  # 00:00 in Riga
    here.create(document(settings=settings))
    here.publish()
    assert begin_ms > NOW_MS
    assert here.status() == "ready_to_start"
    here.pass_time(begin_ms - here.now_ms)
    assert here.status() == "running"
    here.pass_time(DAY_MS)
    shown = here.shown()
    assert (shown.status, shown.stopped_ms) == ("stopped", begin_ms + DAY_MS)
    assert here.told() == [("flow.publish", "user:ada"), ("flow.stop", "service")]


def test_flows_freeze_when_the_tenant_expires_and_thaw_when_it_is_renewed(here: Shop) -> None:
    for name in ("a", "b", "c", "d"):
        here.create(document(name))
    here.publish("a")
    here.publish("b")
    here.change("pause", "b")
    schedule(here, here.now_ms + 2 * DAY_MS, here.now_ms + 3 * DAY_MS, "c")
    here.tenant(expires_ms=here.now_ms + HOUR_MS)
    here.pass_time(HOUR_MS)
    assert [here.status(name) for name in "abcd"] == ["frozen", "frozen", "frozen", "draft"]
    assert here.engine.control.standing.flows["a"].status == "paused"
    for name in ("a", "b"):
        with pytest.raises(ConflictError, match="time is over"):
            here.change("resume", name)
    with pytest.raises(ConflictError, match="time is over"):
        here.publish("d")
    with pytest.raises(ConflictError, match="time is over"):
        here.save("a", document("a"), "1")
    here.pass_time(2 * DAY_MS)
    assert here.status("c") == "frozen"
    here.tenant()
    here.pass_time(1)
    assert [here.status(name) for name in "abcd"] == ["running", "running", "running", "draft"]
    assert [here.shown(name).row.running for name in "abc"] == ["active", "paused", "active"]
    here.tenant(expires_ms=here.now_ms)
    here.pass_time(1)
    assert here.shown("a").row.frozen


def test_a_flow_is_invalid_thirty_days_after_it_was_stopped(here: Shop) -> None:
    here.create()
    here.publish()
    here.change("stop")
    here.save("welcome", document(name="Again"), "1")
    here.pass_time(30 * DAY_MS - 1)
    assert here.status() == "stopped"
    here.pass_time(1)
    assert here.status() == "invalidated"
    for act in (lambda: here.publish(), lambda: here.save("welcome", document(), "2")):
        with pytest.raises(ConflictError, match="more than 30 days ago"):
            act()
    here.pass_time(DAY_MS)
    assert here.told()[-1] == ("flow.invalidate", "service")
    assert here.told().count(("flow.invalidate", "service")) == 1


def test_a_flow_that_was_stopped_starts_again_in_time(here: Shop) -> None:
    here.create()
    here.publish()
    here.change("stop")
    here.pass_time(29 * DAY_MS)
    assert here.publish().version == 2
    here.pass_time(5 * DAY_MS)
    assert here.status() == "running"


def test_no_more_flows_are_started_than_the_quota_has(here: Shop) -> None:
    for name in ("a", "b", "c"):
        here.create(document(name))
    here.tenant(quotas={"flows_started": 2})
    here.publish("a")
    schedule(here, here.now_ms + DAY_MS, here.now_ms + 2 * DAY_MS, "b")
    with here.plane.tenant("main").read() as txn:
        assert here.desk().launches(txn).remaining == 0
    with pytest.raises(QuotaError):
        here.publish("c")
    here.save("a", document("a", name="New"), "1")
    assert here.publish("a").version == 2
    here.change("stop", "a")
    assert here.publish("c").version == 1


def test_an_audience_is_acknowledged_and_may_not_drift(here: Shop) -> None:
    rows = [{"customer": f"c{i}", "groups": {"add": ["vip"]}} for i in range(20)]
    here.engine.send(rows)
    nodes = {"a": {"type": "on_group", "group": "vip", "next": "b"}, "b": {"type": "end"}}
    here.create(document(nodes=nodes))
    desk = here.desk()
    with desk.rows.write() as txn:
        row = desk.find(txn, "welcome").row
        row.tolerance = 0.1
        flow_rows.put(txn, row)
    for acknowledged in (None, 18, 23):
        with pytest.raises(AudienceError) as raised:
            here.publish(audience=acknowledged)
        assert (raised.value.acknowledged, raised.value.now) == (acknowledged, 20)
    assert here.publish(audience=19).version == 1


def test_what_runs_is_not_deleted_and_an_id_is_given_once(here: Shop) -> None:
    here.create()
    here.create(document("draft"))
    here.publish()
    desk = here.desk()
    with pytest.raises(ConflictError, match="running"), desk.rows.write() as txn:
        desk.delete(txn, "welcome")
    here.change("stop")
    with desk.rows.write() as txn:
        desk.delete(txn, "welcome")
        desk.delete(txn, "draft")
    with pytest.raises(NotFoundError):
        here.shown()
    with pytest.raises(ConflictError, match="was that of a flow"):
        here.create()
    here.create(document("draft"))
    from actors.service import versions

    with here.plane.tenant("main").read() as txn:
        assert versions.find(txn, "welcome", 1).document == document()


def test_roles_and_sharing_bound_what_somebody_may_do(here: Shop) -> None:
    from actors.service import sharing
    from actors.service.sharing import Sharing

    here.create()

    def allowed(role: str, user: str | None) -> tuple[str, ...]:
        desk = here.desk(role, user)
        with desk.rows.read() as txn:
            shown = desk.every(txn)
        return shown[0].permissions if shown else ()

    everything = ("view", "edit", "publish")
    assert [allowed(role, "bob") for role in ("viewer", "editor", "publisher")] == [
        everything[:1],
        everything[:2],
        everything,
    ]
    with here.plane.tenant("main").write() as txn:
        sharing.put(txn, "welcome", Sharing("shared", {"bob": "edit", "eve": "publish"}))
    assert allowed("publisher", "bob") == everything[:2]
    assert allowed("viewer", "eve") == everything[:1]
    assert allowed("publisher", "zoe") == allowed("publisher", None) == ()
    assert allowed("publisher", "ada") == allowed("admin", "zoe") == everything
    with pytest.raises(NotFoundError), here.plane.tenant("main").read() as read:
        here.desk("publisher", "zoe").find(read, "welcome")
    with pytest.raises(ForbiddenError), here.plane.tenant("main").read() as read:
        here.desk("publisher", "bob").find(read, "welcome", "publish")


def test_a_log_from_an_older_backup_is_followed_anew(here: Shop) -> None:
    here.create()
    here.publish()
    with here.plane.tenant("main").write() as txn:
        txn.put("versions", "~", {"command": 99})
    shown = here.shown()
    assert (shown.status, shown.row.version) == ("running", 1)


def test_schedules_are_told_apart(here: Shop) -> None:
    here.create()
    schedule(here, here.now_ms + HOUR_MS, here.now_ms + 2 * HOUR_MS)
    first = here.shown().schedule
    schedule(here, here.now_ms + HOUR_MS, here.now_ms + 3 * HOUR_MS)
    second = here.shown().schedule
    assert first is not None
    assert second is not None
    assert first.request("start") != second.request("start")
    desk = here.desk()
    with desk.rows.write() as txn:
        scheduling.cancel(txn, desk, "welcome")
    with pytest.raises(ConflictError, match="no schedule"), desk.rows.write() as txn:
        scheduling.cancel(txn, desk, "welcome")
    with desk.rows.read() as read:
        assert schedules.every(read) == {}
