"""The enrolled speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voice_verify.errors import SpeakerNotEnrolled
from voice_verify.store import EnrolledSpeaker, SpeakerStore


@dataclass(frozen=True)
class SpeakerPage:
    """`next`: what to ask for after this page; None on the last one."""

    speakers: Sequence[EnrolledSpeaker]
    next: str | None


class SpeakerService:
    def __init__(self, store: SpeakerStore) -> None:
        self._store = store

    def page(self, *, after: str | None, limit: int) -> SpeakerPage:
        found = self._store.page(after=after, limit=limit + 1)
        more = len(found) > limit
        return SpeakerPage(found[:limit], found[limit - 1].id if more else None)

    def get(self, speaker: str) -> EnrolledSpeaker:
        """Raises SpeakerNotEnrolled."""
        found = self._store.get(speaker)
        if found is None:
            raise _unknown()
        return found

    def remove(self, speaker: str) -> None:
        """Delete the speaker with the voiceprint; raises SpeakerNotEnrolled."""
        if not self._store.remove(speaker, key_id=None):
            raise _unknown()


def _unknown() -> SpeakerNotEnrolled:
    return SpeakerNotEnrolled("Nobody is enrolled under this identifier", hint="GET /api/v2/speakers lists who is")
