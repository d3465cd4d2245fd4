"""Read what formats have in common: ids, times, nested values, and what a schema has places for.

A translation has one row for each item of the body, in its order, so that what is said of row 7 is
said of item 7; rows that an item needs besides come after all of them. An item that cannot be a row
is an `Unreadable` in its place, so that the engine counts and writes down its refusal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import xxhash

from actors.intake.rows import MESSAGE_ID_BYTES_MAX, Decoded, Unreadable
from actors.intake.values import RefusedError
from api.http.problems import refuse
from core.audience import Kind
from core.instants import instant_ms
from core.tenant_schema import TenantSchema

DEPTH_MAX = 16  # of mappings within a value
SECONDS_MAX = 100_000_000_000  # a number below is seconds: in ms it would lie before March 1973
PAGE_EVENT, SCREEN_EVENT = "page_visited", "screen_viewed"
CONTEXT = "context_"
MERGE_REFUSED = "merge-refused"
Decodable = TypeVar("Decodable")


@dataclass(frozen=True, slots=True)
class Places:
    """What of a tenant's schema decides how an item becomes a row.

    `attributes` are the names of attributes, `instants` those of them that are instants; `events`
    the names of properties by event; `context` those of an event that begin with `context_`;
    `kinds` the types of properties by event.
    """

    attributes: frozenset[str]
    instants: frozenset[str]
    events: Mapping[str, frozenset[str]]
    context: Mapping[str, frozenset[str]]
    kinds: Mapping[str, Mapping[str, Kind]]

    @classmethod
    def of(cls, schema: TenantSchema) -> Places:
        """The places of a schema."""
        kinds = schema.known_events
        events = {name: frozenset(properties) for name, properties in kinds.items()}
        context = {
            name: found
            for name, properties in events.items()
            if (found := frozenset(p for p in properties if p.startswith(CONTEXT)))
        }
        attributes = schema.attributes
        instants = frozenset(n for n, a in attributes.items() if a.type == "datetime")
        return cls(frozenset(attributes), instants, events, context, kinds)


@dataclass(frozen=True, slots=True)
class Merge:
    """That a row says of `previous` that it is `customer`; `alone` if it says nothing else."""

    row: int
    previous: str
    customer: str
    alone: bool


@dataclass(slots=True)
class Translation:
    """Rows for an engine, and how much was left out of them, by what it is.

    `count` is that of the body's items, the first rows; `ids` are what some of these are told apart
    by in an answer. `once` are rows of changes, with the names in them that count only where the
    customer has no value yet. `decode` reads columns, which then come instead of rows; `row_of` has
    one of these as a row. `merges` are made before rows are taken in.
    """

    rows: list[Any] = field(default_factory=list)
    count: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    ids: dict[int, str] = field(default_factory=dict)
    once: list[tuple[dict[str, Any], frozenset[str]]] = field(default_factory=list)
    decode: Callable[[TenantSchema], Decoded] | None = None
    row_of: Callable[[int], Any] | None = None
    merges: list[Merge] = field(default_factory=list)

    def merge(
        self, previous: str, customer: str, id_: str | None = None, *, alone: bool = True
    ) -> dict[str, Any]:
        """Have two customers merged; the row that makes the second one known.

        `alone`: the item says nothing else, and is refused if the merge is; `id_` is its message's.
        """
        self.merges.append(Merge(len(self.rows), previous, customer, alone))
        row: dict[str, Any] = {"customer": customer, "set": {}}
        return row if id_ is None else {**row, "message_id": id_}

    def refuse_merge(self, number: int, message: str) -> None:
        """Let merge `number` be one that the engine refused."""
        merge = self.merges[number]
        if merge.alone:
            self.rows[merge.row] = Unreadable(message, MERGE_REFUSED)
        else:
            self.left_out[MERGE_REFUSED] += 1

    def row(self, number: int) -> Any:
        """Row `number`, as it goes to the engine."""
        return self.rows[number] if self.row_of is None else self.row_of(number)


def translated(
    items: Sequence[msgspec.Raw],
    read: Callable[[Translation, msgspec.Raw], Any],
    *,
    item_bytes_max: int,
) -> Translation:
    """A translation of items, of which each that `read` refuses costs only itself.

    `read` may raise RefusedError and what msgspec raises.
    """
    found = Translation(count=len(items))
    rows = found.rows
    more: list[Any] = []
    for item in items:
        try:
            size = memoryview(item).nbytes
            if size > item_bytes_max:
                message = f"it has {size:,} bytes; at most {item_bytes_max:,} are taken"
                rows.append(Unreadable(message, "too-large"))
                continue
            made = read(found, item)
            if type(made) is list:
                more += made[1:]
                made = made[0]
            rows.append(made)
        except RefusedError as refused:
            rows.append(Unreadable(refused.message, refused.code, refused.steps))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            rows.append(Unreadable(f"it cannot be read: {error}"))
    rows += more
    return found


def decoded(decoder: msgspec.json.Decoder[Decodable], body: bytes) -> Decodable:
    """A body of JSON. Raises ProblemError with what is wrong in it."""
    try:
        return decoder.decode(body)
    except RecursionError:
        raise refuse(400, "too-deep", "the JSON is nested too deeply", "Send flat values") from None
    except msgspec.ValidationError as error:
        detail = f"the JSON does not have the expected shape: {error}"
        raise refuse(400, "invalid-shape", detail, "See /docs for an example") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"the body is no valid JSON in UTF-8: {error}"
        raise refuse(400, "invalid-json", detail, "Send JSON") from None


def id_text(value: Any) -> str | None:
    """An id as text, None where there is none; numbers are written out, as clients mean them."""
    if type(value) is str:
        return value or None
    if type(value) is int:
        return str(value)
    if type(value) is float and value.is_integer():
        return str(int(value))
    if value is None:
        return None
    raise RefusedError("wrong-type", "an id is a text or a whole number")


def message_id(namespace: str, value: Any) -> str | None:
    """The id that a message is recognised by, apart from those of other formats; None for none."""
    text = id_text(value)
    if text is None:
        return None
    found = f"{namespace}:{text}"
    if len(found) * 4 > MESSAGE_ID_BYTES_MAX:
        digest = xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))
        found = f"{namespace}#{digest}" if len(found.encode()) > MESSAGE_ID_BYTES_MAX else found
    return found


def skew_ms(sent_at: Any, received_ms: int) -> int:
    """How much a client's clock lags, the way of the message included; 0 where nobody says.

    An event's time is its timestamp plus this, as the Segment specification has it: timestamp +
    (received - sent).
    """
    if sent_at is None:
        return 0
    try:
        return received_ms - instant_ms(sent_at)
    except (ValueError, TypeError, OverflowError):
        return 0


def occurred(timestamp: Any, skew: int) -> Any:
    """When an item happened, ms UTC; what is no time stays as it is, for the engine to refuse."""
    try:
        return instant_ms(timestamp) + skew
    except (ValueError, TypeError, OverflowError):
        return timestamp


def of_seconds(value: Any) -> Any:
    """An instant in ms of one that may be in seconds; what is no number stays as it is."""
    if type(value) in (int, float) and abs(value) < SECONDS_MAX:
        return round(value * 1000)
    return round(value) if type(value) is float and abs(value) < 2**62 else value


def flat(values: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """Values without mappings in them: {"a": {"b": 1}} is {"a_b": 1}. Raises RefusedError."""
    for value in values.values():
        if type(value) is dict:
            break
    else:
        return values
    if depth >= DEPTH_MAX:
        message = f"values are nested more than {DEPTH_MAX} deep"
        raise RefusedError("too-deep", message)
    found: dict[str, Any] = {}
    for name, value in values.items():
        if type(value) is dict:
            for inner, each in flat(value, depth + 1).items():
                found.setdefault(f"{name}_{inner}", each)
        else:
            found[name] = value
    return found


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """A mapping without mappings in it, {} for null. Raises RefusedError."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise RefusedError("wrong-type", f"{name} is no mapping", name)
    return flat(value)


def with_context(
    values: Mapping[str, Any], wanted: Iterable[str], context: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Values with those of the context that are wanted, which are named `context_<name>`."""
    flattened = flat(context)
    found = {
        name: flattened[inner]
        for name in wanted
        if name not in values and (inner := name.removeprefix(CONTEXT)) in flattened
    }
    return {**values, **found} if found else values


def kept(values: Mapping[str, Any], known: frozenset[str], own: frozenset[str]) -> dict[str, Any]:
    """Values but those that a client adds by itself (`own`) and the schema has no place for."""
    return {name: value for name, value in values.items() if name not in own or name in known}
