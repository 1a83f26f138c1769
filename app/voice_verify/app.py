"""The application: services, middleware, routes, and what starts and ends with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool

from voice_verify import __version__
from voice_verify.api import docs, keys, maintenance, probes, problems, recordings, speakers, streams, websocket
from voice_verify.api.middleware import Authentication, BodyLimit, Observation, OnePath
from voice_verify.services.container import Services

log = logging.getLogger(__name__)

TICK_S = 1.0


def create(services: Services) -> FastAPI:
    """The ASGI application around `services`, which it starts and stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.start()
        ticking = asyncio.create_task(_tick(services))
        log.info("started", extra={"fields": {"version": __version__, "port": services.settings.port}})
        yield
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        await run_in_threadpool(services.stop)
        log.info("stopped")

    app = FastAPI(
        title="Voice Verify",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    problems.install(app)
    api = APIRouter(prefix="/api/v2")
    for module in (recordings, streams, speakers, keys, maintenance):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(probes.router)
    app.include_router(websocket.router)
    docs.install(app)
    # The last one added is the first one to see a request.
    app.add_middleware(BodyLimit, upload_bytes=services.settings.upload_mb * 1024 * 1024)
    app.add_middleware(Authentication, services=services)
    app.add_middleware(OnePath)
    app.add_middleware(Observation, services=services)
    return app


async def _tick(services: Services) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        for part in (services.streams.tick, services.register.tick, services.maintenance.tick):
            try:
                await run_in_threadpool(part)
            except Exception:
                log.exception("tick failed", extra={"fields": {"part": part.__qualname__}})
