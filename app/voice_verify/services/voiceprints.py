"""The voiceprints that running calls are compared with, in memory."""

from __future__ import annotations

import threading
import time

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine import AudioSourceProfile
from voice_verify.store import EnrolledSpeaker, SpeakerStore
from voice_verify.store.speakers import stamp_of

# What another process changed is seen within this time; `refresh` runs four times as often, so that a slow one does not
# send all calls to the database at once.
FRESH_S = 2.0
# Two queries a second for each call keep an entry; calls that have ended do not.
KEPT_S = 10.0


class KnownSpeaker:
    """What is stored under one name: a speaker, or None when nobody is enrolled under it."""

    def __init__(self, speaker: EnrolledSpeaker | None, now: float) -> None:
        self.speaker = speaker
        self.checked = self.used = now
        self._projected: tuple[AudioSourceProfile, NDArray[np.float32]] | None = None

    def projected(self, speaker: EnrolledSpeaker, profile: AudioSourceProfile) -> NDArray[np.float32]:
        """The voiceprint (192,) as `profile` compares it."""
        made = self._projected
        if made is None or made[0] is not profile:
            made = self._projected = (profile, profile.project(speaker.voiceprint.embedding))
        return made[1]


class Projection:
    """The voice of one stream as a profile compares it, computed once for each new second of speech."""

    def __init__(self) -> None:
        self._projected: tuple[NDArray[np.float32], AudioSourceProfile, NDArray[np.float32]] | None = None

    def of(self, embedding: NDArray[np.float32], profile: AudioSourceProfile) -> NDArray[np.float32]:
        """The embedding (192,) of the stream, projected."""
        made = self._projected
        if made is None or made[0] is not embedding or made[1] is not profile:
            made = self._projected = (embedding, profile, profile.project(embedding))
        return made[2]


class VoiceprintCache:
    """Answers from memory while an entry is fresh; what this process changes is forgotten at once."""

    def __init__(self, store: SpeakerStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._entries: dict[str, KnownSpeaker] = {}
        # How often something was forgotten: what was read before that may be old.
        self._forgotten = 0
        store.watch(self.forget)

    def recall(self, speaker: str) -> KnownSpeaker | None:
        """What is fresh in memory, without ever waiting; None when the database must be asked."""
        entry = self._entries.get(speaker)
        now = time.monotonic()
        if entry is None or now - entry.checked > FRESH_S:
            return None
        entry.used = now
        return entry

    def get(self, speaker: str) -> KnownSpeaker:
        """Raises DatabaseUnavailable and Undecipherable."""
        entry = self.recall(speaker)
        if entry is None:
            with self._lock:
                forgotten = self._forgotten
            now = time.monotonic()
            entry = KnownSpeaker(self._store.get(speaker), now)
            with self._lock:
                if forgotten == self._forgotten:
                    self._entries[speaker] = entry
        return entry

    def forget(self, speaker: str | None) -> None:
        """Ask the database again about `speaker`; None stands for all."""
        with self._lock:
            self._forgotten += 1
            if speaker is None:
                self._entries.clear()
            else:
                self._entries.pop(speaker, None)

    def refresh(self) -> None:
        """Look with one query for what others changed, and let go of what is not used."""
        now = time.monotonic()
        with self._lock:
            forgotten = self._forgotten
            self._entries = {name: entry for name, entry in self._entries.items() if now - entry.used <= KEPT_S}
            entries = dict(self._entries)
        if not entries:
            return
        stamps = self._store.stamps(list(entries))
        with self._lock:
            if forgotten != self._forgotten:
                return
            for name, entry in entries.items():
                if (entry.speaker and stamp_of(entry.speaker)) == stamps.get(name):
                    entry.checked = now
                else:
                    self._entries.pop(name, None)
