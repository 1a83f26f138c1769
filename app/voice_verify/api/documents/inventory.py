"""The inventory."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import Document
from voice_verify.services import inventory

EXAMPLE = {"count": 2, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}


class RecordSum(Document):
    count: Annotated[int, Field(ge=0, description="How many there are", examples=[EXAMPLE["count"]])]
    sha256: Annotated[
        str, Field(description="Over all of them, in the form that `format` names", examples=[EXAMPLE["sha256"]])
    ]


class Inventory(Document):
    format: Annotated[int, Field(description="The records' forms; a later version knows this one, too", examples=[2])]
    version: Annotated[str, Field(examples=["1.2.0"])]
    format_epoch: Annotated[
        int, Field(description="Of the data disk; a version of a lower one refuses it", examples=[1])
    ]
    schema_revision: Annotated[str | None, Field(description="The migration that the database has", examples=["0005"])]
    boot: Annotated[
        str,
        Field(
            description="Another one each time the machine starts", examples=["3f0a2c4e-1b5d-4e6f-8a7b-9c0d1e2f3a4b"]
        ),
    ]
    ready: Annotated[
        bool,
        Field(description="The schema is the version's, and the engine passed its self-test", examples=[True]),
    ]
    through: Annotated[
        str,
        Field(
            description="How far kinds of records go that only grow; for a later inventory",
            examples=["eyJmb3JtYXQiOjF9"],
        ),
    ]
    records: Annotated[
        dict[str, RecordSum],
        Field(description="By kind; empty while the database cannot be read", examples=[{"speakers": EXAMPLE}]),
    ]

    @classmethod
    def of(cls, taken: inventory.Inventory) -> Self:
        records = {kind: RecordSum(count=total.count, sha256=total.sha256) for kind, total in taken.records.items()}
        return cls(**{**vars(taken), "records": records})
