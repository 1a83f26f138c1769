"""Health probes and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from voice_verify import __version__
from voice_verify.api.dependencies import MetricsReaders, ServicesDep
from voice_verify.api.documents.health import Health
from voice_verify.api.documents.licence import LicenceSummary

router = APIRouter()


@router.get("/health/live", tags=["health"], summary="Whether the process answers")
def live(services: ServicesDep) -> Health:
    licence = LicenceSummary.of(services.licences.standing)
    return Health(status="live", version=__version__, checks=[], licence=licence)


@router.get(
    "/health/ready",
    tags=["health"],
    summary="Whether the service can do its work",
    responses={503: {"model": Health, "description": "It cannot; `checks` says what is missing"}},
)
def ready(services: ServicesDep, response: Response) -> Health:
    health = Health.of(services.health.checks(), __version__, services.licences.standing)
    response.status_code = 200 if health.status == "ready" else 503
    return health


@router.get("/metrics", include_in_schema=False, dependencies=[MetricsReaders])
def metrics(services: ServicesDep) -> Response:
    """For Prometheus: from this machine without a key, from elsewhere with one that may read."""
    return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)
