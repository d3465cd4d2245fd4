"""Declare what messages and coupons there are: which content is ready to be sent, and to whom.

A content file lists the items that `send` nodes name as templates, and pools of coupons. Lint holds
a flow against it; of a tenant the templates in his data directory say the same. docs/content.md
explains each field.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr

from core import limits
from core.conditions import Model, Name
from core.instants import instant_ms
from core.literals import moment
from core.nodes import LOCAL_TIME, Channel
from core.zones import local_to_utc, transitions

State = Literal["draft", "ready"]
Recipient = Literal["contact", "profile"]
Purpose = Literal["promotional", "transactional"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _of_the_calendar(text: str) -> str:
    if moment(text) is None:
        raise ValueError("the calendar has no such date or time")
    return text


_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DAY = (
    f"({_LEAP}-02-29|[0-9]{{4}}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])))"
)
_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
CALENDAR = f"^(?!0000){_DAY}(T{_MINUTE}(:[0-5][0-9](\\.[0-9]{{1,3}})?)?(Z|[+-]{_MINUTE})?)?$"
"""What `_of_the_calendar` takes, for schemas."""
Expiry = Annotated[
    StrictStr,
    Field(pattern=LOCAL_TIME, json_schema_extra={"pattern": CALENDAR}),
    AfterValidator(_of_the_calendar),
]
"""A last day, which counts as a whole, or the time from which on something is expired."""


class ContentItem(Model):
    """One message, by the name that nodes have as their template.

    `recipient` is the kind of record that its variables are of, `kind` what it is for; None is not
    known. `released` is False for a page that its platform has not let through. `variables` are
    the names that it shows, those of the entering event with `entry.` before them. `coupon` is the
    pool of which it carries a coupon. `body` is what it says: two items that say the same are one
    message under two names.
    """

    channel: Annotated[list[Channel], BeforeValidator(_listed), Field(min_length=1)]
    state: State
    recipient: Recipient | None = None
    kind: Purpose | None = None
    released: StrictBool = True
    variables: list[Name] = Field(default_factory=list, max_length=1000)
    coupon: Name | None = None
    body: StrictStr | None = None
    expires: Expiry | None = None
    deleted: StrictBool = False


class CouponPool(Model):
    """One pool of coupons: how many are left, None for a number that is not known."""

    stock: Annotated[StrictInt, Field(ge=0, le=limits.PEOPLE_MAX)] | None = None
    expires: Expiry | None = None
    deleted: StrictBool = False


class Content(Model):
    """All content, format version 1.

    `segments` are groups by which flows choose people, with the kind of records that they hold.
    """

    headrace_content: Literal[1]
    items: dict[Name, ContentItem] = Field(default_factory=dict)
    pools: dict[Name, CouponPool] = Field(default_factory=dict)
    segments: dict[Name, Recipient] = Field(default_factory=dict)

    def joined(self, other: Content) -> Content:
        """This content and the other's; of an item in both this one's holds."""
        return Content(
            headrace_content=1,
            items={**other.items, **self.items},
            pools={**other.pools, **self.pools},
            segments={**other.segments, **self.segments},
        )


def expiry_ms(expiry: str, zone: str) -> int:
    """When something is expired, ms UTC, of an `Expiry` that is meant on a zone's clock."""
    time = moment(expiry)
    if time is None:
        raise ValueError(f"{expiry!r} is no date or time")
    last_day = timedelta(days=1) if "T" not in expiry else timedelta(0)
    if time.tzinfo is not None:
        return instant_ms(time)
    return local_to_utc(transitions(zone), instant_ms(time + last_day))
