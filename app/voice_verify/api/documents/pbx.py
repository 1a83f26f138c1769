"""PBX instances."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from voice_verify.api.documents.base import MOMENT, PBX, Document, line_of_text
from voice_verify.services.pbx import Transport
from voice_verify.services.telephony import NO_STANDING, PbxStanding
from voice_verify.store.pbx import Pbx, StoredPbx
from voice_verify.telephony.agent import RegistrationState

PORT = f"Default {Transport.udp.port}, with tls {Transport.tls.port}"
LONGEST_HOST = 253
# A label of a host name: RFC 1123, section 2.1.
LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def _host(value: str) -> str:
    """An address without brackets, or a host name."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        labels = value.removesuffix(".").split(".")
        # A name of digits only would be a misspelt address.
        if len(value) > LONGEST_HOST or labels[-1].isdigit() or not all(map(LABEL.fullmatch, labels)):
            raise ValueError("must be an IPv4 or IPv6 address or a host name") from None
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$"), Field(examples=["Branch Lyon"])]
Host = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_HOST, description="Address or host name", examples=["pbx.example.com"]),
    AfterValidator(_host),
]
Username = Annotated[str, line_of_text(1, 128), Field(description="To register with", examples=["vv"])]


class PbxRequest(Document):
    name: Name
    host: Host
    port: Annotated[int | None, Field(ge=1, le=65535, description=PORT, examples=[Transport.tls.port])] = None
    transport: Annotated[Transport, Field(examples=["tls"])] = Transport.udp
    username: Username | None = None
    password: Annotated[
        SecretStr | None,
        Field(
            min_length=1,
            max_length=128,
            description="Never shown again; without it a PUT keeps the one there is",
            examples=["correct horse"],
        ),
    ] = None

    @model_validator(mode="after")
    def password_is_somebodys(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        return self

    def pbx(self) -> Pbx:
        port = self.port or self.transport.port
        return Pbx(name=self.name, host=self.host, port=port, transport=self.transport, username=self.username)

    def secret(self) -> str | None:
        return None if self.password is None else self.password.get_secret_value()


class RegistrationError(Document):
    """Why the last attempt failed."""

    code: Annotated[str, Field(examples=["wrong_password"])]
    message: Annotated[str, Field(examples=["The PBX refuses the password of vv: correct it."])]
    at: Annotated[datetime, Field(examples=[MOMENT])]


class Registration(Document):
    state: Annotated[
        RegistrationState,
        Field(description="`not_registered`: without username or telephony", examples=["registered"]),
    ]
    since: Annotated[datetime | None, Field(description="When that began", examples=[MOMENT])]
    until: Annotated[datetime | None, Field(description="How long the PBX keeps it", examples=[MOMENT])]
    last_error: Annotated[RegistrationError | None, Field(description="null once it is registered", examples=[None])]

    @classmethod
    def of(cls, standing: PbxStanding) -> Self:
        error = standing.last_error
        return cls(
            state=standing.state,
            since=standing.since,
            until=standing.until,
            last_error=None if error is None else RegistrationError(**vars(error)),
        )


class PbxInstance(Document):
    uuid: Annotated[UUID, Field(examples=[PBX])]
    name: Name
    host: Host
    port: Annotated[int, Field(examples=[Transport.tls.port])]
    transport: Annotated[Transport, Field(examples=["tls"])]
    username: Annotated[str | None, Field(examples=["vv"])]
    has_password: Annotated[bool, Field(description="The password itself is never shown", examples=[True])]
    registration: Registration
    running_calls: Annotated[int, Field(ge=0, description="Calls from this PBX at this moment", examples=[3])]
    created: Annotated[datetime, Field(examples=[MOMENT])]
    updated: Annotated[datetime, Field(examples=[MOMENT])]

    @classmethod
    def of(cls, stored: StoredPbx, standings: Mapping[str, PbxStanding]) -> Self:
        standing = standings.get(stored.uuid, NO_STANDING)
        return cls(
            uuid=UUID(stored.uuid),
            **vars(stored.pbx),
            has_password=stored.has_password,
            registration=Registration.of(standing),
            running_calls=standing.running_calls,
            created=stored.created,
            updated=stored.updated,
        )


class PbxInstances(Document):
    pbx: list[PbxInstance]
