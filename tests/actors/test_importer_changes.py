"""Checks logs of attribute changes: values of the attribute's type, order, unknown names."""

from __future__ import annotations

import struct
from typing import Any

from core.audience import INT64_MIN
from importing import Run

PEOPLE = "id,plan,n,x,ok,day\na,pro,1,1.5,true,2026-01-01\nb,free,2,2.5,false,2026-01-02\n"


def mapping(**fields: Any) -> dict[str, Any]:
    names = {name: name for name in ("plan", "n", "x", "ok", "day")}
    change = {"file": "log.csv", "customer": "id", "time": "at", "attribute": "what", "value": "to"}
    return {
        "customers": {"file": "people.csv", "id": "id", "attributes": names},
        "changes": [{**change, **fields}],
    }


def test_values_are_of_the_attributes_type_and_sorted(run: Run) -> None:
    log = (
        "id,at,what,to\n"
        "b,2026-01-03,plan,team\n"
        "b,2026-01-02,n,7\n"
        "a,2026-01-05,x,0.5\n"
        "a,2026-01-04,ok,false\n"
        "a,2026-01-06,plan,\n"
        "a,2026-01-04,day,1970-01-02\n"
        "b,2026-01-02,x,\n"
        "b,2026-01-04,ok,\n"
    )
    done = run(mapping(), {"people.csv": PEOPLE, "log.csv": log})
    audience = done.load()
    changes = audience.changes
    assert changes is not None
    assert changes.offsets.tolist() == [0, 4, 8]
    names = [changes.attribute_names[code] for code in changes.attribute]
    assert names == ["ok", "day", "x", "plan", "n", "x", "plan", "ok"]
    plan = audience.attributes["plan"]
    assert plan.dictionary is not None
    half = struct.unpack("<q", struct.pack("<d", 0.5))[0]
    nan = struct.unpack("<q", struct.pack("<d", float("nan")))[0]
    team = plan.dictionary.index("team")
    assert changes.value.tolist() == [0, 1, half, -1, 7, nan, team, -1]
    day = 86_400_000
    assert (changes.ms - changes.ms[0]).tolist() == [
        0,
        0,
        day,
        2 * day,
        -2 * day,
        -2 * day,
        -day,
        0,
    ]
    assert [plan.value(row) for row in range(2)] == ["pro", "free"]
    assert done.summary.schema.counts.changes == 8
    assert INT64_MIN not in changes.value.tolist()


def test_what_is_not_there_is_rejected(run: Run) -> None:
    log = "id,at,what,to\nz,2026-01-01,n,1\na,2026-01-01,nn,1\na,2026-01-01,n,one\na,never,n,1\n"
    done = run(mapping(), {"people.csv": PEOPLE, "log.csv": log + "a,2026-01-01,n,5\n"})
    assert done.refused() == [
        (1, "id", "z", "there is no such customer"),
        (2, "what", "nn", "there is no such attribute"),
        (3, "to", "one", "expected a whole number"),
        (4, "at", "never", "expected a date and time"),
    ]


def test_a_log_may_be_of_one_attribute(run: Run) -> None:
    done = run(
        mapping(attribute={"constant": "plan"}),
        {"people.csv": PEOPLE, "log.csv": "id,at,to\na,2026-01-01,basic\n"},
    )
    changes = done.load().changes
    assert changes is not None
    assert (len(changes.ms), changes.attribute_names[changes.attribute[0]]) == (1, "plan")
