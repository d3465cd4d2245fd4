"""Show how good a prediction is on one HTML page: the figures, a table, a reliability diagram."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from actors.enrichment import Prediction
from core.calibration import Bin

SIZE, MARGIN = 380, 58
TITLES = {
    "churn": "Churn: the chance of buying nothing within {}",
    "purchase": "Purchase: the chance of buying something within {}",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1f24;background:#fff}table{border-collapse:collapse}"
    "td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #d5dae0}"
    "svg{max-width:100%;height:auto}text{font-size:12px;fill:#444c56}"
)


def calibration_page(made: Prediction) -> str:
    """A page that needs no network, nor anything but itself."""
    found = made.calibration
    title = escape(TITLES[made.question].format(made.rules.horizon))
    at = datetime.fromtimestamp(made.as_of_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    verdict = "better than" if found.brier_high < found.brier_base else "not surely better than"
    rows = "".join(_row(each) for each in found.bins)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>{_STYLE}</style><h1>{title}</h1>"
        f"<p>Predicted for {made.scored:,} customers as of {at}. Judged on {found.people:,} people "
        f"in the last {escape(str(made.rules.horizon))} before that, of whom {found.happened:,} "
        f"had the outcome; the model had not seen them. Calibration: {escape(made.method)}.</p>"
        f"<p>Brier score <b>{found.brier:.4f}</b> (95 % {found.brier_low:.4f} to "
        f"{found.brier_high:.4f}), {verdict} predicting the base rate for everybody "
        f"({found.brier_base:.4f}). AUC <b>{found.auc:.3f}</b>.</p>"
        f"{_diagram(found.bins)}"
        "<table><thead><tr><th>people<th>predicted<th>observed<th>95 % interval<tbody>"
        f"{rows}</table>"
        "<p>People are put into bins of similar predictions. On the diagonal, as many did it as "
        "were predicted to; the bars are Wilson intervals.</p></html>\n"
    )


def _row(each: Bin) -> str:
    return (
        f"<tr><td>{each.people:,}<td>{each.predicted:.1%}<td>{each.observed:.1%}"
        f"<td>{each.low:.1%} to {each.high:.1%}"
    )


def _diagram(bins: object) -> str:
    """Predicted against observed shares, with their intervals, as SVG."""
    assert isinstance(bins, list)
    span = SIZE - 2 * MARGIN

    def x(share: float) -> float:
        return MARGIN + share * span

    def y(share: float) -> float:
        return SIZE - MARGIN - share * span

    marks = [
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="#9aa4af" '
        'stroke-dasharray="4 4"/>',
        f'<path d="M{x(0)} {y(1)}V{y(0)}H{x(1)}" fill="none" stroke="#444c56"/>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(f'<text x="{x(tick)}" y="{y(0) + 18}" text-anchor="middle">{tick:.0%}</text>')
        marks.append(f'<text x="{x(0) - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:.0%}</text>')
    for each in bins:
        at = f"{x(each.predicted):.1f}"
        marks.append(
            f'<line x1="{at}" x2="{at}" y1="{y(each.low):.1f}" y2="{y(each.high):.1f}" '
            'stroke="#2f6fb2"/>'
        )
        marks.append(f'<circle cx="{at}" cy="{y(each.observed):.1f}" r="4" fill="#2f6fb2"/>')
    middle = SIZE / 2
    marks.append(f'<text x="{middle}" y="{SIZE - 6}" text-anchor="middle">predicted</text>')
    marks.append(
        f'<text x="12" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle})">observed</text>'
    )
    return (
        f'<svg role="img" aria-label="Reliability diagram" width="{SIZE}" height="{SIZE}" '
        f'viewBox="0 0 {SIZE} {SIZE}">{"".join(marks)}</svg>'
    )
