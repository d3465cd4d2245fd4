"""Holds the names of the example flows, and the schema of a shop that they fit."""

from core.audience import AttributeSchema, AudienceSchema, EventSchema, Kind, PropertySchema

EXAMPLES = ["welcome", "abandoned-cart", "win-back"]


def _events(**properties: dict[str, Kind]) -> dict[str, EventSchema]:
    return {
        name: EventSchema(
            properties={p: PropertySchema(type=kind, column=p) for p, kind in kinds.items()}
        )
        for name, kinds in properties.items()
    }


ATTRIBUTES: dict[str, Kind] = {
    "age": "int64",
    "birth_date": "date",
    "consent_email": "bool",
    "consent_sms": "bool",
    "country": "string",
    "language": "string",
    "lifetime_value": "float64",
    "plan": "string",
    "signup_date": "date",
}
SHOP = AudienceSchema(
    attributes={name: AttributeSchema(type=kind) for name, kind in ATTRIBUTES.items()},
    tags={"newsletter": 1, "vip": 1},
    groups={"beta": 1, "loyalty": 1},
    events=_events(
        add_to_cart={"price": "float64"},
        app_open={},
        email_clicked={"template": "string"},
        email_opened={"template": "string"},
        page_view={"page": "string"},
        product_view={"category": "string"},
        purchase={"amount": "float64", "category": "string", "order_id": "string"},
        signup={"source": "string"},
        support_ticket={"topic": "string"},
    ),
)
"""What the sample audience offers, as far as flows name it."""
