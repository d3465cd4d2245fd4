"""Keep what a partition knows of its customers: their numbers, and a column for each attribute.

Customers are numbered in order of first appearance and never leave their number. The state is a
function of the calls made, so a replay of the journal ends in the same directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import DTYPES, Frame, Sparse
from actors.intake.frozen import Frozen
from core.audience import INT64_MIN, Audience, Column, Kind
from core.tenant_schema import TenantSchema
from ext.idmap import IdMap

Array = NDArray[Any]

MARKS_MAX = 1_000  # tags of one partition, and as many groups: each has a byte for every customer
ROOM_MIN = 1_024
_ABSENT: dict[Kind, float | int] = {"float64": np.nan, "string": -1, "bool": -1}


class Texts:
    """The distinct texts of a column, each with the code that it keeps."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Give the texts the codes 0, 1, 2, ...; ValueError if one is there twice."""
        self.texts = list(texts)
        self._codes = {text: code for code, text in enumerate(self.texts)}
        if len(self._codes) != len(self.texts):
            raise ValueError("a text has two codes")

    def codes(self, part: Sparse) -> NDArray[np.int32]:
        """The codes of a text column's values, int32[j], -1 for missing; new texts get one."""
        known, texts = self._codes, self.texts
        moved = np.empty(len(part.dictionary or ()) + 1, np.int32)
        moved[-1] = -1  # what the code of a missing value finds
        for place, text in enumerate(part.dictionary or ()):
            code = known.get(text)
            if code is None:
                code = known[text] = len(texts)
                texts.append(text)
            moved[place] = code
        found: NDArray[np.int32] = moved[part.values]
        return found


class Directory:
    """The customers of one partition, n of them; one writer at a time.

    About 100 bytes a customer with an id of 16, and those of its attributes, 1 for a truth value, 4
    for a text, else 8, and 1 for each tag and group that anybody ever had. Arrays grow by room for
    four times as many, which costs addresses only: memory is taken when a customer needs it.
    """

    def __init__(self, schema: TenantSchema, zone: str | None = None) -> None:
        """An empty one; `zone` is the tenant's, for customers without one of their own."""
        self._schema = schema
        self._zone = zone
        self._ids = IdMap()
        self._room = 0
        self._offsets: NDArray[np.int64] = np.zeros(1, np.int64)
        self._data: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._created: NDArray[np.int64] = np.empty(0, np.int64)
        self._zone_code: NDArray[np.int32] = np.empty(0, np.int32)
        self._zones = Texts()
        self._values: dict[str, Array] = {}
        self._texts: dict[str, Texts] = {}
        self._tags: dict[str, NDArray[np.int8]] = {}
        self._groups: dict[str, NDArray[np.int8]] = {}
        self._erased: set[int] = set()
        self._frozen: Frozen | None = None
        self._frozen_as: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        """The number of customers, n."""
        return len(self._ids)

    @property
    def schema(self) -> TenantSchema:
        """What the columns are made by."""
        return self._schema

    def adopt(self, schema: TenantSchema) -> None:
        """Go on with another schema; columns that it doesn't name, or types otherwise, are gone."""
        before, after = self._schema.attribute_kind, schema.attribute_kind
        for name in [n for n in self._values if after(n) != before(n)]:
            del self._values[name]
            self._texts.pop(name, None)
        self._schema = schema

    def id_of(self, customer: int) -> str:
        """The id of customer 0 <= `customer` < n, else IndexError."""
        if not 0 <= customer < len(self):
            raise IndexError(f"customer {customer} of {len(self)}")
        start, end = self._offsets[customer : customer + 2]
        return self._data[start:end].tobytes().decode()

    @property
    def id_hashes(self) -> NDArray[np.uint64]:
        """The hashes of customers' ids by their numbers, uint64[n]."""
        return self._ids.keys()

    def find(self, id_hash: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The numbers of customers by the hash of their id, int32[k], -1 for unknown ones."""
        return self._ids.find(id_hash)

    def overfull(self, frame: Frame) -> NDArray[np.bool_]:
        """Which rows, bool[rows], name a tag or a group that there is no more room for."""
        refused = np.zeros(frame.rows, np.bool_)
        for known, parts in ((self._tags, frame.tags), (self._groups, frame.groups)):
            new = [name for name in parts if name not in known]
            for name in new[max(0, MARKS_MAX - len(known)) :]:
                refused[parts[name].rows] = True
        return refused

    def numbers(self, frame: Frame, now_ms: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """The numbers of a frame's customers, int32[k], and which of them are new, bool[k].

        New ones are added in the order of the frame, created at `now_ms` (UTC).
        """
        before = len(self)
        numbers = self._ids.add(frame.id_hash)
        new = numbers >= before
        count = len(self) - before
        if count:
            self._add(frame, np.flatnonzero(new), before, now_ms)
        for number in self._erased.intersection(numbers.tolist()) if self._erased else ():
            place = int(np.flatnonzero(numbers == number)[0])
            start, end = self._offsets[number : number + 2]
            self._data[start:end] = np.frombuffer(frame.id_of(place).encode(), np.uint8)
            self._erased.discard(number)
        return numbers, new

    @property
    def zone_names(self) -> list[str]:
        """The names that zone codes stand for; it only grows."""
        return self._zones.texts

    def since(self, first: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """When the customers from number `first` on were created, and their zones' codes: views."""
        return self._created[first : len(self)], self._zone_code[first : len(self)]

    def apply(self, frame: Frame, numbers: NDArray[np.int32]) -> None:
        """Carry out a frame's changes; `numbers` are those of its customers, int32[k].

        Of several values for one customer the last row's stays: NumPy assigns to repeated places in
        order (its quickstart, "Indexing with arrays of indices"). Attributes that the schema does
        not keep are passed over.
        """
        for name, part in frame.attributes.items():
            if self._schema.attribute_kind(name) == part.kind:
                values = part.values
                if part.kind == "string":
                    values = self._texts.setdefault(name, Texts()).codes(part)
                rows = self._to_write("attribute", name, numbers[frame.customer[part.rows]])
                self._column(name, part.kind)[rows] = values
        for family, known, parts in (
            ("tag", self._tags, frame.tags),
            ("group", self._groups, frame.groups),
        ):
            for name, part in parts.items():
                if name not in known:
                    known[name] = np.zeros(self._room, np.int8)
                rows = self._to_write(family, name, numbers[frame.customer[part.rows]])
                known[name][rows] = part.values
        if (part_of_zone := frame.zone) is not None:
            codes = self._zones.codes(part_of_zone)
            rows = numbers[frame.customer[part_of_zone.rows]]
            self._zone_code[self._to_write("", "zone_code", rows)] = codes
        if (created := frame.created_ms) is not None:
            rows = numbers[frame.customer[created.rows]]
            self._created[self._to_write("", "created_ms", rows)] = created.values

    def forget(self, numbers: NDArray[np.int32], at_ms: int, *, ids: bool = True) -> None:
        """Forget all about customers but their numbers and the hashes of their ids.

        They are as though created at `at_ms`; the bytes of their ids become zero, until somebody
        comes by such an id again, unless `ids` is False.
        """
        for number in numbers.tolist():
            start, end = self._offsets[number : number + 2]
            if ids:
                self._data[start:end] = 0
            self._erased.add(number)
        self._created[self._to_write("", "created_ms", numbers)] = at_ms
        self._zone_code[self._to_write("", "zone_code", numbers)] = -1
        for name, values in self._values.items():
            values[self._to_write("attribute", name, numbers)] = _absent(self._kind(name))
        for family, marks in (("tag", self._tags), ("group", self._groups)):
            for name, members in marks.items():
                members[self._to_write(family, name, numbers)] = 0

    def memberships(self, customer: int) -> tuple[list[str], list[str]]:
        """The tags and the groups that a customer has, by name."""
        return (
            sorted(name for name, marks in self._tags.items() if marks[customer]),
            sorted(name for name, marks in self._groups.items() if marks[customer]),
        )

    def record_of(self, customer: int) -> dict[str, Any]:
        """`attributes` with kind and value of each that the customer has, `tags`, `groups`, `zone`.

        Values are as in `core.audience.Column.value`.
        """
        attributes = {}
        for name, values in self._values.items():
            kind = self._kind(name)
            texts = self._texts[name].texts if name in self._texts else []
            value = Column(kind, values, texts if kind == "string" else None).value(customer)
            if value is not None:
                attributes[name] = [kind, value]
        tags, groups = self.memberships(customer)
        zone = self.zone_of(customer)
        return {"attributes": attributes, "tags": tags, "groups": groups, "zone": zone}

    def is_erased(self, customer: int) -> bool:
        """Whether a customer was erased, and nobody came anew by the same id."""
        return customer in self._erased

    def zone_of(self, customer: int) -> str | None:
        """The name of a customer's own zone, None for who has none."""
        code = int(self._zone_code[customer])
        return None if code < 0 else self._zones.texts[code]

    def audience(self, named: Iterable[str] = ()) -> Audience:
        """All customers as they are now, without events, for `core.binding.bind`.

        It has the attributes that the schema declares, the standard ones that somebody has, and of
        those in `named` the standard ones that nobody has yet. Columns are views: the next
        `numbers` or `apply` may change or replace what they show.
        """
        n = len(self)
        names = dict.fromkeys([*self._schema.kept, *self._values, *named])
        return Audience(
            id_offsets=self._offsets[: n + 1],
            id_data=self._data[: int(self._offsets[n])],
            id_hash=self._ids.keys(),
            created_ms=self._created[:n],
            zone_names=list(self._zones.texts),
            zone_code=self._zone_code[:n],
            attributes={n: self.column(n) for n in names if self._schema.attribute_kind(n)},
            tags={name: values[:n] for name, values in self._tags.items()},
            groups={name: values[:n] for name, values in self._groups.items()},
            event_names=sorted(self._schema.events),
            event_offsets=np.zeros(n + 1, np.int64),
            event_type=np.zeros(0, np.int32),
            event_ms=np.zeros(0, np.int64),
            event_hash=np.zeros(0, np.uint64),
            properties={
                name: Column(kind, np.zeros(0, DTYPES[kind]), [] if kind == "string" else None)
                for name, kind in self._schema.known_properties.items()
            },
            zone=self._schema.zone or self._zone,
            constants=frozenset(n for n, a in self._schema.attributes.items() if a.constant),
        )

    def column(self, name: str) -> Column:
        """A declared or standard attribute, as a view of n values, with a copy of its texts."""
        kind = self._kind(name)
        texts = list(self._texts[name].texts) if name in self._texts else []
        values = self._values.get(name)
        values = _missing(kind, len(self)) if values is None else values[: len(self)]
        return Column(kind, values, texts if kind == "string" else None)

    # A snapshot

    def freeze(self) -> tuple[Frozen, dict[str, Any]]:
        """What `blocks` gives, as it is now whatever is changed afterwards, until `thaw`.

        Ids of customers erased or seen again meanwhile may show it: to do that again changes
        nothing. Texts are not in it, but `texts` tells them later: they only ever grow.
        """
        n = len(self)
        self._frozen_as = {("", "created_ms"): "created_ms", ("", "zone_code"): "zone_code"}
        found = self._fixed(n)
        for place, (name, values) in enumerate(self._values.items()):
            found[f"attribute/{place}"] = values[:n]
            self._frozen_as["attribute", name] = f"attribute/{place}"
        for family, marks in (("tag", self._tags), ("group", self._groups)):
            for place, (name, members) in enumerate(marks.items()):
                found[f"{family}/{place}"] = members[:n]
                self._frozen_as[family, name] = f"{family}/{place}"
        self._frozen = Frozen(found)
        return self._frozen, self._meta()

    def thaw(self) -> None:
        """Let go of what was frozen."""
        self._frozen, self._frozen_as = None, {}

    def texts(self) -> dict[int, list[str]]:
        """The lists of texts of text columns by the columns' places; each only grows."""
        return {
            place: self._texts[name].texts
            for place, name in enumerate(self._values)
            if name in self._texts
        }

    def _to_write(self, family: str, name: str, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """The rows, which are about to be overwritten."""
        if self._frozen is not None and (family, name) in self._frozen_as:
            self._frozen.before(self._frozen_as[family, name], rows)
        return rows

    def _fixed(self, n: int) -> dict[str, Array]:
        return {
            "id_offsets": self._offsets[: n + 1],
            "id_data": self._data[: int(self._offsets[n])],
            "id_hash": self._ids.keys(),
            "created_ms": self._created[:n],
            "zone_code": self._zone_code[:n],
        }

    def _meta(self) -> dict[str, Any]:
        return {
            "zones": list(self._zones.texts),
            "erased": sorted(self._erased),
            "attributes": {name: self._kind(name) for name in self._values},
            "tags": list(self._tags),
            "groups": list(self._groups),
        }

    def blocks(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """All of it: arrays by name, views that hold until the next change; the rest as JSON.

        Names are short whatever attributes are called, so that they can be keys of a store.
        """
        frozen, meta = self.freeze()
        self.thaw()
        found = dict(frozen.arrays)
        for place, texts in self.texts().items():
            found[f"offsets/{place}"], found[f"texts/{place}"] = packed_texts(texts)
        return found, meta

    @classmethod
    def restore(
        cls,
        blocks: Mapping[str, Array],
        meta: Mapping[str, Any],
        schema: TenantSchema,
        zone: str | None = None,
    ) -> Directory:
        """The directory that gave these `blocks` under this schema.

        Raises ValueError if they contradict each other, KeyError if one is not there.
        """
        made = cls(schema, zone)
        made._ids = IdMap.of_keys(np.ascontiguousarray(blocks["id_hash"]))
        n = len(made)
        room = made._room = max(2 * n, ROOM_MIN)
        made._offsets = _extended(_checked(blocks["id_offsets"], np.int64, n + 1), room + 1, n + 1)
        size = int(made._offsets[n])
        made._data = _extended(_checked(blocks["id_data"], np.uint8, size), 2 * size, size)
        if np.any(np.diff(made._offsets[: n + 1]) < 1):
            raise ValueError("the ids in the snapshot do not fill their bytes")
        made._created = _extended(_checked(blocks["created_ms"], np.int64, n), room, n)
        made._zones = Texts(meta["zones"])
        made._erased = set(meta["erased"])
        codes = _checked(blocks["zone_code"], np.int32, n)
        made._zone_code = _extended(_coded(codes, made._zones, "zones"), room, n)
        for place, (name, kind) in enumerate(meta["attributes"].items()):
            if schema.attribute_kind(name) != kind:
                raise ValueError(f"attribute {name!r} in the snapshot is not of the schema")
            values = _checked(blocks[f"attribute/{place}"], DTYPES[kind], n)
            if kind == "string":
                packed = blocks[f"offsets/{place}"], blocks[f"texts/{place}"]
                made._texts[name] = Texts(_unpacked(*packed))
                _coded(values, made._texts[name], name)
            made._values[name] = _extended(values, room, n)
        for family, marks in (("tag", made._tags), ("group", made._groups)):
            for place, name in enumerate(meta[f"{family}s"]):
                members = _checked(blocks[f"{family}/{place}"], np.int8, n)
                marks[name] = _extended(members, room, n)
        return made

    # Growth

    def _add(self, frame: Frame, places: NDArray[np.int64], before: int, now_ms: int) -> None:
        """Keep the ids of a frame's new customers, who have their numbers already."""
        n = len(self)
        if n > self._room:
            self._grow(max(n, self._room * 4, ROOM_MIN), before)
        taken = frame.take_ids(places)
        end = int(self._offsets[before])
        size = end + len(taken[1])
        if size > len(self._data):
            self._data = _extended(self._data, max(size, len(self._data) * 4), end)
        self._data[end:size] = taken[1]
        self._offsets[before + 1 : n + 1] = taken[0][1:] + end
        self._created[before:n] = now_ms
        self._zone_code[before:n] = -1
        for name, values in self._values.items():
            values[before:n] = _absent(self._kind(name))
        for marks in (self._tags, self._groups):
            for members in marks.values():
                members[before:n] = 0

    def _grow(self, room: int, used: int) -> None:
        self._room = room
        self._offsets = _extended(self._offsets, room + 1, used + 1)
        self._created = _extended(self._created, room, used)
        self._zone_code = _extended(self._zone_code, room, used)
        for name, values in self._values.items():
            self._values[name] = _extended(values, room, used)
        for marks in (self._tags, self._groups):
            for name, members in marks.items():
                marks[name] = _extended(members, room, used)

    def _kind(self, name: str) -> Kind:
        """The type of an attribute that there is a column of, or may be."""
        kind = self._schema.attribute_kind(name)
        assert kind is not None, name
        return kind

    def _column(self, name: str, kind: Kind) -> Array:
        """The values of an attribute, made when the first one comes."""
        values = self._values.get(name)
        if values is None:
            values = self._values[name] = np.empty(self._room, DTYPES[kind])
            values[: len(self)] = _absent(kind)
        return values


def _absent(kind: Kind) -> float | int:
    return _ABSENT.get(kind, INT64_MIN)


def _missing(kind: Kind, rows: int) -> Array:
    return np.full(rows, _absent(kind), DTYPES[kind])


def _extended(array: NDArray[Any], size: int, used: int) -> NDArray[Any]:
    larger = np.empty(size, array.dtype)
    larger[:used] = array[:used]
    return larger


def _checked(array: Array, dtype: Any, size: int) -> Array:
    if array.dtype != dtype or array.shape != (size,):
        raise ValueError(
            f"a column of the snapshot is {array.dtype}{list(array.shape)}, "
            f"expected {np.dtype(dtype)}[{size}]"
        )
    return array


def _coded(codes: Array, texts: Texts, name: str) -> Array:
    if len(codes) and not -1 <= codes.min() <= codes.max() < len(texts.texts):
        raise ValueError(f"the snapshot has a code of {name!r} that no text belongs to")
    return codes


def packed_texts(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Texts as one run of UTF-8: offsets int64[k + 1] and bytes uint8[]."""
    written = [text.encode() for text in texts]
    offsets = np.zeros(len(written) + 1, np.int64)
    np.cumsum([len(each) for each in written], out=offsets[1:])
    return offsets, np.frombuffer(b"".join(written), np.uint8)


def _unpacked(offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> list[str]:
    raw, bounds = data.tobytes(), offsets.tolist()
    return [raw[a:b].decode() for a, b in pairwise(bounds)]
