"""Offer the command that enriches an audience, and tell how far what it computes can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.progress import shown
from core.errors import HeadraceError


def enrich(
    audience: Annotated[Path, typer.Argument(metavar="AUDIENCE", help="The audience folder.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="The audience folder to make.")
    ],
    rfm: Annotated[
        bool, typer.Option("--rfm", help="The status by recency, frequency and money.")
    ] = False,
    churn: Annotated[
        bool, typer.Option("--churn", help="The chance that a buyer buys no more.")
    ] = False,
    purchase: Annotated[
        bool, typer.Option("--purchase", help="The chance that a customer buys soon.")
    ] = False,
    geo: Annotated[
        bool, typer.Option("--geo", help="Entrances and exits of fences; needs --rules.")
    ] = False,
    merchandise: Annotated[
        bool,
        typer.Option("--merchandise", help="Changes of products, told to whom; needs --rules."),
    ] = False,
    rules: Annotated[
        Path | None, typer.Option(metavar="FILE", help="How to compute it, YAML or JSON.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the models.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Compute attributes and events from a history."""
    asked = {
        "rfm": rfm,
        "churn": churn,
        "purchase": purchase,
        "geo": geo,
        "merchandise": merchandise,
    }
    parts = {part for part, wanted in asked.items() if wanted}
    run(audience, output, parts, rules=rules, seed=seed, quiet=quiet)


def add_to(app: typer.Typer) -> None:
    """Add the command to the others."""
    app.command()(enrich)


def run(
    audience: Path,
    out: Path,
    parts: set[str],
    *,
    rules: Path | None,
    seed: int,
    quiet: bool,
) -> None:
    """Write the enriched audience and print a line for each part, with calibration tables.

    Raises HeadraceError.
    """
    if not parts:
        raise HeadraceError(
            "there is nothing to compute",
            advice="State one or more of --rfm, --churn, --purchase, --geo and --merchandise",
        )
    with shown(quiet=quiet) as progress:
        # A sign of life, because what is imported next takes a moment.
        progress("reading the rules", 0, 0)
        from actors.enrichment import enrich as enrich_audience
        from api.calibration_page import calibration_page
        from api.documents import ViolationsError, read_bytes, violations_told
        from core.enrichment_rules import EnrichmentRules, read_rules

        stated: EnrichmentRules | None = EnrichmentRules()
        if rules is not None:
            with violations_told():
                stated, violations = read_rules(read_bytes(rules), name=str(rules))
                if stated is None:
                    raise ViolationsError(str(rules), violations)
        assert stated is not None
        done = enrich_audience(
            audience,
            out,
            parts,
            stated,
            base=Path() if rules is None else rules.parent,
            seed=seed,
            page=calibration_page,
            progress=progress,
        )
    from api.console import console

    screen = console()
    for line in done.told:
        screen.print(line, markup=False, soft_wrap=True)
    for made in done.predictions:
        screen.print(f"\n{made.question}: what was predicted, and what happened", markup=False)
        for each in made.calibration.bins:
            screen.print(
                f"  {each.predicted:6.1%} predicted  {each.observed:6.1%} observed "
                f"({each.low:.1%} to {each.high:.1%})  {each.people:>9,} people",
                markup=False,
                soft_wrap=True,
            )
    counts = done.schema.counts
    screen.print(
        f"{counts.customers:,} customers, {counts.events:,} events and {counts.changes:,} changes "
        f"are in {out}",
        markup=False,
        soft_wrap=True,
    )
