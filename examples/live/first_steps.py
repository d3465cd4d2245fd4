"""First steps with a live engine: run `headrace serve DATA_DIR`, and this beside it."""

import sys
from pathlib import Path

from api.client import Client

SCHEMA = {
    "attributes": {
        "newsletter": {"type": "string"},
        "email": {"type": "string", "personal": True},
    },
    "events": {"basket": {}, "order": {"properties": {"amount": "float64"}}},
}
FLOW = Path(__file__).parents[1] / "tour" / "flow.yaml"

with Client(sys.argv[1]) as engine:
    engine.set_schema(SCHEMA)
    done = engine.publish(FLOW.read_text())
    print(f"published {done.flow}, version {done.version}")
    engine.upsert_customers(
        [
            {"customer": "anna", "set": {"newsletter": "yes", "email": "anna@example.com"}},
            {"customer": "bert", "set": {"newsletter": "no", "email": "bert@example.com"}},
        ]
    )
    reply = engine.send_events(
        [
            {"customer": "anna", "event": "basket", "message_id": "1"},
            {"customer": "bert", "event": "basket", "message_id": "2"},
            {"customer": "bert", "event": "basket", "message_id": "2"},
            {"customer": "bert", "event": "bought", "message_id": "3"},
        ]
    )
    print(f"{reply.accepted} events accepted, {reply.duplicates} known already")
    for row, place, code, why in reply.rejects:
        print(f"row {row} rejected, {code} at {place}: {why}")
    engine.send_events([{"customer": "bert", "event": "order", "properties": {"amount": 12.5}}])
    for customer in ("anna", "bert"):
        places = (engine.state_of(customer) or {})["places"]
        print(customer, "stands at", [place["node"] for place in places] or "no node any more")
    print(f"{engine.counts(done.flow).people} people entered the flow")
