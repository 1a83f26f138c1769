"""The enrolled speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypedDict

from voice_verify.errors import SpeakerNotEnrolled
from voice_verify.store import Consent, EnrolledSpeaker, SpeakerState, SpeakerStore

SPEAKER_ID = r"^[A-Za-z0-9+][A-Za-z0-9._@+:=~-]{0,127}$"
"""Fits an e-mail address, a telephone number and most customer numbers, and needs no escaping in a path."""


@dataclass(frozen=True)
class SpeakerPage:
    """`next`: what to ask for after this page; None on the last one."""

    speakers: Sequence[EnrolledSpeaker]
    next: str | None


class SpeakerChanges(TypedDict, total=False):
    """What shall be changed; what is missing stays as it is. Moments are in UTC."""

    consent: Consent | None
    opted_out: bool
    expires: datetime | None


class SpeakerService:
    """`by` is always the API key that asks, for the audit."""

    def __init__(self, store: SpeakerStore) -> None:
        self._store = store

    def page(self, *, after: str | None, limit: int, state: SpeakerState | None = None) -> SpeakerPage:
        found = self._store.page(after=after, limit=limit + 1, state=state)
        more = len(found) > limit
        return SpeakerPage(found[:limit], found[limit - 1].id if more else None)

    def get(self, speaker: str) -> EnrolledSpeaker:
        """Raises SpeakerNotEnrolled."""
        found = self._store.get(speaker)
        if found is None:
            raise _unknown()
        return found

    def change(self, speaker: str, changes: SpeakerChanges, *, by: int) -> EnrolledSpeaker:
        """Raises SpeakerNotEnrolled."""

        def changed(known: EnrolledSpeaker) -> EnrolledSpeaker:
            opted_out = known.opted_out
            if changes.get("opted_out", opted_out is not None) != (opted_out is not None):
                opted_out = None if opted_out else datetime.now(UTC)
            return replace(
                known,
                consent=changes.get("consent", known.consent),
                opted_out=opted_out,
                expires=changes.get("expires", known.expires),
            )

        found = self._store.update(speaker, changed, key_id=by)
        if found is None:
            raise _unknown()
        return found

    def remove(self, speaker: str, *, by: int) -> None:
        """Delete the speaker with the voiceprint and the link to the reports; raises SpeakerNotEnrolled."""
        if not self._store.remove(speaker, key_id=by):
            raise _unknown()


def _unknown() -> SpeakerNotEnrolled:
    return SpeakerNotEnrolled("Nobody is enrolled under this identifier", hint="GET /api/v2/speakers lists who is")
