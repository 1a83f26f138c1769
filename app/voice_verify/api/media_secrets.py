"""Secrets with which media protocols sign their connections: listed, set, removed."""

from __future__ import annotations

from fastapi import APIRouter

from voice_verify.api.dependencies import CallerDep, Operators, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.media import MediaSecret, MediaSecretRequest, MediaSecrets, SecretName
from voice_verify.errors import InvalidRequest, MalformedBody, MediaSecretNotFound
from voice_verify.services.media_secrets import Signing

router = APIRouter(prefix="/media/secrets", tags=["media"])


@router.get("", summary="List the signing secrets", dependencies=[Operators], responses=problems())
def list_media_secrets(services: ServicesDep) -> MediaSecrets:
    """By protocol and name, without the secrets themselves."""
    return MediaSecrets(secrets=[MediaSecret.of(stored) for stored in services.media_secrets.all()])


@router.put(
    "/{protocol}/{name}",
    summary="Set a signing secret",
    dependencies=[Operators],
    responses=problems(MalformedBody, InvalidRequest),
)
def put_media_secret(
    services: ServicesDep, caller: CallerDep, protocol: Signing, name: SecretName, request: MediaSecretRequest
) -> MediaSecret:
    """Stored encrypted and never shown again; what there was of that name is replaced.

    Connections to `/stream/twilio` are let in by a signature with the auth token of a Twilio account, those to
    `/stream/audiohook` by one with the client secret of a Genesys integration.
    """
    secret = request.secret.get_secret_value()
    return MediaSecret.of(services.media_secrets.put(protocol, name, secret, key_id=caller.key))


@router.delete(
    "/{protocol}/{name}",
    summary="Remove a signing secret",
    status_code=204,
    dependencies=[Operators],
    responses=problems(MediaSecretNotFound, InvalidRequest),
)
def delete_media_secret(services: ServicesDep, caller: CallerDep, protocol: Signing, name: SecretName) -> None:
    """Calls that run go on."""
    services.media_secrets.remove(protocol, name, key_id=caller.key)
