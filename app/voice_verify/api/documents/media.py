"""Secrets of the media protocols."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints

from voice_verify.api.documents.base import MOMENT, Document
from voice_verify.services.media_secrets import Signing
from voice_verify.store.media_secrets import StoredMediaSecret

ACCOUNT = "AC00000000000000000000000000000000"

SecretName = Annotated[
    str,
    # Of what stands in a path and in base64.
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~+=-]{0,99}$"),
    Field(description="twilio: the account SID; audiohook: the API key", examples=[ACCOUNT]),
]


class MediaSecretRequest(Document):
    secret: Annotated[
        SecretStr,
        Field(
            min_length=1,
            max_length=256,
            description="twilio: the auth token; audiohook: the client secret, in base64. Never shown again",
            examples=["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="],
        ),
    ]


class MediaSecret(Document):
    """The secret itself is never shown."""

    protocol: Annotated[Signing, Field(examples=["twilio"])]
    name: SecretName
    updated: Annotated[datetime, Field(examples=[MOMENT])]

    @classmethod
    def of(cls, stored: StoredMediaSecret) -> Self:
        return cls(protocol=Signing(stored.protocol), name=stored.name, updated=stored.updated)


class MediaSecrets(Document):
    secrets: list[MediaSecret]
