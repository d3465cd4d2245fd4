"""Say whether the service is alive, whether it is ready, and what it does in numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest
from pydantic import BaseModel

from actors.service.access import OPERATOR
from actors.service.service import Service
from api.http.observing import Metrics
from api.http.problems import refuse
from api.http.routing import Routes
from api.http.security import caller_of, is_local, service_of

# One more number for each counter, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The service takes requests and stores what they bring."""

    status: Literal["ready"] = "ready"


def health_routes(metrics: Metrics) -> Routes:
    """The routes, for the numbers of an application."""
    routes = Routes("Health")

    @routes.add("GET", "/healthz", scope=None, example={"status": "alive"})
    def read_health() -> Alive:
        """Say that the process answers."""
        return Alive()

    @routes.add("GET", "/readyz", scope=None, problems=(503,), example={"status": "ready"})
    def read_readiness(service: Annotated[Service, Depends(service_of_request)]) -> Ready:
        """Say whether every open shard takes rows, the disk has room and the plane can be written.

        Whoever may not see the tenants is told how many parts fail, not which.
        """
        problems = service.problems()
        if problems:
            raise refuse(
                503,
                "not-ready",
                f"{len(problems)} parts of the service cannot work now",
                "See the metrics and the log",
                retry_after_ms=2_000,
            )
        return Ready()

    @routes.add(
        "GET",
        "/metrics",
        scope=None,
        problems=(401, 403),
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": ""}}}},
        response_class=Response,
    )
    def read_metrics(request: Request) -> Response:
        """Tell the numbers of the service, for Prometheus.

        This machine may ask without a key, others need the scope tenants:admin.
        """
        if not is_local(request):
            caller_of(request).need(OPERATOR)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes


def service_of_request(request: Request) -> Service:
    """The service behind the application."""
    return service_of(request)
