"""Gather the node types for those who use them; they are declared in `core.catalogue`."""

from __future__ import annotations

from core.catalogue.base import CATEGORIES, Category, NodeBase, NodeId, PortName, Target, Weight
from core.catalogue.channels import CHANNELS, Channel
from core.catalogue.control import End
from core.catalogue.coupons import TakeCoupon
from core.catalogue.decisions import BranchAttribute, BranchTag, ConditionNode
from core.catalogue.listening import EventTest, WaitAny, WaitCondition
from core.catalogue.messages import Guard, Send
from core.catalogue.record import (
    AddTag,
    AddToAttribute,
    AddToGroup,
    RemoveFromGroup,
    RemoveTag,
    SetAttribute,
)
from core.catalogue.registry import NODE_TYPES, OPERATIONS, Node
from core.catalogue.splits import BEST, ABTest, Split, Until
from core.catalogue.timeouts import TIMEOUT
from core.catalogue.triggers import OnEvent, OnSchedule, OnSegment
from core.catalogue.waits import Wait, WaitDate, WaitEvent, WaitSlot, WaitUntil
from core.duration import DAY_MS
from core.wall_clock import LOCAL_TIME, WEEKDAYS, Slot, TimeOfDay, Weekday

__all__ = [
    "BEST",
    "CATEGORIES",
    "CHANNELS",
    "DAY_MS",
    "LOCAL_TIME",
    "NODE_TYPES",
    "OPERATIONS",
    "TIMEOUT",
    "WEEKDAYS",
    "ABTest",
    "AddTag",
    "AddToAttribute",
    "AddToGroup",
    "BranchAttribute",
    "BranchTag",
    "Category",
    "Channel",
    "ConditionNode",
    "End",
    "EventTest",
    "Guard",
    "Node",
    "NodeBase",
    "NodeId",
    "OnEvent",
    "OnSchedule",
    "OnSegment",
    "PortName",
    "RemoveFromGroup",
    "RemoveTag",
    "Send",
    "SetAttribute",
    "Slot",
    "Split",
    "TakeCoupon",
    "Target",
    "TimeOfDay",
    "Until",
    "Wait",
    "WaitAny",
    "WaitCondition",
    "WaitDate",
    "WaitEvent",
    "WaitSlot",
    "WaitUntil",
    "Weekday",
    "Weight",
]
