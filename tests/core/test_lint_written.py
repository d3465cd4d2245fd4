"""Lint sees what nodes stand for, and tells it by what was written."""

from core.document import read_flow
from core.lint import lint
from core.violations import Violation

HEAD = "{headrace: 1, flow: f, nodes: {t: {type: on_event, event: go, next: a}, x: {type: end}, "


def found(nodes: str, head: str = HEAD) -> list[Violation]:
    flow, violations = read_flow(head + nodes + "}}", name="f.yaml")
    assert flow is not None, violations
    return lint(flow)


def places(nodes: str) -> list[tuple[str, str]]:
    return [(v.code, v.pointer) for v in found(nodes)]


def test_nodes_that_stand_for_others_are_clean() -> None:
    assert (
        places(
            "a: {type: draw_owner, users: [u, v], delay: 1 hour, next: b}, "
            "b: {type: add_points, programme: p, points: 1, tiers: {low: 1, high: 2}, next: c}, "
            "c: {type: wechat_reply, template: t, kind: picture, pictures: [p, q], next: d}, "
            "d: {type: facebook_audience, audience: z, next: x}"
        )
        == []
    )


def test_a_helper_is_told_as_the_node_that_it_helps() -> None:
    nodes = "a: {type: end}, b: {type: draw_owner, users: [u, v], next: x}"
    [violation] = [v for v in found(nodes) if v.severity == "error"]
    assert (violation.code, violation.pointer) == ("part-without-trigger", "/nodes/b")
    assert violation.message == "no trigger begins the part of x, b"


def test_an_edge_to_nowhere_is_told_once_where_it_was_written() -> None:
    nodes = "a: {type: draw_owner, users: [u, v], next: nowhere}"
    errors = [(v.code, v.pointer) for v in found(nodes) if v.severity == "error"]
    assert errors == [("dangling-edge", "/nodes/a/next")]


def test_a_field_that_both_have_is_told() -> None:
    nodes = "a: {type: wait_email_clicked, message: nobody, next: {event: x}}"
    [violation] = [v for v in found(nodes) if v.severity == "error"]
    assert violation.pointer == "/nodes/a/message"


def test_a_delay_is_a_wait_of_a_cycle() -> None:
    cycle = "a: {type: add_score, by: 1%s, next: q}, "
    cycle += "q: {type: condition, if: {score_reached: 3}, next: {yes: x, no: a}}"
    assert "cycle-without-wait" in dict(places(cycle % ""))
    assert "cycle-without-wait" not in dict(places(cycle % ", delay: 1 hour"))


def test_waits_for_changes_need_no_recorded_event() -> None:
    assert places("a: {type: wait_tag_added, tag: vip, next: {event: x}}") == []
