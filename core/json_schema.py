"""Describe the flow document as JSON Schema 2020-12, so that editors can complete and check it.

pydantic derives the fields from the models. What it can't see is put in here: how `next` looks for
each type of node, which short forms the models accept, and which fields go together. A schema can't
say all that `core.lint` says; but what it refuses, reading or lint refuse too, except an explicit
null where a field may be absent.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from core.conditions import Condition, DurationField, Filter, Number, Operand, Scalar
from core.flow import Flow
from core.nodes import NODE_TYPES, Node, NodeBase, NodeId, TimeOfDay, Weight

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_SHARED: dict[str, Any] = {
    "Node": Node,
    "Condition": Condition,
    "Filter": Filter,
    "Operand": Operand,
    "Scalar": Scalar,
    "Number": Number,
    "NodeId": NodeId,
    "Duration": DurationField,
    "TimeOfDay": TimeOfDay,
    "Weight": Weight,
}
"""Types that the models use in many places; each becomes one definition."""

_PORT_HELP = {
    "yes": "Where those go who fulfil the condition.",
    "no": "Where those go who don't.",
    "event": "Where they go when the event happens.",
    "timeout": "Where they go when it hasn't happened in time; there only with a `timeout`.",
    "met": "Where they go once the condition holds.",
    "taken": "Where those go who got a coupon.",
    "sold_out": "Where those go for whom none was left.",
    "missing": "Where those go who lack the date; without it they leave the flow.",
    "no_permission": "Where those go who did not permit it; like `next` unless stated.",
    "window_closed": "Where those go who did nothing there for long; like `next` unless stated.",
    "treated": "Where those go who are compared with the group.",
    "control": "Where those go who are in the group.",
    "next": "Where everybody goes from here.",
}

_HELP = {
    "type": "What the node does.",
    "title": "A name for people.",
    "note": "A remark for people.",
    "headrace": "The version of this format.",
    "flow": "The id of the flow.",
    "name": "A name for people.",
    "lineage": "Flows of one lineage draw alike; the flow's id unless stated.",
    "nodes": "The nodes by id, in the order in which they are shown.",
    "event": "The name of the event.",
    "where": "What the event must be like.",
    "within": "How far back or ahead: a fixed time, so a day is 24 hours.",
    "if": "What must be true of the customer.",
    "attribute": "The name of the attribute.",
    "tag": "The name of the tag.",
    "group": "The name of the group.",
    "property": "The name of a property of the event at hand.",
    "entry": "The name of a property of the event with which the entry began.",
    "did": "The name of an event that the customer did.",
    "never_did": "The name of an event that the customer did not do.",
    "all": "Parts that must all be true.",
    "any": "Parts of which one must be true.",
    "not": "What must not be true.",
    "channel": "How the message is sent.",
    "template": "The name of the message.",
    "variables": "Values for the message's placeholders.",
    "to": "The attribute with the address.",
    "for": "How long to wait: days and longer on the customer's clock, hours and shorter elapsed.",
    "timeout": "How long to wait at most.",
    "message": "A send node: only answers to its message count.",
    "branches": "The branches by name, in the order in which they are tried.",
    "sticky": "Whether a customer gets the same branch every time.",
    "target": "What counts as success.",
    "whole_flow": "Whether the person's other paths in this entry end too.",
    "slots": "Times of the customer's week in which to go on.",
    "offset": "Earlier (-7 days) or later than the date.",
    "value": "The value to set.",
    "by": "The number to add.",
    "settings": "What holds for the whole flow.",
    "reentry": "Who may enter again.",
    "policy": "`once`, `after_exit` (not while inside) or `always`.",
    "gap": "The shortest time between two entries.",
    "key": "A property of the event: the policy holds for each of its values.",
    "start": "When entries begin; without an offset on the flow's clock.",
    "stop": "When entries end.",
    "goal": "What counts as success for the whole flow.",
    "exit": "What takes people out of the flow at once.",
    "holdout": "Who is kept out, to compare with.",
    "share": "How many of all people, as a percentage.",
    "guards": "Reasons not to send, tried in order.",
    "reason": "The reason's name; it is a port as well.",
    "events": "The events by name; each name is a port.",
    "spread": "Those who waited go on spread over so long.",
    "funnel": "Layers of the funnel, the last one is the goal.",
    "entry_rate": "How many entries may begin within a second; the others wait in line.",
    "per_second": "How many a second.",
    "entry_cap": "How many people may enter in all.",
    "coupons": "How many coupons each pool has, by its name.",
    "pool": "The pool of coupons.",
    "until": "When the test ends; without it, never.",
    "people": "After how many arrivals.",
    "then": "The branch that all later ones take: a name, or `best`.",
    "decide": "With `best`: once all have had the time of the target, or `at_count`.",
    "members": "Those who match at the start, those who come to match, or all.",
    "repeat": "How often it comes round.",
    "every": "Only every so many days, weeks or months.",
    "at": "A time of day on that date or day; for wait_until a date and time.",
    "zone": "Whose clock the time is on; in the settings, the flow's time zone.",
    "weekdays": "For weekly: the days.",
    "days": "For monthly: the days of the month; beyond its end, the last. In a slot: weekdays.",
    "date": "For once: the date.",
}


def flow_schema() -> Schema:
    """The JSON Schema of a flow document, format version 1; a new object at each call."""
    raw = Flow.model_json_schema(by_alias=True)
    definitions = raw.pop("$defs")
    shared = {
        name: _plain(TypeAdapter(kind).json_schema(by_alias=True)) for name, kind in _SHARED.items()
    }
    names = {_key(schema): name for name, schema in shared.items()}
    result: Schema = {
        "$schema": DIALECT,
        "$id": "urn:headrace:flow:1",
        "title": "Headrace flow",
        **_refer(_plain(raw), names),
        "description": "A flow: who enters, what happens to them, and when.",
        "$defs": {},
    }
    for name, definition in sorted(definitions.items()):
        result["$defs"][name] = _refer(_plain(definition), names)
    for name, schema in shared.items():
        own = {k: v for k, v in names.items() if v != name}
        result["$defs"][name] = _refer(schema, own)
    result["$defs"]["Targets"] = _TARGETS
    _complete(result)
    return result


_TARGETS: Schema = {
    "description": "The id of the next node, or a list of them: then all paths are taken at once.",
    "anyOf": [
        {"$ref": "#/$defs/NodeId"},
        {"type": "array", "items": {"$ref": "#/$defs/NodeId"}, "uniqueItems": True},
    ],
}


def _plain(schema: Any) -> Any:
    """The schema without generated titles and `null` for absent fields, but with strict keys."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {k: _plain(v) for k, v in schema.items() if k not in ("$defs", "definitions")}
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if isinstance(schema.get("default", 0), dict | list | None):
        del schema["default"]
    members = schema.get("anyOf")
    if isinstance(members, list) and {"type": "null"} in members:
        members = [m for m in members if m != {"type": "null"}]
        del schema["anyOf"]
        schema |= members[0] if len(members) == 1 else {"anyOf": members}
    if "patternProperties" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


_OWN = ("default", "description")
"""What a field may say of a shared type for itself."""


def _key(schema: Schema) -> str:
    return json.dumps({k: v for k, v in schema.items() if k not in _OWN}, sort_keys=True)


def _refer(schema: Any, names: dict[str, str]) -> Any:
    """The schema with references in place of the shared types."""
    if isinstance(schema, list):
        return [_refer(part, names) for part in schema]
    if not isinstance(schema, dict):
        return schema
    name = names.get(_key(schema))
    if name is not None:
        return {"$ref": f"#/$defs/{name}", **{k: v for k, v in schema.items() if k in _OWN}}
    return {k: _refer(v, names) for k, v in schema.items()}


def _complete(schema: Schema) -> None:
    """Put in what the models check but pydantic's schema doesn't say."""
    definitions: dict[str, Schema] = schema["$defs"]
    for definition in (schema, *definitions.values()):
        for field, part in definition.get("properties", {}).items():
            if field in _HELP:
                part.setdefault("description", _HELP[field])
    mapping: dict[str, str] = {}
    for name, model in NODE_TYPES.items():
        mapping[name] = f"#/$defs/{model.__name__}"
        definitions[model.__name__]["properties"]["next"] = _next(model)
    definitions["Node"]["discriminator"] = {"propertyName": "type", "mapping": mapping}
    # Reading replaces it by what it stands for, so no model has it.
    definitions["SegmentTest"] = {
        "type": "object",
        "properties": {"segment": {"type": "string", "description": "The name of the segment."}},
        "required": ["segment"],
        "additionalProperties": False,
        "description": "What a named segment stands for.",
    }
    definitions["Condition"]["oneOf"].append({"$ref": "#/$defs/SegmentTest"})
    definitions["Scalar"] = {"type": ["string", "number", "boolean"]}
    definitions["Number"] = {"type": "number"}
    definitions["Operand"] = {"anyOf": [{"$ref": "#/$defs/Scalar"}, {"$ref": "#/$defs/EntryRef"}]}
    definitions["NodeId"]["description"] = "The id of a node."
    definitions["Duration"]["pattern"] = r"^\s*[+-]?\s*([0-9]+\s*[A-Za-z]+\s*)+$"
    definitions["TimeOfDay"] = {
        "description": "A time of day such as 09:00, or milliseconds after midnight.",
        "anyOf": [
            {"type": "string", "pattern": "^([01]?[0-9]|2[0-4]):[0-5][0-9](:[0-5][0-9])?$"},
            {"type": "integer", "minimum": 0, "maximum": 86_400_000},
        ],
    }
    definitions["Weight"] = {
        "description": "A share: a percentage such as 33.33%, or a number of 10,000ths.",
        "anyOf": [
            {"type": "string", "pattern": r"^\s*[0-9]{1,3}(\.[0-9]{1,2})?\s*%\s*$"},
            {"type": "integer", "minimum": 0, "maximum": 10_000},
        ],
    }
    for name in ("AttributeTest", "PropertyTest", "EntryTest"):
        definitions[name] |= {"minProperties": 2, "maxProperties": 2}
        definitions[name]["description"] += " It has exactly one comparison."
    for name in ("BranchAttribute", "BranchTag"):
        _allow_single(definitions[name]["properties"]["branches"])
    counts = ("at_least", "at_most", "exactly")
    pairs = [{"required": [a, b]} for i, a in enumerate(counts) for b in counts[i + 1 :]]
    windows = {"required": ["within", "since"]}
    definitions["DidTest"]["not"] = {"anyOf": [*pairs, windows]}
    definitions["NeverDidTest"]["not"] = windows
    definitions["Settings"]["dependentRequired"] = {"start": ["stop"]}
    definitions["OnSchedule"]["allOf"] = [
        _needs("once", "date", ("weekdays", "days")),
        _needs("daily", None, ("date", "weekdays", "days")),
        _needs("weekly", "weekdays", ("date", "days")),
        _needs("monthly", "days", ("date", "weekdays")),
    ]


def _next(model: type[NodeBase]) -> Schema:
    """How a type of node names what follows."""
    targets: Schema = {"$ref": "#/$defs/Targets"}
    if model.by_branch:
        other = f", and `{model.outs[0]}` for those whom none fits" if model.outs else ""
        return {
            "type": "object",
            "additionalProperties": targets,
            "description": f"For each branch by name{other}: where people go.",
        }
    if not model.outs:
        return {"type": "object", "maxProperties": 0, "description": "Nothing follows an end."}
    described = {port: {**targets, "description": _PORT_HELP[port]} for port in model.outs}
    mapping: Schema = {
        "type": "object",
        "properties": described,
        # A reason not to do it is a port too.
        "additionalProperties": targets if "guards" in model.model_fields else False,
    }
    if "next" not in model.outs:
        return {**mapping, "description": f"Where people go by {' and '.join(model.outs)}."}
    return {"description": _PORT_HELP["next"], "anyOf": [targets, mapping]}


def _allow_single(branches: Schema) -> None:
    """A branch of one value may be written without a list."""
    held = branches.get("patternProperties") or branches
    for key, listed in held.items():
        if isinstance(listed, dict) and listed.get("type") == "array":
            held[key] = {"anyOf": [listed["items"], listed]}


def _needs(repeat: str, needed: str | None, barred: tuple[str, ...]) -> Schema:
    then: Schema = {"properties": dict.fromkeys(barred, False)}
    if needed is not None:
        then["required"] = [needed]
    return {"if": {"properties": {"repeat": {"const": repeat}}}, "then": then}
