"""Flows under other ids: comments and order stay, and what it says is what was meant."""

from __future__ import annotations

import pytest

from api.http.flow_text import id_of, renamed
from core.document import read_values

BLOCK = 'headrace: 1\nflow: "a"  # the id\nname: A  # for people\nnodes: {in: {flow: a}}\n'


def test_only_id_and_name_of_a_text_change() -> None:
    told = BLOCK.replace('"a"', "b-2").replace("name: A", 'name: "It\'s: new"')
    assert renamed(BLOCK, "b-2", "It's: new") == told
    assert renamed(BLOCK, "b", None) == BLOCK.replace('"a"', "b")


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        "\ufeffflow: a\nnodes: {}\n",
        '{"flow": "a", "name": "x", "nodes": {}}',
        "# head\n\nflow: a\nnodes: {}\n",
        "? flow\n: a\n",
        "flow: |-\n  a\n",
    ],
)
@pytest.mark.parametrize("name", [None, "New", "yes", "a: b # c", "ñ \u2028 \U0001f600"])
def test_a_copy_says_what_its_original_says(text: str, name: str | None) -> None:
    made = read_values(renamed(text, "no", name), name="flow")
    named = {} if name is None else {"name": name}
    assert made == {**read_values(text, name="flow"), "flow": "no", **named}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Welcome, friend!", "welcome-friend"),
        ("  ..x..  ", "x"),
        ("Привет", "flow"),
        ("", "flow"),
        ("x" * 100, "x" * 58),
    ],
)
def test_an_id_is_made_of_a_name(name: str, expected: str) -> None:
    assert id_of(name, "flow") == expected
