"""What came of a restore."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import Document
from voice_verify.services.backup import Restored


class RestoreResult(Document):
    restored: Annotated[int, Field(ge=0, description="Speakers that came back", examples=[4711])]
    deleted_since: Annotated[
        int, Field(ge=0, description="Speakers left out because they were deleted meanwhile", examples=[2])
    ]

    @classmethod
    def of(cls, restored: Restored) -> Self:
        return cls(restored=restored.restored, deleted_since=restored.deleted_since)
