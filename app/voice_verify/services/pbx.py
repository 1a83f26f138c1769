"""The PBX instances that send calls."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from voice_verify import _generated
from voice_verify.errors import PbxNotFound
from voice_verify.store.pbx import Pbx, PbxStore, StoredPbx


class Transport(StrEnum):
    """How SIP goes to the PBX."""

    udp = "udp"
    tcp = "tcp"
    tls = "tls"

    @property
    def port(self) -> int:
        """The one that is usual: RFC 3261, section 19.1.2."""
        return _generated.SIPS_PORT if self is Transport.tls else _generated.SIP_PORT


class PbxService:
    """`key_id` is the API key that asks, for the audit."""

    def __init__(self, store: PbxStore) -> None:
        self._store = store

    def all(self) -> Sequence[StoredPbx]:
        """By name."""
        return self._store.all()

    def get(self, uuid: str) -> StoredPbx:
        """Raises PbxNotFound."""
        return _found(self._store.get(uuid))

    def add(self, pbx: Pbx, password: str | None, *, key_id: int | None) -> StoredPbx:
        """Raises PbxExists."""
        return self._store.add(pbx, password, key_id=key_id)

    def change(self, uuid: str, pbx: Pbx, password: str | None, *, key_id: int | None) -> StoredPbx:
        """Without `password` the stored one stays; raises PbxNotFound and PbxExists."""
        return _found(self._store.change(uuid, pbx, password, key_id=key_id))

    def remove(self, uuid: str, *, key_id: int | None) -> None:
        """Raises PbxNotFound."""
        if not self._store.remove(uuid, key_id=key_id):
            _found(None)


def _found(stored: StoredPbx | None) -> StoredPbx:
    if stored is None:
        raise PbxNotFound("There is no such PBX", hint="GET /api/v2/pbx lists those there are")
    return stored
