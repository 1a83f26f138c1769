"""The application: services, middleware, routes, and what starts and ends with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from voice_verify import __version__
from voice_verify.api import (
    backup,
    billing,
    docs,
    keys,
    licence,
    maintenance,
    media,
    media_secrets,
    pbx,
    probes,
    problems,
    profiles,
    recordings,
    reports,
    speakers,
    streams,
    websocket,
)
from voice_verify.api.at_once import VerifyAtOnce
from voice_verify.api.middleware import Authentication, BodyLimit, Observation, OnePath
from voice_verify.errors import DatabaseUnavailable
from voice_verify.media.server import AudioSocketServer
from voice_verify.services.container import Services
from voice_verify.services.streams import StreamService

log = logging.getLogger(__name__)

# What other processes on the database changed is seen within this time, or a little later when the database is slow.
REFRESH_S = 0.5
TICK_S = 1.0
# What may take long: streams that dead processes left open, and reports that are too old.
CLEANING_S = 60.0
PULSE_S = 0.1


def create(services: Services) -> FastAPI:
    """The ASGI application around `services`, which it starts and stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.start()
        audiosocket = _audiosocket(services)
        await audiosocket.start()
        ticking = [
            asyncio.create_task(_pulse(services.streams)),
            asyncio.create_task(
                _every(
                    REFRESH_S,
                    services.keys.refresh,
                    services.voiceprints.refresh,
                    services.profiles.refresh,
                    services.telephony.refresh,
                )
            ),
            asyncio.create_task(
                _every(
                    TICK_S,
                    services.streams.tick,
                    services.usage.flush,
                    services.register.tick,
                    services.maintenance.tick,
                    services.licences.tick,
                )
            ),
            asyncio.create_task(_every(CLEANING_S, services.maintenance.recover, services.reports.tick)),
        ]
        log.info("started", extra={"fields": {"version": __version__, "port": services.settings.port}})
        yield
        for task in ticking:
            task.cancel()
        await asyncio.gather(*ticking, return_exceptions=True)
        await run_in_threadpool(services.streams.close)
        await audiosocket.stop()
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
    # Matched in this order: what every call asks twice a second stands first.
    for module in (
        streams,
        recordings,
        speakers,
        keys,
        maintenance,
        backup,
        profiles,
        pbx,
        media_secrets,
        billing,
        reports,
        licence,
    ):
        app.include_router(module.router, prefix="/api/v2")
    app.include_router(probes.router)
    # Before the path that takes any name for the uuid of a stream.
    app.include_router(media.router)
    app.include_router(websocket.router)
    docs.install(app)
    # The last one added is the first one to see a request.
    app.add_middleware(
        BodyLimit, upload_bytes=services.settings.upload_mb * 1024 * 1024, restore_bytes=services.spool.limit
    )
    app.add_middleware(VerifyAtOnce, services=services)
    app.add_middleware(Authentication, services=services)
    app.add_middleware(OnePath)
    app.add_middleware(Observation, services=services)
    return app


def _audiosocket(services: Services) -> AudioSocketServer:
    settings = services.settings
    return AudioSocketServer(
        services.streams,
        services.metrics,
        host=settings.audiosocket_host or settings.host,
        port=settings.audiosocket_port,
        peers=[ip_network(peer) for peer in settings.audiosocket_peers],
        max_streams=settings.max_streams,
    )


async def _pulse(streams: StreamService) -> None:
    """Tell how late the event loop is, again and again."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PULSE_S
        await asyncio.sleep(PULSE_S)
        streams.answers_late(loop.time() - due)


async def _every(interval_s: float, *parts: Callable[[], None]) -> None:
    """Call all `parts` again and again, each whether or not the others succeed."""
    while True:
        await asyncio.sleep(interval_s)
        for part in parts:
            try:
                # Not in the pool of the requests: many that wait for the database would keep back what spares them it.
                await asyncio.to_thread(part)
            except DatabaseUnavailable:
                # Said by the database itself; what was to be done is done next time.
                continue
            except Exception:
                log.exception("tick failed", extra={"fields": {"part": part.__qualname__}})
