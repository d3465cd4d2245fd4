"""Answer those who open messages, follow links, unsubscribe, and the providers that report.

None of them has a key: a mark that the tenant's key sealed, or a signature, says whose it is. Only
sealed targets are led to, so nobody can use these links to lead people elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import parse_qs, quote

from fastapi import Body, Path, Request, Response
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from actors.relay import callbacks
from actors.relay.callbacks import UnverifiedError
from actors.relay.link_settings import CallbackSettings, load_links
from actors.relay.links import is_target
from actors.relay.marks import Mark
from actors.relay.settings import known_secrets
from actors.service import link_change
from actors.service.access import OPERATOR
from actors.service.echoes import Echoes
from actors.service.link_change import LinkChange
from actors.service.postmarks import Post, Postmarks
from actors.service.rate import address_key
from actors.service.service import Service
from api.http import subscription_page as pages
from api.http.observing import Metrics
from api.http.problems import not_found, refuse
from api.http.revisions import IfMatch, check_revision, revision
from api.http.routing import Calling, Routes
from api.http.security import FAILURES, address_of
from core.errors import HeadraceError

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
FORM_BYTES_MAX = 16 << 10
FOLLOWED, FOLLOWED_OF_TENANTS = "followed", "followed of tenants"
GUESS_COST = 10  # of the budget of an address, for what is no mark
_SAFE = ":/%#?=@[]!$&'()*+,;~"
_HTML = "text/html"
_PAGE = {"text/html": {"schema": {"type": "string"}, "example": pages.lost_page()}}
_LOST: dict[int | str, dict[str, Any]] = {
    404: {"description": "The mark is none of ours", "content": _PAGE}
}
_LED: dict[int | str, dict[str, Any]] = {
    302: {
        "description": "Go on to where the link leads",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "Where it leads"}},
    },
    **_LOST,
}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page for people", "content": _PAGE},
    **_LOST,
}
_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An image of one pixel, whatever the mark is",
        "content": {
            "image/gif": {"schema": {"type": "string", "format": "binary"}, "example": "GIF89a..."}
        },
    }
}
_FORM = {
    "requestBody": {
        "required": False,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                "example": {"List-Unsubscribe": "One-Click"},
            }
        },
    }
}
_REPORTED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {},
                "example": {"type": "email.bounced", "data": {"to": ["ada@example.com"]}},
            }
        },
    }
}
_MARK = Path(description="What stands in the message")
_PUT: dict[str, Any] = {
    "public_url": "https://links.example.com",
    "channels": ["email"],
    "callbacks": {
        "mailer": {
            "secrets": [{"value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}],
            "kinds": {"email.bounced": "bounce"},
            "address": "data.to.0",
        }
    },
}
_SET = {**_PUT["callbacks"]["mailer"], "secrets": [{"stored": "callback.mailer.1f2e3d4c5b6a7988"}]}
_TOLD: dict[str, Any] = {
    "public_url": "https://links.example.com",
    "settings": {**_PUT, "callbacks": {"mailer": _SET}},
    "revision": "0c1d2e3f4a5b6c7d",
    "callbacks": [{"name": "mailer", "path": "/v1/callbacks/mailer.0a1b2c3d4e5f"}],
    "suppressed": 3,
}


class CallbackTaken(BaseModel):
    """What became of a callback."""

    reports: int = Field(description="How many reports were taken in")


class CallbackPlace(BaseModel):
    """Where a provider sends its callbacks."""

    name: str
    path: str = Field(description="Behind the public address")


class TrackingBody(BaseModel):
    """How messages of the tenant are tracked."""

    public_url: str | None = Field(None, description="What links lead over; absent: they do not")
    settings: dict[str, Any] = Field(description="What the tenant set; of secrets only names")
    revision: str
    callbacks: list[CallbackPlace]
    suppressed: int = Field(description="Addresses that nothing is sent to")


def tracking_routes(
    service: Service, metrics: Metrics, postmarks: Postmarks, echoes: Echoes
) -> Routes:
    """The routes, for the tenants of a service."""
    routes = Routes("Links and callbacks")
    metrics.registry.register(_Counted(echoes))

    def opened(request: Request, mark: str) -> tuple[Post, Mark] | None:
        """Whose a mark is and what it says. Raises LimitedError for who asks too often.

        What is no mark counts more: it is a guess. All that ask for one tenant's share a budget.
        """
        rates, now_ms = service.rates, service.now_ms()
        address = address_key(address_of(request))
        rates.look("", address, FOLLOWED, now_ms).check()
        found = postmarks.open(mark)
        rates.take("", address, FOLLOWED, now_ms, 1 if found is not None else GUESS_COST).check()
        if found is not None:
            rates.take(found[0].tenant, "all", FOLLOWED_OF_TENANTS, now_ms).check()
        return found

    def lead(request: Request, mark: str) -> Response:
        found = opened(request, mark)
        if found is None or found[1].kind != "click" or not is_target(found[1].target):
            return _page(pages.lost_page(), 404)
        post, said = found
        echoes.hit(post, said, mark, request.method, request.headers)
        return Response(status_code=302, headers={"Location": quote(said.target, safe=_SAFE)})

    @routes.add(
        "GET",
        "/r/{mark}",
        scope=None,
        status=302,
        problems=(429,),
        responses=_LED,
        response_class=Response,
    )
    async def follow_link(request: Request, mark: str = _MARK) -> Response:
        """Lead on from a link in a message.

        That it was followed becomes the event `email_clicked`, or `message_clicked` for other
        channels. Whatever comes of that, the answer is the same.
        """
        return lead(request, mark)

    @routes.add(
        "HEAD",
        "/r/{mark}",
        scope=None,
        status=302,
        problems=(429,),
        responses=_LED,
        response_class=Response,
    )
    async def look_at_link(request: Request, mark: str = _MARK) -> Response:
        """Say where a link in a message leads; this counts as done by a machine."""
        return lead(request, mark)

    def show(request: Request, mark: str) -> Response:
        found = opened(request, mark)
        if found is not None and found[1].kind == "open":
            echoes.hit(*found, mark, request.method, request.headers)
        # Mail is shown on pages of another origin, which must be let have the image.
        headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
        return Response(PIXEL, 200, headers, "image/gif")

    @routes.add(
        "GET",
        "/o/{mark}.gif",
        scope=None,
        problems=(429,),
        responses=_IMAGE,
        response_class=Response,
    )
    async def show_pixel(request: Request, mark: str = _MARK) -> Response:
        """Answer the pixel of a message; that it was fetched becomes `email_opened`."""
        return show(request, mark)

    @routes.add(
        "HEAD",
        "/o/{mark}.gif",
        scope=None,
        problems=(429,),
        responses=_IMAGE,
        response_class=Response,
    )
    async def look_at_pixel(request: Request, mark: str = _MARK) -> Response:
        """Answer the pixel of a message without content; this counts as done by a machine."""
        return show(request, mark)

    def subscription(request: Request, mark: str) -> tuple[Post, Mark] | None:
        found = opened(request, mark)
        return found if found is not None and found[1].kind in ("leave", "choose") else None

    @routes.add(
        "GET", "/u/{mark}", scope=None, problems=(429,), responses=_SHOWN, response_class=Response
    )
    async def show_subscription(request: Request, mark: str = _MARK) -> Response:
        """Show the page with which to unsubscribe, or all preferences. Nothing changes by it."""
        found = subscription(request, mark)
        if found is None:
            return _page(pages.lost_page(), 404)
        post, said = found
        if said.kind == "leave":
            return _page(pages.asking_page(said.channel))
        return _page(pages.choice_page(await run_in_threadpool(_choices, post, said)))

    @routes.add(
        "POST",
        "/u/{mark}",
        scope=None,
        problems=(429, 503),
        responses=_SHOWN,
        body_bytes_max=FORM_BYTES_MAX,
        extra=_FORM,
        response_class=Response,
    )
    async def change_subscription(request: Request, mark: str = _MARK) -> Response:
        """Unsubscribe at once, as RFC 8058 has it, or change one preference.

        Without a form the channel of the message is left; `channel` and `action` (`leave` or
        `join`) are what the pages send. When it is answered with 200, that will not be forgotten.
        """
        found = subscription(request, mark)
        if found is None:
            return _page(pages.lost_page(), 404)
        form = _form(await request.body())
        return await run_in_threadpool(_change, echoes, *found, form)

    @routes.add(
        "POST",
        "/v1/callbacks/{provider}",
        scope=None,
        problems=(401, 404, 429, 503),
        example={"reports": 1},
        body_bytes_max=callbacks.BODY_BYTES_MAX,
        extra=_REPORTED,
    )
    async def take_callback(
        request: Request,
        provider: str = Path(description="The callback's name, `<name>` or `<name>.<number>`"),
    ) -> CallbackTaken:
        """Take in what a provider reports: bounces, complaints, openings, unsubscriptions.

        The signature says who it is: Standard Webhooks, or an HMAC of the body. Hard bounces and
        complaints go on the list of suppressions. A report that is repeated counts once.
        """
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}

        address = address_key(address_of(request))

        def take() -> int:
            service.rates.look("", address, FAILURES, service.now_ms()).check()
            post, own, settings = _callback(postmarks, provider)
            try:
                known = known_secrets(post.folder)
                secrets = [secret.value(known) for secret in settings.secrets]
            except HeadraceError:
                # What is set up wrong is told the tenant, not whoever asks.
                raise refuse(
                    503, "not-set-up", "this callback cannot be verified now", retry_after_ms=60_000
                ) from None
            try:
                id_ = callbacks.verify(settings, secrets, headers, body, service.now_ms())
            except UnverifiedError as error:
                # Whoever tries signatures is slowed down as one who tries keys.
                service.rates.take("", address, FAILURES, service.now_ms())
                raise refuse(401, "unverified", str(error), "Sign it with the secret") from None
            try:
                reports = callbacks.read(settings, body, id_)
            except ValueError as error:
                raise refuse(400, "invalid-json", str(error), "Send JSON") from None
            for report in reports:
                echoes.report(post, settings.channel, own, report)
            return len(reports)

        return CallbackTaken(reports=await run_in_threadpool(take))

    @routes.add(
        "GET",
        "/v1/tracking",
        scope="settings:admin",
        example=_TOLD,
    )
    def read_tracking(call: Calling) -> TrackingBody:
        """Read what links lead over, and where providers send their callbacks."""
        return _told(postmarks.of(call.caller.tenant))

    @routes.add(
        "PUT",
        "/v1/tracking",
        scope="settings:admin",
        cost=20,
        problems=(409, 422),
        example=_TOLD,
        body_example=_PUT,
        response_model=TrackingBody,
        beyond={422: "The address must be reachable from outside"},
    )
    def put_tracking(
        call: Calling, settings: Annotated[dict[str, Any], Body()], if_match: IfMatch = None
    ) -> Response:
        """Say what links lead over, and how providers report; relays go on with it at once.

        A secret of a callback is given as `{"value": ...}`, stored encrypted, and shown no more.
        As it was read, `{"stored": ...}`, it stays.
        """
        post = postmarks.of(call.caller.tenant)
        with call.change() as change:
            put = LinkChange(settings, post.folder, call.caller.may(OPERATOR))
            before, after = link_change.shown(put.before), link_change.shown(put.settings)
            check_revision(if_match, before, after)
            change.audit("tracking.put", "tracking", before=before, after=after)
            put.apply()
            return change.answer(_told(post))

    return routes


def _told(post: Post) -> TrackingBody:
    settings = post.links.current()
    own = link_change.shown(load_links(post.folder))
    return TrackingBody(
        public_url=settings.public_url,
        settings=own,
        revision=revision(own),
        callbacks=[
            CallbackPlace(name=name, path=f"/v1/callbacks/{name}.{post.number}")
            for name in settings.callbacks
        ],
        suppressed=post.suppressions.count(),
    )


def _callback(postmarks: Postmarks, provider: str) -> tuple[Post, str, CallbackSettings]:
    """Whose callback it is, its name and settings. Raises ProblemError."""
    found = postmarks.named(provider)
    if found is None:
        raise not_found("callback")
    post, own = found
    settings = post.links.current().callbacks.get(own)
    if settings is None:
        raise not_found("callback")
    return post, own, settings


def _choices(post: Post, mark: Mark) -> list[str]:
    """The channels whose subscription a mark may change: that of its message first."""
    try:
        known = post.links.current().preferences
    except HeadraceError:
        known = []
    return list(dict.fromkeys([mark.channel, *known]))


def _change(echoes: Echoes, post: Post, mark: Mark, form: dict[str, str]) -> Response:
    channel = form.get("channel", mark.channel)
    action = form.get("action", pages.LEAVE)
    if channel not in _choices(post, mark) or action not in (pages.LEAVE, pages.JOIN):
        return _page(pages.asking_page(mark.channel))
    try:
        act = echoes.confirm if action == pages.JOIN else echoes.resign
        act(post, mark, [channel])
    except (HeadraceError, OSError):
        return _page(pages.later_page(), 503, {"Retry-After": "5"})
    return _page(pages.done_page([channel], action))


def _form(body: bytes) -> dict[str, str]:
    """The fields of a form; none of what is no form of ours."""
    try:
        found = parse_qs(body.decode("ascii"), max_num_fields=16)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def _page(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    told = {"Content-Security-Policy": pages.POLICY, **(headers or {})}
    return Response(text, status, told, _HTML)


class _Counted:
    """What came back of messages, for Prometheus."""

    def __init__(self, echoes: Echoes) -> None:
        self._echoes = echoes

    def collect(self) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "headrace_message_events",
            "What came back of messages, by what became of it",
            labels=("event", "outcome"),
        )
        for (event, outcome), count in sorted(self._echoes.counts.copy().items()):
            counted.add_metric([event, outcome], count)
        yield counted
        waiting = self._echoes.pending
        yield GaugeMetricFamily(
            "headrace_message_events_waiting", "Not stored yet", value=float(waiting)
        )
