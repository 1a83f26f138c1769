"""The licence in force: found in the image and in the database, put over the API, asked by every call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

from voice_verify import _generated
from voice_verify.errors import FeatureNotLicensed, LicenceExceeded, LicenceExpired, LicenceInvalid
from voice_verify.licence import Licence, SignedLicence
from voice_verify.services.licence_standing import Found, LicenceOrigin, LicenceState, Standing, judge
from voice_verify.services.licence_time import LicenceTime
from voice_verify.store import Database
from voice_verify.store.licences import LicenceStore, StoredLicences

log = logging.getLogger(__name__)

RENEW = "PUT /api/v2/licence puts another one in force"
# What a crash may cost of the lower bound of the time.
KEEP_TIME_EVERY = timedelta(hours=1)


class LicenceService:
    """In force is the licence that was put last and has not expired, else the packaged one, else an evaluation.

    `standing` costs nothing; it is renewed by `put` here, and by `tick` for what other processes put and for the time
    that passes.
    """

    def __init__(
        self,
        database: Database,
        *,
        issuers: Collection[str],
        packaged: Path | None,
        evaluation_calls: int,
        warn_days: int,
        time: LicenceTime | None = None,
    ) -> None:
        """`issuers`: public keys, in hex; `packaged`: a file that need not be there."""
        self._store = LicenceStore(database)
        self._issuers = frozenset(issuers)
        self._evaluation = Standing(LicenceState.evaluation, evaluation_calls, tuple(_generated.LICENCE_FEATURES))
        self._warn_days = warn_days
        self._time = time or LicenceTime()
        self._packaged = self._read_packaged(packaged)
        # Held from the look at the database until it is applied, so that an older one never wins.
        self._looking = threading.Lock()
        self._stored = StoredLicences((), None)
        self._found: Sequence[Found] = ()
        self._warned: date | None = None
        self.standing = self._evaluation
        self._take_over(self._stored)

    @property
    def has_expired(self) -> bool:
        return self.standing.state is LicenceState.expired

    def require_current(self) -> None:
        """Raises LicenceExpired."""
        licence = self.standing.licence
        if licence is not None and self.has_expired:
            raise _expired(licence)

    def admit(self, source: str, running: int) -> None:
        """Let another call begin while `running` are running.

        Raises LicenceExpired, FeatureNotLicensed and LicenceExceeded.
        """
        self.require_current()
        standing = self.standing
        if source not in standing.features:
            raise FeatureNotLicensed(
                f"The licence allows no calls by {source}, but by {', '.join(standing.features)}", hint=RENEW
            )
        if running >= standing.calls:
            what = "an evaluation" if standing.licence is None else "the licence"
            raise LicenceExceeded(f"All {standing.calls} calls of {what} are in use", hint=f"end one, or {RENEW}")

    def put(self, signed: SignedLicence, *, key_id: int | None) -> Standing:
        """Put a licence in force: here at once, in other processes within two seconds.

        One that is refused changes nothing. Raises LicenceInvalid, LicenceExpired and DatabaseUnavailable.
        """
        licence = signed.verified(self._issuers)
        if licence.expires < self._time.now().date():
            raise _expired(licence)
        with self._looking:
            self._store.put(licence.id, signed.text(), key_id=key_id)
            self._take_over(self._store.read())
        return self.standing

    def tick(self) -> None:
        """Once a second: see what others put, and what time it is. Raises DatabaseUnavailable."""
        with self._looking:
            # First, because a licence expires also while the database is away.
            self._apply()
            stored = self._store.read()
            if stored != self._stored:
                self._take_over(stored)
            self._keep_time()

    def _take_over(self, stored: StoredLicences) -> None:
        installed = [self._check(LicenceOrigin.installed, document.encode()) for document in stored.documents]
        self._found = [*installed, *self._packaged]
        self._stored = stored
        for found in self._found:
            if found.licence is not None:
                self._time.raise_to(datetime.combine(found.licence.issued, time_of_day.min, UTC))
        if stored.at_least is not None:
            self._time.raise_to(stored.at_least)
        self._apply()

    def _apply(self) -> None:
        before, today = self.standing, self._time.now().date()
        now = judge(self._found, today, evaluation=self._evaluation, warn_days=self._warn_days)
        if now.licence is not None and self._time.problem is not None:
            now = replace(now, problems=(*now.problems, self._time.problem))
        self.standing = now
        fields = {"state": now.state, "calls": now.calls, "licence": now.licence and now.licence.id}
        if (now.state, now.licence) != (before.state, before.licence):
            log.info("licence in force", extra={"fields": fields})
        if now.problems and (today != self._warned or now.problems != before.problems):
            self._warned = today
            log.warning("licence needs attention", extra={"fields": {**fields, "problems": now.problems}})

    def _keep_time(self) -> None:
        """Without a licence nothing depends on it, and it is not known either."""
        kept, bound = self._stored.at_least, self._time.bound
        if self.standing.licence is not None and (kept is None or bound - kept >= KEEP_TIME_EVERY):
            self._store.keep_time(bound)

    def _read_packaged(self, file: Path | None) -> list[Found]:
        if file is None or not file.exists():
            return []
        try:
            return [self._check(LicenceOrigin.packaged, file.read_bytes())]
        except OSError as error:
            return [Found(LicenceOrigin.packaged, None, f"The packaged licence cannot be read: {error.strerror}.")]

    def _check(self, origin: LicenceOrigin, content: bytes) -> Found:
        try:
            return Found(origin, SignedLicence.read(content).verified(self._issuers))
        except LicenceInvalid as error:
            return Found(origin, None, f"The {origin} licence is refused: {error.detail}")


def _expired(licence: Licence) -> LicenceExpired:
    return LicenceExpired(f"The licence of {licence.customer} expired on {licence.expires}", hint=RENEW)
