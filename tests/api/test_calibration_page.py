"""Checks the page of a prediction: its figures, its diagram, and that it needs nothing else."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np

from actors.enrichment import Prediction
from api.calibration_page import MARGIN, SIZE, calibration_page
from core.calibration import assess
from core.enrichment_rules import PredictionRules


def prediction() -> Prediction:
    rng = np.random.default_rng(1)
    chance = rng.random(2_000)
    found = assess(chance, rng.random(2_000) < chance, 0.5)
    return Prediction("churn", PredictionRules(), 1_767_225_600_000, "isotonic", 1, 1_234, found)


def test_the_page_tells_the_figures() -> None:
    made = prediction()
    page = calibration_page(made)
    found = made.calibration
    text = re.sub("<[^>]*>", "", page)
    assert "Churn: the chance of buying nothing within 90 days" in text
    assert "Predicted for 1,234 customers as of 2026-01-01 00:00 UTC" in text
    assert f"Brier score {found.brier:.4f}" in text
    assert f"AUC {found.auc:.3f}" in text
    assert "better than predicting the base rate" in text
    assert page.count("<tr>") == 1 + len(found.bins)
    worse = replace(made, calibration=replace(found, brier_base=found.brier))
    assert "not surely better than predicting" in calibration_page(worse)


def test_the_diagram_marks_every_bin_at_its_place() -> None:
    made = prediction()
    page = calibration_page(made)
    svg = re.search("<svg.*</svg>", page, re.DOTALL)
    assert svg is not None
    circles = ElementTree.fromstring(svg[0]).findall(".//circle")
    span = SIZE - 2 * MARGIN
    for circle, each in zip(circles, made.calibration.bins, strict=True):
        assert float(circle.attrib["cx"]) == round(MARGIN + each.predicted * span, 1)
        assert float(circle.attrib["cy"]) == round(SIZE - MARGIN - each.observed * span, 1)


def test_the_page_is_one_file() -> None:
    class Links(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    links = Links()
    links.found = []
    links.feed(calibration_page(prediction()))
    assert links.found == []
