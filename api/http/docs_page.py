"""Serve the interactive documentation: a page of our own that reads /openapi.json."""

from __future__ import annotations

from importlib.resources import files

from starlette.responses import Response

from api.http.routing import Routes

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PARTS = {
    "/docs": ("docs.html", "text/html"),
    "/docs/page.css": ("docs.css", "text/css"),
    "/docs/page.js": ("docs.js", "text/javascript"),
}


def docs_routes() -> Routes:
    """The page and what it is made of; it stands in no OpenAPI document."""
    routes = Routes("Documentation")
    for path, (name, media) in _PARTS.items():
        _serve(routes, path, files("api.http").joinpath(name).read_text("utf-8"), media)
    return routes


def _serve(routes: Routes, path: str, text: str, media: str) -> None:
    def read_documentation() -> Response:
        return Response(text, media_type=media, headers={"Content-Security-Policy": POLICY})

    routes.add("GET", path, scope=None, include_in_schema=False, response_class=Response)(
        read_documentation
    )
