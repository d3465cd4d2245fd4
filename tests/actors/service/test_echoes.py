"""What comes back of messages: queued, judged, stored, tried again, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from actors.intake.rows import Decoded
from actors.live.errors import DownError
from actors.live.replies import Reply
from actors.relay.callbacks import Report
from actors.relay.link_settings import FolderLinks
from actors.relay.marks import Mark, MarkKey
from actors.relay.prefetchers import MANY_WITHIN_MS
from actors.relay.suppression import Suppressions
from actors.service import echoes
from actors.service.echoes import MINUTE_MS, RETRY_FOR_MS, Echoes
from actors.service.postmarks import Post
from actors.service.service import Service
from core.answers import answer_key
from core.errors import HeadraceError
from core.hashing import hash_customer
from core.tenant_schema import TenantSchema
from waiting import until

KEY = MarkKey(b"number", b"\x01" * 32)
NOW_MS = 1_800_000_000_000
PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"}


@dataclass
class _Engine:
    """Takes rows in, or fails; knows the customers a, b and c."""

    schema: TenantSchema = field(default_factory=TenantSchema)
    partitions: int = 4
    down: set[int] = field(default_factory=set)
    rows: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    changes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tries: int = 0

    def now_ms(self) -> int:
        return NOW_MS + 10 * MINUTE_MS

    def job(self, part: int, name: str, asked: Sequence[tuple[int, int]]) -> list[str | None]:
        self.tries += 1
        assert name == "recipients"
        if part in self.down:
            raise DownError("down")
        known = {hash_customer(each): each for each in "abc"}
        return [known.get(id_hash) for id_hash, _ in asked]

    def send_decoded(self, decoded: Decoded, *, deadline_s: float) -> Reply:
        frame = decoded.frame
        names = [bytes(frame.id_data[a:b]).decode() for a, b in zip(
            frame.id_offsets[:-1], frame.id_offsets[1:], strict=True)]  # fmt: skip
        for row, kind in enumerate(frame.type.tolist()):
            customer = names[int(frame.customer[row])]
            cells = frame.attributes if kind < 0 else frame.properties
            told = {}
            for name, part in cells.items():
                (at,) = np.flatnonzero(part.rows == row)[:1].tolist() or (-1,)
                if at >= 0:
                    value = part.values[at].item()
                    told[name] = part.dictionary[value] if part.dictionary else value
                    told[name] = bool(value) if part.kind == "bool" else told[name]
            if kind < 0:
                self.changes.append((customer, told))
            elif (message := frame.message[row].tobytes().hex()) not in self.ids:
                self.ids.add(message)
                self.rows.append((customer, frame.event_names[kind], told))
        return Reply(frame.rows, 0)


@dataclass
class _Service:
    engines: dict[str, _Engine]
    at_ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.at_ms

    def engine(self, tenant: str) -> _Engine:
        if tenant not in self.engines:
            raise HeadraceError("suspended")
        return self.engines[tenant]


class Setup:
    """The echoes of two tenants, whose thread does nothing by itself."""

    def __init__(self, folder: Path) -> None:
        self.service = _Service({"a": _Engine(), "b": _Engine()})
        self.echoes = Echoes(cast(Service, self.service))
        self.posts = {}
        for tenant in ("a", "b", "gone"):
            place = folder / tenant
            place.mkdir()
            suppressions = Suppressions(place, KEY)
            self.posts[tenant] = Post(tenant, place, KEY, FolderLinks(place), suppressions)

    @property
    def engine(self) -> _Engine:
        return self.service.engines["a"]

    def click(
        self, customer: str = "a", link: str = "sale", tenant: str = "a", **more: Any
    ) -> None:
        mark = replace(mark_of(customer), link=link, target=f"https://{link}.test", **more)
        self.echoes.hit(self.posts[tenant], mark, KEY.seal(mark), "GET", PERSON)

    def later(self, ms: int = MANY_WITHIN_MS) -> None:
        self.service.at_ms += ms
        self.echoes._flush()

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        return dict(self.echoes.counts)


def mark_of(customer: str) -> Mark:
    number = int(np.array([hash_customer(customer)], np.uint64).view(np.int64)[0])
    return Mark(
        "click", number, 77, 0, 1, NOW_MS - MINUTE_MS, "hello", "greet", "email", "t",
        f"message of {customer}",
    )  # fmt: skip


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    monkeypatch.setattr(echoes, "LOOK_S", 3_600.0)
    found = Setup(tmp_path)
    yield found
    found.echoes.close()
    found.echoes.close()


def test_a_click_is_held_until_it_is_known_who_did_it_and_stored_once(setup: Setup) -> None:
    setup.click()
    setup.click()
    setup.later(MANY_WITHIN_MS - 1)
    assert setup.engine.rows == []
    setup.later(1)
    (row,) = setup.engine.rows
    assert row == (
        "a",
        "email_clicked",
        {
            "message": "greet",
            "flow": "hello",
            "template": "t",
            "channel": "email",
            "entry": 77,
            "message_key": "message of a",
            "machine": False,
            "answers": answer_key("hello", "greet", 77),
            "link": "sale",
        },
    )
    assert setup.counts == {("email_clicked", "repeated"): 1, ("email_clicked", "stored"): 1}
    setup.click()
    setup.later()
    assert len(setup.engine.rows) == 1
    setup.later(MINUTE_MS)
    setup.click()
    setup.later()
    assert len(setup.engine.rows) == 2


@pytest.mark.parametrize(("links", "machine"), [(2, False), (3, True)])
def test_many_links_at_once_are_followed_by_machines(
    setup: Setup, links: int, machine: bool
) -> None:
    for number in range(links):
        setup.click(link=f"l{number}")
        setup.service.at_ms += 300
    setup.click("b")
    setup.later()
    told = {(row[0], row[2]["machine"]) for row in setup.engine.rows}
    assert told == {("a", machine), ("b", False)}


def test_a_partition_that_is_down_holds_up_no_other_and_nothing_is_lost(setup: Setup) -> None:
    parts = {c: hash_customer(c) * 4 >> 64 for c in "abc"}
    assert len(set(parts.values())) > 1
    setup.engine.down = {parts["a"]}
    for customer in "abc":
        for link in range(3):
            setup.click(customer, f"l{link}")
    setup.later()
    up = {customer for customer in "abc" if parts[customer] != parts["a"]}
    assert {row[0] for row in setup.engine.rows} == up
    assert setup.echoes.pending == 3 * (3 - len(up))
    setup.later(30_000)
    setup.engine.down = set()
    setup.later(1_000)
    assert {row[0] for row in setup.engine.rows} == set("abc")
    # Judged at first, when the other clicks were still known.
    assert {row[2]["machine"] for row in setup.engine.rows} == {True}
    assert setup.echoes.pending == 0


def test_what_cannot_be_stored_for_long_is_counted_as_lost(setup: Setup) -> None:
    setup.click(tenant="gone")
    setup.later()
    tries = setup.echoes.pending
    assert tries == 1
    setup.later(RETRY_FOR_MS)
    assert setup.echoes.pending == 0
    assert setup.counts == {("email_clicked", "lost"): 1}


def test_tenants_are_apart(setup: Setup) -> None:
    setup.click(tenant="a")
    setup.click(tenant="b")
    setup.later()
    assert len(setup.service.engines["a"].rows) == len(setup.service.engines["b"].rows) == 1
    mark = mark_of("a")
    setup.posts["a"].suppressions.put(b"s" * 16, "bounce", 1)
    assert setup.posts["b"].suppressions.count() == 0
    own = MarkKey(b"others", b"\x02" * 32)
    other = replace(mark, kind="report", subject=b"s" * 16)
    setup.echoes.report(setup.posts["b"], "email", "c", Report("bounce", own.seal(other), "", "1"))
    assert setup.posts["b"].suppressions.count() == 0
    assert setup.counts[("message_bounced", "nobody")] == 1


def test_strangers_and_the_erased_are_counted_and_not_created(setup: Setup) -> None:
    setup.click("stranger")
    setup.later()
    assert setup.engine.rows == []
    assert setup.counts == {("email_clicked", "erased"): 1}


def test_the_queue_is_bounded(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echoes, "PENDING_MAX", 2)
    for link in ("l1", "l2", "l3"):
        setup.click(link=link)
    assert setup.echoes.pending == 2
    assert setup.counts == {("email_clicked", "lost"): 1}


def test_closing_stores_what_waits(setup: Setup) -> None:
    setup.click()
    setup.click(tenant="gone")
    setup.echoes.close()
    assert len(setup.engine.rows) == 1
    assert setup.counts == {("email_clicked", "stored"): 1, ("email_clicked", "lost"): 1}


def test_the_thread_stores_by_itself(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    setup.click()
    setup.service.at_ms += MANY_WITHIN_MS
    until(lambda: len(setup.engine.rows) == 1)
    setup.echoes.close()


def test_what_the_tenants_schema_has_otherwise_is_left_out(setup: Setup) -> None:
    setup.engine.schema = TenantSchema.of(
        {
            "attributes": {"consent:email": {"type": "string"}},
            "events": {"other": {"properties": {"link": "int64", "machine": "string"}}},
        }
    )
    setup.click()
    setup.later()
    (row,) = setup.engine.rows
    assert row[2].keys() >= {"message", "answers"}
    assert not row[2].keys() & {"link", "machine"}
    leave = replace(mark_of("a"), kind="leave", subject=b"s" * 16)
    setup.echoes.resign(setup.posts["a"], leave, ["email"])
    assert setup.engine.changes == []


def test_who_unsubscribes_while_the_engine_is_down_is_not_forgotten(setup: Setup) -> None:
    leave = replace(mark_of("a"), kind="leave", subject=b"s" * 16)
    setup.engine.down = set(range(4))
    post = setup.posts["a"]
    setup.echoes.resign(post, leave, ["email"])
    assert post.suppressions.find(b"s" * 16) is not None
    with pytest.raises(DownError):
        setup.echoes.resign(post, leave, ["sms"])
    setup.engine.down = set()
    setup.later(1_000)
    assert [row[:2] for row in setup.engine.rows] == [("a", "subscription_resigned")]
    assert setup.engine.changes == [("a", {"consent:email": False})]
    setup.echoes.confirm(post, leave, ["email"])
    assert post.suppressions.find(b"s" * 16) is None
    assert setup.engine.changes[-1] == ("a", {"consent:email": True})


@pytest.mark.parametrize(
    ("meaning", "event", "reason", "change"),
    [
        ("bounce", "message_bounced", "bounce", {"reachable:email": False}),
        ("soft_bounce", "message_bounced", None, None),
        ("complaint", "message_complained", "complaint", {"consent:email": False}),
        ("unsubscribed", "subscription_resigned", "unsubscribed", {"consent:email": False}),
        ("opened", "email_opened", None, None),
        ("clicked", "email_clicked", None, None),
    ],
)
def test_reports_come_to_events_and_reasons(
    setup: Setup, meaning: Any, event: str, reason: str | None, change: dict[str, bool] | None
) -> None:
    post = setup.posts["a"]
    mark = replace(mark_of("a"), kind="report", subject=b"s" * 16)
    for _ in range(2):
        setup.echoes.report(post, "sms", "c", Report(meaning, KEY.seal(mark), "", "1"))
    assert [row[:2] for row in setup.engine.rows] == [("a", event)]
    found = post.suppressions.find(b"s" * 16)
    assert (found.reason if found else None) == reason
    assert [c for _, c in setup.engine.changes[:1]] == ([change] if change else [])


def test_a_report_is_answered_only_when_it_is_stored(setup: Setup) -> None:
    setup.engine.down = set(range(4))
    mark = replace(mark_of("a"), kind="report", subject=b"s" * 16)
    with pytest.raises(DownError):
        setup.echoes.report(
            setup.posts["a"], "email", "c", Report("opened", KEY.seal(mark), "", "")
        )
