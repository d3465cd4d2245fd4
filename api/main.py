"""Offer the `headrace` command: live engines, dry runs, checks and imports from a shell.

Each command imports what it needs when it runs, so that `headrace --help` stays quick. Errors are
told in one line with what to do; no traceback reaches a user, unless HEADRACE_TRACEBACK=1 asks for
it.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from api import best_slots, enriching, operations, plan_commands, service_commands
from core.errors import HeadraceError

INTERNAL_ERROR = 70
INTERRUPTED = 130  # 128 and the number of the signal, as shells have it: SIGINT
BROKEN_PIPE = 141  # SIGPIPE
TERMINATED = 143  # SIGTERM

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class _Commands(TyperGroup):
    """Turns what goes wrong in a command into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except HeadraceError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)
        except BrokenPipeError:
            # Nobody reads on, which is no error; nothing more may be written, not even at exit.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            sys.exit(BROKEN_PIPE)
        except MemoryError as error:
            advice = "Use fewer workers, a shorter window, or no --log"
            _fail(f"out of memory: {str(error) or 'no room'}. {advice}", HeadraceError.exit_code)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _fail(f"{place}{error.strerror or error}", HeadraceError.exit_code)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: what draws boxes takes as long to import as all else that help needs.
    rich_markup_mode=None,
    help="Dry-run marketing flows on real past customers, then run them live.",
)

SegmentsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Named segments; default: segments.yaml beside the flow."),
]
FlowFile = Annotated[Path, typer.Argument(metavar="FLOW", help="The flow document, YAML or JSON.")]


@app.command()
def simulate(
    flow: FlowFile,
    audience: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The audience folder.")
    ] = None,
    tenant_data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA_DIR", help="Instead: the journal of a live tenant, in use or not."
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Entries begin here; default: the audience's first event.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Entries end before this; default: after the audience's last event.",
        ),
    ] = None,
    horizon: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Follow people until then: a time, or '+14 days' after --until."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of responses and delays.")] = 0,
    salt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Salt of assignments, as the live tenant has it."),
    ] = None,
    responses: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Assumed responses to messages (YAML or JSON)."),
    ] = None,
    segments: SegmentsFile = None,
    replicates: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Repeat the responses so often.")
    ] = 1,
    entry_rate: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Entries a second of a flow that states none."),
    ] = None,
    coupons: Annotated[
        list[str] | None,
        typer.Option(metavar="POOL=N", help="Coupons left in a pool; may be repeated."),
    ] = None,
    replaces: Annotated[
        str | None,
        typer.Option(metavar="FLOW_ID", help="Leave out the recorded events of this flow."),
    ] = None,
    strict_history: Annotated[
        bool,
        typer.Option("--strict-history", help="Refuse where attribute values are of a later date."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1024, help="Threads; default: one for each core."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every decision as Parquet.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(metavar="CUSTOMER", help="Tell this customer's story; may be repeated."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")] = False,
) -> None:
    """Report what a flow would have done on an audience's past."""
    if (audience is None) == (tenant_data is None):
        raise typer.BadParameter("state either --audience or --tenant-data")
    from api.progress import CHECKING, shown

    with shown(quiet=quiet) as progress:
        # A sign of life, because what is imported next takes a moment.
        progress(CHECKING, 0, 1)
        from api.simulate import Request, present, run
        from api.tenant_data import audience_of

        with audience_of(audience, tenant_data, progress) as found:
            request = Request(
                flow=flow,
                audience=found.folder,
                name=found.name,
                begin=from_,
                until=until,
                horizon=horizon,
                seed=seed,
                salt=found.salt if salt is None else salt,
                responses=responses,
                segments=segments,
                tenants=found.segments,
                replicates=replicates,
                entry_rate=found.entry_rate if entry_rate is None else entry_rate,
                coupons=tuple(coupons or ()),
                replaces=replaces,
                strict_history=strict_history,
                workers=workers,
                log=log,
                json=json,
                html=html,
                trace=tuple(trace or ()),
                quiet=quiet,
            )
            report = run(request, progress)
    raise typer.Exit(present(request, report))


@app.command()
def check(
    flow: FlowFile,
    audience: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An audience folder, to check names and types against."),
    ] = None,
    content: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A list of content and coupons, to check both against."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(metavar="FLOW", help="A flow that runs beside it; may be repeated."),
    ] = None,
    segments: SegmentsFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print the violations as JSON.")] = False,
) -> None:
    """Check a flow: tell what is wrong, where, and what to do.

    Exit code 1 where any is an error.
    """
    from api.check import run
    from api.documents import violations_told

    with violations_told():
        failed = run(
            flow,
            audience,
            as_json=json,
            content=content,
            beside=beside or (),
            segments=segments,
        )
    raise typer.Exit(failed)


@app.command("overlap")
def overlap_(
    flows: Annotated[
        list[Path], typer.Argument(metavar="FLOW...", help="Two flow documents or more.")
    ],
    audience: Annotated[Path, typer.Option(metavar="DIR", help="The audience folder.")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Entries begin here.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Entries end before this.")
    ] = None,
    salt: Annotated[str | None, typer.Option(metavar="TEXT", help="Salt of assignments.")] = None,
    segments: SegmentsFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Count the people whom several flows would let in."""
    from api.overlap import overlap, present

    present(overlap(flows, audience, from_, until, salt, segments), as_json=json)


TemplatesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="HEADRACE_TEMPLATES",
        help="Your own templates; default: ~/.config/headrace/templates.",
    ),
]


@app.command()
def new(
    template: Annotated[
        str | None, typer.Option(metavar="NAME", help="The template; default: a blank flow.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, not to the output.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a file that is there.")] = (
        False
    ),
    list_: Annotated[
        bool, typer.Option("--list", help="List the templates, or the parameters of one.")
    ] = False,
    templates: TemplatesOption = None,
) -> None:
    """Write a new flow, blank or of a template."""
    from api.new import show, write

    if list_:
        show(template, templates)
    else:
        write(template, set_ or (), output, templates, replace=replace)


@app.command("save-template")
def save_template(
    flow: FlowFile,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=POINTER", help="A value of the flow that can be set; may be repeated."
        ),
    ] = None,
    summary: Annotated[str, typer.Option(metavar="TEXT", help="What it does, in a line.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a template of that name.")
    ] = False,
    templates: TemplatesOption = None,
) -> None:
    """Save a flow as a template of your own."""
    from api.new import save

    save(flow, name, parameter or (), templates, summary=summary, replace=replace)


@app.command()
def schema(
    report: Annotated[
        bool, typer.Option("--report", help="The schema of reports instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of the flow document, for editors."""
    import json as json_text

    if report:
        from core.report import report_schema

        document = report_schema()
    else:
        from core.json_schema import flow_schema

        document = flow_schema()
    typer.echo(json_text.dumps(document, indent=2))


@app.command()
def listing(
    flow: FlowFile,
    responses: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A responses file to compile with it.")
    ] = None,
    segments: SegmentsFile = None,
) -> None:
    """Print the compiled program of a flow as text."""
    from api.documents import open_flow, open_responses, segments_for, violations_told
    from core.compiler import compile_flow
    from core.listing import listing as text_of

    with violations_told():
        named = segments_for(flow, segments)
        opened = open_flow(flow, None, named)
        model = None if responses is None else open_responses(responses, named)
    typer.echo(text_of(compile_flow(opened.flow, model)), nl=False)


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A journey as JSON, or a folder of journeys."),
    ],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PRODUCT", help="dittofeed, knock or posthog; default: by its shape."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The flow file, or a folder; default: print the flow."),
    ] = None,
    segments: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Segments of Dittofeed, a file or a folder of JSON."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Tell what happened as JSON.")] = False,
) -> None:
    """Convert journeys of Dittofeed, Knock and PostHog to flows.

    Lists everything that does not come along. Exit code 1 where a journey can't be converted.
    """
    from api.converting import run
    from core.convert.products import PRODUCTS

    if from_ is not None and from_ not in PRODUCTS:
        raise typer.BadParameter(f"state one of {', '.join(PRODUCTS)} with --from")
    raise typer.Exit(run(source, from_, output, segments, as_json=json))


@app.command("import")
def import_(
    mapping: Annotated[
        Path, typer.Argument(metavar="MAPPING", help="The mapping file, YAML or JSON.")
    ],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The audience folder to make.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the mapping's files lie; default: beside the mapping."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an audience that is there.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make an audience of CSV, NDJSON or Parquet by a mapping."""
    from api.importing import run

    run(mapping, out, data=data, replace=replace, quiet=quiet)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The audience folder to make.")],
    customers: Annotated[int, typer.Option(metavar="N", help="How many customers.")] = 200_000,
    days: Annotated[
        int, typer.Option(metavar="N", help="How many days of events, up to 2026-06-30.")
    ] = 90,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed makes the same audience.")
    ] = 1,
    lifecycle: Annotated[
        bool,
        typer.Option("--lifecycle", help="With all that the templates of `headrace new` read."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an audience that is there.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make a seeded example audience of an online shop."""
    from api.importing import make

    make(
        out,
        customers=customers,
        days=days,
        seed=seed,
        lifecycle=lifecycle,
        replace=replace,
        quiet=quiet,
    )


enriching.add_to(app)
best_slots.add_to(app)


@app.command()
def serve(
    data_dir: Annotated[
        Path, typer.Argument(metavar="DATA_DIR", help="Where everything is kept; made if absent.")
    ],
    inline: Annotated[bool, typer.Option("--inline", help="One process, without Ray.")] = False,
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Join this Ray cluster.")
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=256, help="Shards; default: one for each core."),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=1000,
            help="Partitions of a new one; default: as many as cores.",
        ),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose a new one is; default: the folder's name."),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Time zone of customers without one; default: UTC."),
    ] = None,
    salt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Salt of assignments of a new one.")
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="From a new one no message ever leaves.")
    ] = False,
    schema_: Annotated[
        Path | None,
        typer.Option(
            "--schema", metavar="FILE", help="Attributes and events, YAML or JSON, from now on."
        ),
    ] = None,
    segments: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Segments and groups, YAML or JSON, from now on."),
    ] = None,
    no_send: Annotated[
        bool, typer.Option("--no-send", help="Messages wait in the outbox.")
    ] = False,
    http: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the HTTP API is.")
    ] = "127.0.0.1:8000",
    no_http: Annotated[bool, typer.Option("--no-http", help="No HTTP API.")] = False,
    public_url: Annotated[
        str, typer.Option(metavar="URL", help="Where links in messages lead over, if they do.")
    ] = "",
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate chain, PEM, for https.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No status.")] = False,
) -> None:
    """Run flows for real customers, and serve the HTTP API.

    Starting again goes on where it was. The first start prints an admin key, once.
    """
    if (tls_cert is None) != (tls_key is None):
        raise HeadraceError("--tls-cert and --tls-key go together")
    if inline and address is not None:
        raise HeadraceError("--inline does without Ray, so there is no --address to join")
    from actors.live.starting import Hosting, Making
    from api.serve import Listening, Request, run

    run(
        Request(
            data_dir,
            Making(tenant, partitions, salt, zone, sandbox or None),
            Hosting(inline, shards or 0, address, not no_send, public_url=public_url),
            schema_,
            segments,
            quiet,
            None if no_http else Listening(http, tls_cert, tls_key),
        )
    )


operations.add_to(app)
service_commands.add_to(app)
plan_commands.add_to(app)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"headrace {version_of('headrace')}")
        raise typer.Exit()


def main() -> None:
    """Run the command line; every error becomes a message and an exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    for argument in sys.argv[1:]:
        if _SURROGATE.search(argument):
            _fail(f"an argument is not UTF-8: {argument!r}", HeadraceError.exit_code)
    try:
        app(prog_name="headrace")
    except Exception as error:  # the last line of defence: a bug, told as one
        if os.environ.get("HEADRACE_TRACEBACK") == "1":
            raise
        _fail(
            f"internal error, please report it: {type(error).__name__}: {error} "
            "(HEADRACE_TRACEBACK=1 shows where)",
            INTERNAL_ERROR,
        )


def _terminated(number: int, frame: FrameType | None) -> None:
    # An exception, so that half-written files are removed on the way out.
    sys.exit(TERMINATED)


def _fail(message: str, code: int) -> NoReturn:
    # Names from files may hold what would move the cursor.
    print(_CONTROL.sub("\ufffd", f"headrace: {message}"), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
