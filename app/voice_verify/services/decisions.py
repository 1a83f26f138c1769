"""The verifications on one stream: asked for, followed as more is heard, invoiced once, written down."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from voice_verify.engine import Voice
from voice_verify.errors import VoiceVerifyError
from voice_verify.services.events import Decided, Event, Failed
from voice_verify.services.journal import Journal
from voice_verify.services.usage import UsageService
from voice_verify.services.verification import Verification, VerificationService
from voice_verify.services.voiceprints import Projection

# A decision is pushed for that many speakers of one stream; asking for another lets go of the one asked for first.
FOLLOWED_SPEAKERS = 8


class Decisions:
    """Safe to use from many threads; `emit` is told a decision when it is asked for first, and whenever it moves."""

    def __init__(
        self, verifier: VerificationService, usage: UsageService, journal: Journal, emit: Callable[[Event], None]
    ) -> None:
        self._verifier = verifier
        self._usage = usage
        self._journal = journal
        self._emit = emit
        self._projection = Projection()
        # Held for an instant only.
        self._lock = threading.Lock()
        # The last decision for each followed speaker, oldest request first.
        self._followed: OrderedDict[str, Verification] = OrderedDict()
        # Held while the database counts, so that nobody is invoiced twice.
        self._counting = threading.Lock()
        self._invoiced: set[str] = set()

    @property
    def followed(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._followed)

    def ask(self, speaker: str, voice: Voice) -> Verification:
        """The decision on `voice`, followed from now on; raises DatabaseUnavailable and Undecipherable."""
        verification = self._verifier.verify(speaker, voice, self._projection)
        self._invoice(verification)
        return self._follow(verification)

    def ask_at_once(self, speaker: str, voice: Voice) -> Verification | None:
        """The same without ever waiting; None when the database must be asked or told."""
        if speaker not in self._invoiced:
            return None
        verification = self._verifier.verify_at_once(speaker, voice, self._projection)
        return None if verification is None else self._follow(verification)

    def renew(self, voice: Voice) -> None:
        """Tell how the followed decisions have moved."""
        with self._lock:
            followed = dict(self._followed)
        for speaker, last in followed.items():
            try:
                verification = self._verifier.compare(speaker, voice, self._projection)
                if verification == last:
                    continue
                self._invoice(verification)
            except VoiceVerifyError as error:
                # No database: whoever still wants to know asks again.
                with self._lock:
                    self._followed.pop(speaker, None)
                self._emit(Failed(error))
                continue
            with self._lock:
                current = self._followed.get(speaker)
                if current is None or current.net_speech_s > verification.net_speech_s:
                    continue
                self._followed[speaker] = verification
                self._tell(verification, is_news=True)

    def _follow(self, verification: Verification) -> Verification:
        with self._lock:
            last = self._followed.get(verification.speaker)
            self._followed[verification.speaker] = verification
            self._followed.move_to_end(verification.speaker)
            if len(self._followed) > FOLLOWED_SPEAKERS:
                self._followed.popitem(last=False)
            self._tell(verification, is_news=verification != last)
        return verification

    def _tell(self, verification: Verification, *, is_news: bool) -> None:
        self._journal.verified(verification)
        if is_news:
            self._emit(Decided(verification))

    def _invoice(self, verification: Verification) -> None:
        """One verification for each speaker whose voice was compared on this stream, before the first answer."""
        if not verification.judged or verification.speaker in self._invoiced:
            return
        with self._counting:
            if verification.speaker not in self._invoiced:
                self._usage.verified()
                self._invoiced.add(verification.speaker)
