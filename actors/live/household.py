"""Open a partition with all that lives beside it: its customers' personal values, and its relay.

The relay starts once the shard has all commands. What it learns of messages comes back as rows of
the partition. If it ends it is started again within a minute, and the partition goes on meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import TimeoutError as WaitingError
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from actors.intake.frame import Frame
from actors.intake.routing import partition_of
from actors.intake.rows import decode_rows
from actors.intake.tagging import SHARD, Tags, log_line
from actors.live.control import TenantSettings
from actors.live.data_dir import partition_path, people_path
from actors.live.errors import BehindError, BusyError, DownError, FullError, MovedError
from actors.live.export import export_journals
from actors.live.hosted import Opener, Receipt, Surroundings
from actors.live.known import known_of
from actors.live.letters import Letters
from actors.live.messaging import Asked, forget_tests, preview, send_test, signed
from actors.live.moving import parcel
from actors.live.opening import patiently
from actors.live.partition import LivePartition
from actors.live.store_look import StoreLook, look_at
from actors.live.version import REPORTED
from actors.people.lookup import Lookup
from actors.people.people import People
from actors.relay.contents import FolderContents
from actors.relay.relay_thread import RelayThread
from actors.relay.reports import BatchedReport, Row
from actors.relay.reports import BusyError as ReportsWaitError
from actors.relay.results import Name as ResultName
from actors.relay.services import Services
from actors.relay.settings import active_providers
from actors.relay.switches import FolderSwitches
from actors.relay.tracking import Tracker
from actors.store.errors import NoSpaceError
from core.counters import Counters
from core.errors import HeadraceError
from core.hashing import hash_customer
from core.internal_events import MESSAGE_SENT
from core.tenant_schema import TenantEvent, TenantSchema

TEMPLATES = "templates"
CLOSE_S = 5.0
TAKEN_S = 30.0
_HASHES = 2**64
# What a relay tells of a message, as events of the customer.
RESULT_SCHEMA = TenantSchema(
    events={
        name: TenantEvent(
            properties={
                "flow": "string",
                "version": "int64",
                "entry": "int64",
                "node": "string",
                "visit": "int64",
                "channel": "string",
                "template": "string",
                "reason": "string",
                "attempts": "int64",
                "provider_id": "string",
                "delay_ms": "int64",
            }
        )
        for name in (REPORTED, *get_args(ResultName))
        if name != MESSAGE_SENT
    }
)


@dataclass(frozen=True, slots=True)
class HouseholdFactory:
    """Opens the households of a data directory; with `relays` their messages are sent.

    Links in these lead over `public_url`, unless the data directory names an address of its own.
    """

    folder: Path
    settings: TenantSettings
    relays: bool = True
    public_url: str = ""

    def __call__(self) -> Opener:
        """The opener."""
        return self.open

    def open(self, number: int) -> Household:
        """Open partition `number`, made if it is not there. Raises as the stores' `open` do."""
        path = partition_path(self.folder, number)
        partition = patiently(
            lambda takeover: Resident.open(path, self.settings, create=True, takeover=takeover)
        )
        try:
            people = patiently(
                lambda takeover: People.open(
                    people_path(self.folder, number), create=True, takeover=takeover
                )
            )
        except BaseException:
            partition.close()
            raise
        return Household(self, number, partition, people)


class Resident(LivePartition):
    """A partition that tells its relay of customers by the hash of their id."""

    @property
    def tail(self) -> int:
        """How many records of the journal no snapshot includes: an opening replays them."""
        return self.store.head.journal_last - self._snapshotting.covered

    def id_of_hash(self, id_hash: int) -> str | None:
        """The customer's id, None for a stranger."""
        number = int(self._state.directory.find(np.array([id_hash], np.uint64))[0])
        return None if number < 0 else self.id_of(number)

    def shown_id(self, customer: int) -> str:
        """The id of a customer number, "" for one who was erased, or merged into another."""
        return "" if self._state.directory.is_erased(customer) else self.id_of(customer)

    def is_merged(self, id_hash: int) -> bool:
        """Whether an id means another customer by now."""
        return id_hash in self._state.merged

    def attributes_of(self, id_hash: int, names: Collection[str]) -> dict[str, object]:
        """The customer's values under those names, absent ones left out."""
        directory = self._state.directory
        number = int(directory.find(np.array([id_hash], np.uint64))[0])
        if number < 0:
            return {}
        found = {
            name: directory.column(name).value(number)
            for name in names
            if name in directory.schema.kept
        }
        return {name: value for name, value in found.items() if value is not None}


class Household:
    """One partition with its people and its relay. One thread uses it, but for `put_people`."""

    def __init__(
        self, factory: HouseholdFactory, number: int, partition: Resident, people: People
    ) -> None:
        """Take over what `HouseholdFactory.open` opened."""
        self.partition = partition
        self.people = people
        self._factory = factory
        self._number = number
        self._surroundings: Surroundings | None = None
        self._relay: RelayThread | None = None
        self._relay_problem = ""
        self._starting = threading.Lock()  # of the relay
        self._testing = threading.Lock()
        self.tags = Tags()
        """Which requests the latest commits were of."""

    # What the partition does

    @property
    def next_due_ms(self) -> int | None:
        """When its next timer is due, None without any."""
        return self.partition.next_due_ms

    @property
    def clock_ms(self) -> int:
        """Its time."""
        return self.partition.clock_ms

    @property
    def control_sequence(self) -> int:
        """The number of the last command that it applied."""
        return self.partition.control_sequence

    @property
    def cursors(self) -> Mapping[bytes, int]:
        """A copy of the last sequence of every source."""
        return dict(self.partition.cursors)

    def take(self, frames: Sequence[Frame], now_ms: int) -> Sequence[Receipt]:
        """Commit frames; see `LivePartition.take`. For its relay it notes whose they were."""
        tags = self.tags
        with tags.committing():
            receipts = self.partition.take(frames, now_ms)
            for frame, receipt in zip(frames, receipts, strict=True):
                tags.note(receipt.commit, frame.tag)
        for frame, receipt in zip(frames, receipts, strict=True):
            if frame.tag:
                told = {"commit": receipt.commit, "rows": frame.rows, "partition": self._number}
                log_line(SHARD, "commit", frame.tag, **told)
        return receipts

    def tick(self, now_ms: int) -> bool:
        """Fire what is due; see `LivePartition.tick`."""
        return self.partition.tick(now_ms)

    def prepare(self, command: Mapping[str, Any]) -> None:
        """Raise what `command` would raise."""
        self.partition.prepare(command)

    def command(self, sequence: int, command: Mapping[str, Any]) -> None:
        """Apply a command of the control log.

        Personal values are erased first: a crash between the two is made good by doing both again.
        """
        if command["kind"] == "erase" and sequence > self.control_sequence:
            hashes = np.array(command["hashes"], np.uint64)
            mine = hashes[partition_of(hashes, self._factory.settings.partitions) == self._number]
            if len(mine):
                self.people.erase_hashes(mine.tolist(), command["at_ms"])
        self.partition.command(sequence, command)

    def open_claims(self, serial: int) -> tuple[int, bytes, int]:
        """Claims that were not answered; see `LivePartition.open_claims`."""
        return self.partition.open_claims(serial)

    def grant(self, serial: int, through: int, answers: bytes, decisions: bytes) -> None:
        """Answer claims; see `LivePartition.grant`."""
        self.partition.grant(serial, through, answers, decisions)

    def counts(self, flow: str, version: int | None = None, now_ms: int = 0) -> Counters:
        """What a version of a flow counted here by now, the newest unless stated."""
        return self.partition.counts(flow, version, now_ms)

    def entrants(self, flow: str) -> list[tuple[int, int, int]]:
        """Number, entries and people of each version of a flow here."""
        versions = [v["version"] for v in self.partition.flows() if v["flow"] == flow]
        counted = [(number, self.partition.counts(flow, number)) for number in versions]
        return [(number, int(c.entries_by_hour.sum()), c.people) for number, c in counted]

    def would_enter(self, command: Mapping[str, Any]) -> int:
        """How many customers a command to publish would let in at once; it is not applied."""
        fresh = self.partition.trial(command)
        fresh.machine.tick(fresh.at_ms + 1)
        return fresh.machine.count().people

    def state_of(self, customer: str) -> Mapping[str, Any] | None:
        """What is known of a customer, personal values included; None if unknown."""
        found = self.partition.state_of(customer)
        personal = self.people.get([customer.encode()]).get(customer.encode())
        if found is None or not personal:
            return found
        return {**found, "personal": dict(personal)}

    def page(self, after: int, limit: int) -> list[tuple[int, str]]:
        """Numbers above `after` and ids of up to `limit` customers; only numbers of who is gone.

        Any thread but the partition's may call it.
        """

        def page() -> list[tuple[int, str]]:
            end = min(after + 1 + limit, len(self.partition.id_hashes()))
            return [(n, self.partition.shown_id(n)) for n in range(after + 1, end)]

        found: list[tuple[int, str]] = self._ask(page)
        return found

    def digest(self) -> int:
        """A hash of all customers and tokens; see `LivePartition.digest`."""
        return self.partition.digest()

    def snapshot(self, now: bool = False) -> bool:
        """Do a slice of a snapshot; True while one is unfinished."""
        return self.partition.snapshot(now)

    # What lives beside it

    def put_people(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Store personal values by customer's id, None to remove one. Any thread may call it."""
        self.people.put({customer.encode(): found for customer, found in values.items()})

    def forget_messages(self, id_hashes: Sequence[int]) -> None:
        """Remove what channels keep of customers that were erased. Any thread may call it."""
        customers = [signed(each) for each in id_hashes]
        if self._relay is not None:
            self._relay.forget(customers)
        with self._testing:
            forget_tests(self._factory.folder, self._number, customers)

    def recipients(self, messages: Sequence[tuple[int, int]]) -> list[str | None]:
        """Who got messages, by the hash of the id and when they were composed, ms UTC.

        None for a customer that is unknown, or was erased since. Any thread may call it.
        """
        hashes = [id_hash for id_hash, _ in messages]
        ids = self._ask(lambda: [self.partition.id_of_hash(each) for each in hashes])
        erased = [self.people.erased_ms(each) for each in hashes]
        return [
            None if not found or not found.strip("\0") or (gone or 0) >= at_ms else found
            for found, gone, (_, at_ms) in zip(ids, erased, messages, strict=True)
        ]

    def preview(self, asked: Asked) -> dict[str, Any]:
        """How a message looks; see `actors.live.messaging`. Any thread may call it."""
        with self._testing:
            return preview(self._factory.folder, self._number, *self._known, asked)

    def send_test(self, asked: Asked, address: str) -> dict[str, str]:
        """Send a test message; see `actors.live.messaging`. Any thread may call it."""
        with self._testing:
            return send_test(self._factory.folder, self._number, *self._known, asked, address)

    def known_of(self, customer: str) -> dict[str, Any]:
        """What the journal holds of a customer. Any thread may call it."""
        return known_of(self.partition.store, customer)

    @property
    def moving(self) -> dict[int, dict[str, Any]]:
        """What is still to be handed over; see `LivePartition.moving`."""
        return self.partition.moving

    def parcel(self, id_hash: int, sequence: int, into: str) -> list[bytes]:
        """The past of a merged customer; see `moving.parcel`. Any thread may call it."""
        return parcel(self.partition.store, id_hash, sequence, into)

    def erasure_of(self, customer: str) -> tuple[int, int] | None:
        """Number and time of the customer's last erasure in the ledger. Any thread may call it."""
        return self.people.erasure_of(hash_customer(customer))

    def renew_relay(self) -> str:
        """Start the relay anew, by the settings as they are now; returns what is wrong with it.

        Any thread but the partition's may call it.
        """
        if self._surroundings is not None and self._factory.relays:
            self._restart_relay()
        return self.companions

    @property
    def relay(self) -> RelayThread | None:
        """The relay, if one was started. Any thread may ask."""
        return self._relay

    def letters(
        self, wanted: dict[str, str], after: str, limit: int, named: bool
    ) -> tuple[list[dict[str, Any]], str]:
        """Messages that wait for a person; see `Letters.page`. Any thread may call it."""
        return Letters(self.partition.store, self).page(wanted, after, limit, named)

    def letter(self, provider: str, key: str, named: bool) -> dict[str, Any] | None:
        """One such message; see `Letters.one`. Any thread may call it."""
        return Letters(self.partition.store, self).one(provider, key, named)

    def letters_matching(
        self, wanted: dict[str, str], limit: int, readable: bool
    ) -> list[tuple[str, str]]:
        """Which such messages are wanted; see `Letters.matching`. Any thread may call it."""
        return Letters(self.partition.store, self).matching(wanted, limit, readable)

    def redrive_letters(self, chosen: Sequence[tuple[str, str]], expires_ms: int | None) -> int:
        """Send such messages again; see `Letters.redrive`. Any thread may call it."""
        return Letters(self.partition.store, self).redrive(chosen, expires_ms)

    def discard_letters(self, chosen: Sequence[tuple[str, str]]) -> int:
        """Forget such messages; see `Letters.discard`. Any thread may call it."""
        return Letters(self.partition.store, self).discard(chosen)

    def settle_messages(self) -> None:
        """Return once every attempt to send that is under way has ended. Any thread may call it."""
        relay = self._relay
        if relay is not None and relay.running:
            relay.ask(lambda found: found.settled(), CLOSE_S + TAKEN_S)

    @property
    def _known(self) -> tuple[str, Lookup]:
        """The tenant, and where values for messages come from."""
        tenant = self._factory.settings.tenant
        return tenant, Lookup(tenant, self.people, _hash_of, self._attributes)

    def copy(self, to: Path, people: Path | None) -> dict[str, int]:
        """Copy the partition, then its people, into new folders. Any thread may call it.

        Returns the `commits` and `transactions` of the one and the `erasures` of the other.
        """
        head = self.partition.store.backup(to)
        found = {"commits": head.journal_last, "transactions": head.transactions}
        if people is not None:
            found["erasures"] = self.people.backup(people)
        return found

    def export(self, path: Path) -> None:
        """Write the journal as an audience folder. Any thread may call it."""
        export_journals([self.partition.store], self._factory.settings, path)

    def look(self) -> StoreLook:
        """What an operator should know of its store. Any thread may call it."""
        return look_at(self.partition.store)

    @property
    def companions(self) -> str:
        """Why no messages are sent, "" where they are or should not be."""
        if self._relay is not None and not self._relay.running:
            return f"the relay ended: {self._relay.failure}"
        return self._relay_problem

    def outbox(self) -> dict[str, Any]:
        """What became of messages, and what waits, in numbers; {} without a relay at work."""
        relay = self._relay
        return {} if relay is None or not relay.running else relay.numbers()

    def begin(self, surroundings: Surroundings) -> None:
        """Start the relay. What keeps it from starting is told by `companions`."""
        self._surroundings = surroundings
        if self._factory.relays:
            self._start_relay()

    def wind_down(self) -> None:
        """End the relay: what it has under way settles first, for a few seconds.

        Another thread than the partition's calls it, because results come in meanwhile.
        """
        if self._relay is not None:
            self._relay.close(CLOSE_S)

    def settle(self) -> None:
        """Save the state before a close, so that the next opening replays nothing."""
        # A snapshot that was under way already ends without the records behind its beginning.
        while self.partition.snapshot(now=True) or self.partition.tail:
            continue

    def tend(self) -> None:
        """Do what must be done every minute; a relay that ended is started again."""
        self.partition.tend()
        self.people.tend()
        # While another thread starts it anew this one must not wait: results come through it.
        if self._surroundings is not None and self.companions and not self._starting.locked():
            self._restart_relay()

    def close(self) -> None:
        """Close everything, and first the relay."""
        self.wind_down()
        self.people.close()
        self.partition.close()

    def _restart_relay(self) -> None:
        with self._starting:
            if self._relay is not None:
                self._relay.close(CLOSE_S)
            self._start_relay()

    def _start_relay(self) -> None:
        folder = self._factory.folder
        self._relay, self._relay_problem = None, ""
        try:
            providers = active_providers(folder).build(folder, f"{self._number:03}")
            services = Services(
                people=self._known[1],
                contents=FolderContents(folder / TEMPLATES),
                report=BatchedReport(self._reported),
                clock=lambda: time.time_ns() // 1_000_000,
                rng=np.random.default_rng(),
                switches=FolderSwitches(folder),
                tracker=Tracker(folder, self._factory.public_url),
                request_of=self.tags.of,
            )
            relay = RelayThread(self.partition.store, providers, services)
            relay.start()
        except (HeadraceError, ValueError, OSError) as error:
            # The partition goes on, and its messages wait in the outbox.
            self._relay_problem = str(error)
            return
        self._relay = relay

    # In the relay's threads

    def _ask(self, run: Any) -> Any:
        assert self._surroundings is not None
        return self._surroundings.ask(run)

    def _attributes(self, customer: int, names: Collection[str]) -> Mapping[str, object]:
        """The values of a customer, by the hash of the id, that are not personal."""

        found: dict[str, object] = self._ask(
            lambda: self.partition.attributes_of(customer % _HASHES, names)
        )
        return found

    def _reported(self, rows: Sequence[Row]) -> None:
        """Take results in as rows of the customers; returns when the disk has them."""

        def named() -> list[Row]:
            found = []
            for row in rows:
                hashed = int(row["customer"]) % _HASHES
                customer = self.partition.id_of_hash(hashed)
                # Else erased meanwhile, or merged: then nothing waits for the result any more.
                if customer is not None and not self.partition.is_merged(hashed):
                    # Flows heard that it was sent when they decided to.
                    event = REPORTED if row["event"] == MESSAGE_SENT else row["event"]
                    found.append({**row, "customer": customer, "event": event})
            return found

        assert self._surroundings is not None
        try:
            decoded = decode_rows(self._ask(named), RESULT_SCHEMA)
            for reject in decoded.rejects[:1]:
                raise HeadraceError(f"a result cannot be taken in: {reject.message}")
            if decoded.frame.rows:
                self._surroundings.submit(self._number, decoded.frame).result(TAKEN_S)
        except (BusyError, FullError, BehindError, MovedError, NoSpaceError, WaitingError) as error:
            raise ReportsWaitError(str(error)) from None
        except DownError as error:
            raise HeadraceError(f"results cannot be taken in: {error}") from None


def _hash_of(customer: int) -> int:
    """The hash of a customer's id: an effect names him by it, as a signed number."""
    return customer % _HASHES
