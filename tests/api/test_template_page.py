"""Checks that docs/templates.md tells the library as it is, and that its examples work."""

from __future__ import annotations

import re
from pathlib import Path

from api.template import make_flow, read_template
from api.template_kinds import KINDS
from api.template_page import library_page
from house import CHECKOUT

PAGE = (CHECKOUT / "docs" / "templates.md").read_text(encoding="utf-8")


def test_the_page_tells_the_library() -> None:
    written = PAGE.partition("\n## The library\n\n")[2]
    assert written == library_page(), "write it anew: python -m api.template_page"


def test_the_page_tells_every_kind_of_parameter() -> None:
    section = PAGE.partition("\n| type | is |\n")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))
    assert rows == {name: kind.expected for name, kind in KINDS.items()}


def test_the_template_of_the_page_works(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(headrace_template.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    template = read_template(text, "our-cart", str(tmp_path / "our-cart.yaml"))
    made = make_flow(template, {"wanted": "purchase", "control": "25%"})
    assert [v for v in made.violations if v.severity != "info"] == []
    assert made.flow.nodes["compare"].model_dump()["branches"] == {
        "reminded": "75%",
        "left-alone": "25%",
    }
