"""Say in a short English phrase what a node does, what a condition asks and what a rule is for.

Reports, listings and customers' stories use these phrases. Names stand in `backticks`, values of
text in "quotes", so that a name is never taken for a word of the phrase.
"""

from __future__ import annotations

from core.flow import Reentry
from core.nodes import NodeBase
from core.phrases import CHANNEL_NAMES, LISTED_MAX, describe_condition, describe_target
from core.responses import Scope

__all__ = [
    "CHANNEL_NAMES",
    "LISTED_MAX",
    "describe",
    "describe_condition",
    "describe_reentry",
    "describe_scope",
    "describe_target",
]


def describe(node: NodeBase) -> str:
    """Return what `node` does, such as 'Wait for `clicked`, at most 1 day'; no full stop."""
    return node.describe()


def describe_scope(scope: Scope) -> str:
    """Return which messages a response rule is for, such as 'e-mail `hello`' or 'all messages'."""
    what = CHANNEL_NAMES[scope.channel] if scope.channel else ""
    template = f"`{scope.template}`" if scope.template else ""
    node = f"of the node `{scope.node}`" if scope.node else ""
    condition = f"if {describe_condition(scope.if_)}" if scope.if_ else ""
    if not (what or template):
        what = "messages" if node else "all messages"
    return " ".join(filter(None, (what, template, node, condition)))


def describe_reentry(reentry: Reentry) -> str:
    """Return who may enter again, such as 'Again after leaving, once for each `order_id`'."""
    policy = {
        "once": "once",
        "after_exit": "again after leaving",
        "always": "any number of times",
    }[reentry.policy]
    key = f", for each `{reentry.key}`" if reentry.key else ""
    gap = f", at least {reentry.gap} apart" if reentry.gap else ""
    return f"Each customer enters {policy}{key}{gap}"
