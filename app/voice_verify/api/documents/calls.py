"""What a stream tells of the call that it is a leg of."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from voice_verify.api.documents.base import PBX

CallId = Annotated[
    str | None,
    Field(description="The same for all streams of a call", examples=["a84b4c76e66710@pbx.example.com"]),
]
Caller = Annotated[str | None, Field(description="As the call names it", examples=["sip:+33140205050@example.com"])]
Callee = Annotated[str | None, Field(examples=["sip:4711@voiceverify.example.com"])]
Participant = Annotated[
    str | None, Field(description="Who speaks on this stream of a recorded call (SIPREC)", examples=["Anna Berg"])
]
OfPbx = Annotated[UUID | None, Field(description="The PBX instance that the call came from", examples=[PBX])]
