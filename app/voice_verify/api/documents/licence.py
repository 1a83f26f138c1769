"""The licence in force."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field

from voice_verify.api.documents.base import Document
from voice_verify.licence import Licence
from voice_verify.services.licence_standing import LicenceOrigin, LicenceState, Standing

LICENCE = "0b9d2f0c-6a1e-4d8f-9c1b-2f6f0a7c5d11"


class LicenceSummary(Document):
    """What a probe may know of it."""

    state: Annotated[LicenceState, Field(examples=["expiring"])]
    calls: Annotated[int, Field(description="Calls at once that it allows", examples=[100])]
    expires: Annotated[
        date | None, Field(description="The last day on which it holds; null in an evaluation", examples=["2027-01-31"])
    ]
    problems: Annotated[
        list[str],
        Field(
            description="What somebody must see to",
            examples=[["The licence expires on 2027-01-31, in 12 days: then no new calls are taken."]],
        ),
    ]

    @classmethod
    def of(cls, standing: Standing) -> Self:
        licence = standing.licence
        return cls(
            state=standing.state,
            calls=standing.calls,
            expires=None if licence is None else licence.expires,
            problems=list(standing.problems),
        )


class LicenceInForce(Document):
    """`state` and `signature` tell whether there is one; without any, an evaluation has the limits that stand here."""

    state: Annotated[LicenceState, Field(examples=["expiring"])]
    signature: Annotated[
        Literal["verified", "none"],
        Field(
            description="A licence whose signature is wrong is never in force: see `problems`", examples=["verified"]
        ),
    ]
    origin: Annotated[
        LicenceOrigin | None, Field(description="In the image, or put over the API", examples=["installed"])
    ]
    id: Annotated[str | None, Field(examples=[LICENCE])]
    customer: Annotated[str | None, Field(examples=["Example Bank"])]
    calls: Annotated[int, Field(description="Calls at once that it allows", examples=[100])]
    calls_here: Annotated[
        int, Field(description="Calls at once that it allows and this machine can hold", examples=[50])
    ]
    features: Annotated[list[str], Field(description="Ways on which calls may come in", examples=[["websocket"]])]
    issued: Annotated[date | None, Field(examples=["2026-01-31"])]
    expires: Annotated[date | None, Field(description="The last day on which it holds, UTC", examples=["2027-01-31"])]
    days_left: Annotated[int | None, Field(description="0 on the last day, negative afterwards", examples=[12])]
    problems: Annotated[
        list[str],
        Field(
            description="What somebody must see to",
            examples=[["The licence expires on 2027-01-31, in 12 days: then no new calls are taken."]],
        ),
    ]

    @classmethod
    def of(cls, standing: Standing, *, max_streams: int) -> Self:
        licence: Licence | None = standing.licence
        return cls(
            state=standing.state,
            signature="none" if licence is None else "verified",
            origin=standing.origin,
            id=None if licence is None else licence.id,
            customer=None if licence is None else licence.customer,
            calls=standing.calls,
            calls_here=min(standing.calls, max_streams),
            features=list(standing.features),
            issued=None if licence is None else licence.issued,
            expires=None if licence is None else licence.expires,
            days_left=standing.days_left,
            problems=list(standing.problems),
        )
