"""The Audio Source Profiles, packaged and uploaded, and the one in force."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from voice_verify.engine import AudioSourceProfile, ModelInfo, packaged_profile, packaged_profiles
from voice_verify.errors import (
    FieldProblem,
    InvalidRequest,
    ProfileExists,
    ProfileModelMismatch,
    ProfileNotFound,
    ProfilePackaged,
)
from voice_verify.store import Database
from voice_verify.store.profiles import Choice, ProfileStore, StoredProfile

log = logging.getLogger(__name__)


class Origin(StrEnum):
    packaged = "packaged"
    uploaded = "uploaded"


@dataclass(frozen=True)
class KnownProfile:
    """`active`: whether it is the one in force; `problem`: why it cannot be, None when it can."""

    profile: AudioSourceProfile
    origin: Origin
    uploaded: datetime | None
    active: bool
    problem: str | None


class ProfileService:
    """`active` costs nothing; it is renewed by every change here, and by `refresh` for those of other processes."""

    def __init__(self, database: Database, model: ModelInfo, *, default: str) -> None:
        """`default`: the packaged profile that applies while nothing else was chosen. Raises ProfileError."""
        self._store = ProfileStore(database)
        self._model = model
        self._default = packaged_profile(default)
        self._packaged = {name: packaged_profile(name) for name in packaged_profiles()}
        # Held from the look at the choice until it is applied, so that an older one never wins.
        self._choosing = threading.Lock()
        self._choice = Choice(None, None)
        self.active: AudioSourceProfile = self._default

    def refresh(self) -> None:
        """Take over what was chosen elsewhere; cheap when nothing was. Raises DatabaseUnavailable."""
        with self._choosing:
            self._apply(self._store.choice())

    def all(self) -> Sequence[KnownProfile]:
        """The packaged ones, then the uploaded ones by name, newest version first."""
        packaged = [self._known(profile) for profile in self._packaged.values()]
        return [*packaged, *(self._stored(stored) for stored in self._store.all())]

    def get(self, uuid: str) -> KnownProfile:
        """Raises ProfileNotFound."""
        packaged = self._packaged_by_uuid(uuid)
        if packaged is not None:
            return self._known(packaged)
        stored = self._store.get(uuid)
        if stored is None:
            raise _unknown()
        return self._stored(stored)

    def in_force(self) -> KnownProfile:
        """The profile that decides now."""
        return self.get(str(self.active.uuid))

    def add(self, profile: AudioSourceProfile, *, key_id: int | None) -> KnownProfile:
        """Store a profile; one for another model is kept, too, and cannot be activated.

        Raises ProfileExists, and InvalidRequest when it contradicts the model that it names.
        """
        if profile.model_identity == self._model.identity and profile.dimensions not in (None, self._model.dimensions):
            raise InvalidRequest(
                "The profile does not fit the model that it names",
                errors=[FieldProblem("body.mean", f"must have {self._model.dimensions} numbers")],
            )
        taken = self._packaged.get(profile.name)
        if self._packaged_by_uuid(str(profile.uuid)) or (taken is not None and taken.version == profile.version):
            raise ProfileExists(
                "A packaged profile has this uuid, or this name and version",
                hint="give the profile a new uuid and a higher version",
            )
        stored = self._store.add(
            uuid=str(profile.uuid),
            name=profile.name,
            version=profile.version,
            document=profile.model_dump_json(),
            key_id=key_id,
        )
        return self._stored(stored)

    def remove(self, uuid: str, *, key_id: int | None) -> None:
        """Raises ProfileNotFound, ProfilePackaged and ProfileActive."""
        if self._packaged_by_uuid(uuid) is not None:
            raise ProfilePackaged("A packaged profile cannot be removed", hint="it does no harm while it is not active")
        if not self._store.remove(uuid, key_id=key_id):
            raise _unknown()

    def activate(self, uuid: str, *, key_id: int | None) -> KnownProfile:
        """Let the profile decide from now on; raises ProfileNotFound and ProfileModelMismatch."""
        known = self.get(uuid)
        if known.problem is not None:
            raise ProfileModelMismatch(known.problem, hint="fit it anew with this version: vvctl profile fit")
        if known.origin is Origin.packaged:
            with self._choosing:
                self._apply(self._store.choose_packaged(known.profile.name, key_id=key_id))
        else:
            with self._choosing:
                self._apply(self._store.activate(uuid, key_id=key_id))
        return self.get(uuid)

    def deactivate(self, uuid: str, *, key_id: int | None) -> KnownProfile:
        """Let the profile decide no longer, if it does: then the packaged one applies. Raises ProfileNotFound."""
        known = self.get(uuid)
        if known.origin is Origin.uploaded:
            with self._choosing:
                self._apply(self._store.deactivate(uuid, key_id=key_id))
        elif known.active:
            with self._choosing:
                self._apply(self._store.choose_packaged(None, key_id=key_id))
        return self.get(uuid)

    def load(self, name: str, *, key_id: int | None) -> KnownProfile:
        """Activate the highest uploaded version of that name, else the packaged one; raises as `activate` does."""
        stored = self._store.latest(name)
        if stored is not None:
            return self.activate(stored.uuid, key_id=key_id)
        if name not in self._packaged:
            raise _unknown()
        return self.activate(str(self._packaged[name].uuid), key_id=key_id)

    def _apply(self, choice: Choice) -> None:
        if choice == self._choice:
            return
        self.active = self._chosen(choice)
        self._choice = choice
        log.info("profile in force", extra={"fields": {"profile": self.active.name, "version": self.active.version}})

    def _chosen(self, choice: Choice) -> AudioSourceProfile:
        stored = self._store.get(choice.uploaded) if choice.uploaded else None
        if stored is not None:
            profile = AudioSourceProfile.model_validate_json(stored.document)
            problem = self._problem(profile)
            if problem is None:
                return profile
            # After a restore or an upgrade: better the packaged one than none.
            log.warning("the active profile cannot be used", extra={"fields": {"profile": stored.uuid, "why": problem}})
        packaged = self._packaged.get(choice.packaged or "")
        return packaged if packaged is not None and self._problem(packaged) is None else self._default

    def _stored(self, stored: StoredProfile) -> KnownProfile:
        return self._known(AudioSourceProfile.model_validate_json(stored.document), stored.uploaded)

    def _known(self, profile: AudioSourceProfile, uploaded: datetime | None = None) -> KnownProfile:
        return KnownProfile(
            profile=profile,
            origin=Origin.packaged if uploaded is None else Origin.uploaded,
            uploaded=uploaded,
            active=profile.uuid == self.active.uuid,
            problem=self._problem(profile),
        )

    def _problem(self, profile: AudioSourceProfile) -> str | None:
        if profile.model_identity == self._model.identity:
            return None
        return f"It was made for model {profile.model_identity[:12]}…, this service has {self._model.identity[:12]}…"

    def _packaged_by_uuid(self, uuid: str) -> AudioSourceProfile | None:
        return next((profile for profile in self._packaged.values() if str(profile.uuid) == uuid), None)


def _unknown() -> ProfileNotFound:
    return ProfileNotFound("There is no such profile", hint="GET /api/v2/maintenance/asp lists those there are")
