"""API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import MOMENT, Document, line_of_text
from voice_verify.services.keys import Role
from voice_verify.store import StoredKey

KeyName = Annotated[str, line_of_text(1, 128), Field(description="Whose key it is", examples=["call centre"])]
Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role), examples=[["integrator", "viewer"]])]


class NewKey(Document):
    name: KeyName
    roles: Roles


class Key(Document):
    id: Annotated[int, Field(examples=[3])]
    name: KeyName
    roles: Roles
    created: Annotated[datetime, Field(examples=[MOMENT])]
    revoked: Annotated[datetime | None, Field(description="Since when it is invalid", examples=[None])]

    @classmethod
    def of(cls, key: StoredKey) -> Self:
        roles = [Role(role) for role in key.roles]
        return cls(id=key.id, name=key.name, roles=roles, created=key.created, revoked=key.revoked)


class CreatedKey(Key):
    """A new key, with the key itself, which is shown only now."""

    key: Annotated[str, Field(examples=["vv_Rr5u4m0hYq3aW8cJx1nT6eZk9pLs2vBdF7gHoQiUyXA"])]


class Keys(Document):
    keys: list[Key]
