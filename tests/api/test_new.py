"""Checks `headrace new` and `headrace save-template`: what they write, list, say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.template_folder import library
from command import EXAMPLES, call, needs_full_disk, spawn
from core.document import read_flow

LAUNCH = ("--set", "announce_on=2026-05-11", "--set", "launch_on=2026-05-18")


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own templates are in a folder of the test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HEADRACE_TEMPLATES", raising=False)


def test_without_a_template_a_blank_flow_is_printed() -> None:
    done = call("new")
    assert (done.code, done.err) == (0, "")
    flow, violations = read_flow(done.out, name="flow.yaml")
    assert violations == []
    assert flow is not None
    assert list(flow.nodes) == ["entered", "done"]
    assert done.out == call("new", "--template", "blank").out


@pytest.mark.parametrize("name", [entry.name for entry in library()])
def test_a_flow_of_each_template_can_be_opened_by_people(name: str) -> None:
    done = call("new", "--template", name, *(LAUNCH if name == "product-launch" else ()))
    assert (done.code, done.err) == (0, "")
    flow, violations = read_flow(done.out, name="flow.yaml")
    assert violations == []
    assert flow is not None
    assert flow.flow == name
    assert flow.name
    lines = done.out.splitlines()
    assert lines[0].startswith(f"# {flow.name}: ")
    assert f"# Made of the template {name}, with:" in lines
    assert max(map(len, lines)) <= 100
    asks = [n for n in flow.nodes.values() if n.type in ("condition", "wait_event", "on_event")]
    untitled = [n for n in asks if not n.title]
    assert len(untitled) <= (name == "blank")
    assert "$" not in done.out


def test_it_is_written_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "cart.yaml"
    args = ("new", "--template", "abandoned-cart", "--output", path)
    done = call(*args, "--set", "first_wait=2h", "--set", "flow=cart-2")
    assert (done.code, done.out) == (0, f"wrote {path}: flow cart-2, 10 nodes\n")
    assert "timeout: 2 hours" in path.read_text()
    again = call(*args)
    assert (again.code, again.out) == (2, "")
    assert again.err == (
        f"headrace: {path}: there is such a file already. "
        "Choose another place, or state --replace\n"
    )
    assert "flow: cart-2" in path.read_text()
    assert call(*args, "--replace").code == 0
    assert "flow: abandoned-cart" in path.read_text()


def test_a_name_in_json_asks_for_json(tmp_path: Path) -> None:
    path = tmp_path / "cart.json"
    assert call("new", "--template", "abandoned-cart", "--output", path).code == 0
    text = path.read_text()
    assert json.loads(text)["flow"] == "abandoned-cart"
    printed, _ = read_flow(call("new", "--template", "abandoned-cart").out, name="x.yaml")
    assert read_flow(text, name="cart.json") == (printed, [])


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--template", "cart"), "there is no template 'cart'"),
        (("--set", "event"), "--set: 'event' is not a name and a value. Write NAME=VALUE"),
        (("--set", "=x"), "--set: '=x' is not a name and a value"),
        (("--set", "event=a", "--set", "event=b"), "--set: 'event' is set twice. Set it once"),
        (("--set", "wait=1 day"), "template 'blank' has no parameter 'wait'. It has flow, name"),
        (("--set", "event="), "parameter 'event': '': it is empty. It is a name: What people do"),
        (("--template", "product-launch"), "parameter 'announce_on' of template 'product-launch' "
                                           "has no default. Set it: --set announce_on=..."),
        (("--template", "win-back", "--set", "left_alone=120%"), "parameter 'left_alone': '120%'"),
        (("--template", "win-back", "--set", "silence=2 months"),
         "parameter 'silence': '2 months': '2 months': months have no fixed length; use days"),
        (("--template", "birthday", "--set", "evening=08:00"), "parameters "),
        (("--template", "churn-rescue", "--set", "risk=1.5"), "'risk': '1.5': it is above 1"),
        (("--output", "nowhere/x.yaml"), "--output can't write there: there is no such folder"),
        (("--list", "--template", "cart"), "there is no template 'cart'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_line(args: tuple[str, ...], told: str) -> None:
    done = call("new", *args)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1


def test_the_list_shows_all_with_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    done = call("new", "--list")
    assert (done.code, done.err) == (0, "")
    rows = done.out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [entry.name for entry in library()]
    (cart,) = [row for row in rows if row.startswith("abandoned-cart ")]
    assert "Brings people back to the cart they left" in cart
    assert "first_wait, second_wait" in cart


def test_the_list_shows_the_parameters_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = call("new", "--list", "--template", "product-launch")
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0].startswith("Product launch announcement: Announces a product")
    assert (
        "launch_on a date such as 2026-05-31 must be set "
        "The day of the launch, on each customer's calendar."
    ) in lines
    assert "readers a name newsletter The tag of those who are told." in lines


@pytest.mark.parametrize("by_variable", [False, True])
def test_ones_own_is_saved_listed_and_used(
    tmp_path: Path, by_variable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    stated: tuple[str | Path, ...] = ("--templates", folder)
    if by_variable:
        monkeypatch.setenv("HEADRACE_TEMPLATES", str(folder))
        stated = ()
    parameter = "pause=/nodes/a-week/for"
    done = call(
        "save-template", EXAMPLES / "welcome.yaml", "hello", "--parameter", parameter,
        "--summary", "Ours: with a pause", *stated,
    )  # fmt: skip
    path = folder / "hello.yaml"
    assert (done.code, done.err) == (0, "")
    assert done.out == f"wrote {path}: use it with `headrace new --template hello`\n"
    assert call("save-template", EXAMPLES / "welcome.yaml", "hello", *stated).code == 2
    monkeypatch.setenv("COLUMNS", "200")
    assert "hello (own)" in call("new", "--list", *stated).out
    assert "Ours: with a pause" in call("new", "--list", *stated).out
    made = call("new", "--template", "hello", "--set", "pause=9 days", *stated)
    assert made.code == 0
    original = (EXAMPLES / "welcome.yaml").read_text()
    expected = original.replace("for: 7 days", "for: 9 days").replace(
        "flow: welcome", "flow: hello"
    )
    assert made.out.endswith("\n\n" + expected)


def test_ones_own_go_to_the_configuration_unless_stated(tmp_path: Path) -> None:
    assert call("save-template", EXAMPLES / "welcome.yaml", "hello").code == 0
    assert (tmp_path / "config/headrace/templates/hello.yaml").is_file()
    assert call("new", "--template", "hello").code == 0


def test_a_broken_template_of_ones_own_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    (tmp_path / "broken.yaml").write_text("nothing")
    done = call("new", "--list", "--templates", tmp_path)
    assert done.code == 0
    assert "broken (own)" in done.out
    assert "a template has two parts" in done.out
    assert "welcome" in done.out


def test_a_flow_with_errors_is_told_as_by_check(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text("headrace: 1\nflow: f\nnodes: {a: {type: send}}\n")
    done = call("save-template", path, "mine")
    assert done.code == 1
    assert "missing-field" in done.err


@needs_full_disk
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = spawn("new", stdout=full)
    assert done.code == 2
    assert "No space left on device" in done.err


def test_the_sample_has_what_templates_read_where_that_is_asked_for(tmp_path: Path) -> None:
    for options, has in (((), False), (("--lifecycle",), True)):
        folder = tmp_path / f"shop-{has}"
        done = call("sample", folder, "--customers", "50", "--days", "10", *options)
        assert done.code == 0
        schema = json.loads((folder / "schema.json").read_text())
        assert ("consent:email" in schema["attributes"]) is has
        assert ("contact_added" in schema["events"]) is has
