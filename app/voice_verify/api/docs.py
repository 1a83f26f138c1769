"""/swagger/ and /openapi.json, without anything from outside: an appliance may have no internet."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from voice_verify.api.documents.problem import Problem

ASSETS = "/swagger/assets"
DESCRIPTION = """\
Live speaker verification for call centres.

Every call under `/api` needs a key: `Authorization: Bearer KEY`. A key has roles: `integrator` (streams, enrolment,
verification, speakers), `operator`, `billing`, `viewer` (reads).

Errors are `application/problem+json` (RFC 9457): `code` is stable and for programs, `detail` says what to do.
Paths work with and without a trailing slash.
"""


def install(app: FastAPI) -> None:
    """Serve the documentation of all routes that `app` has."""
    # Only the files of this package are used: it carries the current Swagger UI and depends on nothing else.
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_swagger.resources"))))
    router = APIRouter(include_in_schema=False)

    @router.get("/swagger")
    def swagger() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
            swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
        )

    app.include_router(router)
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]


def _schema(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, servers=[{"url": "/"}]
        )
        # The routes refer to it by name, because FastAPI would give it the wrong media type.
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= problem.pop("$defs") | {"Problem": problem}
        app.openapi_schema = schema
    return app.openapi_schema
