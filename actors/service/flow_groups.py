"""Keep groups of flows: folders by which a list is ordered. A flow is in one or in none."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from actors.service import flow_rows
from actors.service.errors import ConflictError, NotFoundError
from actors.service.transactions import ReadTxn, WriteTxn, number_key

GROUPS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Group:
    """A group of flows; its id is a number as text."""

    id: str
    name: str
    created_ms: int


def every(txn: ReadTxn) -> list[Group]:
    """All groups in the order in which they were made."""
    return [Group(str(int(key)), **record) for key, record in txn.scan("groups")]


def find(txn: ReadTxn, group: str) -> Group:
    """A group. Raises NotFoundError."""
    record = txn.get("groups", _key(group))
    if record is None:
        raise NotFoundError("there is no such group", advice="List the groups that there are")
    return Group(group, **record)


def create(txn: WriteTxn, name: str, now_ms: int) -> Group:
    """Make a group. Raises ConflictError for a name that is taken, or one group too many."""
    _check_name(txn, name, "")
    group = Group("", name, now_ms)
    return Group(str(txn.append("groups", _record(group))), name, now_ms)


def rename(txn: WriteTxn, group: str, name: str) -> Group:
    """Give a group another name. Raises NotFoundError, ConflictError for one that is taken."""
    found = find(txn, group)
    _check_name(txn, name, group)
    renamed = Group(found.id, name, found.created_ms)
    txn.put("groups", _key(group), _record(renamed))
    return renamed


def delete(txn: WriteTxn, group: str) -> None:
    """Delete an empty group. Raises NotFoundError, ConflictError while flows are in it."""
    find(txn, group)
    inside = [row.id for row in flow_rows.every(txn) if row.group == group]
    if inside:
        raise ConflictError(
            f"{len(inside):,} flows are in the group", advice="Put them elsewhere first"
        )
    txn.delete("groups", _key(group))


def _check_name(txn: ReadTxn, name: str, group: str) -> None:
    others = [each for each in every(txn) if each.id != group]
    if any(each.name == name for each in others):
        raise ConflictError(
            "there is such a group already", advice="Choose another name", pointer="/name"
        )
    if len(others) >= GROUPS_MAX:
        raise ConflictError(f"there are {GROUPS_MAX:,} groups already", advice="Delete some")


def _record(group: Group) -> dict[str, object]:
    record = asdict(group)
    del record["id"]
    return record


def _key(group: str) -> str:
    """The key of a group's row; "" for what is no id."""
    known = group.isascii() and group.isdecimal() and group == str(int(group or "0"))
    return number_key(int(group)) if known and len(group) <= 15 else ""
