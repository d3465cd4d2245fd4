"""Tests of `actors.importer.aliases`: rows of an alias are the customer's from the start."""

from __future__ import annotations

import numpy as np

from importing import Run

CUSTOMERS = "id,plan,city,tags\nanon,free,Riga,new\nada,pro,,vip\nbob,,Oslo,\nold,basic,Bern,old\n"
EVENTS = (
    "who,at,what\n"
    "ada,2026-03-02T00:00:00Z,buy\n"
    "anon,2026-03-01T00:00:00Z,view\n"
    "bob,2026-03-01T00:00:00Z,view\n"
    "old,2026-02-01T00:00:00Z,view\n"
)
MAPPING = {
    "as_of": "2026-04-01T00:00:00Z",
    "customers": {
        "file": "customers.csv",
        "id": "id",
        "attributes": {"plan": "plan", "city": "city"},
        "tags": "tags",
    },
    "events": {"file": "events.csv", "customer": "who", "time": "at", "event": "what"},
    "aliases": {"file": "aliases.csv", "alias": "previous", "customer": "user"},
}


def test_rows_of_aliases_are_those_of_the_customer(run: Run) -> None:
    pairs = "previous,user\nold,anon\nanon,ada\nada,old\nanon,bob\nold,ada\n"
    found = run(MAPPING, {"customers.csv": CUSTOMERS, "events.csv": EVENTS, "aliases.csv": pairs})
    assert found.refused() == [
        (3, "previous", "ada", "the alias is the customer"),
        (4, "previous", "anon", "the alias is another customer's already"),
    ]
    aliases = found.summary.sources[0]
    assert (aliases.role, aliases.read, aliases.kept, aliases.rejected) == ("aliases", 5, 3, 2)
    audience = found.load()
    assert [audience.id_of(c) for c in range(audience.customers)] == ["ada", "bob"]
    # Ada's own row counts before those of her aliases, whichever stands first.
    plan, city = audience.attributes["plan"], audience.attributes["city"]
    assert [plan.value(0), city.value(0)] == ["pro", "Riga"]
    assert {name: held.tolist() for name, held in audience.tags.items()} == {
        "new": [1, 0],
        "old": [1, 0],
        "vip": [1, 0],
    }
    assert audience.event_offsets.tolist() == [0, 3, 4]
    names = [audience.event_names[code] for code in audience.event_type[:3]]
    assert names == ["view", "view", "buy"]
    assert np.all(np.diff(audience.event_ms[:3]) > 0)
