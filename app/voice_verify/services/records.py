"""What backups and snapshots hold, one record a row: checked as strictly as what the API takes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import numpy as np
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    model_validator,
)

from voice_verify.engine import AudioSourceProfile
from voice_verify.services.pbx import Transport
from voice_verify.services.speakers import SPEAKER_ID
from voice_verify.store import Consent, EnrolledSpeaker, Voiceprint
from voice_verify.store.settings import OF_THIS_INSTALLATION

STORED_FLOAT = np.dtype("<f4")
# A float32 embedding has length 1 within this.
LENGTH_TOLERANCE = 1e-3


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, binascii.Error) as error:
        raise ValueError("must be base64") from error


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie within the years 1 to 9999") from error


Bytes = Annotated[bytes, BeforeValidator(_bytes), PlainSerializer(lambda value: base64.b64encode(value).decode())]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Line = Annotated[str, Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
Model = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpeakerRecord(Record):
    """A speaker with the voiceprint in clear: float32, little endian, L2-normalised, in base64."""

    speaker: Annotated[str, Field(pattern=SPEAKER_ID)]
    pseudonym: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    created: Moment
    updated: Moment
    consent_given: Moment | None
    consent_reference: Line | None
    opted_out: Moment | None
    expires: Moment | None
    model: Model
    net_speech_s: Annotated[Finite, Field(ge=0)]
    snr_db: Finite | None
    clipped_share: Annotated[float, Field(ge=0, le=1)]
    takes: Annotated[int, Field(ge=1, lt=2**31)]
    embedding: Bytes

    @model_validator(mode="after")
    def embedding_is_one(self) -> Self:
        if len(self.embedding) % STORED_FLOAT.itemsize:
            raise ValueError("embedding must be float32")
        # Written so that NaN fails, too.
        if not abs(float(np.linalg.norm(self._embedding())) - 1) <= LENGTH_TOLERANCE:
            raise ValueError("embedding must have length 1")
        return self

    @property
    def dimensions(self) -> int:
        return len(self.embedding) // STORED_FLOAT.itemsize

    @classmethod
    def of(cls, speaker: EnrolledSpeaker) -> Self:
        stored, consent = speaker.voiceprint, speaker.consent
        return cls(
            speaker=speaker.id,
            pseudonym=speaker.pseudonym,
            created=speaker.created,
            updated=speaker.updated,
            consent_given=None if consent is None else consent.given_at,
            consent_reference=None if consent is None else consent.reference,
            opted_out=speaker.opted_out,
            expires=speaker.expires,
            model=stored.model,
            net_speech_s=stored.net_speech_s,
            snr_db=stored.snr_db,
            clipped_share=stored.clipped_share,
            takes=stored.takes,
            embedding=stored.embedding.astype(STORED_FLOAT).tobytes(),
        )

    def enrolled(self) -> EnrolledSpeaker:
        given = self.consent_given
        return EnrolledSpeaker(
            id=self.speaker,
            pseudonym=self.pseudonym,
            voiceprint=Voiceprint(
                embedding=self._embedding().astype(np.float32),
                net_speech_s=self.net_speech_s,
                snr_db=self.snr_db,
                clipped_share=self.clipped_share,
                model=self.model,
                takes=self.takes,
            ),
            created=self.created,
            updated=self.updated,
            consent=None if given is None else Consent(given, self.consent_reference),
            opted_out=self.opted_out,
            expires=self.expires,
        )

    def _embedding(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.frombuffer(self.embedding, STORED_FLOAT)


class ProfileRecord(Record):
    """An uploaded Audio Source Profile; `document` is the whole of it as JSON."""

    uuid: UUID
    name: str
    version: int
    document: str
    uploaded: Moment
    active: bool

    @model_validator(mode="after")
    def document_is_the_profile(self) -> Self:
        profile = AudioSourceProfile.model_validate_json(self.document)
        if (profile.uuid, profile.name, profile.version) != (self.uuid, self.name, self.version):
            raise ValueError("document is another profile")
        return self


class PbxRecord(Record):
    """A PBX instance, without its password."""

    uuid: UUID
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)]
    transport: Transport
    username: Annotated[Line, Field(max_length=128)] | None
    created: Moment
    updated: Moment


class SettingRecord(Record):
    """What was set while the service ran."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")]
    value: dict[str, Any]
    updated: Moment

    @model_validator(mode="after")
    def belongs_in_a_backup(self) -> Self:
        if self.name in OF_THIS_INSTALLATION:
            raise ValueError(f"{self.name} belongs to one installation")
        return self


class SpeakerLine(Record):
    table: Literal["speakers"] = "speakers"
    row: SpeakerRecord


class ProfileLine(Record):
    table: Literal["profiles"] = "profiles"
    row: ProfileRecord


class PbxLine(Record):
    table: Literal["pbx_instances"] = "pbx_instances"
    row: PbxRecord


class SettingLine(Record):
    table: Literal["settings"] = "settings"
    row: SettingRecord


BackupLine = SpeakerLine | ProfileLine | PbxLine | SettingLine
LINE: TypeAdapter[BackupLine] = TypeAdapter(Annotated[BackupLine, Field(discriminator="table")])


def columns(record: ProfileRecord | PbxRecord | SettingRecord) -> Mapping[str, Any]:
    """The row as the database takes it."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in record.model_dump().items()}
