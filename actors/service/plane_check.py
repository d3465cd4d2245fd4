"""Check every row of a control plane, and go on after what is wrong, to tell all of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from actors.service.row_keys import described, place
from actors.service.tables import TABLES
from actors.service.transactions import (
    COUNT_KEY,
    META,
    NUMBER_DIGITS,
    ROWS,
    Count,
    number_key,
    payload_of,
    record_of,
)
from actors.store.environment import Environment
from actors.store.errors import CorruptError
from actors.store.verify import Finding, Report

TOLD_MAX = 100


def check_rows(environment: Environment, txn: Any) -> Report:
    """Check all rows that a read transaction sees; raises lmdb.Error for a broken structure."""
    wrong: list[str] = []
    count = Count()
    tables: Counter[str] = Counter()
    lasts: dict[bytes, str] = {}  # the greatest key of each table, by its prefix
    sequences: dict[bytes, int] = {}
    for key, record in environment.rows(txn, ROWS, b""):
        count = count.changed(key, 1)
        try:
            _, table, name = place(key)
            found = record_of(key, payload_of(key, record, environment.file), environment.file)
        except ValueError:
            wrong.append(described(key))
            continue
        except CorruptError as error:
            wrong.append(f"{error.pointer}: {error.message}")
            continue
        if name:
            tables[table] += 1
            if name.isdecimal() and len(name) == NUMBER_DIGITS:
                lasts[key[:-NUMBER_DIGITS]] = name
        else:
            prefix = key[:-2] + key[-1:]
            sequences[prefix] = found["last"] if isinstance(found.get("last"), int) else 0
    findings = [Finding("record", False, each) for each in wrong[:TOLD_MAX]]
    if len(wrong) > TOLD_MAX:
        findings.append(Finding("record", False, f"and {len(wrong) - TOLD_MAX:,} more"))
    if not wrong:
        detail = ", ".join(f"{name} {tables[name]:,}" for name in TABLES if tables[name])
        findings.append(Finding("records", True, detail or "none"))
    findings.append(_counted(environment, txn, count))
    for prefix, number in sequences.items():
        if lasts.get(prefix, "") > number_key(number):
            detail = f"{described(prefix + lasts[prefix].encode())}: above the last, {number:,}"
            findings.append(Finding("sequence", False, detail))
    return Report(str(environment.folder), tuple(findings))


def _counted(environment: Environment, txn: Any, count: Count) -> Finding:
    """Whether there are as many rows as were stored, under the same keys."""
    record = environment.get(txn, META, COUNT_KEY)
    try:
        stored = (
            Count()
            if record is None
            else Count(
                **record_of(
                    COUNT_KEY, payload_of(COUNT_KEY, record, environment.file), environment.file
                )
            )
        )
    except CorruptError as error:
        return Finding("count", False, error.message)
    if stored == count:
        return Finding("count", True, f"{count.rows:,} rows")
    detail = f"{count.rows:,} rows are there, {stored.rows:,} were stored"
    same = count.rows == stored.rows
    return Finding("count", False, detail + (", under other keys" if same else ""))
